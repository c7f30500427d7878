"""Eyes, brows and mouth."""

from __future__ import annotations

import math

import numpy as np

from beam_jobs.sources.portrait.canvas import (
    Field,
    bump,
    cover,
    linear,
    multiply,
    noise,
    noise_tile,
    over,
    smooth,
)
from beam_jobs.sources.portrait.skin import Light, skin_colour
from beam_jobs.sources.portrait.traits import EYE_COLOURS, HAIR_COLOURS, Traits
from beam_jobs.sources.portrait.view import EYE_U, View

_LASH = linear((34, 22, 18))
_IRIS = 4.3
"""Radius of the iris in pixels; the pupil's is 1.5."""


def _tint(red: float, green: float, blue: float) -> Field:
    return np.array([red, green, blue], np.float32).reshape(3, 1, 1)


def level(light: Light) -> Field:
    """Return the light [3, 1, 1] on a surface that faces the viewer."""
    return light.fill + light.key * max(light.direction[2], 0.0)


def paint_eyes(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint both eyes with lids and lashes. The pupils lie at the projected (+-19.5, 0)."""
    boxes = []
    for side in (-1, 1):
        x, y = view.project(side * EYE_U, 0)
        boxes.append((slice(int(y) - 15, int(y) + 12), slice(int(x) - 17, int(x) + 18)))
    # Side by side in one array: at this size NumPy's calls cost more than its arithmetic.
    both = np.concatenate([picture[(slice(None), *box)] for box in boxes], axis=2)
    u, v = (np.concatenate([field[box] for box in boxes], axis=1) for field in (view.u, view.v))
    _paint_eye(both, traits, u, v, light)
    for box, eye in zip(boxes, np.split(both, 2, axis=2), strict=True):
        picture[(slice(None), *box)] = eye


def _paint_eye(picture: Field, traits: Traits, u: Field, v: Field, light: Light) -> None:
    # x runs from the inner to the outer corner, whichever eye it is.
    side = np.sign(u)
    x, y = np.abs(u) - EYE_U, v
    y = y + (0.05 + 0.1 * traits.eye_slant) * x
    smile = max(traits.smile, 0.0)
    half = 9.4
    t = np.clip(1 - (x / half) ** 2, 0, 1)
    wide = 1 + 0.25 * traits.eye_size
    upper = -4.3 * wide * (1 - 0.08 * smile) * t**0.62 * (1 + 0.03 * x)
    lower = 2.7 * wide * (1 - 0.25 * smile) * t**0.8
    opening = np.minimum(y - upper, lower - y)
    inside = smooth(-0.7, 0.8, opening) * smooth(half + 0.6, half - 0.8, np.abs(x))
    toned = level(light)

    # Lid crease, and the soft socket under it.
    below = y - upper
    crease = np.exp(((below + 3.4) * (0.5**0.5 / 0.9)) ** 2 * -1) * t**0.3
    multiply(picture, (0.45, 0.32, 0.28), crease * (0.55 if traits.skin < 0.6 else 0.65))
    made_up = traits.grooming == "lipstick"
    lid = smooth(-4.6, -0.5, below) * smooth(0.5, -0.5, below) * t**0.4
    multiply(picture, (0.55, 0.4, 0.38) if made_up else (0.8, 0.68, 0.64), lid * 0.55)

    white = linear((206, 198, 193)) * toned * (1 - 0.45 * (x / half) ** 2)
    corner = bump(x, y, (-half + 0.8, 0.8), (1.2, 1.2))
    multiply(white, (0.85, 0.5, 0.48), corner)
    radius = np.sqrt(x * x + y * y)
    angle_noise = noise(noise_tile(2.0, 2.0), np.arctan2(y, x) * 40 + 130, radius + 40)
    iris = 0.75 + 0.55 * smooth(1.0, 3.6, radius) + 0.1 * angle_noise
    # The iris glows on the side away from the light.
    iris *= 1 + 0.35 * bump(x + 2 * light.direction[0] * side, y, (0, 1.8), (1.8, 1.4))
    iris *= 1 - 0.6 * smooth(_IRIS - 1.1, _IRIS + 0.2, radius)
    colour = linear(EYE_COLOURS[traits.eye_colour]) * (0.4 + 0.75 * toned)
    over(white, colour * iris, smooth(_IRIS + 0.6, _IRIS - 0.5, radius))
    over(white, linear((9, 8, 8)), smooth(2.1, 1.1, radius))
    multiply(white, (0.34, 0.3, 0.3), smooth(3.2, 0.2, below) * 0.8)
    # Beside the pupil, never on it: there it would hide what a viewer looks at first.
    glint = bump(x - math.copysign(1.7, light.direction[0]) * side, y, (0, -1.7), (0.8, 0.8))
    over(white, 1.15, np.minimum(glint * 1.25, 1))
    over(picture, white, inside)

    lash = np.exp(-0.5 * ((below + 0.3) / (0.75 + 0.05 * np.maximum(x, -half))) ** 2) * smooth(
        half + 2.2, half - 0.5, np.abs(x)
    )
    wing = bump(x - 0.5 * (y + 1), y, (half + 0.6, -1.2), (1.6, 1.0))
    strength = 0.95 if made_up else 0.8
    over(picture, _LASH, np.minimum(lash * strength + wing * (0.7 if made_up else 0.3), 1))
    rim = np.exp(-0.5 * ((y - lower - 0.2) / 0.6) ** 2) * smooth(half + 0.5, half - 2, np.abs(x))
    multiply(picture, (0.42, 0.28, 0.26), rim * (0.6 if made_up else 0.42))


def hair_colour(traits: Traits) -> Field:
    """Return the linear colour of hair, float32 [3, 1, 1]."""
    return linear(HAIR_COLOURS[traits.hair_colour])


def paint_brows(picture: Field, traits: Traits, view: View, light: Light, offset: tuple[int, int]) -> None:
    """Paint both brows as hairs that lean outward."""
    box = (slice(74, 116), slice(40, 140))
    side, v = np.abs(view.u[box]), view.v[box].copy()
    x = (side - 18.5) / 12.5
    arch = 2.0 + 1.6 * traits.brow_arch
    lift = 1.5 * traits.brow_arch + 0.8 * traits.eye_size
    line = -12.0 - lift - arch * (1 - (x - 0.3) ** 2) + 0.5 * traits.smile * x
    thick = (1.5 + 1.3 * traits.brow_weight) * (1 - 0.5 * smooth(0.0, 1.0, x)) * smooth(-1.2, -0.6, x)
    strands = noise(noise_tile(1.1, 4.0), 1.5 * side + 2.0 * v + offset[0], 1.5 * side - v + offset[1])
    body = smooth(1.2, -0.7, np.abs(v - line) - thick) * smooth(1.12, 0.75, x) * smooth(-1.05, -0.45, x)
    alpha = np.clip(body * (0.72 + 0.2 * traits.brow_weight + 0.16 * strands), 0, 0.95)
    # Brows of fair heads are darker than the hair, all are darker than grey hair.
    colour = np.minimum(hair_colour(traits) * 0.5, skin_colour(traits) * 0.42) * level(light)
    over(picture[(slice(None), *box)], colour, alpha)


def mouth_corner(traits: Traits) -> tuple[float, float]:
    """Return the right corner of the mouth in face coordinates: (17.5, 41) with a neutral expression."""
    return 17.5 + (2.6 if traits.smile > 0 else 1.0) * traits.smile, 41 - (
        4.6 if traits.smile > 0 else 2.0
    ) * traits.smile


_LIP_TINTS = {"gloss": (1.02, 0.62, 0.64), "lipstick": (0.86, 0.2, 0.25)}


def lip_colour(traits: Traits) -> Field:
    """Return the albedo of the lips: skin with blood in it, or paint over it."""
    skin = skin_colour(traits)
    bare = skin * _tint(0.8, 0.45, 0.46) if traits.skin < 0.55 else skin * _tint(0.92, 0.6, 0.64)
    tint = _LIP_TINTS.get(traits.grooming)
    if tint is None:
        return bare
    return skin * _tint(*tint) * 0.5 + bare * 0.5 if traits.grooming == "gloss" else skin**0.5 * _tint(*tint) * 0.75


def paint_mouth(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint lips, the line between them, and teeth where the mouth is open."""
    box = (slice(132, 182), slice(55, 125))
    pu, pv = view.u[box], view.v[box]
    nose = view.nose_lift()
    # Lips stand out of the face by a third of the nose.
    u, v = pu - 0.3 * nose[0], pv - 0.3 * nose[1]
    half, corner = mouth_corner(traits)
    smile = max(traits.smile, 0.0)
    x = u / half
    t = np.clip(1 - x * x, 0, 1)
    full = 1 + 0.35 * traits.lips - 0.2 * smile
    middle = 41.2 + 1.5 * smile
    line = corner + (middle - corner) * t - 0.7 * np.exp((np.abs(x) - 0.28) ** 2 * -12.5) * t
    bow = 1 - 0.3 * np.exp(x * x * -45) + 0.15 * np.exp((np.abs(x) - 0.25) ** 2 * -40)
    gap = traits.mouth_open * (3.2 + 3.4 * smile) * t
    top = line - 0.35 * gap - 4.9 * full * t**0.9 * bow
    upper_edge, lower_edge = line - 0.35 * gap, line + 0.75 * gap
    bottom = lower_edge + 5.6 * full * t**0.85
    fade = smooth(1.04, 0.9, np.abs(x))
    lips = lip_colour(traits)
    lx, ly, _ = light.direction

    def lit(height: Field) -> Field:
        """Light on a roll, whose height is -1 at its upper and 1 at its lower edge."""
        lambert = 0.78 + 0.5 * (ly * height) + 0.25 * lx * x
        return light.fill + light.key * np.maximum(lambert, 0.05)

    upper = (lips * 0.86) * lit(0.6 + 0.5 * (v - top) / np.maximum(upper_edge - top, 0.8))
    lower = lips * lit(-0.9 + 1.7 * (v - lower_edge) / np.maximum(bottom - lower_edge, 0.8))
    shiny = 0.5 if traits.grooming in _LIP_TINTS else 0.2
    lower += light.key * (0.4 * shiny) * bump(u, v - lower_edge, (4 * lx, 2.3), (5.5, 1.0))
    target = picture[(slice(None), *box)]
    lip_soft = 0.75 if traits.grooming == "lipstick" else 1.1
    over(target, upper, smooth(-lip_soft, lip_soft, np.minimum(v - top, upper_edge + 0.5 - v)) * fade)
    over(target, lower, smooth(-lip_soft, lip_soft, np.minimum(v - lower_edge + 0.5, bottom - v)) * fade)
    if traits.mouth_open > 0:
        _paint_open_mouth(target, traits, (u, v), (upper_edge, lower_edge, x), light)
    seam = np.exp(-0.5 * ((v - upper_edge) / 0.85) ** 2) * fade
    multiply(target, (0.3, 0.16, 0.15), seam * (0.92 if traits.mouth_open == 0 else 0.35))
    dimple = bump(np.abs(u), v, (half + 0.8, corner), (1.6, 1.5))
    multiply(target, (0.45, 0.3, 0.28), dimple * (0.5 + 0.25 * smile))


def _paint_open_mouth(
    picture: Field,
    traits: Traits,
    place: tuple[Field, Field],
    edges: tuple[Field, Field, Field],
    light: Light,
) -> None:
    u, v = place
    upper_edge, lower_edge, x = edges
    inside = smooth(-0.4, 0.6, np.minimum(v - upper_edge, lower_edge - v)) * smooth(1.0, 0.86, np.abs(x))
    dark = linear((58, 20, 20)) * level(light) * np.ones_like(u)
    turn = u / 3.9
    gaps = np.exp(-0.5 * ((turn - np.floor(turn) - 0.5) / 0.07) ** 2)
    shown = 3.0 + 2.6 * max(traits.smile, 0.0)
    teeth = smooth(-0.2, 0.4, v - upper_edge) * cover(v - upper_edge - shown, 0.7) * smooth(0.95, 0.6, np.abs(x))
    enamel = linear((238, 230, 218)) * level(light) * ((1 - 0.12 * gaps) * (1 - 0.4 * x * x))
    multiply(enamel, 0.55, smooth(1.2, 0, v - upper_edge))
    over(dark, enamel, teeth)
    over(picture, dark, inside)
