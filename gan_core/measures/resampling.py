"""Standard errors over the sampling of a generated set, for measures that no formula has one for.

A bootstrap draws vectors twice. For recall, coverage and Frechet distances that is wrong: a copy is its own neighbour
and shrinks the covariance, which moves a measure more than its error is. Here the set is parted at random instead:
disjoint parts are independent sets of the generator, and the variance between them is an unbiased estimate of the
measure's variance at the size of a part. It is extrapolated to the whole set along a straight line, or for coverage a
parabola, of log variance over log size, from halves, quarters and eighths: so a measure whose variance falls as 1/N, as
1/N^2 (a distance of nearly 0), or faster (coverage near 1) gets its own. Cf. the delete-d jackknife, Shao & Wu 1989,
which takes 1/N for granted.

The estimate has an error itself, of a quarter to a third at 20 repeats; with more it stays at a fifth, as all repeats
part one set.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gan_core.errors import DataError
from gan_core.measures.features import Floats, Integers
from gan_core.measures.nearest import Nearest
from gan_core.measures.pairs import Block, Booleans

REPEATS = 20
_HALVES, _QUARTERS, _EIGHTHS = 2, 4, 8
_COVERAGE_TIMES = 4  # as many repeats for coverage: its parabola needs them, and they cost one product of matrices


def standard_error(
    measure: Callable[[Integers], float],
    count: int,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
) -> float:
    """Return one standard error of any measure of a set of N vectors, by its values on halves and quarters of it.

    Args:
        measure: of a part, given the numbers of its vectors: int64 [N / 2] and [N / 4], ascending.
        count: N, at least 8: quarters of two vectors.
        repeats: how often the set is parted; 6 calls of `measure` each.
        seed: chooses the parts.

    Raises:
        DataError: fewer than 8 vectors.
    """
    if count < 2 * _QUARTERS:
        raise DataError(f"a standard error by parts needs at least {2 * _QUARTERS} generated pictures, got {count}")
    quarters = parts(count, _QUARTERS, repeats, seed)
    values: dict[int, list[list[float]]] = {_HALVES: [], _QUARTERS: []}
    for labels in quarters:
        for number, found in values.items():
            own = labels * number // _QUARTERS
            found.append([measure(np.flatnonzero(own == part)) for part in range(number)])
    return extrapolated({number: np.array(found) for number, found in values.items()})


def parts(count: int, number: int, repeats: int, seed: int) -> Integers:
    """Return the part that each vector is in, 0 to number - 1, of equal sizes to one vector: int64 [repeats, N]."""
    random = np.random.default_rng(seed)
    even = np.arange(count) * number // count
    return np.array([random.permutation(even) for _ in range(repeats)], np.int64).reshape(repeats, count)


def extrapolated(values: dict[int, Floats]) -> float:
    """Return the standard error of the whole set from values of its parts: number of parts -> [repeats, parts].

    The numbers are 2 and 4 for a line, or 2, 4 and 8 for a parabola. 0 where no halves differ, and that of halves
    over the root of 2, as for a mean, where only smaller parts do not.
    """
    variances = {number: float(found.var(axis=1, ddof=1).mean()) for number, found in values.items()}
    halves, quarters = variances[_HALVES], variances[_QUARTERS]
    if halves <= 0.0:
        return 0.0
    if quarters <= 0.0 or variances.get(_EIGHTHS, 1.0) <= 0.0:
        return float(np.sqrt(halves / 2.0))
    variance = halves**2 / quarters
    if _EIGHTHS in variances:
        variance *= halves * variances[_EIGHTHS] / quarters**2
    return float(np.sqrt(variance))


class CoverageError:
    """The standard error of coverage: which real balls each eighth of the generated set reaches."""

    def __init__(self, fake_count: int, real_count: int, repeats: int, seed: int) -> None:
        """Part the generated set, four times `repeats` times. Memory: 32 x repeats x (N + M) bytes."""
        enough = _COVERAGE_TIMES * repeats if fake_count >= 2 * _EIGHTHS else 0
        labels = parts(fake_count, _EIGHTHS, enough, seed)
        self._members = (labels[:, None] == np.arange(_EIGHTHS)[:, None]).reshape(enough * _EIGHTHS, fake_count)
        self._reached = np.zeros((enough * _EIGHTHS, real_count), np.bool_)

    def add(self, block: Block, inside: Booleans) -> None:
        """Count a block: `inside` says which generated vectors are in which real balls, bool [P, Q]."""
        if len(self._members):
            counts = self._members[:, block.rows].astype(np.float32) @ inside.astype(np.float32)
            self._reached[:, block.columns] |= counts > 0.5

    def error(self) -> float:
        """Return the standard error; 0 without repeats."""
        if not len(self._members):
            return 0.0
        values = {}
        for number in (_HALVES, _QUARTERS, _EIGHTHS):
            reached = self._reached.reshape(-1, number, _EIGHTHS // number, self._reached.shape[1])
            values[number] = reached.any(axis=2).mean(axis=2)
        return extrapolated(values)


class RecallError:
    """The standard error of recall: which real vectors halves and quarters of the generated set recall."""

    def __init__(self, neighbours: Nearest, real_count: int, k: int, repeats: int, seed: int) -> None:
        """Find the balls of each part from the nearest neighbours within the whole generated set.

        The k-th neighbour within a quarter is nearly always among the 32 nearest of the whole; else the last is taken.
        """
        count = len(neighbours.indices)
        enough = repeats if count >= 2 * _QUARTERS else 0
        self._quarters = parts(count, _QUARTERS, enough, seed)
        self._recalled = {n: np.zeros((enough, n, real_count), np.bool_) for n in (_HALVES, _QUARTERS)}
        self._radii = {n: np.empty((enough, count), np.float32) for n in self._recalled}
        for number, radii in self._radii.items():
            for labels, found in zip(self._quarters * number // _QUARTERS, radii, strict=True):
                order = np.cumsum(labels[neighbours.indices] == labels[:, None], axis=1)
                place = np.argmax(order >= k, axis=1)
                place[order[:, -1] < k] = neighbours.indices.shape[1] - 1
                found[:] = np.take_along_axis(neighbours.distances, place[:, None], axis=1)[:, 0]

    def add(self, block: Block) -> None:
        """Look at a block [generated, real]."""
        for number, recalled in self._recalled.items():
            for repeat, labels in enumerate(self._quarters[:, block.rows] * number // _QUARTERS):
                limits = block.in_unit(np.square(self._radii[number][repeat, block.rows], dtype=np.float64))
                for part in range(number):
                    mine = np.flatnonzero(labels == part)
                    inside = block.squared[mine] <= limits[mine, None]
                    recalled[repeat, part, block.columns] |= inside.any(axis=0)

    def error(self) -> float:
        """Return the standard error; 0 without repeats."""
        if not len(self._quarters):
            return 0.0
        return extrapolated({number: recalled.mean(axis=2) for number, recalled in self._recalled.items()})
