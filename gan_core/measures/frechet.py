"""Frechet distance between two sets of features (FID, with the published Inception network) and its limit.

Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule", equation 6, arXiv:1706.08500:
|m_a - m_b|^2 + tr(A) + tr(B) - 2 tr((A B)^1/2), A and B the covariances.

With A = F^T F and B = G^T G the eigenvalues of A B are those of (F G^T)(F G^T)^T, a symmetric matrix of the size of the
smaller set: real, not negative, at a tenth of the cost of the root of A B, and of sets with fewer vectors than
dimensions only as many as there are vectors. Those beyond the known rank are rounding and left out.

For few vectors the distance is too large, by about a constant / N that differs between generators: `frechet_infinity`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gan_core.errors import DataError
from gan_core.measures.features import Estimate, Features, Floats, Tick, check_features, no_tick, row_blocks
from gan_core.measures.moments import Moments, moments_of

SIZES = 15  # points of the line, as in Chong & Forsyth
_SMALLEST_SHARE = 10  # they go from 5,000 to 50,000


class FrechetInfinity(NamedTuple):
    """The Frechet distance of infinitely many generated pictures.

    Attributes:
        value: where the line reaches 1/N = 0. Can be below 0 by its error.
        error: one standard error of `value`: that of the distance itself, and that of the line.
        fit_error: the part of the line, from how far the points are from it.
        sizes: N of each point.
        distances: the distance at each size.
    """

    value: float
    error: float
    fit_error: float
    sizes: tuple[int, ...]
    distances: tuple[float, ...]


class FrechetReference:
    """Distances to one set, many times: its covariance is factored once."""

    def __init__(self, moments: Moments) -> None:
        """Take the moments of the real features."""
        self.moments = moments
        self._factor = moments.factored()
        self._trace = float(np.trace(moments.covariance))

    def distance(self, other: Moments) -> float:
        """Return the squared Frechet distance to a set with these moments, at least 0; the same unit as features^2.

        Raises:
            DataError: the features have another length.
        """
        factor = self._factor_of(other)
        product = factor @ self._factor.T
        gram = product @ product.T if product.shape[0] <= product.shape[1] else product.T @ product
        rank = min(self.moments.count - 1, other.count - 1, len(gram))
        overlap = np.sqrt(np.maximum(np.linalg.eigvalsh(gram)[-rank:], 0.0)).sum()
        return self._from_overlap(other, float(overlap))

    def estimate(self, features: Features) -> Estimate:
        """Return the distance of generated features [N, D], with its standard error.

        The error is the deviation of each vector's influence on the distance over the root of N (the infinitesimal
        jackknife, Efron 1981): with T the optimal transport map from the generated to the real Gaussian, vector x,
        centred, has the influence 2 x.(m - m_real) + x.x - x.(T x). One decomposition more, no repeats. A bootstrap
        would be wrong here: its repeated vectors shrink the covariance, which adds a bias of the size of FID's own.

        The error is that of the distance at this N, bias included, not of how far it is from the limit. Against the
        spread of independent sets (N = 200 to 2000, D = 64 and 256) it is right to a fifth, and up to a third too large
        where both sets have one distribution and the distance is nothing but bias.

        Raises:
            DataError: not finite, fewer than 2, or of another length.
        """
        moments = moments_of(features)
        factor = self._factor_of(moments)
        product = factor @ self._factor.T
        values, vectors = np.linalg.eigh(product @ product.T)
        rank = min(self.moments.count - 1, moments.count - 1, len(values))
        roots, vectors = np.sqrt(np.maximum(values[-rank:], 0.0)), vectors[:, -rank:]
        distance = self._from_overlap(moments, float(roots.sum()))
        inverse = np.linalg.inv(factor) if factor.shape[0] == factor.shape[1] else np.linalg.pinv(factor)
        onto = inverse @ vectors
        shift = 2.0 * (moments.mean - self.moments.mean)
        influences = []
        for _, block in row_blocks(features):
            centred = np.subtract(block, moments.mean, dtype=np.float64)
            transported = np.square(centred @ onto) @ roots
            influences.append(centred @ shift + np.einsum("nd,nd->n", centred, centred) - transported)
        deviation = float(np.std(np.concatenate(influences), ddof=1))
        return Estimate(distance, deviation / float(np.sqrt(moments.count)))

    def _factor_of(self, other: Moments) -> Floats:
        if other.mean.shape != self.moments.mean.shape:
            raise DataError(
                "a Frechet distance needs features of one extractor, "
                f"got vectors of {len(self.moments.mean)} and {len(other.mean)}"
            )
        return other.factored()

    def _from_overlap(self, other: Moments, overlap: float) -> float:
        step = self.moments.mean - other.mean
        return max(0.0, float(step @ step) + self._trace + float(np.trace(other.covariance)) - 2.0 * overlap)


def frechet_distance(a: Moments, b: Moments) -> float:
    """Return the squared Frechet distance between two sets, at least 0; equals FID for published features.

    Raises:
        DataError: the features have different lengths.
    """
    return FrechetReference(a).distance(b)


def frechet_infinity(
    reference: FrechetReference,
    features: Features,
    *,
    seed: int = 0,
    error: float = 0.0,
    tick: Tick = no_tick,
) -> FrechetInfinity:
    """Return the distance extrapolated to infinitely many generated pictures; the real set stays as it is.

    Chong & Forsyth 2020, "Effectively Unbiased FID and Inception Score", section 4, arXiv:1911.07023: a straight line
    through the distances of random subsets over 1/N, at 15 sizes in equal steps up to N. They begin at N / 10; here at
    2 D where that is more, as the line is bent below, but at N / 2 at most. With N below about 4 D the result is
    between the distance and its limit, not at the limit.

    Args:
        reference: the real set.
        features: of the generated set, [N, D], N >= 4.
        seed: chooses the subsets.
        error: of the distance at N, as `FrechetReference.estimate` gives it; becomes a part of the result's.
        tick: called after each size.

    Raises:
        DataError: not finite, fewer than 4, or of another length.
    """
    check_features(features, "generated features", at_least=4)
    sizes = subset_sizes(*features.shape)
    random = np.random.default_rng(seed)
    distances = []
    for done, size in enumerate(sizes, start=1):
        chosen = random.choice(len(features), size, replace=False)
        distances.append(reference.distance(moments_of(features[np.sort(chosen)])))
        tick(done, len(sizes))
    limit, fit_error = _intercept(1.0 / np.array(sizes), np.array(distances))
    return FrechetInfinity(limit, float(np.hypot(error, fit_error)), fit_error, tuple(sizes), tuple(distances))


def subset_sizes(count: int, dimensions: int) -> list[int]:
    """Return the sizes of the subsets for N vectors of length D, ascending, N last: 15, or fewer where N is small."""
    smallest = max(2, count // _SMALLEST_SHARE, min(count // 2, 2 * dimensions))
    return sorted({int(size) for size in np.linspace(smallest, count, SIZES)})


def _intercept(x: Floats, y: Floats) -> tuple[float, float]:
    """Return where the least-squares line through at least three points meets x = 0, and its standard error."""
    centred = x - x.mean()
    squares = float(centred @ centred)
    slope = float(centred @ y) / squares
    limit = float(y.mean()) - slope * float(x.mean())
    rest = y - limit - slope * x
    variance = float(rest @ rest) / (len(x) - 2) if len(x) > 2 else 0.0
    return limit, float(np.sqrt(variance * (1.0 / len(x) + float(x.mean()) ** 2 / squares)))
