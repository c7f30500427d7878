"""Neck, ears and the bare face: the big forms under the features."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from beam_jobs.sources.portrait.canvas import HEIGHT, WIDTH, Box, Field, bump, cover, multiply, over, slopes, smooth
from beam_jobs.sources.portrait.skin import FaceGrid, Light, face_albedo, face_relief, skin_colour, wrinkle
from beam_jobs.sources.portrait.traits import Traits
from beam_jobs.sources.portrait.view import View

BLEED = (0.28, 0.14, 0.09)
"""How far red, green and blue light creep into the shadow side of skin."""
_NECK_TINT = np.array([0.94, 0.9, 0.88], np.float32).reshape(3, 1, 1)
_EAR_TINT = np.array([1.0, 0.86, 0.82], np.float32).reshape(3, 1, 1)

_MIDDLE_V = 8.0
# Half of an average outline, chin to crown, in face coordinates.
_OUTLINE = np.array(
    [(0, 66.5), (8.5, 65.8), (17, 62), (24.8, 54.5), (32, 43.5), (37.2, 28), (39.3, 12), (39.3, -5),
     (38, -20), (32, -36), (20, -46), (0, -51)]
)  # fmt: skip
_BINS = 2048
_SHADOW = (0.4, 0.27, 0.24)
"""What deep shadow leaves of light on skin: red light has travelled through it."""
_DEEP_SHADOW = (0.16, 0.108, 0.096)
_FALLING_SHADOW = (0.42, 0.3, 0.27)
_COARSE_BINS = 256
_COARSE_ANGLES = np.linspace(0, np.pi, _COARSE_BINS)
_ANGLES = np.linspace(0, np.pi, _BINS)
_KERNEL = np.hanning(27) / np.hanning(27).sum()
_COARSE = 4


@dataclass(frozen=True)
class Face:
    """Where the face was painted: its coverage in [0, 1], float32 [H, W], of the part `box` of the picture."""

    box: Box
    coverage: Field


@cache
def _outline(width: float, jaw: float) -> Field:
    """Return the outline's radius about (0, _MIDDLE_V) at _BINS angles from chin (0) to crown (pi)."""
    points = _OUTLINE.copy()
    low = np.clip((points[:, 1] - 14) / 30, 0, 1)
    points[:, 0] *= 1 + 0.055 * width + 0.075 * jaw * low
    points[:, 1] += np.where(points[:, 1] > 60, -1.5 * jaw, 0)
    u, v = points[:, 0], points[:, 1] - _MIDDLE_V
    angle, radius = np.arctan2(u, v), np.hypot(u, v)
    even = np.interp(_COARSE_ANGLES, angle, radius)
    mirrored = np.concatenate([even[13:0:-1], even, even[-2:-15:-1]])
    rounded = np.convolve(mirrored, _KERNEL, mode="valid")
    return np.interp(_ANGLES, _COARSE_ANGLES, rounded).astype(np.float32)


def outline_distance(traits: Traits, u: Field, v: Field) -> tuple[Field, Field]:
    """Return (q, distance): q is 0 in the middle of the face and 1 on its outline, distance is in pixels."""
    dv = v - _MIDDLE_V
    angle = np.arctan2(np.abs(u), dv)
    angle *= (_BINS - 1) / np.pi
    angle += 0.5
    dv *= dv
    dv += u * u
    radius = np.sqrt(dv, out=dv)
    # Rounding keeps the cache of outlines small without a visible step.
    table = _outline(round(traits.face_width, 1), round(traits.jaw, 1))
    edge = table.take(angle.astype(np.intp), mode="clip")
    return radius / edge, radius - edge


def face_box(traits: Traits, view: View, margin: float) -> Box:
    """Return the part of the picture that holds the face's outline and `margin` pixels around it."""
    _, distance = outline_distance(traits, view.u[::_COARSE, ::_COARSE], view.v[::_COARSE, ::_COARSE])
    # From any pixel, the next point of the coarse grid in each direction is nearer than this.
    near = distance < margin + 1.3 * _COARSE
    rows, columns = (np.flatnonzero(near.any(axis=axis)) * _COARSE for axis in (1, 0))
    return (
        slice(int(rows[0]), min(int(rows[-1]) + 1, HEIGHT)),
        slice(int(columns[0]), min(int(columns[-1]) + 1, WIDTH)),
    )


def neck_width(traits: Traits) -> float:
    """Return half the width of the neck in pixels."""
    return 24.5 + 3.0 * traits.jaw + 1.5 * traits.face_width


def shoulder_line(traits: Traits, x: Field) -> Field:
    """Return the height by of the shoulders at bx = x: from the neck they fall to the sides, in pixels."""
    beyond = np.maximum(np.abs(x) - neck_width(traits), 0)
    return 97 - 23 * np.exp(beyond * (-1 / 20)) + 0.0006 * beyond * beyond


def _bare(traits: Traits, view: View) -> slice:
    """Return the columns where skin may show below the chin: any garment but one covers the shoulders."""
    if traits.clothing == "bare shoulders":
        return slice(0, WIDTH)
    middle = -float(view.bx[0, 0])
    return slice(max(int(middle) - 48, 0), min(int(middle) + 49, WIDTH))


