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

HEIGHT, WIDTH = 218, 178
"""Size of a portrait in pixels: CelebA's aligned and cropped layout."""

TILE = 256
_LUT_SIZE = 4096
_LUT_WHITE = 1.6


@lru_cache(maxsize=512)
def linear(colour: Rgb) -> Field:
    """Return an sRGB colour (0 to 255) as linear light, float32 [3, 1, 1] in [0, 1], read-only."""
    srgb = np.asarray(colour, dtype=np.float32).reshape(3, 1, 1) / 255
    light: Field = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(np.float32)
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


def develop(picture: Field) -> Field:
    """Return linear light [3, H, W] as sRGB float32 [3, H, W] in [0, 255]; highlights roll off softly."""
    index = picture * ((_LUT_SIZE - 1) / _LUT_WHITE)
    # Light is never negative; what is too bright is clipped by the look-up.
    return _tone_curve().take(index.astype(np.intp), mode="clip")


def smooth(low: float, high: float, x: Field) -> Field:
    """Return the cubic step from 0 at `low` to 1 at `high` (high may be the smaller one)."""
    t = np.asarray((x - low) * (1 / (high - low)))
    np.minimum(np.maximum(t, 0, out=t), 1, out=t)
    step: Field = t * t * (3 - 2 * t)
    return step


def cover(distance: Field, soft: float = 0.8) -> Field:
    """Return the coverage in [0, 1] of a shape: 1 deeper than `soft` pixels inside, 0 as far outside."""
    c = 0.5 - distance * (0.5 / soft)
    np.maximum(c, 0, out=c)
    np.minimum(c, 1, out=c)
    return c


def bump(u: Field, v: Field, centre: tuple[float, float], size: tuple[float, float]) -> Field:
    """Return the Gaussian exp(-(du^2 + dv^2) / 2) around `centre`, with deviations `size`, in pixels."""
    du, dv = u - centre[0], v - centre[1]
    du *= du
    dv *= dv
    du *= -0.5 / size[0] ** 2
    dv *= -0.5 / size[1] ** 2
    du += dv
    np.exp(du, out=du)
    return du


def superellipse(a: Field, b: Field, power: float) -> Field:
    """Return (a^p + b^p)^(1/p) for a, b >= 0: 1 on an outline between an ellipse (p = 2) and a box."""
    tiny = 1e-4
    a, b = np.log(a + tiny), np.log(b + tiny)
    seamless: Field = np.exp(np.log(np.exp(a * power) + np.exp(b * power)) * (1 / power))
    return seamless


def _planes(colour: Field | float) -> Iterable[Any]:
    return repeat(colour, 3) if isinstance(colour, float | int) else colour


def over(picture: Field, colour: Field | float, alpha: Field) -> None:
    """Lay `colour` (broadcast to [3, H, W]) over `picture` in place; alpha is [H, W] in [0, 1]."""
    # Plane by plane: temporaries of one plane stay in the cache, those of three are page faults.
    for plane, tone in zip(picture, _planes(colour), strict=True):
        change = tone - plane
        change *= alpha
        plane += change


def multiply(picture: Field, factor: Field | float, alpha: Field) -> None:
    """Darken or tint `picture` in place by `factor` where alpha is 1, not at all where it is 0."""
    if isinstance(factor, float | int):
        picture *= 1 + (factor - 1) * alpha
        return
    for plane, tone in zip(picture, factor, strict=True):
        change = (tone - 1) * alpha
        change += 1
        plane *= change


@cache
def pixel_grid() -> tuple[Field, Field]:
    """Return the pixel centres x and y, float32 [HEIGHT, WIDTH] each."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return x, y


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
    rows += columns
    return tile.ravel().take(rows, mode="clip")
