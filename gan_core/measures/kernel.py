"""Kernel distance between two sets of features: KID, with the published Inception network. Unbiased at any N.

Binkowski et al. 2018, "Demystifying MMD GANs", section 4, arXiv:1801.01401: the unbiased estimate of the squared
maximum mean discrepancy with the kernel (x.y / D + 1)^3, averaged over random subsets.
"""

from __future__ import annotations

from typing import NamedTuple

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
    found = []
    for done in range(1, (1 if whole else subsets) + 1):
        generated = fake[random.choice(len(fake), size, replace=False)].astype(np.float64)
        reference = real[random.choice(len(real), size, replace=False)].astype(np.float64)
        found.append(_subset(reference, generated, share=size / len(real)))
        tick(done, 1 if whole else subsets)
    distances, influences, pairs = (np.array(column) for column in zip(*found, strict=True))
    deviation = float(distances.std())
    count = len(fake)
    variance = max(float(influences.mean()), 0.0) / count
    variance += 2.0 * max(float(pairs.mean()), 0.0) / (count * (count - 1))
    variance += deviation**2 / len(found)
    return KernelDistance(float(distances.mean()), float(np.sqrt(variance)), deviation, size, subsets)


def _subset(real: Floats, fake: Floats, share: float) -> _Subset:
    """Return what one subset says; `share` is the part of all real vectors that it has."""
    size = len(real)
    among_real, among_fake, across = _kernel(real, real), _kernel(fake, fake), _kernel(fake, real)
    real_sum = float(among_real.sum() - np.trace(among_real))
    diagonal = np.diagonal(among_fake)
    rows = (among_fake.sum(axis=1) - diagonal) / (size - 1)
    to_real, from_real = across.mean(axis=1), across.mean(axis=0)
    distance = real_sum / (size * (size - 1)) + float(rows.mean()) - 2.0 * float(across.mean())
    if size < 4:
        return _Subset(distance, float(np.var(2.0 * (rows - to_real), ddof=1)), 0.0)
    squares = (float(np.vdot(among_fake, among_fake)) - float(diagonal @ diagonal)) / (size * (size - 1))
    corrected = 1.0 - 2.0 / size
    pairs = (squares - float(rows.mean()) ** 2 - 2.0 * float(rows.var(ddof=1))) / corrected
    cross = float(np.vdot(across, across)) / size**2 - float(across.mean()) ** 2
    cross = (cross - float(to_real.var(ddof=1)) - float(from_real.var(ddof=1))) / corrected
    influence = 4.0 * float((rows - to_real).var(ddof=1))
    return _Subset(distance, influence - 4.0 * (pairs + (1.0 - share) * cross) / size, pairs)


def _kernel(a: Floats, b: Floats) -> Floats:
    """Return (a_i.b_j / D + 1)^3 as [len(a), len(b)]. Of one array with itself, the product is done by halves."""
    base = a @ b.T
    base /= a.shape[1]
    base += 1.0
    cubed = np.square(base)
    cubed *= base
    return np.asarray(cubed)
