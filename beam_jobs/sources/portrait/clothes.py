"""Clothes over neck and chest."""

from __future__ import annotations

import numpy as np

from beam_jobs.sources.portrait.canvas import (
    Field,
    Rgb,
    cover,
    linear,
    multiply,
    noise,
    noise_tile,
    over,
    slopes,
    smooth,
)
from beam_jobs.sources.portrait.head import BLEED, shoulder_line
from beam_jobs.sources.portrait.skin import Light
from beam_jobs.sources.portrait.traits import CLOTHING_COLOURS, Traits
from beam_jobs.sources.portrait.view import View


def cloth_colour(traits: Traits, shift: int = 0) -> Field:
    """Return the colour of the garment, or with `shift` that of another one."""
    colour: Rgb = CLOTHING_COLOURS[(traits.clothing_colour + shift) % len(CLOTHING_COLOURS)]
    return linear(colour)


def _garment(traits: Traits, x: Field, y: Field) -> Field:
    """Return the distance to the garment's outline, negative inside, in pixels."""
    side = np.abs(x)
    below = np.maximum(shoulder_line(traits, x) - 2.0, 79.5) - y
    distance: Field
    if traits.clothing == "turtleneck":
        distance = np.minimum(below, np.maximum(side - 27, 70 - y))
    elif traits.clothing == "bare shoulders":
        straps = np.maximum(np.abs(side - 34) - 2.5, below)
        distance = np.minimum(104 - 0.002 * x**2 - y, straps)
    elif traits.clothing == "crew neck":
        distance = np.maximum(below, 16 - np.sqrt((x / 31) ** 2 + ((y - 74) / 15) ** 2) * 16)
    else:
        depth, slope, steepness = _NECKLINES[traits.clothing]
        distance = np.maximum(below, (depth - y - slope * side) * steepness)
    return distance


_NECKLINES = {"v-neck": (110, 1.0, 0.7), "shirt": (104, 1.1, 0.67), "suit": (112, 1.0, 0.7)}
"""How far down the two lines of a collar meet, their slope, and what makes of it a distance."""


def paint_clothes(picture: Field, traits: Traits, view: View, light: Light, offset: tuple[int, int]) -> None:
    """Paint the garment over neck and chest."""
    rows = slice(165, None)
    x, y = view.bx, view.by[rows]
    distance = _garment(traits, x, y)
    folds = noise(noise_tile(9.0, 16.0), 2 * x + 0.6 * y + offset[0], 2 * y + offset[1])
    relief = 30 * np.sqrt(np.clip(1 - (x / 100) ** 2, 0, 1)) - 0.3 * np.maximum(98 - y, 0)
    folds *= 0.9
    relief += folds
    cloth = cloth_colour(traits)
    colour = light.shade(*slopes(relief, 2.0), BLEED, cloth)
    if traits.clothing == "turtleneck":
        colour *= 1 + 0.12 * np.sin(x * 1.2) * (y < 96)
    target = picture[:, rows]
    multiply(target, 0.55, smooth(7, 0, distance) * 0.6)
    if traits.clothing == "suit":
        _paint_shirt_and_tie(target, traits, x, y, light)
        lapel = np.abs(y - 112 + 1.0 * np.abs(x) - 9) - 0.8
        multiply(colour, 0.55, cover(lapel, 1.2) * 0.8)
    over(target, colour, cover(distance, 1.0))
    if traits.clothing == "shirt":
        # The two wings of the collar stand up against the neck.
        side = np.abs(x)
        wing = np.maximum(np.abs(y - 82 - 0.95 * (30 - side)) - 8, np.maximum(side - 31, 6 - side))
        over(target, cloth * (light.fill + light.key * 0.85) * (1 - 0.015 * (side - 15)), cover(wing, 1.1))
        multiply(target, 0.6, cover(np.abs(wing) - 0.3, 1.2) * 0.5)


def _paint_shirt_and_tie(target: Field, traits: Traits, x: Field, y: Field, light: Light) -> None:
    side = np.abs(x)
    shirt = np.maximum(np.maximum(88 + 0.0035 * side**2 - y, (100 - y - 1.2 * side) * 0.64), 80 - y)
    over(target, linear((232, 232, 236)) * (light.fill + 0.75 * light.key), cover(shirt, 1.0))
    wing = np.maximum(np.abs(y - 84 - 0.9 * (26 - side)) - 6.5, np.maximum(side - 28, 4 - side))
    over(target, linear((242, 242, 245)) * (light.fill + 0.85 * light.key), cover(wing, 1.0))
    tie = np.maximum(side - 4.5 - 0.1 * np.maximum(y - 100, 0), 97 - y)
    over(target, cloth_colour(traits, 3) * (light.fill + 0.7 * light.key), cover(tie, 1.0))
