"""Brushes: soft coverage, compositing and colour on planar float32 pictures.

A picture is float32 [3, H, W] in linear light, 0 to about 1. Shapes are painted from signed distances
(pixels, negative inside), so that every edge is antialiased without supersampling and as soft as the painter
wants it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

# float32 always; NumPy's annotations would say float64 after every operation with a Python float.
Field = NDArray[np.floating[Any]]
Rgb = tuple[int, int, int]
Tint = tuple[float, ...]
"""What is left of red, green and blue light."""
Paint = Field | Tint | float
Box = tuple[slice, slice]
"""Rows and columns of a picture."""

HEIGHT, WIDTH = 218, 178
"""Size of a portrait in pixels: CelebA's aligned and cropped layout."""

TILE = 256
_LUT_SIZE = 4096
_LUT_WHITE = 1.6


@cache
def _linear_table() -> Field:
    """The 256 levels of sRGB as linear light, float32 [256] in [0, 1]."""
    srgb = np.arange(256) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)


@lru_cache(maxsize=512)
def linear(colour: Rgb) -> Field:
    """Return an sRGB colour (0 to 255) as linear light, float32 [3, 1, 1] in [0, 1], read-only."""
    light: Field = _linear_table().take(colour).reshape(3, 1, 1)
    light.setflags(write=False)
    return light


@cache
def _tone_curve() -> NDArray[np.float32]:
    """Linear light in [0, _LUT_WHITE] to sRGB in [0, 255], with a soft shoulder above 0.7 of white."""
    light = np.linspace(0, _LUT_WHITE, _LUT_SIZE)
    knee = 0.62
    over_knee = np.maximum(light - knee, 0)
    light = np.minimum(light, knee) + (1 - knee) * (1 - np.exp(-over_knee / (1 - knee)))
    srgb = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return (srgb * 255).astype(np.float32)


def develop(picture: Field, gain: Field, grain: Field) -> NDArray[np.uint8]:
    """Return linear light [3, H, W] as sRGB uint8 [H, W, 3]; highlights roll off softly.

    gain [H, W] multiplies the light, grain [H, W] is added to the levels before they are rounded. The picture
    is used up.
    """
    height, width = gain.shape
    gain = gain * ((_LUT_SIZE - 1) / _LUT_WHITE)
    grain = grain + 0.5
    pixels = np.empty((height, width, 3), np.uint8)
    for channel, plane in enumerate(picture):
        plane *= gain
        # Light is never negative; what is too bright is clipped by the look-up.
        levels = _tone_curve().take(plane.astype(np.intp), mode="clip")
        levels += grain
        np.clip(levels, 0, 255, out=levels)
        pixels[:, :, channel] = levels
    return pixels


def smooth(low: float, high: float, x: Field) -> Field:
    """Return the cubic step from 0 at `low` to 1 at `high` (high may be the smaller one)."""
    scale = 1 / (high - low)
    t = x * scale
    t -= low * scale
    np.maximum(t, 0, out=t)
    np.minimum(t, 1, out=t)
    step = t * -2
    step += 3
    t *= t
    step *= t
    return step


def cover(distance: Field, soft: float = 0.8) -> Field:
    """Return the coverage in [0, 1] of a shape: 1 deeper than `soft` pixels inside, 0 as far outside."""
    c = distance * (-0.5 / soft)
    c += 0.5
    np.maximum(c, 0, out=c)
    np.minimum(c, 1, out=c)
    return c


def bump(u: Field, v: Field, centre: tuple[float, float], size: tuple[float, float]) -> Field:
    """Return the Gaussian exp(-(du^2 + dv^2) / 2) around `centre`, with deviations `size`, in pixels."""
    du = u - centre[0] if centre[0] else u
    dv = v - centre[1] if centre[1] else v
    du = du * du
    dv = dv * dv
    du *= -0.5 / size[0] ** 2
    dv *= -0.5 / size[1] ** 2
    du += dv
    np.exp(du, out=du)
    return du


def superellipse(a: Field, b: Field, power: float) -> Field:
    """Return (a^p + b^p)^(1/p) for a, b >= 0: 1 on an outline between an ellipse (p = 2) and a box."""
    outline: Field = (a**power + b**power) ** (1 / power)
    return outline


def slopes(relief: Field, limit: float = 2.6) -> tuple[Field, Field]:
    """Return the central differences of a relief [H, W], clipped: a limb is dark, not black."""
    sx, sy = np.empty_like(relief), np.empty_like(relief)
    np.subtract(relief[:, 2:], relief[:, :-2], out=sx[:, 1:-1])
    np.subtract(relief[2:], relief[:-2], out=sy[1:-1])
    sx[:, 0] = sx[:, -1] = 0
    sy[0] = sy[-1] = 0
    for slope in (sx, sy):
        slope *= 0.5
        np.clip(slope, -limit, limit, out=slope)
    return sx, sy


def _planes(colour: Paint) -> Iterable[Any]:
    return repeat(colour, 3) if isinstance(colour, float | int) else colour


def over(picture: Field, colour: Paint, alpha: Field) -> None:
    """Lay `colour` (broadcast to [3, H, W]) over `picture` in place; alpha is [H, W] in [0, 1]."""
    # Plane by plane: temporaries of one plane stay in the cache, those of three are page faults.
    for plane, tone in zip(picture, _planes(colour), strict=True):
        change = tone - plane
        change *= alpha
        plane += change


def multiply(picture: Field, factor: Paint, alpha: Field) -> None:
    """Darken or tint `picture` in place by `factor` where alpha is 1, not at all where it is 0."""
    if isinstance(factor, float | int):
        change = alpha * (factor - 1)
        change += 1
        picture *= change
        return
    for plane, tone in zip(picture, factor, strict=True):
        change = alpha * (tone - 1)
        change += 1
        plane *= change


@cache
def pixel_grid() -> tuple[Field, Field]:
    """Return the pixel centres x, float32 [1, WIDTH], and y, float32 [HEIGHT, 1]."""
    return np.arange(WIDTH, dtype=np.float32)[None, :], np.arange(HEIGHT, dtype=np.float32)[:, None]


@cache
def noise_tile(sigma_across: float, sigma_along: float) -> Field:
    """Return a seamless noise tile, float32 [TILE, TILE], mean 0, deviation 1, blurred by the two sigmas.

    Rows run along a strand and columns across it. The tile is the same in every process: its seed is fixed.
    """
    white = np.random.default_rng(20_240_613).standard_normal((TILE, TILE))
    frequency = np.fft.fftfreq(TILE)
    kernel = np.exp(-2 * np.pi**2 * (frequency[:, None] * sigma_along) ** 2)
    kernel = kernel * np.exp(-2 * np.pi**2 * (frequency[None, :] * sigma_across) ** 2)
    tile = np.fft.ifft2(np.fft.fft2(white) * kernel).real
    tile = (tile - tile.mean()) / tile.std()
    norm: Field = tile.astype(np.float32)
    return norm


def noise(tile: Field, across: Field, along: Field) -> Field:
    """Look up a seamless tile at (across, along) in tile pixels; nearest sample, wrapped around."""
    rows = along.astype(np.int32) & (TILE - 1)
    columns = across.astype(np.int32) & (TILE - 1)
    rows *= TILE
    return tile.take(rows + columns, mode="clip")
