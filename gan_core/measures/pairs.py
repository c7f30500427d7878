"""Squared distances between all vectors of two sets, block by block: screened in float32, decided in float64.

One matrix product gives a block, |a|^2 + |b|^2 - 2 a.b, in float32 and about a common centre. Its rounding has a bound;
whatever a comparison could get wrong by it is computed again as a sum of squared differences in float64. So the answers
are those of float64 at the price of float32, equal vectors are at distance 0 exactly, and d(a, b) = d(b, a) to the last
bit. Where so many pairs are within rounding that this would not pay, as in a large collapsed set, a product in float64
decides, and what is 0 up to its rounding is 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gan_core.measures.features import BLOCK_BYTES, Features, Floats, Integers, Tick, no_tick, row_blocks

ROWS, COLUMNS = 4096, 2048  # of a block: 34 MB of float32
_ITSELF = np.float32(1e30)  # the distance of a vector to itself, where that does not count
_LARGEST = np.float32(1e29)
_SMALLEST = np.float32(1e-30)
_DENSE = 1 << 28  # differences to compute again, a second's work; for more, float64 for the whole block is cheaper

Booleans = npt.NDArray[np.bool_]
Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Scale:
    """Where the origin is put, and what is divided by, so that float32 serves for features of any size."""

    centre: Floats
    unit: float

    @classmethod
    def of(cls, first: Features, second: Features) -> _Scale:
        centre = second.mean(axis=0, dtype=np.float64)
        spreads = [0.0]
        for features in (first, second) if first is not second else (second,):
            total = sum(float(np.square(block - centre).sum()) for _, block in row_blocks(features))
            spreads.append(float(np.sqrt(total / len(features))))
        return cls(centre, max(spreads) or 1.0)

    def applied(self, rows: Features) -> tuple[Singles, Singles]:
        """Return the rows in this scale, and their squared lengths."""
        scaled = np.subtract(rows, self.centre, dtype=np.float64)
        scaled /= self.unit
        return scaled.astype(np.float32), np.einsum("nd,nd->n", scaled, scaled).astype(np.float32)


class Block:
    """The distances from some vectors of the first set to some of the second.

    Attributes:
        rows: which vectors of the first set, P of them.
        columns: which of the second, Q of them.
        squared: float32 [P, Q], squared distances up to rounding, over the square of an unknown unit.
    """

    def __init__(
        self,
        rows: slice,
        columns: slice,
        first: Features,
        second: Features,
        scaled: tuple[tuple[Singles, Singles], tuple[Singles, Singles]],
        scale: _Scale,
        itself: bool,
    ) -> None:
        """Multiply. `first` and `second` are these rows and columns as they were given."""
        self.rows, self.columns = rows, columns
        self._first, self._second, self._scale = first, second, scale
        (a, self._row_squares), (b, self._column_squares) = scaled
        # The squared lengths enter as two more dimensions: one product, and no pass over the block.
        ones = np.ones
        left = np.concatenate([a * np.float32(-2), self._row_squares[:, None], ones((len(a), 1), np.float32)], axis=1)
        right = np.concatenate([b, ones((len(b), 1), np.float32), self._column_squares[:, None]], axis=1)
        self.squared: Singles = left @ right.T
        self._itself = np.arange(max(rows.start, columns.start), min(rows.stop, columns.stop)) if itself else None
        if self._itself is not None:
            self.squared[self._itself - rows.start, self._itself - columns.start] = _ITSELF
        self._rounding = np.float32((a.shape[1] + 10) * 2.0**-22)
        self._precise: Floats | None = None

    def in_unit(self, squared: Floats) -> Singles:
        """Return squared distances as `squared` has them."""
        return np.minimum(squared / self._scale.unit**2, _LARGEST).astype(np.float32)

    def within(self, limits: Floats, *, of_rows: bool, strictly: bool = False) -> Booleans:
        """Return which squared distances are at most (strictly: below) the limits: bool [P, Q].

        Args:
            limits: float64 [P] where they are `of_rows`, else [Q]; negative where nothing is.
            of_rows: whose limits they are.
            strictly: without what is equal.
        """
        shape = (-1, 1) if of_rows else (1, -1)
        over = self.squared - self.in_unit(limits).reshape(shape)
        inside = np.asarray(over <= 0)
        i, j = np.nonzero(np.abs(over, out=over) <= self._margin(of_rows).reshape(shape))
        if len(i):
            distances = self.exact(i, j)
            of_pair = limits[i if of_rows else j]
            inside[i, j] = distances < of_pair if strictly else distances <= of_pair
        return inside

    def below(self, limits: Floats) -> tuple[Integers, Integers, Floats]:
        """Return i, j and the exact squared distances of all pairs with distances at most limits [P], i ascending."""
        with_margin = self.in_unit(limits) + self._margin(of_rows=True)
        i, j = np.nonzero(self.squared <= np.minimum(with_margin, _LARGEST)[:, None])
        distances = self.exact(i, j)
        kept = distances <= limits[i]
        return i[kept], j[kept], distances[kept]

    def upper_limit(self, k: int) -> Floats:
        """Return a squared distance [P] within which at least k pairs of a row are; infinite for k > Q."""
        if k > self.squared.shape[1]:
            return np.full(len(self.squared), np.inf)
        found = np.partition(self.squared, k - 1, axis=1)[:, k - 1]
        limits = (np.maximum(found, 0) + self._margin(of_rows=True)).astype(np.float64) * self._scale.unit**2
        return np.where(found >= _LARGEST, np.inf, limits * (1 + 1e-6))

    def exact(self, i: Integers, j: Integers) -> Floats:
        """Return the squared distances of pairs (i, j) of this block in float64."""
        if len(i) * self._first.shape[1] > _DENSE:
            return np.asarray(self._in_double()[i, j])
        found = np.empty(len(i))
        at_once = max(1, BLOCK_BYTES // (32 * self._first.shape[1]))
        for start in range(0, len(i), at_once):
            part = slice(start, start + at_once)
            step = np.subtract(self._first[i[part]], self._second[j[part]], dtype=np.float64)
            found[part] = np.square(step, out=step).sum(axis=1)
        return found

    def _margin(self, of_rows: bool) -> Singles:
        """Return a bound of the rounding of `squared`, for each row or for each column."""
        ours, others = self._row_squares, self._column_squares
        if not of_rows:
            ours, others = others, ours
        return self._rounding * (ours + others.max()) + _SMALLEST

    def _in_double(self) -> Floats:
        if self._precise is None:
            a, b = (rows.astype(np.float64) - self._scale.centre for rows in (self._first, self._second))
            lengths = np.einsum("nd,nd->n", a, a)[:, None] + np.einsum("nd,nd->n", b, b)
            self._precise = lengths - 2.0 * (a @ b.T)
            self._precise[self._precise <= (a.shape[1] + 10) * 2.0**-51 * lengths] = 0.0
        return self._precise


def blocks(first: Features, second: Features, *, itself: bool = False, tick: Tick = no_tick) -> Iterator[Block]:
    """Yield the blocks of all pairs, each row's columns one after the other.

    Memory: about ten blocks of 34 MB, whatever the sizes of the sets.

    Args:
        first: float32 or float64 [N, D], finite.
        second: [M, D].
        itself: both are one set, and a vector is not its own neighbour.
        tick: called after each block.
    """
    scale = _Scale.of(first, second)
    total = -(-len(first) // ROWS) * -(-len(second) // COLUMNS)
    done = 0
    for top in range(0, len(first), ROWS):
        rows = slice(top, min(top + ROWS, len(first)))
        left = scale.applied(first[rows])
        for start in range(0, len(second), COLUMNS):
            columns = slice(start, min(start + COLUMNS, len(second)))
            scaled = (left, scale.applied(second[columns]))
            yield Block(rows, columns, first[rows], second[columns], scaled, scale, itself)
            done += 1
            tick(done, total)
