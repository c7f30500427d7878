"""How far two sets of pictures are apart, without a pretrained network and in NumPy alone.

The sliced Wasserstein distance (SWD) between the local structure of two sets, scale by scale: Karras et al.
2018, "Progressive Growing of GANs", section 5, arXiv:1710.10196. A pure function of pictures and seed; the
last digits depend on the BLAS library that NumPy was built with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gan_core.config import RESOLUTIONS
from gan_core.errors import DataError

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

WINDOW = 7  # pixels, the side of a neighbourhood
WINDOWS_PER_IMAGE = 128  # neighbourhoods of one picture at one level
DIRECTIONS = 512  # in the paper: 4 repeats of 128
SMALLEST_LEVEL = 14  # pixels; powers of two end at 16 as in the paper, 28 ends at 14
_ERROR_HALVES = 12  # sets of half the pictures, from whose spread the standard error comes
_ERROR_DIRECTIONS = 32  # of the 512: an error needs no second digit
_SCALE = 1000.0  # published distances are times 1000
_BLOCK_VALUES = 1 << 25  # projections made at once: 134 MB
_IMAGES_AT_ONCE = 16  # what is filtered stays in the processor's cache
_CONSTANT = 1e-3  # grey levels; a smaller deviation is rounding, not content


@dataclass(frozen=True)
class Distance:
    """A sliced Wasserstein distance, times 1000.

    Attributes:
        by_level: side of the level in pixels -> distance.
        error: one standard error of the mean over the levels: how far it would move with other pictures in the place
            of those that are compared with the reference, which stays.
    """

    by_level: dict[int, float]
    error: float

    @property
    def mean(self) -> float:
        """The mean over the levels."""
        return sum(self.by_level.values()) / len(self.by_level)


def sliced_wasserstein(real: Images, fake: Images, *, seed: int = 0) -> dict[int, float]:
    """Return the SWD, times 1000, of two sets at each level of a Laplacian pyramid; 0 is equal.

    At every level, 128 random 7x7 neighbourhoods of each picture are normalized per channel to mean 0 and
    deviation 1 over their own set, projected on 512 random directions and sorted; the distance is the mean
    absolute difference. Fine levels see noise and sharpness, coarse ones composition. Because each set is
    normalized by its own statistics, as in the reference implementation, the brightness and the contrast of a
    set as a whole do not count.

    Picture i has the same places of neighbourhoods in every set: a set's distance to itself is exactly 0.

    Numbers compare only at equal N and S: the distance between two samples of one population, the floor,
    shrinks with N. The paper has N = 16384.

    Args:
        real: uint8 [N, S, S, C] in [0, 255], S in `config.RESOLUTIONS`, C = 1 or 3.
        fake: the same shape.
        seed: chooses neighbourhoods and directions.

    Returns:
        Side of the level in pixels, S first, then halved down to 16 (to 14 for S = 28) -> distance.
        Memory: 75 kB a picture of each set (C = 3), one level at a time, and 300 MB.

    Raises:
        DataError: dtype or shape do not fit, or differ between the sets.
    """
    return sliced_wasserstein_to_each(real, [fake], seed=seed)[0].by_level


def sliced_wasserstein_to_each(
    reference: Images,
    others: Sequence[Images],
    *,
    seed: int = 0,
) -> list[Distance]:
    """Return `sliced_wasserstein(reference, other)` and its error for each of `others`; cheaper than one by one."""
    side = check_images(reference)
    for other in others:
        check_same_shape(reference.shape, other)
    found: list[dict[int, _AtLevel]] = [{} for _ in others]
    for level in levels(side):
        descriptors = _descriptors(reference, level, seed)
        blocks = list(_directions(level, descriptors.shape, seed))
        totals = [_AtLevel(0.0, np.zeros(_ERROR_HALVES)) for _ in others]
        theirs = [_descriptors(other, level, seed) for other in others]
        for number, directions in enumerate(blocks):
            sorted_reference = _project(directions, descriptors)
            for i, windows in enumerate(theirs):
                totals[i] = totals[i].plus(sorted_reference, windows, directions, len(reference), number == 0)
        for i, total in enumerate(totals):
            found[i][level] = total
    return [_distance(one) for one in found]


class SlicedWasserstein:
    """Distances to one real set, many times: keeps its sorted projections, so that each distance costs half.

    Memory: 262 kB for each real picture and level (512 pictures at 64x64, three levels: 400 MB).
    """

    def __init__(self, real: Images, *, seed: int = 0) -> None:
        """Work through `real`, as in `sliced_wasserstein`. Raises DataError when it does not fit."""
        self.shape = real.shape
        self._seed = seed
        self._sorted: dict[int, list[Floats]] = {}
        for level in levels(check_images(real)):
            descriptors = _descriptors(real, level, seed)
            blocks = _directions(level, descriptors.shape, seed)
            self._sorted[level] = [_project(directions, descriptors) for directions in blocks]

    def distance(self, fake: Images) -> Distance:
        """Return `sliced_wasserstein(real, fake)` and its error. DataError unless `fake` has the shape of `real`."""
        check_same_shape(self.shape, fake)
        found = {}
        for level, sorted_real in self._sorted.items():
            descriptors, total = _descriptors(fake, level, self._seed), _AtLevel(0.0, np.zeros(_ERROR_HALVES))
            pairs = zip(sorted_real, _directions(level, descriptors.shape, self._seed), strict=True)
            for number, (real, directions) in enumerate(pairs):
                total = total.plus(real, descriptors, directions, len(fake), number == 0)
            found[level] = total
        return _distance(found)


@dataclass(frozen=True)
class _AtLevel:
    """Sums over directions at one level: of the distances, and for each half of the pictures of its distances."""

    total: float
    halves: npt.NDArray[np.float64]

    def plus(self, sorted_reference: Floats, other: Floats, directions: Floats, count: int, first: bool) -> _AtLevel:
        total = self.total + _sum_of_distances(sorted_reference, other, directions)
        halves = _distances_of_halves(sorted_reference, other, directions, count) if first else self.halves
        return _AtLevel(total, halves)


def _distance(found: dict[int, _AtLevel]) -> Distance:
    by_level = {level: _SCALE * one.total / DIRECTIONS for level, one in found.items()}
    # Halves that are drawn without replacement spread as much as independent whole sets do (delete-half jackknife).
    halves = np.mean([one.halves for one in found.values()], axis=0)
    return Distance(by_level, _SCALE * float(halves.std()))


def levels(side: int) -> list[int]:
    """Return the sides of the pyramid's levels for pictures of `side`, finest first: 64 -> [64, 32, 16]."""
    found = [side]
    while found[-1] // 2 >= SMALLEST_LEVEL:
        found.append(found[-1] // 2)
    return found


def check_images(images: Images) -> int:
    """Return the side S of uint8 [N, S, S, C]. Raises DataError for any other dtype or shape."""
    shape = images.shape
    square = len(shape) == 4 and shape[1] == shape[2] and shape[1] in RESOLUTIONS and shape[3] in (1, 3)
    if images.dtype != np.uint8 or not square or not shape[0]:
        sides = ", ".join(str(side) for side in RESOLUTIONS)
        wanted = f"uint8 [N, S, S, C] with S in {sides} and C 1 or 3"
        raise DataError(f"pictures to measure must be {wanted}, got {images.dtype} {shape}")
    return int(shape[1])


def check_same_shape(wanted: tuple[int, ...], images: Images) -> None:
    """Raise DataError unless `images` can be measured and has the shape `wanted`."""
    check_images(images)
    if images.shape != wanted:
        raise DataError(f"two sets of pictures must have one shape, got {wanted} and {images.shape}")


def planes_of(images: Images) -> Floats:
    """Return uint8 [N, S, S, C] as float32 [N, C, S, S], values as they are."""
    return np.ascontiguousarray(np.moveaxis(images, 3, 1), dtype=np.float32)


def _distances_of_halves(
    sorted_reference: Floats, descriptors: Floats, directions: Floats, count: int
) -> npt.NDArray[np.float64]:
    """Return the mean distance over a few directions of random halves of the pictures: [_ERROR_HALVES].

    Each half is normalized by its own statistics, as a set is: contrast is not to count here either. The reference is
    thinned to as many values as a half has, at even ranks.
    """
    if count < 2:
        return np.zeros(_ERROR_HALVES)
    some = directions[:_ERROR_DIRECTIONS].reshape(min(len(directions), _ERROR_DIRECTIONS), -1, WINDOW**2)
    windows = descriptors.reshape(count, -1, some.shape[1], WINDOW**2)
    by_channel = np.einsum("kcw,nmcw->cnkm", some, windows, optimize=True)
    means, squares = windows.mean(axis=(1, 3)), np.square(windows).mean(axis=(1, 3))
    size = count // 2 * windows.shape[1]
    ranks = ((np.arange(size) + 0.5) * sorted_reference.shape[1] / size).astype(np.int64)
    wanted = sorted_reference[: len(some), ranks]
    random, found = np.random.default_rng(count), np.empty(_ERROR_HALVES)
    for half in range(_ERROR_HALVES):
        chosen = random.permutation(count)[: count // 2]
        mean = means[chosen].mean(axis=0)
        deviation = np.sqrt(np.maximum(squares[chosen].mean(axis=0) - mean**2, 0.0))
        deviation[deviation < _CONSTANT] = 1.0
        values = np.tensordot(1 / deviation, by_channel[:, chosen], 1).swapaxes(0, 1).reshape(len(some), size)
        values -= (some.sum(axis=2) @ (mean / deviation))[:, None]
        values.sort(axis=1)
        found[half] = np.abs(values - wanted).mean()
    return found


def _descriptors(images: Images, level: int, seed: int) -> Floats:
    """Return the normalized neighbourhoods of one level, picture by picture: [N * 128, C * 49]."""
    count, _, _, channels = images.shape
    random = np.random.default_rng([seed, level, 0])
    corners = random.integers(0, level - WINDOW + 1, (count, WINDOWS_PER_IMAGE, 2))
    found = np.empty((count, WINDOWS_PER_IMAGE, channels, WINDOW, WINDOW), np.float32)
    sums, squares = np.zeros(channels), np.zeros(channels)
    for start in range(0, count, _IMAGES_AT_ONCE):
        at = slice(start, start + _IMAGES_AT_ONCE)
        band = _band(planes_of(images[at]), level)
        windows = np.lib.stride_tricks.sliding_window_view(band, (WINDOW, WINDOW), (2, 3))
        found[at] = windows[np.arange(len(band))[:, None], :, corners[at, :, 0], corners[at, :, 1]]
        precise = found[at].astype(np.float64)
        sums += precise.sum(axis=(0, 1, 3, 4))
        squares += np.square(precise, out=precise).sum(axis=(0, 1, 3, 4))
    size = count * WINDOWS_PER_IMAGE * WINDOW**2
    mean = sums / size
    deviation = np.sqrt(np.maximum(squares / size - mean**2, 0.0))
    deviation[deviation < _CONSTANT] = 1.0
    found -= mean.astype(np.float32)[:, None, None]
    found /= deviation.astype(np.float32)[:, None, None]
    return found.reshape(count * WINDOWS_PER_IMAGE, -1)


def _directions(level: int, descriptors: tuple[int, ...], seed: int) -> Iterator[Floats]:
    """Yield the 512 random unit vectors of one level in blocks [B, D], for descriptors of the shape [M, D].

    B is the most for which the projections [B, M] stay within 134 MB, and at least 32: the matrix product
    repacks the descriptors for every block, so that few large blocks take a third of the time of many small.
    """
    rows, size = descriptors
    drawn = np.random.default_rng([seed, level, 1]).standard_normal((DIRECTIONS, size))
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    at_once = max(32, min(DIRECTIONS, _BLOCK_VALUES // rows))
    for start in range(0, DIRECTIONS, at_once):
        yield drawn[start : start + at_once].astype(np.float32)


def _project(directions: Floats, descriptors: Floats) -> Floats:
    """Return the components of the descriptors [M, D] along each direction [B, D], ascending: [B, M]."""
    projected = np.asarray(directions @ descriptors.T)
    projected.sort(axis=1)
    return projected


def _sum_of_distances(sorted_reference: Floats, descriptors: Floats, directions: Floats) -> float:
    """Return the sum over the directions of the one-dimensional Wasserstein distances to the reference."""
    total = 0.0
    for wanted, row in zip(sorted_reference, directions @ descriptors.T, strict=True):
        row.sort()
        row -= wanted
        total += float(np.abs(row, out=row).mean())
    return total


def _band(planes: Floats, level: int) -> Floats:
    """Return one level of the Laplacian pyramid of planes [N, C, S, S]: [N, C, level, level].

    The last level is what is left after all halvings; the others are what one halving and doubling loses.
    """
    while planes.shape[2] > level:
        planes = _halve(_halve(planes, 2), 3)
    if level // 2 < SMALLEST_LEVEL:
        return planes
    return planes - _double(_double(_halve(_halve(planes, 2), 3), 2), 3)


def _halve(planes: Floats, axis: int) -> Floats:
    """Filter with (1, 4, 6, 4, 1) / 16 along `axis`, mirrored at the ends, and keep every second value."""
    size = planes.shape[axis]
    padded = np.pad(planes, [(2, 1) if i == axis else (0, 0) for i in range(4)], mode="reflect")
    left, before, centre, after, right = (_cut(padded, axis, i, i + size, 2) for i in range(5))
    return (left + right) / 16 + (before + after) / 4 + centre * np.float32(0.375)


def _double(planes: Floats, axis: int) -> Floats:
    """Put a zero after each value along `axis`, and filter with (1, 4, 6, 4, 1) / 8, mirrored at the ends."""
    size = planes.shape[axis]
    padded = np.concatenate([_cut(planes, axis, 1, 2), planes, _cut(planes, axis, size - 1, size)], axis)
    before, after = _cut(padded, axis, 0, size), _cut(padded, axis, 2, size + 2)
    doubled = np.stack([(before + after) / 8 + planes * np.float32(0.75), (planes + after) / 2], axis + 1)
    return doubled.reshape([2 * size if i == axis else n for i, n in enumerate(planes.shape)])


def _cut(planes: Floats, axis: int, start: int, stop: int, step: int = 1) -> Floats:
    return planes[(slice(None),) * axis + (slice(start, stop, step),)]
