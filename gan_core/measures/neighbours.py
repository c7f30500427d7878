"""Measures by balls around feature vectors that reach to the k-th neighbour, and by nearest neighbours.

Precision and recall: Kynkaanniemi et al. 2019, "Improved Precision and Recall Metric for Assessing Generative Models",
section 3, arXiv:1904.06991; the realism of a picture: equation 3 there. Density and coverage: Naeem et al. 2020,
"Reliable Fidelity and Diversity Metrics for Generative Models", section 3, arXiv:2002.09797. Authenticity: Alaa et al.
2022, "How Faithful is your Synthetic Data?", section 3.3, arXiv:2102.08921, in the form of dgm-eval (AuthPct / 100).

On the surface of a ball counts as inside for precision and recall, as in torch-fidelity, and as outside for density and
coverage, as in prdc: that matters for copies only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gan_core.measures.features import Estimate, Features, Floats, Tick, check_features, check_pair, no_tick
from gan_core.measures.nearest import Nearest, NearestSoFar, nearest
from gan_core.measures.pairs import Block, blocks
from gan_core.measures.resampling import CoverageError, RecallError

PRECISION_K = 3
DENSITY_K = 5
_REACH = 32  # neighbours that are kept of a generated vector: parts of the set find theirs among them


class Manifold:
    """Features with a ball around each, to its k-th neighbour: the real side, made once and compared often.

    Attributes:
        features: float32 or float64 [N, D], as given.
        neighbours: the nearest of each in the set itself, at least DENSITY_K of them where there are as many.
    """

    def __init__(self, features: Features, *, reach: int = DENSITY_K, tick: Tick = no_tick) -> None:
        """Find the neighbours. Raises DataError for features that are not finite, or fewer than 2.

        Args:
            features: [N, D], N >= 2.
            reach: how many neighbours of each to keep; N - 1 where that is less.
            tick: called after each block of distances.
        """
        check_features(features, "features")
        self.features = features
        self.neighbours = nearest(features, features, min(reach, len(features) - 1), itself=True, tick=tick)

    def squared_radii(self, k: int) -> Floats:
        """Return the squared distances to the k-th neighbours, float64 [N]; to the last kept where k is more."""
        return np.square(self.neighbours.distances[:, min(k, self.neighbours.distances.shape[1]) - 1])


class Comparison(NamedTuple):
    """What the balls and neighbours say of a generated set, each with one standard error.

    Attributes:
        precision: share of generated vectors inside a ball of a real one, in [0, 1].
        recall: share of real vectors inside a ball of a generated one.
        density: mean number of real balls that a generated vector is in, over k; 1 for real data, and may be more.
        coverage: share of real balls with a generated vector inside, in [0, 1]; near 1 for real data at N = M.
        authenticity: share of generated vectors that are not nearer to a real one than its own nearest neighbour in
            the real set is. About a half for real data: 1 minus it is the memorised share only beyond the floor's.
        realism: float64 [N], of each generated vector: above 1 inside a ball of the smaller half of the real ones.
            `inf` for a copy of a real vector.
        nearest: the real neighbours of each generated vector.
    """

    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    authenticity: Estimate
    realism: Floats
    nearest: Nearest


def compare(
    real: Manifold,
    fake: Features,
    *,
    precision_k: int = PRECISION_K,
    density_k: int = DENSITY_K,
    nearest_k: int = 1,
    repeats: int = 20,
    seed: int = 0,
    tick: Tick = no_tick,
) -> Comparison:
    """Return all measures by neighbours of a generated set in one pass over its distances to the real one.

    Errors: the deviation of a mean for precision, density and authenticity; by parts of the generated set for recall
    and coverage, see `resampling`. Cost: N^2 + N M distances, and for the errors of recall and coverage some 40 passes
    of comparisons over the latter and a product of matrices with 640 rows: as much again at D = 2048.

    Args:
        real: the real side; its `reach` must be at least both k.
        fake: float32 or float64 [N, D], N >= 2.
        precision_k: neighbours of precision and recall; N - 1 where there are fewer.
        density_k: of density and coverage.
        nearest_k: how many real neighbours to return.
        repeats: random partings for the errors of recall and coverage; with 0 both errors are 0, and free.
        seed: chooses the partings.
        tick: called after each block of distances.

    Raises:
        DataError: not finite, fewer than 2, of another length, or fewer real ones than `nearest_k`.
    """
    check_pair(real.features, fake, ("real features", "generated features"))
    own = Manifold(fake, reach=_REACH if repeats else precision_k, tick=tick)
    sums = _Sums(real, own, precision_k, density_k, min(nearest_k, len(real.features)))
    recall_error = RecallError(own.neighbours, len(real.features), precision_k, repeats, seed)
    coverage_error = CoverageError(len(fake), len(real.features), repeats, seed)
    for block in blocks(fake, real.features, tick=tick):
        inside_dense = sums.add(block)
        recall_error.add(block)
        coverage_error.add(block, inside_dense)
    found = sums.nearest.result()
    closest, distances = found.indices[:, 0], found.distances[:, 0]
    authentic = real.neighbours.distances[closest, 0] < distances
    return Comparison(
        precision=_mean(sums.is_precise),
        recall=Estimate(float(sums.is_recalled.mean()), recall_error.error()),
        density=_mean(sums.balls / density_k),
        coverage=Estimate(float(sums.is_covered.mean()), coverage_error.error()),
        authenticity=_mean(authentic),
        realism=np.sqrt(sums.squared_realism),
        nearest=found,
    )


class _Sums:
    """What is counted while blocks [generated, real] go by."""

    def __init__(self, real: Manifold, fake: Manifold, precision_k: int, density_k: int, nearest_k: int) -> None:
        self._radii, self._dense_radii = real.squared_radii(precision_k), real.squared_radii(density_k)
        self._own_radii = fake.squared_radii(precision_k)
        self._is_small = self._radii <= np.median(self._radii)
        count = len(self._own_radii)
        self.is_precise = np.zeros(count, np.bool_)
        self.balls = np.zeros(count)
        self.squared_realism = np.zeros(count)
        self.is_recalled = np.zeros(len(self._radii), np.bool_)
        self.is_covered = np.zeros(len(self._radii), np.bool_)
        self.nearest = NearestSoFar(count, nearest_k)

    def add(self, block: Block) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Count a block, and return which generated vectors are in which of density's balls: bool [P, Q]."""
        rows, columns = block.rows, block.columns
        inside = block.within(self._radii[columns], of_rows=False)
        self.is_precise[rows] |= inside.any(axis=1)
        recalled = block.within(self._own_radii[rows], of_rows=True)
        self.is_recalled[columns] |= recalled.any(axis=0)
        dense = block.within(self._dense_radii[columns], of_rows=False, strictly=True)
        self.balls[rows] += dense.sum(axis=1)
        self.is_covered[columns] |= dense.any(axis=0)
        self.nearest.add(block)
        self._judge(block)
        return dense

    def _judge(self, block: Block) -> None:
        """Raise the realism to the largest radius / distance in this block: of the pair that float32 finds, exactly."""
        small = np.flatnonzero(self._is_small[block.columns])
        if not len(small):
            return
        radii = self._radii[block.columns][small]
        weights = 1.0 / np.maximum(block.in_unit(radii), np.float32(1e-20))
        chosen = np.argmin(block.squared[:, small] * weights, axis=1)
        i = np.arange(len(chosen))
        distances = block.exact(i, small[chosen])
        ratios = np.full(len(i), np.inf)
        np.divide(radii[chosen], distances, out=ratios, where=distances > 0.0)
        self.squared_realism[block.rows] = np.maximum(self.squared_realism[block.rows], ratios)


def _mean(values: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Estimate:
    """Return the mean over generated vectors, each of which counts by itself, and its standard error."""
    values = values.astype(np.float64)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))))
