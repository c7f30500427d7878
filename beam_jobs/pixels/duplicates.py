"""Pictures that a data set has already: equal pixels, or nearly the same look; the same on every machine.

The training split gives way: an entry is compared with test pictures first, then validation, then training. A test
picture that is also trained on must go from one of the two, and the sets that scores are measured on should stay those
that were published. Within a split the smaller key is kept.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from beam_jobs.pixels.filters import Pixels, luminance
from beam_jobs.pixels.near import first_near

KEPT_FIRST = ("test", "validation", "train")

_HASH_SIDE, _COEFFICIENTS = 32, 8
# DCT-II, rounded to 14 bits so that all that follows is exact integer arithmetic.
_COSINES = np.array(
    [
        [round(2**14 * math.cos(math.pi * (2 * x + 1) * u / (2 * _HASH_SIDE))) for x in range(_HASH_SIDE)]
        for u in range(_COEFFICIENTS)
    ],
    np.int64,
)


@dataclass(frozen=True)
class Entry:
    """One prepared picture: `pixels` is its `pixel_hash`, `look` its `perceptual_hash`."""

    key: str
    split: str
    pixels: str
    look: int


class Duplicate(NamedTuple):
    """Why an entry is not kept: `reason` is `duplicate` or `near-duplicate`, `detail` names the one that is."""

    reason: str
    detail: str


def pixel_hash(pixels: Pixels) -> str:
    """Return the SHA-256 of shape and pixels, hexadecimal. uint8 [H, W, C]."""
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def perceptual_hash(pixels: Pixels) -> int:
    """Return 64 bits that change little when a picture does: pHash. uint8 [H, W, 1 or 3] -> 0 to 2**64 - 1.

    Luminance, resized to 32x32, DCT-II, the 8x8 coefficients of the lowest frequencies; a bit is set where a
    coefficient exceeds the median of the 64, row by row, the first one highest. C. Zauner, "Implementation and
    benchmarking of perceptual image hash functions", 2010; `imagehash.phash` in Python. Unlike there, the size is
    changed by the mean over boxes, and cosines are integers of 14 bits.
    """
    small = Image.fromarray(luminance(pixels)).resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX)
    coefficients = (_COSINES @ np.asarray(small).astype(np.int64) @ _COSINES.T).ravel()
    ordered = np.sort(coefficients)
    middle = len(ordered) // 2
    bits = 2 * coefficients > ordered[middle - 1] + ordered[middle]
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def find_duplicates(entries: Sequence[Entry], near_bits: int | None) -> dict[str, Duplicate]:
    """Return key -> why it is not kept, for every entry that repeats one that is kept.

    Entries are taken in the order of KEPT_FIRST, then by key, whatever the order of `entries`. One is `duplicate` if
    a kept entry has its pixels, else `near-duplicate` if the look of a kept entry differs in at most `near_bits` bits;
    the detail names the first such entry. Chains do not grow: nobody is refused for looking like a refused one.

    Args:
        entries: with unique keys.
        near_bits: None asks for equal pixels only.
    """
    ordered = sorted(entries, key=lambda entry: (KEPT_FIRST.index(entry.split), entry.key))
    first_with: dict[str, Entry] = {}
    for entry in ordered:
        first_with.setdefault(entry.pixels, entry)
    firsts = list(first_with.values())
    near = {} if near_bits is None else _near_duplicates(firsts, near_bits)
    found = {}
    for entry in ordered:
        first = first_with[entry.pixels]
        if first.key in near:
            found[entry.key] = near[first.key]
        elif first is not entry:
            found[entry.key] = Duplicate("duplicate", f"the same pixels as {first.key} ({first.split})")
    return found


def _near_duplicates(firsts: Sequence[Entry], near_bits: int) -> dict[str, Duplicate]:
    """Return key -> reject among entries in order, with different pixels."""
    first_look: dict[int, Entry] = {}
    for entry in firsts:
        first_look.setdefault(entry.look, entry)
    kept = list(first_look.values())
    looks = list(first_look)
    nearest = first_near(np.array(looks, np.uint64), near_bits)
    kept_for = {look: kept[index] for look, index in zip(looks, nearest.tolist(), strict=True)}
    found = {}
    for entry in firsts:
        original = kept_for[entry.look]
        if original is not entry:
            bits = (original.look ^ entry.look).bit_count()
            detail = f"{bits} of 64 bits differ from {original.key} ({original.split})"
            found[entry.key] = Duplicate("near-duplicate", detail)
    return found
