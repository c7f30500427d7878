"""The extractor that needs no download: wavelet scattering with coarse colour, from filters that are formulas.

What a picture becomes, 560 numbers:

    64   brightness on an 8x8 grid: composition
    32   the two colour differences on a 4x4 grid
    384  strength of structure at 6 octaves and 4 orientations on a 4x4 grid: sharpness, noise, where edges are
    80   strength of structure in that strength, over the whole picture: textures and contours

Structure is the modulus of complex Morlet wavelets, once and twice applied: Bruna and Mallat 2013, "Invariant
Scattering Convolution Networks", arXiv:1203.1513. Here it stays on a coarse grid, because a face is one by where its
parts are, and is compressed by a logarithm. Octaves are counted from the picture's finest one down; those that a small
picture lacks are 0. A picture keeps its size: blur and noise at the finest octave are what resizing would hide.

Why this and not a network with random weights (Naeem et al. 2020, arXiv:2002.09797, section 3.3): each number has a
meaning, none depends on a seed, and distances rise with blur, noise and shuffling and fall while a generator is trained
(benchmarks/evaluation/RANKS.md). A VGG-like network of five random 3x3 convolutions found blurred faces farther from
real ones than shuffled ones. What it cannot: tell what a picture shows. Two sets can agree in texture, colour and
composition that a person would tell apart.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gan_core.artifacts import digest_of
from gan_core.distances import check_images
from gan_core.errors import ConfigError
from gan_core.extractors.base import Choice, Extracted, Facts, Features, Images

NAME = "embedded"
ORIENTATIONS = 4
OCTAVES = 6  # 256 pixels down to 8
SMALLEST = 8  # pixels, the side of the coarsest octave
_BRIGHTNESS_GRID, _COLOUR_GRID, _STRUCTURE_GRID = 8, 4, 4
_FREQUENCY = 0.6 * np.pi  # radians a pixel: the middle of the upper octave
_SIGMA = 1.6  # pixels, of the wavelet's envelope
_RADIUS = 5  # pixels: three sigmas
_HALVING = tuple(np.float32(weight / 16) for weight in (1, 4, 6, 4, 1))
_BRIGHTNESS_SCALE, _COLOUR_SCALE = 64.0, 16.0  # grey levels: about one standard deviation in photographs
_FIRST_FLOOR, _SECOND_FLOOR = (
    4.0,
    2.0,
)  # grey levels: structure far below counts in proportion, far above by its logarithm
_AT_ONCE_PIXELS = 32 * 64 * 64  # stays in the processor's cache
DIMENSIONS = (
    _BRIGHTNESS_GRID**2
    + 2 * _COLOUR_GRID**2
    + OCTAVES * ORIENTATIONS * _STRUCTURE_GRID**2
    + (OCTAVES - 1) * ORIENTATIONS**2
)

Planes = npt.NDArray[np.float32]


def load(choice: Choice) -> Embedded:
    """Return the extractor. Raises ConfigError where `choice` asks for weights or a resizing: it has neither."""
    for option, value in (("weights", choice.weights), ("resizing", choice.resizing)):
        if value:
            raise ConfigError(f"eval.{option} must be empty for eval.extractor={NAME}, which has none, got '{value}'")
    return Embedded()


class Embedded:
    """Wavelet scattering with coarse colour, in NumPy alone. Memory: 100 MB."""

    facts = Facts(
        name=NAME,
        title="Wavelet scattering and coarse colour (embedded)",
        weights=digest_of(
            [
                _FREQUENCY,
                _SIGMA,
                _RADIUS,
                [float(weight) for weight in _HALVING],
                _BRIGHTNESS_SCALE,
                _COLOUR_SCALE,
                _FIRST_FLOOR,
                _SECOND_FLOOR,
            ]
        ),
        resizing="none",
        side=0,
        dimensions=DIMENSIONS,
        note="of texture, colour and composition, not of meaning: compares runs of one data set at one resolution, "
        "and with no published number",
    )

    def extract(self, images: Images) -> Extracted:
        """Return features float32 [N, 560] of uint8 [N, S, S, C], S in `config.RESOLUTIONS`, C = 1 or 3.

        Raises:
            DataError: dtype or shape do not fit.
        """
        side = check_images(images)
        features = np.empty((len(images), DIMENSIONS), np.float32)
        at_once = max(1, _AT_ONCE_PIXELS // side**2)
        for start in range(0, len(images), at_once):
            part = slice(start, start + at_once)
            features[part] = _features(images[part])
        return Extracted(features)


def _features(images: Images) -> Features:
    if images.shape[1] == 28:
        # As MNIST is padded for networks that halve: a whole number of octaves, and no pixel is interpolated.
        images = np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], mode="edge")
    brightness, colours = _opponents(images)
    first, second = _scattered(brightness)
    parts = (
        (_means(brightness, _BRIGHTNESS_GRID) - 128) / _BRIGHTNESS_SCALE,
        _means(colours, _COLOUR_GRID) / _COLOUR_SCALE,
        np.log2(first / _FIRST_FLOOR + 1),
        np.log2(second / _SECOND_FLOOR + 1),
    )
    return np.concatenate([part.reshape(len(images), -1) for part in parts], axis=1, dtype=np.float32)


def _opponents(images: Images) -> tuple[Planes, Planes]:
    """Return the luma [N, S, S] and the two colour differences [N, 2, S, S] of ITU-R BT.601, in grey levels."""
    red, green, blue = (images[..., channel % images.shape[3]].astype(np.float32) for channel in range(3))
    luma = np.float32(0.299) * red + np.float32(0.587) * green + np.float32(0.114) * blue
    return luma, np.stack([(blue - luma) * np.float32(0.564), (red - luma) * np.float32(0.713)], axis=1)


def _scattered(planes: Planes) -> tuple[Planes, Planes]:
    """Return the first order [N, 6, 4, 4, 4] and the second [N, 5, 4, 4] of planes [N, S, S], in grey levels."""
    grid = _STRUCTURE_GRID
    first = np.zeros((len(planes), OCTAVES, ORIENTATIONS, grid, grid), np.float32)
    second = np.zeros((len(planes), OCTAVES - 1, ORIENTATIONS, ORIENTATIONS), np.float32)
    side, octave = planes.shape[-1], 0
    while side >= SMALLEST:
        strength = _moduli(planes)
        first[:, octave] = _means(strength, grid)
        if side > SMALLEST:
            second[:, octave] = _moduli(_halved(strength)).mean(axis=(-2, -1))
            planes = _halved(planes)
        side, octave = side // 2, octave + 1
    return first, second


def _moduli(planes: Planes) -> Planes:
    """Return the modulus of planes [..., S, S] under each orientation's wavelet: [..., 4, S, S].

    A round envelope makes a wavelet the product of a line down and one across. Of the angles 0, 45, 90 and 135 degrees
    those at 45 and 135 share their four products. The envelope, times the sum of the wavelet, is taken off, so that a
    constant leaves nothing.
    """
    flat, slow, fast = (_line(part * _FREQUENCY) for part in (0.0, np.sqrt(0.5), 1.0))
    smooth = _filtered(planes, flat, -2)
    smooth_both = _filtered(smooth, flat, -1)
    found = np.empty((*planes.shape[:-2], ORIENTATIONS, *planes.shape[-2:]), np.float32)

    def put(orientation: int, even: Planes, odd: Planes, mean: float) -> None:
        even = even - np.float32(mean) * smooth_both
        found[..., orientation, :, :] = np.sqrt(even * even + odd * odd)

    put(0, _filtered(smooth, fast, -1), _filtered(smooth, fast, -1, odd=True), fast.sum)
    down, odd_down = (_filtered(planes, slow, -2, odd=odd) for odd in (False, True))
    both, neither = _filtered(down, slow, -1), _filtered(odd_down, slow, -1, odd=True)
    right, below = _filtered(down, slow, -1, odd=True), _filtered(odd_down, slow, -1)
    put(1, both - neither, right + below, slow.sum**2)
    down, odd_down = (_filtered(planes, fast, -2, odd=odd) for odd in (False, True))
    put(2, _filtered(down, flat, -1), _filtered(odd_down, flat, -1), fast.sum)
    put(3, both + neither, right - below, slow.sum**2)
    return found


class _Line(NamedTuple):
    """A wave under its envelope, on one axis: weights at 0, 1, ... pixels, of its even and its odd half."""

    even: tuple[float, ...]
    odd: tuple[float, ...]
    sum: float


@lru_cache(maxsize=4)
def _line(frequency: float) -> _Line:
    """Return the line of a frequency in radians a pixel."""
    places = np.arange(_RADIUS + 1)
    envelope = np.exp(-(places**2) / (2 * _SIGMA**2))
    envelope /= 2 * envelope.sum() - envelope[0]
    even, odd = envelope * np.cos(frequency * places), envelope * np.sin(frequency * places)
    return _Line(tuple(even.tolist()), tuple(odd.tolist()), float(2 * even.sum() - even[0]))


def _filtered(planes: Planes, line: _Line, axis: int, *, odd: bool = False) -> Planes:
    """Return planes [..., S, S] correlated with a line along `axis`, mirrored about their end pixels.

    Sums of shifted pictures, not products with matrices: a sum has one order on all machines, and needs no threads,
    which on a busy machine wait for each other.
    """
    size, radius = planes.shape[axis], _RADIUS
    widths = [(radius, radius) if each == planes.ndim + axis else (0, 0) for each in range(planes.ndim)]
    padded = np.pad(planes, widths, mode="reflect")

    def shifted(step: int) -> Planes:
        part = slice(radius + step, radius + step + size)
        return padded[..., part, :] if axis == -2 else padded[..., part]

    total = np.zeros_like(planes) if odd else planes * np.float32(line.even[0])
    for step in range(1, radius + 1):
        pair = shifted(step) - shifted(-step) if odd else shifted(step) + shifted(-step)
        pair *= np.float32((line.odd if odd else line.even)[step])
        total += pair
    return total


def _halved(planes: Planes) -> Planes:
    """Return planes [..., S, S] at half the side: smoothed, and every second value kept. [..., S / 2, S / 2]."""
    for axis in (-2, -1):
        widths = [(2, 2) if each == planes.ndim + axis else (0, 0) for each in range(planes.ndim)]
        padded = np.pad(planes, widths, mode="reflect")
        parts = [slice(start, start + planes.shape[axis], 2) for start in range(5)]
        shifted = [padded[..., part, :] if axis == -2 else padded[..., part] for part in parts]
        planes = np.asarray(sum(weight * each for weight, each in zip(_HALVING, shifted, strict=True)), np.float32)
    return planes


def _means(planes: Planes, grid: int) -> Planes:
    """Return the means of planes [..., S, S] over the cells of a grid: [..., grid, grid]."""
    cell = planes.shape[-1] // grid
    cells = planes.reshape(*planes.shape[:-2], grid, cell, grid, cell)
    return np.asarray(cells.mean(axis=(-3, -1)), np.float32)
