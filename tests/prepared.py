"""Preparing small data sets in tests, and looking at what came of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from beam_jobs.shards import record_bytes
from gan_core import storage
from gan_core.config import DataConfig
from gan_core.handoff import DatasetManifest
from gan_core.normalization import Normalization
from gan_core.records import decode_example, read_records
from tests.pictures import encode, scene

Record = dict[str, Any]


def write_scenes(folder: Path, count: int) -> Path:
    """Write `count` PNGs of 40x40, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for index in range(count):
        (folder / f"{index:03d}.png").write_bytes(encode(scene(40, 40, index)))
    return folder


def square_config(folder: Path, *, per_shard: int = 0, **options: Any) -> DataConfig:
    """Return a config for a folder of square pictures, to 32x32, with about `per_shard` of them in a shard."""
    config = DataConfig(**{"path": str(folder), "crop": "center", "resolution": 32, **options})
    return cut(config, per_shard) if per_shard else config


def cut(config: DataConfig, per_shard: int) -> DataConfig:
    """Return the config with shards of `per_shard` pictures."""
    return replace(config, shard_mib=(per_shard * record_bytes(config) + 1) / 2**20)


def records(dataset: DatasetManifest, split: str = "train") -> list[Record]:
    """Return the decoded records of a split, the image as uint8 [H, W, C]."""
    found = []
    normalization = Normalization.from_json(dataset.normalization)
    for shard in dataset.splits.get(split, ()):
        for _, data in read_records(dataset.path / shard.name):
            record: Record = decode_example(data)
            form, shape = cast(str, dataset.protocol["storage"]), tuple(record["shape"])
            record["image"] = storage.decode(record["image"], shape, form, normalization)
            found.append(record)
    return found


def shard_bytes(dataset: DatasetManifest) -> dict[str, str]:
    """Return shard -> SHA-256, in reading order."""
    return {shard.name: shard.sha256 for split in dataset.splits.values() for shard in split}


def rejects(dataset: DatasetManifest) -> list[dict[str, str]]:
    """Return the lines of rejects.jsonl."""
    return [json.loads(line) for line in (dataset.path / "rejects.jsonl").read_text().splitlines()]


def places(folder: Path) -> dict[str, tuple[int, int]]:
    """Return shard -> (inode, modification time): what stays when a file is not written again."""
    facts = {path.name: path.stat() for path in folder.glob("*.tfrecord")}
    return {name: (fact.st_ino, fact.st_mtime_ns) for name, fact in facts.items()}


def drafts(data_root: Path) -> list[Path]:
    """Return the hidden folders of unfinished data sets."""
    return list((data_root / "datasets").glob(".*.partial"))
