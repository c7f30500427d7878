"""The nearest vectors of one set to each vector of another, with exact distances."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gan_core.errors import DataError
from gan_core.measures.features import Features, Floats, Integers, Tick, check_pair, no_tick
from gan_core.measures.pairs import Block, blocks


class Nearest(NamedTuple):
    """The k nearest of each of N vectors, nearest first; of equal ones that with the lower index.

    Attributes:
        indices: int64 [N, k].
        distances: float64 [N, k], Euclidean; of equal vectors exactly 0.
    """

    indices: Integers
    distances: Floats


class NearestSoFar:
    """Keeps the k nearest of N vectors while blocks of distances go by."""

    def __init__(self, count: int, k: int) -> None:
        """Begin with none."""
        self._k = k
        self.indices = np.full((count, k), -1, np.int64)
        self.squared = np.full((count, k), np.inf)

    def add(self, block: Block) -> None:
        """Look at a block. The columns of a row must come in their order."""
        mine, squared = self.indices[block.rows], self.squared[block.rows]
        limits = squared[:, -1]
        if np.isinf(limits).any():
            limits = np.minimum(limits, block.upper_limit(self._k))
        i, j, found = block.below(limits)
        if not len(i):
            return
        counts = np.bincount(i, minlength=len(mine))
        place = np.arange(len(i)) - np.repeat(np.cumsum(counts) - counts, counts)
        width = self._k + int(counts.max())
        for start in range(0, len(mine), 256):  # rows with many pairs make a wide table: a few rows at a time
            low, high = np.searchsorted(i, [start, start + 256])
            part = slice(start, min(start + 256, len(mine)))
            table = np.full((part.stop - start, width), np.inf)
            names = np.full(table.shape, -1, np.int64)
            table[:, : self._k], names[:, : self._k] = squared[part], mine[part]
            to = (i[low:high] - start, self._k + place[low:high])
            table[to], names[to] = found[low:high], block.columns.start + j[low:high]
            order = np.argsort(table, axis=1, kind="stable")[:, : self._k]
            squared[part], mine[part] = np.take_along_axis(table, order, 1), np.take_along_axis(names, order, 1)

    def result(self) -> Nearest:
        """Return what was found."""
        return Nearest(self.indices, np.sqrt(self.squared))


def nearest(
    queries: Features,
    base: Features,
    k: int = 1,
    *,
    itself: bool = False,
    tick: Tick = no_tick,
) -> Nearest:
    """Return the k vectors of `base` nearest to each of `queries`.

    Args:
        queries: float32 or float64 [N, D].
        base: [M, D].
        k: at most M, and M - 1 with `itself`.
        itself: both are one set, and a vector is not its own neighbour; copies of it are.
        tick: called after each block.

    Raises:
        DataError: not finite, of different lengths, or fewer than k to choose from.
    """
    check_pair(queries, base, ("queries", "features"), at_least=1)
    available = len(base) - itself
    if not 1 <= k <= available:
        raise DataError(f"{k} nearest neighbours were asked for, and there are {available}")
    found = NearestSoFar(len(queries), k)
    for block in blocks(queries, base, itself=itself, tick=tick):
        found.add(block)
    return found.result()
