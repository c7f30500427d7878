"""Which of many 64-bit hashes are near an earlier one: banding, with bounded memory and no quadratic bucket."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]

_BITS = 64
_CHUNK = 1024
_CACHED_PAIRS = 1 << 15
_PAIRS_AT_ONCE = 1 << 21
_LOOKUP_COST = 16  # comparing one pair that bands have found costs as much as so many in a row
_NONE = np.iinfo(np.int64).max


def first_near(hashes: Hashes, near_bits: int) -> Indices:
    """Return for each hash the index of the first kept one that differs in at most `near_bits` bits.

    Taken in order, a hash is kept where no kept one before it is that near; then the result is its own index. Two
    hashes that differ in at most n bits agree in at least one of n + 1 bands of their bits, so only those that share a
    band are compared; where bands are so narrow or so unevenly filled that this would be more work, all kept ones are.

    Args:
        hashes: uint64 [N], best all different: equal ones are found, and cost more here than in a dict.
        near_bits: 0 to 63.

    Returns:
        int64 [N].
    """
    kept, found = _Kept(near_bits), []
    for start in range(0, len(hashes), _CHUNK):
        chunk = hashes[start : start + _CHUNK]
        nearest = kept.first_near(chunk)
        is_kept = nearest == _NONE
        for top, near in _matrices(chunk, chunk, near_bits):
            # Each is near itself.
            for row in (top + np.flatnonzero(near.sum(axis=1) > 1)).tolist():
                earlier = np.flatnonzero(near[row - top, :row] & is_kept[:row])
                if is_kept[row] and len(earlier):
                    nearest[row], is_kept[row] = start + earlier[0], False
        own = np.arange(start, start + len(chunk), dtype=np.int64)
        kept.add(chunk[is_kept], own[is_kept])
        found.append(np.where(is_kept, own, nearest))
    return np.concatenate(found) if found else np.empty(0, np.int64)


class _Kept:
    """The kept hashes, in order, and for each band their places sorted by its bits."""

    def __init__(self, near_bits: int) -> None:
        self.near_bits = near_bits
        edges = [_BITS * band // (near_bits + 1) for band in range(near_bits + 2)]
        self.bands = [(np.uint64(low), np.uint64((1 << high - low) - 1)) for low, high in itertools.pairwise(edges)]
        self.hashes, self.indices = np.empty(0, np.uint64), np.empty(0, np.int64)
        self.values: list[Hashes] = [np.empty(0, np.uint64) for _ in self.bands]
        self.places: list[Indices] = [np.empty(0, np.int64) for _ in self.bands]

    def add(self, hashes: Hashes, indices: Indices) -> None:
        """Keep these too; `indices` exceed all that are kept already."""
        new_places = np.arange(len(self.hashes), len(self.hashes) + len(hashes), dtype=np.int64)
        for band, values in enumerate(self._values(hashes)):
            order = np.argsort(values, kind="stable")
            at = np.searchsorted(self.values[band], values[order], side="right")
            self.values[band] = np.insert(self.values[band], at, values[order])
            self.places[band] = np.insert(self.places[band], at, new_places[order])
        self.hashes = np.concatenate([self.hashes, hashes])
        self.indices = np.concatenate([self.indices, indices])

    def first_near(self, chunk: Hashes) -> Indices:
        """Return for each hash the index of the first kept one that is near, _NONE where there is none."""
        ranges = [
            (np.searchsorted(kept, values, side="left"), np.searchsorted(kept, values, side="right"))
            for kept, values in zip(self.values, self._values(chunk), strict=True)
        ]
        pairs = sum(int((high - low).sum()) for low, high in ranges)
        if pairs * _LOOKUP_COST > len(chunk) * len(self.hashes):
            return self._among_all(chunk)
        first = np.full(len(chunk), len(self.hashes), np.int64)
        for places, (low, high) in zip(self.places, ranges, strict=True):
            for part in _parts(high - low):
                counts = high[part] - low[part]
                rows = np.repeat(np.arange(part.start, part.stop), counts)
                steps = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
                found = places[low[rows] + steps]
                near = np.bitwise_count(chunk[rows] ^ self.hashes[found]) <= self.near_bits
                np.minimum.at(first, rows[near], found[near])
        return np.append(self.indices, _NONE)[first]

    def _among_all(self, chunk: Hashes) -> Indices:
        result = np.full(len(chunk), _NONE, np.int64)
        for top, near in _matrices(chunk, self.hashes, self.near_bits):
            first = self.indices[near.argmax(axis=1)]
            result[top : top + len(near)] = np.where(near.any(axis=1), first, _NONE)
        return result

    def _values(self, hashes: Hashes) -> list[Hashes]:
        return [hashes >> shift & mask for shift, mask in self.bands]


def _matrices(rows: Hashes, columns: Hashes, near_bits: int) -> Iterator[tuple[int, npt.NDArray[np.bool_]]]:
    """Yield (first row, which columns are near) for blocks of rows that fit into a processor's cache."""
    height = max(1, _CACHED_PAIRS // max(1, len(columns)))
    for top in range(0, len(rows), height):
        yield top, np.bitwise_count(rows[top : top + height, np.newaxis] ^ columns) <= near_bits


def _parts(counts: npt.NDArray[np.int_]) -> Iterator[slice]:
    """Yield slices of `counts` whose sums are about _PAIRS_AT_ONCE at most."""
    ends = np.cumsum(counts)
    start = 0
    while start < len(counts):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + _PAIRS_AT_ONCE, side="right")))
        yield slice(start, stop)
        start = stop
