"""What is behind a portrait."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image

from beam_jobs.sources.portrait.canvas import HEIGHT, WIDTH, Field, linear, over, smooth
from beam_jobs.sources.portrait.traits import Traits

SMALL_W, SMALL_H = 46, 56
"""Backdrops are painted this small and enlarged: that is their blur."""
_WHITE = 1.3
"""The brightest light that a backdrop keeps."""


def _hsl(hue: float, lightness: float, saturation: float) -> Field:
    red, green, blue = colorsys.hls_to_rgb(hue % 1.0, min(max(lightness, 0.0), 1.0), saturation)
    return linear((round(255 * red), round(255 * green), round(255 * blue)))


@cache
def _grid() -> tuple[Field, Field]:
    """Return x [1, SMALL_W] and y [SMALL_H, 1], float32 in [0, 1)."""
    x, y = np.arange(SMALL_W, dtype=np.float32), np.arange(SMALL_H, dtype=np.float32)
    return x[None, :] / SMALL_W, y[:, None] / SMALL_H


def _canvas(colour: Field) -> Field:
    """Return a backdrop [3, SMALL_H, SMALL_W] of this colour, which broadcasts to it, to paint on."""
    return np.broadcast_to(colour, (3, SMALL_H, SMALL_W)).copy()


def _studio(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    centre = 0.5 + 0.3 * traits.light_side, rng.uniform(0.3, 0.6)
    spread = -rng.uniform(2, 6)
    glow = np.exp((x - centre[0]) ** 2 * spread) * np.exp((y - centre[1]) ** 2 * spread)
    light = 0.12 + 0.6 * traits.background_lightness
    far = _hsl(traits.background_hue, 0.35 * light, 0.3)
    near = _hsl(traits.background_hue + 0.03, light, 0.25)
    studio: Field = far + (near - far) * glow
    return studio


def _wall(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    paint = _hsl(traits.background_hue, 0.3 + 0.55 * traits.background_lightness, rng.uniform(0.05, 0.35))
    slope = 1 + 0.35 * traits.light_side * (x - 0.5) * 2 - 0.2 * (y - 0.5)
    return paint * slope


def _blobs(picture: Field, rng: np.random.Generator, count: int, hues: tuple[float, float], strength: float) -> None:
    for _ in range(count):
        cx, cy = (float(place) for place in rng.random(2))
        size = rng.uniform(0.045, 0.11)
        reach = 1.4 * size
        rows = slice(max(int((cy - reach) * SMALL_H), 0), int((cy + reach) * SMALL_H) + 1)
        columns = slice(max(int((cx - reach) * SMALL_W), 0), int((cx + reach) * SMALL_W) + 1)
        x, y = _grid()
        x, y = x[:, columns] - cx, (y[rows] - cy) * 1.22
        disc = smooth(1.35 * size, 0.65 * size, np.sqrt(x * x + y * y))
        colour = _hsl(rng.uniform(*hues), rng.uniform(0.45, 0.8), rng.uniform(0.3, 0.85))
        picture[:, rows, columns] += colour * (strength * rng.uniform(0.3, 1.0)) * disc


def _bokeh(traits: Traits, rng: np.random.Generator) -> Field:
    _, y = _grid()
    base = _canvas(_hsl(traits.background_hue, 0.1 + 0.3 * traits.background_lightness, 0.4) * (1.1 - 0.5 * y))
    _blobs(base, rng, 16, (traits.background_hue - 0.12, traits.background_hue + 0.12), 0.7)
    return base


def _night(traits: Traits, rng: np.random.Generator) -> Field:
    _, y = _grid()
    base = _canvas(_hsl(0.62, 0.05 + 0.08 * traits.background_lightness, 0.4) * (0.6 + y))
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
    colour = _canvas(high + (low - high) * np.clip(y * 1.3, 0, 1))
    over(colour, linear((244, 242, 240)), smooth(0.3, 1.3, clouds) * 0.7)
    ground = rng.uniform(0.6, 1.1)
    over(colour, _hsl(0.1 + 0.4 * traits.background_hue, 0.3, 0.25), smooth(-0.03, 0.03, y - ground))
    return colour


_SPINES = (0.02, 0.08, 0.12, 0.3, 0.58, 0.6)


def _bookshelf(traits: Traits, rng: np.random.Generator) -> Field:
    colour = _canvas(_hsl(0.07, 0.12 + 0.18 * traits.background_lightness, 0.4))
    light = 0.5 + 0.7 * traits.background_lightness
    shelf = 14
    for top in range(-int(rng.integers(shelf)), SMALL_H, shelf):
        x = 0
        while x < SMALL_W:
            width = int(rng.integers(2, 5))
            height = int(rng.integers(8, 12))
            hue = _SPINES[int(rng.integers(len(_SPINES)))]
            spine = _hsl(hue, rng.uniform(0.15, 0.65), rng.uniform(0.1, 0.5))
            rows = slice(max(top + shelf - 1 - height, 0), max(top + shelf - 1, 0))
            colour[:, rows, x : x + width] = spine * light
            x += width
    return colour


def _interior(traits: Traits, rng: np.random.Generator) -> Field:
    x, y = _grid()
    wall = _hsl(traits.background_hue, 0.2 + 0.5 * traits.background_lightness, rng.uniform(0.05, 0.3))
    colour = _canvas(wall * (1.1 - 0.5 * y))
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
    colour = _canvas(paint)
    ink = _hsl(traits.background_hue + rng.uniform(0.3, 0.7), rng.choice((0.2, 0.85)), 0.35)
    mark = 0.45 * paint + 0.55 * ink
    step_x, step_y = int(rng.integers(13, 20)), int(rng.integers(9, 14))
    for row, top in enumerate(range(-int(rng.integers(step_y)), SMALL_H, step_y)):
        rows = slice(max(top, 0), max(top + 4, 0))
        for left in range(-(row % 2) * step_x // 2, SMALL_W, step_x):
            for letter in range(0, 9, 2):
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
    small = np.clip(BACKDROPS[traits.background](traits, rng), 0, _WHITE)
    # Enlarged as square roots of light, as the eye sees it: light would blur bright over dark.
    roots = np.sqrt(small, out=small)
    down, across = _enlargers()
    picture = np.matmul(down, np.matmul(roots, across)[:, None]).reshape(3, -1, WIDTH)[:, :HEIGHT]
    np.clip(picture, 0, _WHITE**0.5, out=picture)
    picture *= picture
    backdrop: Field = picture
    return backdrop


@cache
def _enlargers() -> tuple[Field, Field]:
    """Return the matrices of a bicubic enlargement: rows [9, 25, SMALL_H], and columns [SMALL_W, WIDTH].

    They are multiplied in pieces of 25 rows: from about 260,000 products on, OpenBLAS would start threads,
    which take longer to wake than to work.
    """

    def enlarger(small: int, large: int) -> Field:
        unit = Image.fromarray(np.eye(small, dtype=np.float32))
        return np.asarray(unit.resize((small, large), Image.Resampling.BICUBIC))

    down = np.zeros((9 * 25, SMALL_H), np.float32)
    down[:HEIGHT] = enlarger(SMALL_H, HEIGHT)
    return down.reshape(9, 25, SMALL_H), np.ascontiguousarray(enlarger(SMALL_W, WIDTH).T)
