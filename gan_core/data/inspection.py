"""`faceloom data inspect`: what a data set is, from its manifest and from what its records say besides pixels."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from gan_core import artifacts
from gan_core.data.entries import Entry, entries
from gan_core.errors import ArtifactError
from gan_core.handoff import SPLITS, DatasetManifest
from gan_core.progress import Progress, ReportProgress, silent

REJECTS = "rejects.jsonl"
_EXAMPLES = 3  # rejects shown for each reason


def describe(dataset: DatasetManifest) -> dict[str, Any]:
    """Return what the manifest says, as JSON types, with sizes of shards and examples of rejects; reads no record."""
    files = artifacts.read_manifest(dataset.path, "dataset").files
    splits = {}
    for split in (name for name in SPLITS if name in dataset.splits):
        shards = [
            {"name": shard.name, "records": shard.count, "bytes": files.get(shard.name, {}).get("bytes", 0)}
            for shard in dataset.splits[split]
        ]
        size_bytes = sum(shard["bytes"] for shard in shards)
        splits[split] = {"records": dataset.count(split), "bytes": size_bytes, "shards": shards}
    return {
        "path": str(dataset.path),
        "name": dataset.name,
        "digest": dataset.digest,
        "resolution": dataset.resolution,
        "channels": dataset.channels,
        "bytes": sum(facts["bytes"] for facts in files.values()),
        "splits": splits,
        "rejects": {reason: {"count": count, "examples": []} for reason, count in dataset.rejects.items()}
        | _reject_examples(dataset),
        "statistics": dict(dataset.statistics),
        "protocol": dict(dataset.protocol),
        "normalization": dict(dataset.normalization),
        "licences": dict(dataset.licences),
        "source": dict(dataset.source),
        "created_by": dict(dataset.created_by),
        "features": dict(dataset.features),
        "label_names": list(dataset.label_names),
        "attribute_names": list(dataset.attribute_names),
    }


def count_contents(dataset: DatasetManifest, report_progress: ReportProgress = silent) -> dict[str, Any]:
    """Read every record and count what it says of its picture; mirrored copies count nowhere but in `mirrored`.

    Returns:
        `originals`, `mirrored`: records. `labels`: name -> split -> pictures, in the order of `label_names`.
        `unlabelled`: pictures with label -1. `attributes`: name -> {"ones": share of ones among the known, None where
        none is known, "known": pictures}. `identities`: different persons. `landmarks`: pictures with known ones.

    Raises:
        ArtifactError: a shard is damaged.
    """
    total = sum(dataset.count(split) for split in dataset.splits)
    names = dataset.attribute_names
    ones, known = np.zeros(len(names), np.int64), np.zeros(len(names), np.int64)
    labels: dict[int, Counter[str]] = {number: Counter() for number in range(len(dataset.label_names))}
    identities: set[int] = set()
    counts: Counter[str] = Counter()
    for done, entry in enumerate(entries(dataset, [split for split in SPLITS if split in dataset.splits])):
        if done % 256 == 0:
            report_progress(Progress("inspect", done, total, "records"))
        if entry.mirrored:
            counts["mirrored"] += 1
            continue
        counts["originals"] += 1
        if entry.label in labels:
            labels[entry.label][entry.split] += 1
        else:
            counts["unlabelled"] += 1
        if entry.identity >= 0:
            identities.add(entry.identity)
        if entry.landmarks and not math.isnan(entry.landmarks[0]):
            counts["landmarks"] += 1
        if len(entry.attributes) == len(names):
            values = np.array(entry.attributes, np.int64)
            ones, known = ones + (values == 1), known + (values >= 0)
    report_progress(Progress("inspect", total, max(1, total), "records"))
    return {
        "originals": counts["originals"],
        "mirrored": counts["mirrored"],
        "labels": {name: _in_order(labels[number]) for number, name in enumerate(dataset.label_names)},
        "unlabelled": counts["unlabelled"],
        "attributes": {
            name: {"ones": int(one) / int(all_of) if all_of else None, "known": int(all_of)}
            for name, one, all_of in zip(names, ones, known, strict=True)
        },
        "identities": len(identities),
        "landmarks": counts["landmarks"],
    }


def first_records(dataset: DatasetManifest, count: int) -> list[dict[str, Any]]:
    """Return the features of the first `count` records, in the manifest's order, as JSON types.

    Of `image` its bytes are counted; landmarks that are unknown are None. Raises ArtifactError for damaged shards.
    """
    splits = [split for split in SPLITS if split in dataset.splits]
    return [record_facts(entry) for entry in islice(entries(dataset, splits), count)]


def record_facts(entry: Entry) -> dict[str, Any]:
    """Return everything that a record says, as JSON types."""
    return {
        "shard": entry.path.name,
        "byte": entry.byte,
        "split": entry.split,
        "key": entry.key,
        "shape": list(entry.shape),
        "image_bytes": len(entry.image),
        "mirrored": entry.mirrored,
        "label": entry.label,
        "identity": entry.identity,
        "attributes": list(entry.attributes),
        "landmarks": [None if math.isnan(value) else value for value in entry.landmarks],
        "licence": entry.licence,
        "author": entry.author,
    }


def _in_order(counts: Counter[str]) -> dict[str, int]:
    return {split: counts[split] for split in SPLITS if counts[split]}


def _reject_examples(dataset: DatasetManifest) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for line in _reject_lines(dataset):
        reason = found.setdefault(str(line["reason"]), {"count": 0, "examples": []})
        reason["count"] += 1
        if len(reason["examples"]) < _EXAMPLES:
            reason["examples"].append({"key": line["key"], "detail": line["detail"]})
    return dict(sorted(found.items()))


def _reject_lines(dataset: DatasetManifest) -> Iterator[dict[str, Any]]:
    path = dataset.path / REJECTS
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                reject = json.loads(line)
                yield {name: reject[name] for name in ("key", "reason", "detail")}
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} cannot be read: {error}") from None
