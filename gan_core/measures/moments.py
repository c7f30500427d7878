"""Mean and covariance of features, in float64 and in one pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gan_core.errors import DataError
from gan_core.measures.features import Features, Floats, check_features, row_blocks


@dataclass(frozen=True, eq=False)
class Moments:
    """The first two moments of N feature vectors, all that a Frechet distance needs of a set.

    Attributes:
        count: N, at least 2.
        mean: float64 [D].
        covariance: float64 [D, D], unbiased (divided by N - 1), symmetric.
        factor: float64 [R, D] with factor^T factor = covariance, where it is known: the centred vectors over the
            root of N - 1 while they are fewer than D.
    """

    count: int
    mean: Floats
    covariance: Floats
    factor: Floats | None = None

    def factored(self) -> Floats:
        """Return F, float64 [R, D] with F^T F = covariance and R at most the rank that N vectors can have.

        A Cholesky factor where the covariance is positive definite. Else from its eigenvectors, without those that
        are rounding: beyond N - 1, or below D x 2.2e-16 of the largest. A covariance that is 0 gives one row of 0.
        """
        if self.factor is not None:
            return self.factor
        dimensions = len(self.mean)
        if self.count > dimensions:
            try:
                return np.asarray(np.linalg.cholesky(self.covariance, upper=True), np.float64)
            except np.linalg.LinAlgError:
                pass
        values, vectors = np.linalg.eigh(self.covariance)
        rank = min(self.count - 1, dimensions)
        values, vectors = values[-rank:], vectors[:, -rank:]
        kept = values > dimensions * np.finfo(np.float64).eps * max(values[-1], 0.0)
        if not kept.any():
            return np.zeros((1, dimensions))
        return np.ascontiguousarray((vectors[:, kept] * np.sqrt(values[kept])).T)


class MomentSums:
    """Moments of features that come in parts. Memory: two matrices [D, D] of float64, and a block.

    Parts are centred before they are squared and joined by Chan et al. 1983, "Algorithms for computing the sample
    variance", equation 2.1: a mean far from 0 costs no digits.
    """

    def __init__(self, dimensions: int) -> None:
        """Begin with no vectors of length `dimensions`."""
        self._count = 0
        self._mean = np.zeros(dimensions)
        self._squares = np.zeros((dimensions, dimensions))

    def add(self, features: Features) -> None:
        """Add float32 or float64 [N, D]. Raises DataError for other forms and for what is not finite."""
        check_features(features, "features", at_least=0)
        if features.shape[1] != len(self._mean):
            raise DataError(f"features must have {len(self._mean)} dimensions like those before, got {features.shape}")
        for _, block in row_blocks(features):
            mean = block.mean(axis=0, dtype=np.float64)
            centred = np.subtract(block, mean, dtype=np.float64)
            if not self._count:
                self._count, self._mean, self._squares = len(block), mean, centred.T @ centred
                continue
            step = mean - self._mean
            total = self._count + len(block)
            self._squares += centred.T @ centred
            self._squares += np.outer(step, step * (self._count * len(block) / total))
            self._mean += step * (len(block) / total)
            self._count = total

    def moments(self) -> Moments:
        """Return the moments so far. Raises DataError for fewer than two vectors."""
        if self._count < 2:
            raise DataError(f"a covariance needs at least 2 feature vectors, got {self._count}")
        return Moments(self._count, self._mean.copy(), self._squares / (self._count - 1))


def moments_of(features: Features) -> Moments:
    """Return the moments of float32 or float64 [N, D], N >= 2. Raises DataError for other forms or values."""
    check_features(features, "features")
    count, dimensions = features.shape
    if count > dimensions:
        sums = MomentSums(dimensions)
        sums.add(features)
        return sums.moments()
    mean = features.mean(axis=0, dtype=np.float64)
    factor = np.subtract(features, mean, dtype=np.float64) / np.sqrt(count - 1)
    return Moments(count, mean, factor.T @ factor, factor)
