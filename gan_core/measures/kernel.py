"""Kernel distance between two sets of features: KID, with the published Inception network. Unbiased at any N.

Binkowski et al. 2018, "Demystifying MMD GANs", section 4, arXiv:1801.01401: the unbiased estimate of the squared
maximum mean discrepancy with the kernel (x.y / D + 1)^3, averaged over random subsets.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gan_core.measures.features import Features, Floats, Tick, check_pair, no_tick

SUBSETS = 100
SUBSET_SIZE = 1000
SEED = 2020  # torch-fidelity's
_BAND_ROWS = 64  # of a matrix of kernels at once: 1 MB of float64


class KernelDistance(NamedTuple):
    """A kernel distance. In the kernel's own unit: tables often show it times 1000.

    Attributes:
        value: mean over the subsets. 0 for sets of one distribution, and then as often below as above.
        error: one standard error of `value` over the sampling of the generated set.
        deviation: over the subsets (divided by their number). It grows as subsets become smaller and is 0 where a
            subset is the whole of both sets: no error of anything, shown as other tools show it.
        subset_size: vectors of each set in a subset: 1000, or the size of the smaller set where that is less.
        subsets: how many.
    """

    value: float
    error: float
    deviation: float
    subset_size: int
    subsets: int


class _Subset(NamedTuple):
    distance: float
    influence_variance: float  # of the influences of generated vectors, free of the noise of their partners
    pair_variance: float  # of the kernel of two generated vectors, beyond what each of them says alone


def kernel_distance(
    real: Features,
    fake: Features,
    *,
    subsets: int = SUBSETS,
    subset_size: int = SUBSET_SIZE,
    seed: int = SEED,
    tick: Tick = no_tick,
) -> KernelDistance:
    """Return the kernel distance, over the subsets that torch-fidelity draws from the same seed.

    The standard error has no repeats: it is that of a U-statistic (Hoeffding 1948), from the variance of each generated
    vector's influence on a subset's distance and the variance that only pairs have; the latter is what remains where
    both sets have one distribution. The choice of subsets adds its own.

    Args:
        real: float32 or float64 [M, D], M >= 2.
        fake: [N, D], N >= 2, the generated ones (torch-fidelity's first input).
        subsets: how many subsets.
        subset_size: of each set; the size of the smaller set where that is less.
        seed: chooses the subsets.
        tick: called after each subset.

    Returns:
        See `KernelDistance`. Memory: a matrix of subset_size^2 products, and the vectors of a subset.

    Raises:
        DataError: not finite, fewer than 2, or of different lengths.
    """
    check_pair(real, fake, ("real features", "generated features"))
    size = min(subset_size, len(real), len(fake))
    random = np.random.RandomState(seed)
    whole = size == len(real) == len(fake)  # all subsets are the same
    dtype = np.result_type(real, fake)
    room = _Room(size, dtype)
    found = []
    for done in range(1, (1 if whole else subsets) + 1):
        generated = fake[random.choice(len(fake), size, replace=False)].astype(dtype)
        reference = real[random.choice(len(real), size, replace=False)].astype(dtype)
        found.append(_subset(reference, generated, room, share=size / len(real)))
        tick(done, 1 if whole else subsets)
    distances, influences, pairs = (np.array(column) for column in zip(*found, strict=True))
    deviation = float(distances.std())
    count = len(fake)
    variance = max(float(influences.mean()), 0.0) / count
    variance += 2.0 * max(float(pairs.mean()), 0.0) / (count * (count - 1))
    variance += deviation**2 / len(found)
    return KernelDistance(float(distances.mean()), float(np.sqrt(variance)), deviation, size, subsets)


class _Sums(NamedTuple):
    """What is needed of a matrix of kernels K, [N, M]."""

    rows: Floats  # sums, float64 [N]
    columns: Floats  # sums, float64 [M]
    squares: float  # sum of K^2
    diagonal: Floats  # float64 [min(N, M)]


class _Room:
    """The memory that every kernel is computed in: fresh matrices for each cost as much as the product.

    After the product, a band of rows at a time goes through all the rest, while it is in the processor's cache.
    """

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self._product = np.empty((size, size), dtype)
        self._base = np.empty((_BAND_ROWS, size))
        self._cubed = np.empty((_BAND_ROWS, size))

    def sums(self, a: Features, b: Features) -> _Sums:
        """Return sums of (a_i.b_j / D + 1)^3 over [len(a), len(b)]. Of one array with itself: half the product.

        The products have the precision of the features; all else is float64.
        """
        np.matmul(a, b.T, out=self._product)
        rows, columns, diagonal = np.empty(len(a)), np.zeros(len(b)), np.empty(min(len(a), len(b)))
        squares = 0.0
        for start in range(0, len(a), _BAND_ROWS):
            band = slice(start, min(start + _BAND_ROWS, len(a)))
            base, cubed = self._base[: band.stop - start], self._cubed[: band.stop - start]
            np.multiply(self._product[band], 1.0 / a.shape[1], out=base, dtype=np.float64)
            base += 1.0
            np.multiply(base, base, out=cubed)
            cubed *= base
            rows[band] = cubed.sum(axis=1)
            columns += cubed.sum(axis=0)
            squares += float(np.vdot(cubed, cubed))
            diagonal[band] = np.diagonal(cubed, offset=start)
        return _Sums(rows, columns, squares, diagonal)


def _subset(real: Features, fake: Features, room: _Room, share: float) -> _Subset:
    """Return what one subset says; `share` is the part of all real vectors that it has."""
    size = len(real)
    among_real, among_fake, across = room.sums(real, real), room.sums(fake, fake), room.sums(fake, real)
    within = float(among_real.rows.sum() - among_real.diagonal.sum()) / (size * (size - 1))
    rows = (among_fake.rows - among_fake.diagonal) / (size - 1)
    squares = (among_fake.squares - float(among_fake.diagonal @ among_fake.diagonal)) / (size * (size - 1))
    to_real, from_real = across.rows / size, across.columns / size
    distance = within + float(rows.mean()) - 2.0 * float(to_real.mean())
    influence = 4.0 * float((rows - to_real).var(ddof=1))
    if size < 4:
        return _Subset(distance, influence, 0.0)
    corrected = 1.0 - 2.0 / size
    pairs = (squares - float(rows.mean()) ** 2 - 2.0 * float(rows.var(ddof=1))) / corrected
    cross = across.squares / size**2 - float(to_real.mean()) ** 2
    cross -= float(to_real.var(ddof=1)) + float(from_real.var(ddof=1))
    return _Subset(distance, influence - 4.0 * (pairs + (1.0 - share) * cross / corrected) / size, pairs)
