"""Shards of earlier data sets that a new one would make again, bit for bit: they are taken over.

A shard's receipt is published with its data set (`shards.jsonl`) and says what the shard was made from. When pictures
are added to a source, only the shards that they belong to are prepared.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from beam_jobs.books import Receipt, ShardProgress, write_receipt
from beam_jobs.pixels.decoding import TRANSIENT_REASONS
from beam_jobs.shard_writer import ShardJob, waits_for_statistics
from beam_jobs.shards import inputs_digest
from gan_core.artifacts import MANIFEST, sha256_file
from gan_core.object_store import objects as stores
from gan_core.paths import is_remote

SHARDS = "shards.jsonl"


@dataclass(frozen=True)
class Known:
    """A shard of a published data set."""

    folder: Path
    receipt: Receipt


def adopt(job: ShardJob, assigned: Mapping[str, Sequence[bytes]], data_sets: Iterable[Path]) -> int:
    """Take over every shard of `assigned` that one of `data_sets` has and that verifies; return how many.

    Args:
        job: the new data set.
        assigned: shard -> the lines of its pictures.
        data_sets: folders of published data sets; others are skipped.
    """
    # float32 pixels by mean and deviation depend on all pictures of their data set.
    known = {} if waits_for_statistics(job.config) else {one.receipt.inputs: one for one in _published(data_sets)}
    taken = 0
    for name, lines in assigned.items() if known else ():
        one = known.get(inputs_digest(job.recipe, lines))
        if one is None or not _take(one, job.draft / name):
            continue
        receipt = replace(one.receipt, name=name)
        write_receipt(job.draft, receipt)
        ShardProgress(job.draft, name, job.owner).report(receipt.pictures, len(receipt.rejects), now=True)
        taken += 1
    return taken


def _published(data_sets: Iterable[Path]) -> Iterator[Known]:
    for folder in data_sets:
        try:
            lines = (folder / SHARDS).read_text(encoding="utf-8").splitlines()
            receipts = [Receipt.from_json(json.loads(line)) for line in lines]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # of another format, or damaged: it is made again
        if (folder / MANIFEST).is_file():
            for receipt in receipts:
                if not any(reject.reason in TRANSIENT_REASONS for reject in receipt.rejects):
                    yield Known(folder, receipt)


def _take(one: Known, place: Path) -> bool:
    """Make `place` the same file, where it still is what its receipt says."""
    path = one.folder / one.receipt.name
    if is_remote(path):
        if not path.is_file() or path.stat().st_size != one.receipt.size_bytes:
            return False
        stores.copy(path, place)
        return True
    if not path.is_file() or sha256_file(path) != one.receipt.sha256:
        return False
    place.unlink(missing_ok=True)
    try:
        os.link(path, place)  # published files never change: two names cost the space of one
    except OSError:
        shutil.copyfile(path, place)
    return True
