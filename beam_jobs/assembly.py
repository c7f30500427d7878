"""What belongs to all shards together: the verdict on the rejects, the manifest's facts, the files beside."""

from __future__ import annotations

import importlib.metadata
import json
import math
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import PIL.features

from beam_jobs.books import WORK, Receipt, Rejected
from beam_jobs.names import Names
from beam_jobs.preview import write_preview
from beam_jobs.reuse import SHARDS
from beam_jobs.shards import split_of
from beam_jobs.sources.base import Source
from gan_core import artifacts, schema
from gan_core.config import DataConfig, content
from gan_core.errors import DataError
from gan_core.handoff import DATASET_FORMAT, Shard, SourceSummary
from gan_core.normalization import NORMALIZATIONS, Normalization

FILTER_REASONS = frozenset({"blurry", "duplicate", "near-duplicate"})
REJECTS, PREVIEW = "rejects.jsonl", "preview.png"
PROTOCOL = ("crop", "filter", "gray_world", "flip", "storage", "jpeg_quality", "normalize", "background")


def check_rejects(config: DataConfig, summary: SourceSummary, receipts: Sequence[Receipt], draft: Path) -> None:
    """Raise DataError when too many pictures are rejects, or none is left for training.

    What the user's own filters leave out is no sign of a mistake, and not counted as one. The list of the rejects stays
    in the draft, so that it can be looked at.
    """
    rejects = _write_rejects(draft, receipts)
    total = sum(receipt.pictures for receipt in receipts)
    counts = Counter(reject.reason for reject in rejects)
    by_reason = ", ".join(f"{reason} {count}" for reason, count in counts.most_common())
    unusable = [one for one in rejects if one.reason not in FILTER_REASONS]
    if len(unusable) > config.max_reject_fraction * total:
        examples = "; ".join(f"{one.key}: {one.detail}" for one in unusable[:3])
        raise DataError(
            f"{len(unusable)} of {total} pictures of {summary.location} cannot be used ({by_reason}), and "
            f"data.max_reject_fraction is {config.max_reject_fraction:g}; for example {examples}; "
            f"all are in {draft / REJECTS}; {_advice(config, counts, len(unusable) / total)}"
        )
    if not any(receipt.count for receipt in receipts if split_of(receipt.name) == "train"):
        found = f"rejects: {by_reason}" if by_reason else f"splits: {', '.join(summary.counts)}"
        raise DataError(f"{summary.location} has no usable picture in the split train ({found})")


def _advice(config: DataConfig, counts: Mapping[str, int], share: float) -> str:
    """Return what to do about too many rejects."""
    if counts.get("wrong-aspect", 0):
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
    config: DataConfig, summary: SourceSummary, source: Source, names: Names, receipts: Sequence[Receipt]
) -> dict[str, Any]:
    """Return the fields of the manifest; `DatasetManifest` says what they mean."""
    splits: dict[str, list[dict[str, Any]]] = {}
    for receipt in receipts:
        splits.setdefault(split_of(receipt.name), []).append(asdict(Shard(receipt.name, receipt.count, receipt.sha256)))
    splits = {split: shards for split, shards in splits.items() if any(shard["count"] for shard in shards)}
    rejected = {reject.key: reject.reason for receipt in receipts for reject in receipt.rejects}
    statistics = training_statistics(config, receipts)
    return {
        "name": summary.name,
        "resolution": config.resolution,
        "channels": config.channels,
        "splits": splits,
        "rejects": dict(sorted(Counter(rejected.values()).items())),
        "statistics": statistics,
        "protocol": {name: getattr(config, name) for name in PROTOCOL},
        "normalization": normalization_of(config, statistics).to_json(),
        "source": {
            "kind": summary.kind,
            "name": summary.name,
            "fingerprint": summary.fingerprint,
            "counts": dict(summary.counts),
            "notes": list(summary.notes),
        },
        "created_by": versions(),
        "attribute_names": list(source.attribute_names),
        "label_names": list(source.label_names),
        "licences": _licences(names, rejected),
        "features": schema.features_of(
            config.resolution, config.channels, config.storage, len(source.attribute_names), names.landmark_count
        ),
    }


def _licences(names: Names, rejected: Container[str]) -> dict[str, int]:
    """Return licence -> pictures under it, without the rejects."""
    refs = names if names.has_licences else ()
    return dict(sorted(Counter(ref.licence for ref in refs if ref.licence and ref.key not in rejected).items()))


def normalization_of(config: DataConfig, statistics: Mapping[str, Any]) -> Normalization:
    """Return what training sees of a pixel."""
    return NORMALIZATIONS[config.normalize](statistics["mean"], statistics["deviation"])


def training_statistics(config: DataConfig, receipts: Sequence[Receipt]) -> dict[str, Any]:
    """Return mean and deviation of the training pixels, mirrored copies left out, from exact integers.

    Without any training picture the mean is 0 and the deviation 0: nothing of that kind is published.
    """
    training = [receipt for receipt in receipts if split_of(receipt.name) == "train"]
    count = sum(receipt.originals for receipt in training)
    pixels = max(1, count) * config.resolution**2
    mean, deviation = [], []
    for channel in range(config.channels):
        total = sum(receipt.sums[channel] for receipt in training)
        squares = sum(receipt.squares[channel] for receipt in training)
        mean.append(total / pixels)
        deviation.append(math.sqrt(pixels * squares - total * total) / pixels)
    return {"count": count, "mean": mean, "deviation": deviation}


def recipe_digest(config: DataConfig, landmarks: int) -> str:
    """Return the digest of everything but the pictures that determines the bytes of a shard."""
    selection = {"limit", "licences", "folder_labels", "shard_mib"}  # which pictures there are, and in which shard
    recipe = {name: value for name, value in content(config).items() if name not in selection}
    return artifacts.digest_of(
        {"format": DATASET_FORMAT, "config": recipe, "landmarks": landmarks, "versions": _pixel_versions()}
    )


def _pixel_versions() -> dict[str, str]:
    """Return the versions of the libraries that determine pixels."""
    libraries = ("libjpeg_turbo", "jpg", "webp", "avif", "littlecms2", "libtiff", "jpg_2000", "zlib")
    found = {"pillow": PIL.__version__, **{name: PIL.features.version(name) for name in libraries}}
    return {name: version for name, version in found.items() if version}


def versions() -> dict[str, str]:
    """Return the versions of faceloom and of what determines the pixels."""
    try:
        faceloom = importlib.metadata.version("faceloom")
    except importlib.metadata.PackageNotFoundError:  # a checkout that was never installed
        faceloom = "source"
    return {"faceloom": faceloom, **_pixel_versions()}


def finish(draft: Path, receipts: Sequence[Receipt], fields: Mapping[str, Any], digest: str) -> None:
    """Add what belongs to all shards, write the manifest, remove the books.

    In this order: whoever is killed in between finds every shard finished.
    """
    for receipt in receipts:
        if split_of(receipt.name) not in fields["splits"]:
            (draft / receipt.name).unlink(missing_ok=True)
    training = [draft / shard["name"] for shard in fields["splits"]["train"]]
    write_preview(draft / PREVIEW, training, fields)
    lines = [artifacts.canonical_json(receipt.to_json()) + "\n" for receipt in receipts]
    artifacts.replace_file(draft / SHARDS, "".join(lines).encode())
    schema.write_tfds(draft, fields)
    known = {receipt.name: {"bytes": receipt.size_bytes, "sha256": receipt.sha256} for receipt in receipts}
    artifacts.write_manifest(draft, "dataset", digest, fields, known)
    artifacts.remove_tree(draft / WORK)
