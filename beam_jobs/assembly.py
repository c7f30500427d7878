"""What belongs to all shards together: the verdict on the rejects, the manifest's facts, the files beside."""

from __future__ import annotations

import importlib.metadata
import json
import math
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import PIL.features

from beam_jobs.books import WORK, Receipt, Rejected
from beam_jobs.images import NORMALIZATIONS
from beam_jobs.preview import write_preview
from beam_jobs.shards import split_of
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.errors import DataError
from gan_core.handoff import Shard, SourceSummary

REJECTS, PREVIEW = "rejects.jsonl", "preview.png"


def check_rejects(config: DataConfig, summary: SourceSummary, receipts: Sequence[Receipt], draft: Path) -> None:
    """Raise DataError when too many pictures are rejects, or none is left for training.

    The list of the rejects stays in the draft, so that it can be looked at.
    """
    rejects = _write_rejects(draft, receipts)
    total = sum(receipt.pictures for receipt in receipts)
    counts = Counter(reject.reason for reject in rejects)
    by_reason = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    if len(rejects) > config.max_reject_fraction * total:
        examples = "; ".join(f"{one.key}: {one.detail}" for one in rejects[:3])
        raise DataError(
            f"{len(rejects)} of {total} pictures of {summary.location} cannot be used ({by_reason}), and "
            f"data.max_reject_fraction is {config.max_reject_fraction:g}; for example {examples}; "
            f"all are in {draft / REJECTS}; {_advice(config, counts, len(rejects) / total)}"
        )
    if not any(receipt.count for receipt in receipts if split_of(receipt.name) == "train"):
        found = f"rejects: {by_reason}" if by_reason else f"splits: {', '.join(summary.counts)}"
        raise DataError(f"{summary.location} has no usable picture in the split train ({found})")


def _advice(config: DataConfig, counts: Mapping[str, int], share: float) -> str:
    """Return what to do about too many rejects."""
    if counts.get("wrong-aspect", 0) + counts.get("not-square", 0):
        return f"data.crop={config.crop} does not fit pictures of this shape, set data.crop=center"
    if share == 1:
        return "repair them, or name another source"
    return f"repair them, or set data.max_reject_fraction={math.ceil(share * 100) / 100:g} to go on without them"


def _write_rejects(draft: Path, receipts: Sequence[Receipt]) -> list[Rejected]:
    """Write rejects.jsonl, one line a picture, sorted by key; return what it says."""
    rejects = sorted((reject for receipt in receipts for reject in receipt.rejects), key=lambda one: one.key)
    lines = [json.dumps(asdict(reject), ensure_ascii=False) + "\n" for reject in rejects]
    artifacts.replace_file(draft / REJECTS, "".join(lines).encode())
    return rejects


def manifest_fields(
    config: DataConfig,
    summary: SourceSummary,
    attribute_names: Sequence[str],
    receipts: Sequence[Receipt],
) -> dict[str, Any]:
    """Return the fields of the manifest; `DatasetManifest` says what they mean."""
    splits: dict[str, list[dict[str, Any]]] = {}
    for receipt in receipts:
        if receipt.count:
            shard = Shard(receipt.name, receipt.count, receipt.sha256)
            splits.setdefault(split_of(receipt.name), []).append(asdict(shard))
    reasons = Counter(reject.reason for receipt in receipts for reject in receipt.rejects)
    scale, offset = NORMALIZATIONS[config.normalize]
    described = ("crop", "filter", "flip", "storage", "normalize", "background")
    return {
        "name": summary.name,
        "resolution": config.resolution,
        "channels": config.channels,
        "splits": splits,
        "rejects": dict(sorted(reasons.items())),
        "statistics": _statistics(config, receipts),
        "protocol": {name: getattr(config, name) for name in described},
        "normalization": {"scale": scale, "offset": offset},
        "source": {
            "kind": summary.kind,
            "name": summary.name,
            "fingerprint": summary.fingerprint,
            "counts": dict(summary.counts),
            "notes": list(summary.notes),
        },
        "created_by": _versions(),
        "attribute_names": list(attribute_names),
    }


def _statistics(config: DataConfig, receipts: Sequence[Receipt]) -> dict[str, Any]:
    """Return mean and deviation of the training pixels, mirrored copies left out, from exact integers."""
    training = [receipt for receipt in receipts if split_of(receipt.name) == "train"]
    count = sum(receipt.originals for receipt in training)
    pixels = count * config.resolution**2
    mean, deviation = [], []
    for channel in range(config.channels):
        total = sum(receipt.sums[channel] for receipt in training)
        squares = sum(receipt.squares[channel] for receipt in training)
        mean.append(total / pixels)
        deviation.append(math.sqrt(pixels * squares - total * total) / pixels)
    return {"count": count, "mean": mean, "deviation": deviation}


def _versions() -> dict[str, str]:
    """Return the versions of what determines the pixels."""
    libraries = {name: PIL.features.version(name) for name in ("libjpeg_turbo", "jpg", "webp", "avif", "littlecms2")}
    try:
        faceloom = importlib.metadata.version("faceloom")
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        faceloom = "source"
    versions = {"faceloom": faceloom, "pillow": PIL.__version__, **libraries}
    return {name: version for name, version in versions.items() if version}


def finish(draft: Path, receipts: Sequence[Receipt], fields: Mapping[str, Any], digest: str) -> None:
    """Add what belongs to all shards, remove the books, write the manifest."""
    for receipt in receipts:
        if not receipt.count:
            (draft / receipt.name).unlink(missing_ok=True)
    training = [draft / shard["name"] for shard in fields["splits"]["train"]]
    write_preview(draft / PREVIEW, training)
    shutil.rmtree(draft / WORK)
    artifacts.write_manifest(draft, "dataset", digest, fields)
