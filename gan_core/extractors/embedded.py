"""The extractor that needs no download: wavelet scattering with coarse colour, from filters that are formulas.

What a picture becomes, 560 numbers:

    64   brightness on an 8x8 grid: composition
    32   the two colour differences on a 4x4 grid
    384  strength of structure at 6 octaves and 4 orientations on a 4x4 grid: sharpness, noise, where edges are
    80   strength of structure in that strength, over the whole picture: textures and contours

Structure is the modulus of complex Morlet wavelets, once and twice applied: Bruna and Mallat 2013, "Invariant
Scattering Convolution Networks", arXiv:1203.1513. Here it stays on a coarse grid, because a face is one by where its
parts are, and is compressed by a logarithm. Octaves are counted from the picture's finest one down, those that a small
picture lacks are 0. A picture keeps its size: blur and noise at the finest octave are what resizing would hide.

Why this and not a network with random weights (Naeem et al. 2020, arXiv:2002.09797, section 3.3): nothing depends on a
seed, each number has a meaning, and distances rise with blur, noise and shuffling, and fall while a generator is
trained; benchmarks/evaluation/RANKS.md has the figures. What it cannot: tell what a picture shows. It knows of no eyes, so
that two sets can agree in it that a person, or a network trained on objects, would tell apart.
"""

from __future__ import annotations

from functools import lru_cache

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
_HALVING = np.array([1, 4, 6, 4, 1]) / 16
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
                _HALVING.tolist(),
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
            halve = _halve(side)
            second[:, octave] = _moduli(_between(halve, strength, halve)).mean(axis=(-2, -1))
            planes = _between(halve, planes, halve)
        side, octave = side // 2, octave + 1
    return first, second


def _moduli(planes: Planes) -> Planes:
    """Return the modulus of planes [..., S, S] under each orientation's wavelet: [..., 4, S, S]."""
    envelope, waves = _wavelets(planes.shape[-1])
    smooth = _between(envelope, planes, envelope)
    found = np.empty((*planes.shape[:-2], ORIENTATIONS, *planes.shape[-2:]), np.float32)
    for orientation, (even_down, odd_down, even_across, odd_across, mean) in enumerate(waves):
        # The complex product by hand: half of the operands are real.
        even_rows, odd_rows = even_down @ planes, odd_down @ planes
        even = even_rows @ even_across.T - odd_rows @ odd_across.T - mean * smooth
        odd = even_rows @ odd_across.T + odd_rows @ even_across.T
        np.sqrt(even * even + odd * odd, out=found[..., orientation, :, :])
    return found


@lru_cache(maxsize=8)
def _wavelets(side: int) -> tuple[Planes, list[tuple[Planes, Planes, Planes, Planes, np.float32]]]:
    """Return the envelope, and for each orientation the even and odd wave down, those across, and their sum.

    The matrices [S, S] filter a line with mirrored ends. A round envelope makes wavelets products of two lines. The
    envelope times that sum is taken off, so that a wavelet is blind to a constant.
    """
    places = np.arange(-_RADIUS, _RADIUS + 1)
    envelope = np.exp(-(places**2) / (2 * _SIGMA**2))
    envelope /= envelope.sum()
    waves = []
    for angle in np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS:
        down, across = (envelope * np.exp(1j * _FREQUENCY * part * places) for part in (np.sin(angle), np.cos(angle)))
        even_down, odd_down, even_across, odd_across = (
            _mirrored(line, side) for line in (down.real, down.imag, across.real, across.imag)
        )
        mean = np.float32((down.sum() * across.sum()).real)
        waves.append((even_down, odd_down, even_across, odd_across, mean))
    return _mirrored(envelope, side), waves


@lru_cache(maxsize=8)
def _halve(side: int) -> Planes:
    """Return the matrix [S / 2, S] that smooths a line and keeps every second value."""
    return np.ascontiguousarray(_mirrored(_HALVING, side)[::2])


def _mirrored(kernel: npt.NDArray[np.float64], side: int) -> Planes:
    """Return the matrix [S, S] that correlates a line with `kernel`; the line is mirrored about its end pixels."""
    radius = len(kernel) // 2
    read = np.pad(np.eye(side), [(0, 0), (radius, radius)], mode="reflect")
    lines = [read[:, start : start + len(kernel)] @ kernel for start in range(side)]
    return np.stack(lines).astype(np.float32)


def _between(down: Planes, planes: Planes, across: Planes) -> Planes:
    """Return planes [..., S, S] filtered along both axes, by matrices [T, S]: [..., T, T]."""
    return np.asarray(down @ planes @ across.T, np.float32)


def _means(planes: Planes, grid: int) -> Planes:
    """Return the means of planes [..., S, S] over the cells of a grid: [..., grid, grid]."""
    cell = planes.shape[-1] // grid
    cells = planes.reshape(*planes.shape[:-2], grid, cell, grid, cell)
    return np.asarray(cells.mean(axis=(-3, -1)), np.float32)
