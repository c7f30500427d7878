"""Light on skin: the relief of a face, its albedo, and how both become a colour."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from beam_jobs.sources.portrait.canvas import Box, Field, Tint, bump, linear, multiply, noise, noise_tile, smooth
from beam_jobs.sources.portrait.traits import SKIN_RAMP, Traits
from beam_jobs.sources.portrait.view import EYES_X, EYES_Y

_POSE_REACH = 12
"""How many pixels a point of the face may lie from where it is in a frontal face, at most."""


@dataclass(frozen=True)
class Light:
    """One key light and a soft surrounding.

    Colours are linear, float32 [3, 1, 1]. `direction` points to the light: x right, y down, z to the viewer.
    """

    direction: tuple[float, float, float]
    key: Field
    fill: Field
    hardness: float

    def shade(self, slope_x: Field, slope_y: Field, bleed: Tint, albedo: Field | float = 1.0) -> Field:
        """Return the light [3, ...] from a relief z(x, y) of one albedo [3, 1, 1], by its slopes dz/dx and dz/dy.

        `bleed` says for red, green and blue how far light creeps round into the shadow: skin glows red there.
        """
        lx, ly, lz = self.direction
        scale = slope_x * slope_x
        scale += slope_y * slope_y
        scale += 1
        np.sqrt(scale, out=scale)
        np.divide(1, scale, out=scale)
        lambert = slope_x * -lx
        lambert -= slope_y * ly
        lambert += lz
        lambert *= scale
        # A surface that faces up sees the sky, one that faces down the floor.
        upward = scale
        upward *= slope_y
        upward *= 0.2
        upward += 0.8
        lit = np.empty((3, *slope_x.shape), np.float32)
        fills, keys = (self.fill * albedo).flat, (self.key * albedo).flat
        for plane, b, fill, key in zip(lit, bleed, fills, keys, strict=True):
            np.add(lambert, b, out=plane)
            np.maximum(plane, 0, out=plane)
            plane *= key / (1 + b)
            plane += upward * fill
        return lit

    def gleam(self, slope_x: Field, slope_y: Field, power: float) -> Field:
        """Return the specular lobe in [0, 1] of the key light; the higher the power, the narrower."""
        lx, ly, lz = self.direction
        norm = math.sqrt(lx * lx + ly * ly + (lz + 1) ** 2)
        half = slope_x * (-lx / norm)
        half -= slope_y * (ly / norm)
        half += (lz + 1) / norm
        half *= half
        square = slope_x * slope_x
        square += slope_y * slope_y
        square += 1
        half /= square
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
    place = min(max(traits.skin, 0.0), 1.0) * (len(SKIN_RAMP) - 1)
    low = min(int(place), len(SKIN_RAMP) - 2)
    mix = place - low
    pair = SKIN_RAMP[low], SKIN_RAMP[low + 1]
    colour = linear(pair[0]) * (1 - mix) + linear(pair[1]) * mix
    tint = np.array([1.0 - 0.02 * traits.undertone, 1.0 + 0.03 * traits.undertone, 1.0 - 0.1 * traits.undertone])
    return colour * tint.astype(np.float32).reshape(3, 1, 1)


@dataclass(frozen=True)
class FaceGrid:
    """Face coordinates u, v, float32 [H, W], of the part of the picture that starts at `corner` (row, column)."""

    corner: tuple[int, int]
    u: Field
    v: Field
    side: Field  # |u|

    def reach(self, u: tuple[float, float], v: tuple[float, float]) -> Box:
        """Return where (u, v) may be in these ranges, in any pose: rows and columns of this part."""
        top, left = EYES_Y - self.corner[0], EYES_X - self.corner[1]
        rows = slice(max(int(top + v[0] - _POSE_REACH), 0), max(int(top + v[1] + _POSE_REACH), 0))
        columns = slice(max(int(left + u[0] - _POSE_REACH), 0), max(int(left + u[1] + _POSE_REACH), 0))
        return rows, columns


Form = tuple[float, float, float, float, float]
"""A Gaussian: its centre (u, v), its deviations in u and v, in pixels, and its height."""


def _raise(z: Field, grid: FaceGrid, form: Form) -> None:
    """Add a form to z where it reaches; with u > 0 also its mirror image."""
    cu, cv, su, sv, height = form
    box = grid.reach((-cu - 3 * su, cu + 3 * su), (cv - 3 * sv, cv + 3 * sv))
    shape = bump((grid.side if cu else grid.u)[box], grid.v[box], (cu, cv), (su, sv))
    shape *= height
    z[box] += shape


def face_relief(traits: Traits, grid: FaceGrid, q: Field, nose: tuple[float, float]) -> Field:
    """Return the height of the face in pixels, float32 [H, W].

    q is 0 in the middle of the face and 1 on its outline, nose is the shift of its tip.
    """
    smile, age = max(traits.smile, 0.0), traits.age
    z = np.sqrt(q)
    z *= q
    z *= q
    np.subtract(1, z, out=z)
    np.maximum(z, 0, out=z)
    np.sqrt(z, out=z)
    z *= 38
    forms = (
        (16, -12, 12, 4.5, 2.4),  # brow ridge
        (18.5, -2, 9, 5.5, -3.6),  # socket
        (19.5, 0.5, 6.5, 4.2, 2.6),  # eyeball
        (17, 9, 7, 1.8, -0.3 - 0.9 * age),  # under the eye
        (24, 21 - 2 * smile, 8.5, 7.5, 2.6 + 2.2 * smile),  # cheek
        (0, -30, 20, 9, 2.0),  # forehead
        (0, 40, 14, 9, 2.4),  # muzzle
        (0, 60, 9, 6, 3.2),  # chin
        (0, 37, 10, 2.0, 1.5),  # upper lip
        (0, 46, 9, 2.4, 2.0),  # lower lip
        (0, 51.5, 8, 2.2, -2.3),  # groove under it
        (0, 32, 1.5, 2.6, -0.8),  # philtrum
    )
    for form in forms:
        _raise(z, grid, form)
    # Nasolabial folds run from the wings of the nose past the corners of the mouth.
    box = grid.reach((-28, 28), (22, 45))
    v = grid.v[box]
    fold = grid.side[box] - 0.5 * v
    fold -= 2.5 * smile - 3
    fold *= fold
    fold *= -0.22
    depth = np.exp(fold, out=fold)
    depth *= smooth(22, 27, v)
    depth *= smooth(45, 36, v)
    depth *= 0.3 + 1.0 * age + 1.3 * smile
    z[box] -= depth
    box = grid.reach((-20, 20), (-16, 34))
    z[box] += nose_relief(traits, grid.u[box], grid.v[box], nose)
    return z


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
    ridge = rise * below
    ridge *= smooth(-16, -4, nv)
    slim = nu / width
    slim *= slim
    slim *= -0.5
    ridge *= np.exp(slim, out=slim)
    low = slice(int(0.35 * len(v)), None)  # above, there is only the ridge
    nu, nv = nu[low], nv[low]
    ridge[low] += 3.2 * bump(nu, nv, (0, tip - 0.5), (3.6 * wide, 3.6))
    ridge[low] += 2.8 * bump(np.abs(nu), nv, (6.8 * wide, tip + 1.2), (2.3, 2.5))
    return ridge


def face_albedo(traits: Traits, grid: FaceGrid, offset: tuple[int, int]) -> Field:
    """Return the colour of bare skin [3, ...]: blush, lids, freckles and fine mottling."""
    u, v, side = grid.u, grid.v, grid.side
    mottle = noise(noise_tile(3.0, 3.0), 2 * u + offset[0], 2 * v + offset[1])
    mottle *= 0.025
    mottle += 1
    skin: Field = skin_colour(traits) * mottle
    pink = 0.5 + 0.5 * (1 - traits.skin)
    made_up = traits.grooming in ("gloss", "lipstick")
    blush = np.zeros_like(u)
    _raise(blush, grid, (25, 22, 9, 7, pink * (0.55 if made_up else 0.36)))
    _raise(blush, grid, (0, 25, 6, 5, pink * 0.4))
    _raise(blush, grid, (0, 60, 9, 6, pink * 0.16))
    multiply(skin[1:], (0.72, 0.72), blush)
    # The skin round the eyes is thinner and darker, more so with age.
    rows, _ = grid.reach((0, 0), (-17, 19))
    socket = bump(side[rows], v[rows], (19, 1), (9, 6))
    socket *= 0.16 + 0.1 * traits.age
    multiply(skin[:, rows], (0.8, 0.66, 0.68), socket)
    if traits.freckles > 0:
        dots = noise(noise_tile(1.3, 1.3), 2 * u + offset[1], 2 * v + offset[0])
        where = smooth(1.1, 2.0, dots) * (bump(side, v, (18, 17), (12, 9)) + 0.4 * bump(u, v, (0, 14), (8, 8)))
        skin *= 1 - np.array([0.3, 0.45, 0.55], np.float32).reshape(3, 1, 1) * where * traits.freckles
    return skin


def _furrows(height: Field, distance: float, sharpness: float) -> Field:
    """Return Gaussian lines in [0, 1], `distance` pixels of `height` apart."""
    turn = height * (1 / distance)
    turn -= np.floor(turn)
    turn -= 0.5
    turn *= turn
    turn *= -sharpness * distance * distance
    lines: Field = np.exp(turn, out=turn)
    return lines


def wrinkle(skin: Field, traits: Traits, grid: FaceGrid, shadow: Tint) -> None:
    """Darken `skin` [3, H, W] by the lines of age: forehead, crow's feet, between the brows."""
    strength = 0.75 * traits.age**2
    box = grid.reach((-51, 51), (-45, -9))
    u, v = grid.u[box], grid.v[box]
    lines: Field = _furrows(v + 0.004 * u * u + 32, 7, 0.9) * bump(u, v, (0, -27), (17, 6))
    multiply(skin[(slice(None), *box)], shadow, lines * (0.5 * strength))
    box = grid.reach((-42, 42), (-11, 13))
    side, v = grid.side[box], grid.v[box]
    lines = _furrows(v - 0.4 * side + 12, 4, 0.8) * bump(side, v, (34, 1), (2.6, 4))
    multiply(skin[(slice(None), *box)], shadow, lines * (0.6 * strength))
    box = grid.reach((-6, 6), (-21, -1))
    lines = bump(grid.side[box], grid.v[box], (3.5, -11), (0.8, 3.5))
    multiply(skin[(slice(None), *box)], shadow, lines * (0.45 * strength))
