"""What passes between stages, and where it lies: small frozen values, never an array, a model or an open file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gan_core import artifacts
from gan_core.artifacts import Manifest, digest_of
from gan_core.config import DataConfig, EvalConfig, RunConfig, content
from gan_core.errors import ArtifactError
from gan_core.paths import is_remote, path_of

DATASET_FORMAT = 2  # bump when the same config and source would give other records
RUN_FORMAT = 1  # bump when the same config and data set would give other weights
SCORES_FORMAT = 2  # bump when the same checkpoint, data set and config would give other numbers
_SCORED_BY = ("score_count", "real_count", "neighbour_count", "seed", "extractor", "weights", "resizing")
SPLITS = ("train", "validation", "test")


class ImageRef(NamedTuple):
    """One picture of a source, listed without opening it. A tuple, because a frozen dataclass takes six times as long.

    Attributes:
        key: unique name, stable across machines: the path inside the source, with forward slashes.
        split: train, validation or test.
        stamp: changes when the bytes change (CRC-32 and size, or size and modification time).
        attributes: 0 or 1 for each of the source's `attribute_names`; empty where it has none.
        identity: number of the person, -1 where unknown.
        label: number of the class, an index into the source's `label_names`, -1 where unknown.
        landmarks: x and y of left eye, right eye, nose, left and right corner of the mouth (as one sees them): x in
            shares of the upright picture's width, y of its height, so they hold for copies of any size; 0 to 1, or
            beyond where a point lies outside. Empty where unknown.
        licence: under which the picture may be used, as the source says it.
        author: who made it, as the source says it.
        span: where an archive holds the picture, such as first byte and number of bytes; meant for the reader that
            the source makes, and no part of what the picture is.
    """

    key: str
    split: str = "train"
    stamp: str = ""
    attributes: tuple[int, ...] = ()
    identity: int = -1
    label: int = -1
    landmarks: tuple[float, ...] = ()
    licence: str = ""
    author: str = ""
    span: tuple[int, ...] = ()


@dataclass(frozen=True)
class SourceSummary:
    """What `ingest` found.

    Attributes:
        kind: the layout, resolved: synthetic, celeba, ffhq, cifar10, ...
        name: what data set folders are called after.
        location: the folder or archive that was listed.
        fingerprint: SHA-256 over all names, stamps and labels (drawn or downloaded: over what determines them).
        counts: split -> pictures, after `data.limit`; empty splits are absent.
        notes: remarks for the user, one line each, such as files that were skipped.
    """

    kind: str
    name: str
    location: str
    fingerprint: str
    counts: Mapping[str, int]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shard:
    """One TFRecord file of a data set, relative to its folder."""

    name: str
    count: int
    sha256: str


@dataclass(frozen=True)
class DatasetManifest:
    """A prepared data set. Readers take shards from here, never from a glob.

    Attributes:
        splits: split -> its shards, in reading order; a split without pictures is absent.
        rejects: reason -> count; the lines are in rejects.jsonl.
        statistics: `mean` and `deviation` per channel over the stored training pixels in [0, 255], and `count`.
        protocol: crop, filter, flip, storage, normalize: what makes scores comparable.
        normalization: `scale` and `offset`, a list of one number a channel each: x = pixel * scale + offset is what
            training sees.
        source: kind, name, fingerprint and counts of what was read.
        created_by: versions of faceloom and of the libraries that determine the pixels.
        attribute_names: what the 0/1 values of a record's `attributes` mean.
        label_names: what a record's `label` counts.
        licences: licence -> number of pictures under it; empty where the source names none.
        features: name -> dtype, shape and encoding of each feature of a record (see gan_core/schema.py).
    """

    path: Path
    digest: str
    name: str
    resolution: int
    channels: int
    splits: Mapping[str, tuple[Shard, ...]]
    rejects: Mapping[str, int]
    statistics: Mapping[str, Any]
    protocol: Mapping[str, Any]
    normalization: Mapping[str, Sequence[float]]
    source: Mapping[str, Any]
    created_by: Mapping[str, str]
    attribute_names: tuple[str, ...] = ()
    label_names: tuple[str, ...] = ()
    licences: Mapping[str, int] = field(default_factory=dict)
    features: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> DatasetManifest:
        """Read the typed form. Raises ArtifactError when a field is missing."""
        fields = dict(manifest.fields)
        try:
            splits = {name: tuple(Shard(**shard) for shard in shards) for name, shards in fields.pop("splits").items()}
            fields |= {key: tuple(fields.get(key, ())) for key in ("attribute_names", "label_names")}
            return cls(path=manifest.path, digest=manifest.digest, splits=splits, **fields)
        except (AttributeError, KeyError, TypeError) as error:
            raise ArtifactError(
                f"{manifest.path} has an incomplete manifest ({error}); delete it and run again"
            ) from None

    @classmethod
    def load(cls, folder: Path) -> DatasetManifest:
        """Read and check the manifest of the data set in `folder`, not its shards."""
        return cls.from_manifest(artifacts.read_manifest(folder, "dataset"))

    def count(self, split: str) -> int:
        """Return how many records a split has; 0 where there is no such split."""
        return sum(shard.count for shard in self.splits.get(split, ()))


@dataclass(frozen=True)
class Checkpoint:
    """A published training state: `path` is its folder inside `run_dir`."""

    run_dir: Path
    images_seen: int
    path: Path


@dataclass(frozen=True)
class SampleSet:
    """Generated pictures: `path` is the published folder with grid.png and the pictures."""

    path: Path
    count: int
    seed: int
    checkpoint: Checkpoint


@dataclass(frozen=True)
class Scores:
    """Measures of one checkpoint.

    Attributes:
        values: measure -> {"value": x, "floor": the same measure between two halves of the real data, "unit": text,
            "better": "lower" or "higher"}.
        protocol: what the numbers depend on: counts, split, crop, filter, data set digest, checkpoint.
    """

    path: Path
    values: Mapping[str, Mapping[str, Any]]
    protocol: Mapping[str, Any]


@dataclass(frozen=True)
class Report:
    """The self-contained HTML page."""

    path: Path


def dataset_digest(config: DataConfig, fingerprint: str) -> str:
    """Return the digest of the data set that `config` makes of the source with this fingerprint."""
    return digest_of({"format": DATASET_FORMAT, "config": content(config), "source": fingerprint})


def dataset_folder(root: Path, config: DataConfig, source_name: str, digest: str) -> Path:
    """Return `root/datasets/<name>-<resolution>-<digest12>`."""
    return root / "datasets" / f"{slug(source_name)}-{config.resolution}-{digest[:12]}"


def run_digest(config: RunConfig, dataset: str, transferred: str = "") -> str:
    """Return the digest of the weights that `config` trains on the data set with the digest `dataset`.

    `transferred` is the digest of the checkpoint that `train.transfer` names: the weights themselves are part of what a
    run is, and where they lie is not.
    """
    facts = {"model": content(config.model), "train": content(config.train)}
    if transferred:
        facts["transfer"] = {"checkpoint": transferred}
    return digest_of({"format": RUN_FORMAT, "dataset": dataset, **facts})


def run_folder(root: Path, config: RunConfig, dataset: str, transferred: str = "") -> Path:
    """Return `root/runs/<preset>-<digest12>`."""
    return root / "runs" / f"{slug(config.preset)}-{run_digest(config, dataset, transferred)[:12]}"


def scores_digest(config: EvalConfig, checkpoint: str, dataset: str) -> str:
    """Return the digest of the scores of the checkpoint and the data set with these digests.

    Files that the config names count by their content, with what a file beside them declares.
    """
    asked: dict[str, Any] = {name: getattr(config, name) for name in _SCORED_BY}
    for name in ("extractor", "weights"):
        path = path_of(asked[name] or ".")
        if not is_remote(path) and path.is_file():
            beside = path.with_name(f"{path.name}.toml")
            asked[name] = [artifacts.sha256_file(file) for file in (path, beside) if file.is_file()]
    return digest_of({"format": SCORES_FORMAT, "checkpoint": checkpoint, "dataset": dataset, "eval": asked})


def slug(name: str) -> str:
    """Return `name` in lower case with everything but letters, digits and dots replaced by single dashes."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "pictures"
