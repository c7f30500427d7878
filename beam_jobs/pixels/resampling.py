"""Pillow's resizing as products of matrices: the same pixels to the last bit, sooner.

Pillow resizes 8-bit pictures in two passes, across and then down. A pixel of either pass is floor(sum of weights times
pixels + 1/2), clipped to 0..255, where weights are multiples of 2^-22 and zero but for a few neighbours (`Resample.c`,
`ImagingResampleHorizontal_8bpc`). Such a sum is exact in float64 in whatever order it is taken, so a BLAS, which uses
the vector units of the processor, gives the pixels of Pillow's loops, which do not.

cykooz-resizer 4.0.1, a library with vector code, is faster still, but every fifth value of a CelebA picture comes out
one level off, and it reads Pillow's memory by the layout of its private structs.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from beam_jobs.pixels.colours import as_pixels
from beam_jobs.pixels.filters import Pixels

# Where this was faster than Pillow: other filters have fewer weights, a small picture costs less than
# the calls of NumPy, and a large one leaves the processor's cache.
_FILTERS = frozenset({Image.Resampling.LANCZOS})
_SMALLEST, _LARGEST = 48, 1024  # sides of a source, pixels

_WEIGHT_BITS = 22  # of Pillow's fixed-point weights: 32 - 8 - 2
_BAND = 16  # results that share a product: a longer band multiplies more zeros, a shorter one makes more calls
_STRIP_VALUES = 131_072  # float64 values of the source at a time, 1 MiB, which stays in the cache
_IMPULSES = 64  # rows of the identity matrix at a time
_KEPT = 4  # plans in memory

Matrix = npt.NDArray[np.float64]
Edges = tuple[float, float, float, float]


def resample(picture: Image.Image, size: int, resampling: Image.Resampling, box: Edges) -> Pixels:
    """Return `picture.resize((size, size), resampling, box)` as an array. Mode L or RGB -> uint8 [size, size, 1 or 3].

    Products are used from the second picture of the same geometry on, as long as few others come between: in a folder
    of a thousand sizes, working out the weights would cost more than they save.
    """
    if resampling in _FILTERS and all(_SMALLEST <= side <= _LARGEST for side in picture.size):
        plan = _PLANS.of(picture.size, len(picture.getbands()), size, resampling, box)
        if plan.is_known:
            return plan.resize(picture)
        plan.is_known = True
    return as_pixels(picture.resize((size, size), resampling, box))


@dataclass(frozen=True)
class _Band:
    """Results `start` to `stop` of a pass, made of the pixels `low` to `high`; weights: [stop - start, high - low]."""

    start: int
    stop: int
    low: int
    high: int
    weights: Matrix


class _Plan:
    """How pictures of one geometry are resized. For one thread: it keeps its buffers, which cost as much as a pass."""

    def __init__(
        self, source: tuple[int, int], channels: int, size: int, resampling: Image.Resampling, box: Edges
    ) -> None:
        self.is_known = False
        self._source, self._channels, self._size, self._resampling, self._box = source, channels, size, resampling, box

    def resize(self, picture: Image.Image) -> Pixels:
        """Return the pixels, uint8 [size, size, channels]."""
        (width, height), channels, size = self._source, self._channels, self._size
        # Rows of channels of columns: both passes are products of plain matrices then.
        lines = np.frombuffer(picture.tobytes("raw", "RGB;L" if channels == 3 else "L"), np.uint8).reshape(-1, width)
        strip, between, result = self._buffers
        for first in range(0, len(lines), len(strip)):
            part = strip[: len(lines) - first]
            part[...] = lines[first : first + len(part)]
            across = between[first : first + len(part)]
            for band in self._across:
                np.matmul(part[:, band.low : band.high], band.weights.T, out=across[:, band.start : band.stop])
            _clip(across)
            np.floor(across, out=across)
        rows = between.reshape(height, channels * size)
        for band in self._down:
            np.matmul(band.weights, rows[band.low : band.high], out=result[band.start : band.stop])
        _clip(result)
        pixels = np.empty((size, size, channels), np.uint8)
        planes = result.astype(np.uint8).reshape(size, channels, size)  # rounds down
        for channel in range(channels):  # half the time of one transposed copy
            pixels[:, :, channel] = planes[:, channel]
        return pixels

    @functools.cached_property
    def _buffers(self) -> tuple[Matrix, Matrix, Matrix]:
        (width, height), channels, size = self._source, self._channels, self._size
        lines = height * channels
        strip = np.empty((min(lines, max(1, _STRIP_VALUES // width)), width))
        return strip, np.empty((lines, size)), np.empty((size, channels * size))

    @functools.cached_property
    def _across(self) -> list[_Band]:
        left, _, right, _ = self._box
        return _bands(_weights(self._source[0], left, right, self._size, self._resampling), "F")

    @functools.cached_property
    def _down(self) -> list[_Band]:
        _, top, _, bottom = self._box
        return _bands(_weights(self._source[1], top, bottom, self._size, self._resampling), "C")


class _Plans(threading.local):
    """The last plans of a thread."""

    def __init__(self) -> None:
        self.of = functools.lru_cache(_KEPT)(_Plan)


_PLANS = _Plans()


def _clip(values: Matrix) -> None:
    """Make of sums what becomes Pillow's `clip8` of them when it is rounded down."""
    values += 0.5
    np.clip(values, 0.0, 255.0, out=values)


def _bands(weights: Matrix, order: Literal["C", "F"]) -> list[_Band]:
    """Cut the weights of a pass, [size, length], into bands; `order` is that in memory which its product wants."""
    bands = []
    for start in range(0, len(weights), _BAND):
        part = weights[start : start + _BAND]
        used = np.flatnonzero(part.any(axis=0))
        low, high = int(used[0]), int(used[-1]) + 1
        bands.append(_Band(start, start + len(part), low, high, np.array(part[:, low:high], order=order)))
    return bands


def _weights(length: int, start: float, stop: float, size: int, resampling: Image.Resampling) -> Matrix:
    """Return Pillow's weights for one side, float64 [size, length].

    They are what it makes of an identity matrix: 32-bit pixels of 2^22 become the weights in the fixed point of 8-bit
    pictures, rounded in the same way.
    """
    columns = np.empty((length, size))
    for first in range(0, length, _IMPULSES):
        count = min(_IMPULSES, length - first)
        impulses = Image.fromarray(np.eye(count, length, first, dtype=np.int32) << _WEIGHT_BITS)
        weights = impulses.resize((size, count), resampling, (start, 0, stop, count))
        columns[first : first + count] = np.asarray(weights)
    return columns.T / (1 << _WEIGHT_BITS)
