"""One shard, from names to a finished file: the unit of work that a worker does, and skips when it is done.

Plain functions on local paths; no Beam.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from beam_jobs.books import (
    WORK,
    Receipt,
    Rejected,
    ShardProgress,
    failure,
    finished,
    record_failure,
    write_receipt,
)
from beam_jobs.images import Pixels, Reject, flip, prepare_picture, quiet_pillow
from beam_jobs.sources.base import Reader, key_hash
from gan_core.artifacts import sha256_file
from gan_core.config import DataConfig
from gan_core.errors import ArtifactError, FaceloomError
from gan_core.handoff import SPLITS, ImageRef
from gan_core.records import Feature, encode_example, write_record


@dataclass(frozen=True)
class ShardJob:
    """Everything that a worker needs for any shard of one data set; small and picklable."""

    draft: Path
    config: DataConfig
    reader: Reader
    owner: str


def shard_totals(counts: Mapping[str, int], images_per_shard: int) -> dict[str, int]:
    """Return split -> number of shards, ceil(pictures / images_per_shard)."""
    return {split: -(-count // images_per_shard) for split, count in counts.items()}


def shard_of(ref: ImageRef, totals: Mapping[str, int]) -> str:
    """Return the shard that a picture goes to: the SHA-256 of its key, modulo the split's shards."""
    total = totals[ref.split]
    index = int.from_bytes(key_hash(ref.key)[:8], "big") % total
    return f"{ref.split}-{index:05d}-of-{total:05d}.tfrecord"


def split_of(shard: str) -> str:
    """Return the split of a shard's file name."""
    return shard.partition("-")[0]


def shard_order(shard: str) -> tuple[int, str]:
    """Return the sorting key of shards: train, validation, test, then by number."""
    return SPLITS.index(split_of(shard)), shard


def prepare_shard(job: ShardJob, name: str, refs: Iterable[ImageRef]) -> None:
    """Write one whole shard, sorted by key, and its receipt; do nothing where it is finished.

    Errors that would hit every picture are left in `.work/failed` for the launcher: an exception would have a
    runner try four times, and then arrive there as a text.
    """
    if failure(job.draft) is not None or finished(job.draft, name) is not None:
        return
    try:
        _write_shard(job, name, sorted(refs, key=lambda ref: ref.key))
    except FaceloomError as error:
        record_failure(job.draft, name, error)
    except OSError as error:
        message = f"cannot write {job.draft / name}: {error.strerror}; make room and run again, it continues there"
        record_failure(job.draft, name, ArtifactError(message))


def _write_shard(job: ShardJob, name: str, refs: Sequence[ImageRef]) -> None:
    quiet_pillow()
    shard = _OpenShard(job.config)
    progress = ShardProgress(job.draft, name, job.owner)
    partial = job.draft / WORK / f"{name}.{uuid.uuid4().hex}.part"
    try:
        with partial.open("wb") as stream:
            for ref in refs:
                shard.add(stream, ref, job.reader)
                if progress.report(shard.pictures, len(shard.rejects)):
                    return
        partial.replace(job.draft / name)
    finally:
        partial.unlink(missing_ok=True)
    write_receipt(job.draft, shard.receipt(name, job.draft))
    progress.report(shard.pictures, len(shard.rejects), now=True)


class _OpenShard:
    """The records and the account of a shard that is being written."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self.pictures = self.count = self.originals = 0
        self.histogram = np.zeros((config.channels, 256), np.int64)
        self.rejects: list[Rejected] = []

    def add(self, stream: BinaryIO, ref: ImageRef, reader: Reader) -> None:
        """Append the picture's record, and its mirrored copy where the config stores one; or its reject."""
        self.pictures += 1
        try:
            image = prepare_picture(reader.read(ref), self.config)
        except Reject as reject:
            self.rejects.append(Rejected(ref.key, reject.reason, reject.detail))
            return
        for channel, counts in enumerate(self.histogram):
            counts += np.bincount(image[:, :, channel].ravel(), minlength=256)
        self.originals += 1
        copies = (image, flip(image)) if self.config.flip == "store" else (image,)
        for mirrored, copy in enumerate(copies):
            write_record(stream, encode_example(record_features(ref, copy, mirrored=bool(mirrored))))
            self.count += 1

    def receipt(self, name: str, draft: Path) -> Receipt:
        """Return the account; the file must be in place."""
        values = np.arange(256)
        sums, squares = (tuple((self.histogram * values**power).sum(axis=1).tolist()) for power in (1, 2))
        sha256 = sha256_file(draft / name)
        return Receipt(name, self.pictures, self.count, self.originals, sha256, sums, squares, tuple(self.rejects))


def record_features(ref: ImageRef, image: Pixels, *, mirrored: bool) -> dict[str, Feature]:
    """Return the features of one record; data/README.md is their schema. image: uint8 [S, S, C]."""
    return {
        "image": image.tobytes(),
        "shape": image.shape,
        "key": ref.key.encode(),
        "attributes": ref.attributes,
        "identity": (ref.identity,),
        "mirrored": (int(mirrored),),
        "label": (ref.label,),
        "landmarks": landmarks,
        "licence": ref.licence.encode(),
        "author": ref.author.encode(),
    }