def paint_neck(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint the neck and the bare upper chest, with the shadow that the chin casts."""
    box = (slice(140, HEIGHT), _bare(traits, view))
    x, y = view.bx[:, box[1]], view.by[box[0]]
    width = neck_width(traits)
    flare = width + 0.012 * np.maximum(y - 60, 0) ** 2
    z = x / (flare + 30 * smooth(78, 96, y))
    z *= z
    np.subtract(1, z, out=z)
    np.maximum(z, 0, out=z)
    np.sqrt(z, out=z)
    z *= 26
    z += 1.6 * bump(np.abs(x) - 0.18 * (96 - y), y, (4, 84), (3.5, 14))
    z -= _gaussian(x, 4) * (1.6 * _gaussian(y - 93, 4))
    sx, sy = slopes(z)
    sy -= 0.25
    colour = light.shade(sx, sy, BLEED, skin_colour(traits) * _NECK_TINT)
    # The chin's shadow falls down and away from the light.
    shift = -10 * light.direction[0]
    edge = y - (76 + 9 * traits.light_height) + 0.016 * (x - shift) ** 2
    shadow = smooth(8, -9, edge) * (0.45 + 0.3 * light.hardness)
    multiply(colour, _FALLING_SHADOW, shadow)
    alpha = cover(np.minimum(np.abs(x) - flare, shoulder_line(traits, x) - y), 0.9)
    alpha *= smooth(24, 34, y)
    over(picture[(slice(None), *box)], colour, alpha)


def _gaussian(x: Field, deviation: float) -> Field:
    return np.exp(x * x * (-0.5 / deviation**2))


def paint_ears(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint both ears; hair and the face come over them."""
    skin = skin_colour(traits) * _EAR_TINT
    width = 38 * (1 + 0.055 * traits.face_width)
    for side in (-1, 1):
        reach = sorted((side * (width - 9), side * (width + 10)))
        box = view.head_box((reach[0], reach[1]), (-8, 22))
        x = side * view.hx[box] - (width + 1.2)
        y = view.hy[box] - 7
        x = x + 0.1 * y  # ears lean back
        d = np.sqrt((x / 5.4) ** 2 + (y / 13.0) ** 2)
        inner = np.sqrt(((x - 0.8) / 3.0) ** 2 + ((y + 1.5) / 8.0) ** 2)
        toward = 0.62 + 0.38 * side * light.direction[0] * 1.4
        tone = light.fill + light.key * max(toward, 0.12)
        colour = skin * tone * (1 - 0.45 * smooth(1.1, 0.4, inner) + 0.12 * smooth(0.75, 0.95, d))
        over(picture[(slice(None), *box)], colour, cover((d - 1) * 6, 0.9))


def paint_face(picture: Field, traits: Traits, view: View, light: Light, offset: tuple[int, int]) -> Face:
    """Paint the face without its features; return where it lies."""
    box = face_box(traits, view, 2.0)
    u, v = view.u[box].copy(), view.v[box].copy()
    grid = FaceGrid((box[0].start, box[1].start), u, v, np.abs(u))
    q, distance = outline_distance(traits, u, v)
    nose = view.nose_lift()
    sx, sy = slopes(face_relief(traits, grid, q, nose))
    colour = face_albedo(traits, grid, offset)
    colour *= light.shade(sx, sy, BLEED)
    # Skin is oily: a broad sheen and a small hot spot on nose, forehead and cheekbones.
    sheen = light.gleam(sx, sy, 14)
    spot = sheen * sheen
    spot *= spot
    spot *= 0.07
    sheen *= 0.055
    sheen += spot
    for plane, key in zip(colour, light.key.flat, strict=True):
        plane += sheen * (key * (0.6 + 0.6 * light.hardness))
    tip = 25 * (1 + 0.08 * traits.nose_length)
    low = grid.reach((-18, 18), (14, 40))
    nu, nv = u[low] - nose[0], v[low] - nose[1]
    under = bump(nu, nv, (-3 * light.direction[0] * 2, tip + 8.5), (7.5, 3.2))
    multiply(colour[(slice(None), *low)], _SHADOW, under * (0.3 + 0.3 * light.hardness))
    _nostrils(colour[(slice(None), *low)], traits, nu, nv, tip)
    if traits.age > 0.2:  # below, the lines are fainter than the grain
        wrinkle(colour, traits, grid, _SHADOW)
    # Rim of the jaw and temples: less of the surrounding reaches it.
    multiply(colour, _SHADOW, smooth(0.86, 1.04, q) * 0.3)
    face = Face(box, cover(distance, 0.9))
    over(picture[(slice(None), *box)], colour, face.coverage)
    return face


def _nostrils(colour: Field, traits: Traits, nu: Field, nv: Field, tip: float) -> None:
    wide = 1 + 0.2 * traits.nose_width
    side = np.abs(nu)
    hole = bump(side - 0.3 * (nv - tip), nv, (4.2 * wide, tip + 4.6), (2.0 * wide, 1.0))
    multiply(colour, _DEEP_SHADOW, np.minimum(hole * 1.15, 1) * 0.85)
    crease = bump(side, nv, (10.2 * wide, tip + 1), (1.0, 3.2))
    multiply(colour, _SHADOW, crease * 0.38)
