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
        See `KernelDistance`. Memory: three matrices of subset_size^2 float64, and the vectors of a subset.

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


class _Room:
    """The matrices that every kernel is computed in: fresh memory for each costs as much as the product."""

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self._product = np.empty((size, size), dtype)
        self._base = np.empty((size, size))
        self._cubed = np.empty((size, size))

    def kernel(self, a: Features, b: Features) -> Floats:
        """Return (a_i.b_j / D + 1)^3 as [len(a), len(b)], until the next call. Of one array with itself: half the work.

        The products have the precision of the features; all else is float64.
        """
        np.matmul(a, b.T, out=self._product)
        np.multiply(self._product, 1.0 / a.shape[1], out=self._base, dtype=np.float64)
        self._base += 1.0
        np.square(self._base, out=self._cubed)
        self._cubed *= self._base
        return self._cubed


def _subset(real: Features, fake: Features, room: _Room, share: float) -> _Subset:
    """Return what one subset says; `share` is the part of all real vectors that it has."""
    size = len(real)
    kernel = room.kernel(real, real)
    among_real = float(kernel.sum() - np.trace(kernel)) / (size * (size - 1))
    kernel = room.kernel(fake, fake)
    diagonal = np.diagonal(kernel).copy()
    rows = (kernel.sum(axis=1) - diagonal) / (size - 1)
    squares = (float(np.vdot(kernel, kernel)) - float(diagonal @ diagonal)) / (size * (size - 1))
    kernel = room.kernel(fake, real)
    to_real, from_real = kernel.mean(axis=1), kernel.mean(axis=0)
    across_squares = float(np.vdot(kernel, kernel)) / size**2
    distance = among_real + float(rows.mean()) - 2.0 * float(to_real.mean())
    influence = 4.0 * float((rows - to_real).var(ddof=1))
    if size < 4:
        return _Subset(distance, influence, 0.0)
    corrected = 1.0 - 2.0 / size
    pairs = (squares - float(rows.mean()) ** 2 - 2.0 * float(rows.var(ddof=1))) / corrected
    cross = across_squares - float(to_real.mean()) ** 2 - float(to_real.var(ddof=1)) - float(from_real.var(ddof=1))
    return _Subset(distance, influence - 4.0 * (pairs + (1.0 - share) * cross / corrected) / size, pairs)
