"""Light on skin: the relief of a face, its albedo, and how both become a colour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from beam_jobs.sources.portrait.canvas import Field, bump, linear, multiply, noise, noise_tile, smooth
from beam_jobs.sources.portrait.traits import SKIN_RAMP, Traits
from beam_jobs.sources.portrait.view import EYES_Y

_POSE_REACH = 12
"""How many rows a point of the face may lie from where it is in a frontal face, at most."""


@dataclass(frozen=True)
class Light:
    """One key light and a soft surrounding.

    Colours are linear, float32 [3, 1, 1]. `direction` points to the light: x right, y down, z to the viewer.
    """

    direction: tuple[float, float, float]
    key: Field
    fill: Field
    hardness: float

    def shade(self, slope_x: Field, slope_y: Field, bleed: tuple[float, float, float]) -> Field:
        """Return light [3, ...] on a relief z(x, y) with slopes dz/dx and dz/dy.

        `bleed` says for red, green and blue how far light creeps round into the shadow: skin glows red there.
        """
        lx, ly, lz = self.direction
        scale = 1 / np.sqrt(slope_x * slope_x + slope_y * slope_y + 1)
        lambert = (lz - lx * slope_x - ly * slope_y) * scale
        upward = (
            0.8 + 0.2 * slope_y * scale
        )  # a surface that faces up sees the sky, one that faces down the floor
        lit = np.empty((3, *slope_x.shape), np.float32)
        for plane, b, fill, key in zip(lit, bleed, self.fill.flat, self.key.flat, strict=True):
            np.maximum(lambert + b, 0, out=plane)
            plane *= key / (1 + b)
            plane += fill * upward
        return lit

    def gleam(self, slope_x: Field, slope_y: Field, power: float) -> Field:
        """Return the specular lobe in [0, 1] of the key light; the higher the power, the narrower."""
        lx, ly, lz = self.direction
        norm = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
        half = (lz + 1 - lx * slope_x - ly * slope_y) * (1 / norm)
        half *= half
        half /= slope_x * slope_x + slope_y * slope_y + 1
        # exp of the distance from 1 is within a grain of the power, at a fifth of its cost.
        half -= 1
        half *= 0.5 * power
        np.exp(half, out=half)
        return half


def light_of(traits: Traits) -> Light:
    """Return the light that the traits describe. A lit pale cheek comes out just below white."""
    x, y = 0.85 * traits.light_side, -0.15 - 0.5 * traits.light_height
    norm = math.sqrt(x * x + y * y + 0.75**2)
    warm, cool = np.array([1.14, 0.98, 0.80]), np.array([0.92, 1.0, 1.12])
    tint = warm + (cool - warm) * (0.5 + 0.5 * traits.light_temperature)
    opposite = warm + cool - tint
    # Cameras lighten dark subjects: half a stop less of range than nature's.
    exposure = 1.0 + 0.5 * traits.skin
    key = (0.52 + 0.34 * traits.contrast) * exposure * tint
    fill = (0.46 - 0.25 * traits.contrast) * exposure * (0.7 + 0.3 * opposite)
    return Light(
        direction=(x / norm, y / norm, 0.75 / norm),
        key=key.astype(np.float32).reshape(3, 1, 1),
        fill=fill.astype(np.float32).reshape(3, 1, 1),
        hardness=traits.contrast,
    )


def skin_colour(traits: Traits) -> Field:
    """Return the mean skin albedo, linear float32 [3, 1, 1]."""
    place = float(np.clip(traits.skin, 0, 1)) * (len(SKIN_RAMP) - 1)
    low = min(int(place), len(SKIN_RAMP) - 2)
    mix = place - low
    pair = SKIN_RAMP[low], SKIN_RAMP[low + 1]
    colour = linear(pair[0]) * (1 - mix) + linear(pair[1]) * mix
    tint = np.array(
        [1.0 - 0.02 * traits.undertone, 1.0 + 0.03 * traits.undertone, 1.0 - 0.1 * traits.undertone]
    )
    return colour * tint.astype(np.float32).reshape(3, 1, 1)


def slopes(relief: Field, limit: float = 2.6) -> tuple[Field, Field]:
    """Return the central differences of a relief [H, W], clipped: a limb is dark, not black."""
    sx, sy = np.zeros_like(relief), np.zeros_like(relief)
    sx[:, 1:-1] = (relief[:, 2:] - relief[:, :-2]) * 0.5
    sy[1:-1] = (relief[2:] - relief[:-2]) * 0.5
    return np.clip(sx, -limit, limit), np.clip(sy, -limit, limit)


def _raise(z: Field, u: Field, v: Field, top: int, form: tuple[float, float, float, float, float]) -> None:
    """Add the Gaussian form (centre u, v, size u, v, height) to z; only in the rows that it reaches."""
    cu, cv, su, sv, height = form
    middle, reach = EYES_Y - top + cv, 3 * sv + _POSE_REACH
    rows = slice(max(int(middle - reach), 0), max(int(middle + reach), 0))
    z[rows] += height * bump(u[rows], v[rows], (cu, cv), (su, sv))


def face_relief(traits: Traits, u: Field, v: Field, q: Field, nose: tuple[float, float], top: int) -> Field:
    """Return the height of the face in pixels, float32 [H, W].

    q is 0 in the middle of the face and 1 on its outline, nose the shift of its tip, top the number of the
    first row.
    """
    side = np.abs(u)
    smile, age = max(traits.smile, 0.0), traits.age
    z = 38 * np.sqrt(np.maximum(1 - q * q * np.sqrt(q), 0))
    paired = (
        (16, -12, 12, 4.5, 2.4),  # brow ridge
        (18.5, -2, 9, 5.5, -3.6),  # socket
        (19.5, 0.5, 6.5, 4.2, 2.6),  # eyeball
        (17, 9, 7, 1.8, -0.3 - 0.9 * age),  # under the eye
        (24, 21 - 2 * smile, 8.5, 7.5, 2.6 + 2.2 * smile),  # cheek
    )
    single = (
        (0, -30, 20, 9, 2.0),  # forehead
        (0, 40, 14, 9, 2.4),  # muzzle
        (0, 60, 9, 6, 3.2),  # chin
        (0, 37, 10, 2.0, 1.5),  # upper lip
        (0, 46, 9, 2.4, 2.0),  # lower lip
        (0, 51.5, 8, 2.2, -2.3),  # groove under it
        (0, 32, 1.5, 2.6, -0.8),  # philtrum
    )
    for form in paired:
        _raise(z, side, v, top, form)
    for form in single:
        _raise(z, u, v, top, form)
    # Nasolabial folds run from the wings of the nose past the corners of the mouth.
    rows = slice(int(EYES_Y - top + 8), int(EYES_Y - top + 60))
    fold = side[rows] - (9 + 0.5 * (v[rows] - 24) + 2.5 * smile)
    depth = np.exp(fold * fold * -0.22) * smooth(22, 27, v[rows]) * smooth(45, 36, v[rows])
    z[rows] -= (0.3 + 1.0 * age + 1.3 * smile) * depth
    rows = slice(int(EYES_Y - top - 30), int(EYES_Y - top + 48))
    z[rows] += nose_relief(traits, u[rows], v[rows], nose)
    height: Field = z
    return height


def nose_relief(traits: Traits, u: Field, v: Field, nose: tuple[float, float]) -> Field:
    """Return the height of the nose above the face, in pixels."""
    length = 1 + 0.08 * traits.nose_length
    wide = 1 + 0.2 * traits.nose_width
    out = smooth(-8, 24, v)
    nu, nv = u - nose[0] * out, v - nose[1] * out
    tip = 25 * length
    below = smooth(tip + 6.5, tip - 1.5, nv)
    rise = 1.0 + 6.8 * smooth(-10, tip, nv)
    width = (2.5 + 2.1 * smooth(-4, tip, nv)) * wide
    ridge = rise * below * smooth(-16, -4, nv) * np.exp(-0.5 * (nu / width) ** 2)
    ball = 3.2 * bump(nu, nv, (0, tip - 0.5), (3.6 * wide, 3.6))
    wings = 2.8 * bump(np.abs(nu), nv, (6.8 * wide, tip + 1.2), (2.3, 2.5))
    height: Field = ridge + ball + wings
    return height


def face_albedo(traits: Traits, u: Field, v: Field, offset: tuple[int, int]) -> Field:
    """Return the colour of bare skin [3, ...]: blush, lids, freckles, stubble's blue and fine mottling."""
    side = np.abs(u)
    base = skin_colour(traits)
    mottle = noise(noise_tile(3.0, 3.0), 2 * u + offset[0], 2 * v + offset[1])
    skin: Field = base * (1 + 0.025 * mottle)
    pink = 0.5 + 0.5 * (1 - traits.skin)
    made_up = traits.grooming in ("gloss", "lipstick")
    blush = (0.55 if made_up else 0.36) * bump(side, v, (25, 22), (9, 7))
    blush += 0.4 * bump(u, v, (0, 25), (6, 5)) + 0.16 * bump(u, v, (0, 60), (9, 6))
    multiply(skin, np.array([1.0, 0.72, 0.72], np.float32).reshape(3, 1, 1), blush * pink)
    # The skin round the eyes is thinner and darker, more so with age.
    socket = bump(side, v, (19, 1), (9, 6)) * (0.16 + 0.1 * traits.age)
    multiply(skin, np.array([0.8, 0.66, 0.68], np.float32).reshape(3, 1, 1), socket)
    if traits.freckles > 0:
        dots = noise(noise_tile(1.3, 1.3), 2 * u + offset[1], 2 * v + offset[0])
        where = smooth(1.1, 2.0, dots) * (
            bump(side, v, (18, 17), (12, 9)) + 0.4 * bump(u, v, (0, 14), (8, 8))
        )
        skin *= 1 - np.array([0.3, 0.45, 0.55], np.float32).reshape(3, 1, 1) * where * traits.freckles
    return skin


def wrinkles(traits: Traits, u: Field, v: Field) -> Field:
    """Return darkening in [0, 1] by the lines of age: forehead, crow's feet, between the brows."""
    side, age = np.abs(u), traits.age
    bend = v + 0.004 * u * u
    forehead = np.exp(-0.9 * (np.abs((bend + 32) % 7 - 3.5)) ** 2) * bump(u, v, (0, -27), (17, 6))
    feet = np.exp(-0.8 * (np.abs((v - 0.4 * (side - 30)) % 4 - 2)) ** 2) * bump(side, v, (34, 1), (2.6, 4))
    frown = bump(side, v, (3.5, -11), (0.8, 3.5))
    lines: Field = age**2 * (0.5 * forehead + 0.6 * feet + 0.45 * frown)
    return lines
