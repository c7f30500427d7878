"""Neck, ears and the bare face: the big forms under the features."""

from __future__ import annotations

from functools import cache

import numpy as np

from beam_jobs.sources.portrait.canvas import Field, bump, cover, multiply, over, smooth
from beam_jobs.sources.portrait.skin import Light, face_albedo, face_relief, skin_colour, slopes, wrinkles
from beam_jobs.sources.portrait.traits import Traits
from beam_jobs.sources.portrait.view import View

BLEED = (0.28, 0.14, 0.09)
"""How far red, green and blue light creep into the shadow side of skin."""

_MIDDLE_V = 8.0
# Half of an average outline, chin to crown, in face coordinates.
_OUTLINE = np.array(
    [(0, 66.5), (8.5, 65.8), (17, 62), (24.8, 54.5), (32, 43.5), (37.2, 28), (39.3, 12), (39.3, -5),
     (38, -20), (32, -36), (20, -46), (0, -51)]
)  # fmt: skip
_BINS = 256


@cache
def _outline(width: float, jaw: float) -> Field:
    """Return the outline's radius about (0, _MIDDLE_V) at _BINS angles from chin (0) to crown (pi)."""
    points = _OUTLINE.copy()
    low = np.clip((points[:, 1] - 14) / 30, 0, 1)
    points[:, 0] *= 1 + 0.055 * width + 0.075 * jaw * low
    points[:, 1] += np.where(points[:, 1] > 60, -1.5 * jaw, 0)
    u, v = points[:, 0], points[:, 1] - _MIDDLE_V
    angle, radius = np.arctan2(u, v), np.hypot(u, v)
    even = np.interp(np.linspace(0, np.pi, _BINS), angle, radius)
    kernel = np.hanning(27) / np.hanning(27).sum()
    return np.convolve(np.pad(even, 13, mode="reflect"), kernel, mode="valid").astype(np.float32)


def outline_distance(traits: Traits, u: Field, v: Field) -> tuple[Field, Field]:
    """Return (q, distance): q is 0 in the middle of the face and 1 on its outline, distance is in pixels."""
    dv = v - _MIDDLE_V
    radius = np.sqrt(u * u + dv * dv)
    angle = np.arctan2(np.abs(u), dv) * ((_BINS - 1) / np.pi)
    low = np.minimum(angle.astype(np.int32), _BINS - 2)
    mix = angle - low.astype(np.float32)
    # Rounding keeps the cache of outlines small without a visible step.
    table = _outline(round(traits.face_width, 1), round(traits.jaw, 1))
    edge = table[low] * (1 - mix) + table[low + 1] * mix
    return radius / edge, radius - edge


def neck_width(traits: Traits) -> float:
    """Return half the width of the neck in pixels."""
    return 24.5 + 3.0 * traits.jaw + 1.5 * traits.face_width


def shoulder_line(traits: Traits, x: Field) -> Field:
    """Return the height by of the shoulders at bx = x: from the neck they fall to the sides, in pixels."""
    beyond = np.maximum(np.abs(x) - neck_width(traits), 0)
    return 97 - 23 * np.exp(beyond * (-1 / 20)) + 0.0006 * beyond * beyond


