"""What is behind and below the face: backdrops and clothes."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from beam_jobs.sources.portrait.canvas import (
    HEIGHT,
    WIDTH,
    Field,
    Rgb,
    cover,
    linear,
    multiply,
    noise,
    noise_tile,
    over,
    smooth,
)
from beam_jobs.sources.portrait.head import BLEED, shoulder_line
from beam_jobs.sources.portrait.skin import Light, slopes
from beam_jobs.sources.portrait.traits import CLOTHING_COLOURS, Traits
from beam_jobs.sources.portrait.view import View

SMALL_W, SMALL_H = 46, 56
"""Backdrops are painted this small and enlarged: that is their blur."""


def _hsl(hue: float, lightness: float, saturation: float) -> Field:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, min(max(lightness, 0.0), 1.0), saturation)
    return linear((round(255 * red), round(255 * green), round(255 * blue)))


@cache
def _grid() -> tuple[Field, Field]:
    y, x = np.mgrid[0:SMALL_H, 0:SMALL_W].astype(np.float32)
    return x / SMALL_W, y / SMALL_H


def _studio(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    centre = 0.5 + 0.3 * traits.light_side, rng.uniform(0.3, 0.6)
    glow = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) * rng.uniform(2, 6))
    light = 0.12 + 0.6 * traits.background_lightness
    far = _hsl(traits.background_hue, 0.35 * light, 0.3)
    near = _hsl(traits.background_hue + 0.03, light, 0.25)
    return far + (near - far) * glow


def _wall(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    paint = _hsl(traits.background_hue, 0.3 + 0.55 * traits.background_lightness, rng.uniform(0.05, 0.35))
    slope = 1 + 0.35 * traits.light_side * (x - 0.5) * 2 - 0.2 * (y - 0.5)
    return paint * slope


def _blobs(
    picture: Field, rng: np.random.Generator, count: int, hues: tuple[float, float], strength: float
) -> None:
    for _ in range(count):
        cx, cy = (float(place) for place in rng.random(2))
        size = rng.uniform(0.045, 0.11)
        left, top = max(int((cx - 0.16) * SMALL_W), 0), max(int((cy - 0.16) * SMALL_H), 0)
        box = slice(top, int((cy + 0.16) * SMALL_H)), slice(left, int((cx + 0.16) * SMALL_W))
        x, y = (axis[box] for axis in _grid())
        disc = smooth(1.35, 0.65, np.sqrt((x - cx) ** 2 + ((y - cy) * 1.22) ** 2) / size)
        colour = _hsl(rng.uniform(*hues), rng.uniform(0.45, 0.8), rng.uniform(0.3, 0.85))
        picture[(slice(None), *box)] += colour * disc * (strength * rng.uniform(0.3, 1.0))


def _bokeh(traits: Traits, rng: np.random.Generator) -> Field:
    _, y = _grid()
    base = _hsl(traits.background_hue, 0.1 + 0.3 * traits.background_lightness, 0.4) * (1.1 - 0.5 * y)
    _blobs(base, rng, 16, (traits.background_hue - 0.12, traits.background_hue + 0.12), 0.7)
    return base


def _night(traits: Traits, rng: np.random.Generator) -> Field:
    _, y = _grid()
    base = _hsl(0.62, 0.05 + 0.08 * traits.background_lightness, 0.4) * (0.6 + y)
    _blobs(base, rng, 12, (0.02, 0.16), 0.9)
    return base


def _garden(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    leaf = rng.standard_normal((7, 6)).astype(np.float32)
    leaves = np.asarray(Image.fromarray(leaf).resize((SMALL_W, SMALL_H), Image.Resampling.BICUBIC))
    green = _hsl(0.22 + 0.14 * traits.background_hue, 0.16 + 0.22 * traits.background_lightness, 0.4)
    colour = green * np.clip(0.9 + 0.6 * leaves, 0.2, 2.2)
    sky = _hsl(0.55, 0.86, 0.4)
    horizon = rng.uniform(-0.1, 0.5)
    over(colour, sky, smooth(0.12, -0.12, y - horizon - 0.12 * leaves))
    _blobs(colour, rng, 5, (0.14, 0.3), 0.25)
    return colour * (1 + 0.2 * traits.light_side * (x - 0.5))


def _sky(traits: Traits, rng: np.random.Generator) -> Field:
    _, y = _grid()
    clouds = np.asarray(
        Image.fromarray(rng.standard_normal((6, 4)).astype(np.float32)).resize(
            (SMALL_W, SMALL_H), Image.Resampling.BICUBIC
        )
    )
    high, low = _hsl(0.58, 0.35 + 0.3 * traits.background_lightness, 0.5), _hsl(0.56, 0.86, 0.35)
    colour = high + (low - high) * np.clip(y * 1.3, 0, 1)
    over(colour, linear((244, 242, 240)), smooth(0.3, 1.3, clouds) * 0.7)
    ground = rng.uniform(0.6, 1.1)
    over(colour, _hsl(0.1 + 0.4 * traits.background_hue, 0.3, 0.25), smooth(-0.03, 0.03, y - ground))
    garden: Field = colour
    return garden


def _bookshelf(traits: Traits, rng: np.random.Generator) -> Field:
    colour = np.empty((3, SMALL_H, SMALL_W), np.float32)
    wood = _hsl(0.07, 0.12 + 0.18 * traits.background_lightness, 0.4)
    colour[:] = wood
    shelf = 14
    for top in range(-int(rng.integers(shelf)), SMALL_H, shelf):
        x = 0
        while x < SMALL_W:
            width = int(rng.integers(2, 5))
            height = int(rng.integers(8, 12))
            spine = _hsl(
                rng.choice((0.02, 0.08, 0.12, 0.3, 0.58, 0.6)), rng.uniform(0.15, 0.65), rng.uniform(0.1, 0.5)
            )
            rows = slice(max(top + shelf - 1 - height, 0), max(top + shelf - 1, 0))
            colour[:, rows, x : x + width] = spine * (0.5 + 0.7 * traits.background_lightness)
            x += width
    return colour


def _interior(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    wall = _hsl(traits.background_hue, 0.2 + 0.5 * traits.background_lightness, rng.uniform(0.05, 0.3))
    colour = wall * (1.1 - 0.5 * y)
    left, wide, bottom = rng.uniform(-0.3, 0.9), rng.uniform(0.2, 0.45), rng.uniform(0.4, 0.9)
    window = smooth(0.03, -0.03, np.abs(x - left) - wide / 2) * smooth(0.03, -0.03, y - bottom)
    over(colour, _hsl(0.56, rng.uniform(0.6, 0.92), 0.3), window)
    side = rng.uniform(0, 1)
    over(
        colour,
        _hsl(traits.background_hue, 0.25, 0.35),
        smooth(0.04, -0.04, np.abs(x - side) - 0.12) * smooth(-0.03, 0.03, y - 0.3),
    )
    _blobs(colour, rng, 2, (0.08, 0.13), 0.5)
    return colour


def _press_wall(traits: Traits, rng: np.random.Generator) -> Field:
    paint = _hsl(traits.background_hue, 0.3 + 0.58 * traits.background_lightness, 0.26)
    colour = np.broadcast_to(paint, (3, SMALL_H, SMALL_W)).copy()
    ink = _hsl(traits.background_hue + rng.uniform(0.3, 0.7), rng.choice((0.2, 0.85)), 0.35)
    mark = 0.45 * paint + 0.55 * ink
    step_x, step_y = int(rng.integers(13, 20)), int(rng.integers(9, 14))
    for row, top in enumerate(range(-int(rng.integers(step_y)), SMALL_H, step_y)):
        for left in range(-(row % 2) * step_x // 2, SMALL_W, step_x):
            for letter in range(0, 9, 2):
                rows = slice(max(top, 0), max(top + 4, 0))
                column = max(left + letter, 0)
                colour[:, rows, column : column + 1 + (letter + row) % 2] = mark
    return colour


BACKDROPS: dict[str, Callable[[Traits, np.random.Generator], Field]] = {
    "studio": _studio,
    "wall": _wall,
    "bokeh": _bokeh,
    "night": _night,
    "garden": _garden,
    "sky": _sky,
    "bookshelf": _bookshelf,
    "interior": _interior,
    "press wall": _press_wall,
}
"""By `Traits.background`; each returns linear light, float32 [3, SMALL_H, SMALL_W]."""


def paint_backdrop(traits: Traits, rng: np.random.Generator) -> Field:
    """Return a new picture with only the backdrop, float32 [3, 218, 178]."""
    small = np.clip(BACKDROPS[traits.background](traits, rng), 0, 1.3)
    # Enlarged as square roots of light, 8 bits each: in one pass, and finer than the eye in the dark parts.
    encoded = (np.sqrt(small * (1 / 1.3)) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
    large = np.asarray(Image.fromarray(encoded).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC))
    picture = large.transpose(2, 0, 1).astype(np.float32, order="C")
    picture *= picture
    picture *= 1.3 / 255**2
    return picture


def cloth_colour(traits: Traits, shift: int = 0) -> Field:
    """Return the colour of the garment, or with `shift` that of another one."""
    colour: Rgb = CLOTHING_COLOURS[(traits.clothing_colour + shift) % len(CLOTHING_COLOURS)]
    return linear(colour)


def _garment(traits: Traits, x: Field, y: Field) -> Field:
    """Return the distance to the garment's outline, negative inside, in pixels."""
    side = np.abs(x)
    shoulder = np.maximum(shoulder_line(traits, x) - 2.0, 79.5)
    collar = {
        "crew neck": np.sqrt((x / 31) ** 2 + ((y - 74) / 15) ** 2) * 16 - 16,
        "v-neck": (110 - y - 1.0 * side) * 0.7,
        "shirt": (104 - y - 1.1 * side) * 0.67,
        "suit": (112 - y - 1.0 * side) * 0.7,
        "turtleneck": y * 0 + 9,
        "bare shoulders": 104 - 0.002 * x**2 - y,
    }[traits.clothing]
    distance: Field
    if traits.clothing == "turtleneck":
        distance = np.minimum(shoulder - y, np.maximum(side - 27, 70 - y))
    elif traits.clothing == "bare shoulders":
        straps = np.maximum(np.abs(side - 34) - 2.5, shoulder - y)
        distance = np.minimum(collar, straps)
    else:
        opening = -collar if traits.clothing == "crew neck" else collar
        distance = np.maximum(shoulder - y, opening)
    return distance


def paint_clothes(picture: Field, traits: Traits, view: View, light: Light, offset: tuple[int, int]) -> None:
    """Paint the garment over neck and chest."""
    rows = slice(165, None)
    x, y = view.bx[rows], view.by[rows]
    distance = _garment(traits, x, y)
    folds = noise(noise_tile(9.0, 16.0), 2 * x + 0.6 * y + offset[0], 2 * y + offset[1])
    relief = 30 * np.sqrt(np.clip(1 - (x / 100) ** 2, 0, 1)) + 0.9 * folds - 0.3 * np.maximum(98 - y, 0)
    sx, sy = slopes(relief, 2.0)
    cloth = cloth_colour(traits)
    if traits.clothing == "turtleneck":
        cloth = cloth * (1 + 0.12 * np.sin(x * 1.2) * (y < 96))
    colour = cloth * light.shade(sx, sy, BLEED)
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
