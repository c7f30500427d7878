"""Which shard a picture belongs to, and what a shard is made from: pure functions of names.

A shard is about `data.shard_mib` large, and its number does not depend on who writes it. When pictures are added to a
source, all others stay in their shards, but for those of one shard that is split for each one that is new (linear
hashing: Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from beam_jobs.names import Names, content_of
from gan_core.config import DataConfig
from gan_core.handoff import SPLITS

# A record's size by its pixels' bytes. Measured on faces at 64 to 256 pixels, where PNG and JPEG vary by a third.
_SIZE_OF_PIXELS = {"uint8": 1.0, "float32": 4.0, "png": 0.65, "jpeg": 0.25}
_BYTES_BESIDE_PIXELS = 450  # key, attributes, landmarks and what frames them
_MIN_PICTURES_OF_MANY = 32  # smaller splits stay whole; larger ones are cut, so that several processes share the work
_MANY = 16


def record_bytes(config: DataConfig) -> float:
    """Return about how many bytes a picture takes in a shard, its mirrored copy included."""
    pixels = config.resolution**2 * config.channels * _SIZE_OF_PIXELS[config.storage]
    return (pixels + _BYTES_BESIDE_PIXELS) * (2 if config.flip == "store" else 1)


def shard_totals(counts: Mapping[str, int], config: DataConfig) -> dict[str, int]:
    """Return split -> number of shards: one for each `data.shard_mib`, and up to 16 for what is smaller."""
    per_shard = config.shard_mib * 2**20 / record_bytes(config)
    return {
        split: max(1, -(-count // max(1, int(per_shard))), min(_MANY, count // _MIN_PICTURES_OF_MANY))
        for split, count in counts.items()
    }


def assign(names: Names, config: DataConfig) -> dict[str, list[bytes]]:
    """Return every shard in reading order -> the lines of its pictures, sorted by key; see `shard_index`."""
    totals = shard_totals(names.counts(), config)
    places: list[list[list[bytes]]] = [[[] for _ in range(totals.get(split, 0))] for split in SPLITS]
    for line, split, number in zip(names.lines, names.splits, names.hashes, strict=True):
        shards = places[split]
        shards[shard_index(number, len(shards))].append(line)
    return {
        shard_name(split, index, len(shards)): lines
        for split, shards in zip(SPLITS, places, strict=True)
        for index, lines in enumerate(shards)
    }


def shard_index(number: int, total: int) -> int:
    """Return which of `total` shards of its split a picture goes to, by linear hashing of its `key_hash`."""
    level = 1 << (total.bit_length() - 1)  # the largest power of two up to `total`
    index = number % (2 * level)
    return index if index < total else index - level


def shard_name(split: str, index: int, total: int) -> str:
    """Return the file name of a shard."""
    return f"{split}-{index:05d}-of-{total:05d}.tfrecord"


def split_of(shard: str) -> str:
    """Return the split of a shard's file name."""
    return shard.partition("-")[0]


def shard_order(shard: str) -> tuple[int, str]:
    """Return the sorting key of shards: train, validation, test, then by number."""
    return SPLITS.index(split_of(shard)), shard


def inputs_digest(recipe: str, lines: Iterable[bytes]) -> str:
    """Return the SHA-256 of everything that determines a shard's bytes: the recipe and its pictures, sorted by key.

    Args:
        recipe: the digest of the config, of the format and of the libraries (`recipe_digest`).
        lines: the shard's pictures, in order.
    """
    digest = hashlib.sha256(recipe.encode() + b"\n")
    for line in lines:
        digest.update(content_of(line))
    return digest.hexdigest()