def paint_neck(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint the neck and the bare upper chest, with the shadow that the chin casts."""
    x, y = view.bx, view.by
    top = slice(140, None)
    x, y = x[top], y[top]
    width = neck_width(traits)
    flare = width + 0.012 * np.maximum(y - 60, 0) ** 2
    z = 26 * np.sqrt(np.maximum(1 - (x / (flare + 30 * smooth(78, 96, y))) ** 2, 0))
    z += 1.6 * bump(np.abs(x) - 0.18 * (96 - y), y, (4, 84), (3.5, 14)) - 1.6 * bump(x, y, (0, 93), (4, 4))
    sx, sy = slopes(z)
    lit = light.shade(sx, sy - 0.25, BLEED)
    colour = skin_colour(traits) * np.array([0.94, 0.9, 0.88], np.float32).reshape(3, 1, 1) * lit
    # The chin's shadow falls down and away from the light.
    shift = -10 * light.direction[0]
    edge = y - (76 + 9 * traits.light_height) + 0.016 * (x - shift) ** 2
    shadow = smooth(8, -9, edge) * (0.45 + 0.3 * light.hardness)
    multiply(colour, np.array([0.42, 0.3, 0.27], np.float32).reshape(3, 1, 1), shadow)
    over(
        picture[:, top],
        colour,
        cover(np.minimum(np.abs(x) - flare, shoulder_line(traits, x) - y), 0.9) * smooth(24, 34, y),
    )


def paint_ears(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint both ears; hair and the face come over them."""
    skin = skin_colour(traits) * np.array([1.0, 0.86, 0.82], np.float32).reshape(3, 1, 1)
    width = 38 * (1 + 0.055 * traits.face_width)
    for side in (-1, 1):
        columns = slice(20, 90) if side < 0 else slice(88, 160)
        box = (slice(85, 150), columns)
        x = side * view.hx[box] - (width + 1.2)
        y = view.hy[box] - 7
        x = x + 0.1 * y  # ears lean back
        d = np.sqrt((x / 5.4) ** 2 + (y / 13.0) ** 2)
        inner = np.sqrt(((x - 0.8) / 3.0) ** 2 + ((y + 1.5) / 8.0) ** 2)
        toward = 0.62 + 0.38 * side * light.direction[0] * 1.4
        tone = light.fill + light.key * max(toward, 0.12)
        colour = skin * tone * (1 - 0.45 * smooth(1.1, 0.4, inner) + 0.12 * smooth(0.75, 0.95, d))
        over(picture[(slice(None), *box)], colour, cover((d - 1) * 6, 0.9))


def paint_face(picture: Field, traits: Traits, view: View, light: Light, offset: tuple[int, int]) -> Field:
    """Paint the face without its features; return its coverage, float32 [218, 178]."""
    box = (slice(48, 196), slice(28, 150))
    u, v = view.u[box], view.v[box]
    q, distance = outline_distance(traits, u, v)
    nose = view.nose_lift()
    sx, sy = slopes(face_relief(traits, u, v, q, nose, box[0].start))
    albedo = face_albedo(traits, u, v, offset)
    lit = light.shade(sx, sy, BLEED)
    colour = albedo
    colour *= lit
    # Skin is oily: a broad sheen and a small hot spot on nose, forehead and cheekbones.
    sheen = light.gleam(sx, sy, 14)
    sheen = sheen * 0.055 + (sheen * sheen) ** 2 * 0.07
    colour += light.key * (0.6 + 0.6 * light.hardness) * sheen
    tip = 25 * (1 + 0.08 * traits.nose_length)
    low = slice(65, 105)  # the rows of the box that hold the nose's underside in any pose
    nu, nv = u[low] - nose[0], v[low] - nose[1]
    under = bump(nu, nv, (-3 * light.direction[0] * 2, tip + 8.5), (7.5, 3.2))
    multiply(colour[:, low], _SHADOW, under * (0.3 + 0.3 * light.hardness))
    _nostrils(colour[:, low], traits, nu, nv, tip)
    if traits.age > 0.2:  # below, the lines are fainter than the grain
        up = slice(0, 90)
        multiply(colour[:, up], _SHADOW, wrinkles(traits, u[up], v[up]) * 0.75)
    # Rim of the jaw and temples: less of the surrounding reaches it.
    multiply(colour, _SHADOW, smooth(0.86, 1.04, q) * 0.3)
    alpha = cover(distance, 0.9)
    over(picture[(slice(None), *box)], colour, alpha)
    mask = np.zeros_like(view.u)
    mask[box] = alpha
    return mask


_SHADOW = np.array([0.4, 0.27, 0.24], np.float32).reshape(3, 1, 1)
"""What deep shadow leaves of light on skin: red light has travelled through it."""


def _nostrils(colour: Field, traits: Traits, nu: Field, nv: Field, tip: float) -> None:
    wide = 1 + 0.2 * traits.nose_width
    side = np.abs(nu)
    hole = bump(side - 0.3 * (nv - tip), nv, (4.2 * wide, tip + 4.6), (2.0 * wide, 1.0))
    multiply(colour, _SHADOW * 0.4, np.minimum(hole * 1.15, 1) * 0.85)
    crease = bump(side, nv, (10.2 * wide, tip + 1), (1.0, 3.2))
    multiply(colour, _SHADOW, crease * 0.38)
