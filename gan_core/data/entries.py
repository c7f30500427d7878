"""The records of a data set, one by one and in the manifest's order, with everything that they say of a picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core import storage
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import SPLITS, DatasetManifest, Shard
from gan_core.normalization import Normalization
from gan_core.records import decode_example, read_records

Pixels = npt.NDArray[np.uint8]
Features = Mapping[str, bytes | list[int] | list[float]]
_REQUIRED = ("attributes", "identity", "image", "key", "mirrored", "shape")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One record, its pixels still encoded.

    Attributes:
        path: the shard.
        byte: where the record's data begin in it.
        size_bytes: of those data.
        image: as `data.storage` holds it; `Decoder` makes pixels of it.
        landmarks: x and y of five points, pixels of the stored picture, NaN where unknown; may be empty.
        attributes: 0, 1, or -1 where unknown, for each of the manifest's `attribute_names`.
        identity: -1 where unknown.
        label: an index into the manifest's `label_names`, -1 where unknown.
    """

    path: Path
    byte: int
    size_bytes: int
    split: str
    key: str
    shape: tuple[int, ...]
    image: bytes = field(repr=False)
    mirrored: bool
    label: int
    identity: int
    attributes: tuple[int, ...]
    landmarks: tuple[float, ...]
    licence: str
    author: str


class Decoder:
    """Turns entries of one data set into pixels."""

    def __init__(self, dataset: DatasetManifest) -> None:
        self.storage = str(dataset.protocol.get("storage"))
        self.shape = (dataset.resolution, dataset.resolution, dataset.channels)
        self._normalization = _normalization(dataset) if self.storage == "float32" else None

    def __call__(self, entry: Entry) -> Pixels:
        """Return uint8 [H, W, C]. Raises ArtifactError, without the place, where they cannot be decoded."""
        if entry.shape != self.shape:
            raise ArtifactError(f"its shape is {list(entry.shape)}, and the manifest says {list(self.shape)}")
        try:
            return storage.decode(entry.image, self.shape, self.storage, self._normalization)
        except ArtifactError as error:
            raise ArtifactError(f"it is {error}") from None


def open_dataset(folder: Path) -> DatasetManifest:
    """Load the manifest of the data set at `folder`.

    Raises:
        ConfigError: there is none; the message names those nearby. ArtifactError: the manifest is damaged.
    """
    if not (folder / "manifest.json").is_file():
        raise ConfigError(f"there is no data set at '{folder}': {_what_is_there(folder)}")
    return DatasetManifest.load(folder)


def chosen_splits(dataset: DatasetManifest, split: str) -> tuple[str, ...]:
    """Return the splits that `split` means: itself, or every one for "all", in reading order.

    Raises:
        ConfigError: there is no such split.
    """
    there = tuple(name for name in SPLITS if dataset.count(name))
    if split == "all":
        return there
    if split not in there:
        raise ConfigError(f"--split {split}: {dataset.path} has {', '.join(there) or 'no pictures'}; or take all")
    return (split,)


def entries(dataset: DatasetManifest, splits: Sequence[str]) -> Iterator[Entry]:
    """Yield the records of some splits, shard by shard.

    Raises:
        ArtifactError: a shard is missing or damaged, or holds another number of records; it names file and byte.
    """
    for split in splits:
        for shard in dataset.splits.get(split, ()):
            yield from shard_entries(dataset, split, shard)


def shard_entries(dataset: DatasetManifest, split: str, shard: Shard) -> Iterator[Entry]:
    """Yield the records of one shard. Raises what `entries` raises."""
    path, count = dataset.path / shard.name, 0
    if not path.is_file():
        raise ArtifactError(f"{path} is missing; delete {dataset.path} and run `faceloom prepare` again")
    for offset, record in read_records(path):
        try:
            entry = entry_of(decode_example(record), path, offset, len(record), split)
        except ArtifactError as error:
            raise ArtifactError(f"{path}: the record at byte {offset} cannot be used: {error}") from None
        yield entry
        count += 1
    if count != shard.count:
        raise ArtifactError(
            f"{path} holds {count} records where the manifest says {shard.count}; "
            f"delete {dataset.path} and run `faceloom prepare` again"
        )


def entry_of(features: Features, path: Path, byte: int, size_bytes: int, split: str) -> Entry:
    """Return the typed form of a record's features; `Entry` says what the others are.

    Raises:
        ArtifactError: a feature is missing or has another type; the message does not name the place.
    """
    missing = [name for name in _REQUIRED if name not in features]
    if missing:
        raise ArtifactError(f"it has no feature '{missing[0]}'")
    return Entry(
        path=path,
        byte=byte,
        size_bytes=size_bytes,
        split=split,
        key=_text(features, "key"),
        shape=tuple(_numbers(features, "shape", int)),
        image=_bytes(features, "image"),
        mirrored=_one(features, "mirrored", 0) == 1,
        label=_one(features, "label", -1),
        identity=_one(features, "identity", -1),
        attributes=tuple(_numbers(features, "attributes", int)),
        landmarks=tuple(_numbers(features, "landmarks", float)),
        licence=_text(features, "licence"),
        author=_text(features, "author"),
    )


def _normalization(dataset: DatasetManifest) -> Normalization:
    try:
        normalization = Normalization.from_json(dataset.normalization)
        lengths = {len(normalization.scale), len(normalization.offset)}
    except (KeyError, TypeError):
        lengths = set()
    if lengths != {dataset.channels}:
        raise ArtifactError(
            f"{dataset.path} has a normalization that does not fit its {dataset.channels} channels; "
            "run `faceloom prepare` again"
        )
    return normalization


def _what_is_there(folder: Path) -> str:
    if not folder.exists():
        return "the path does not exist" + _nearby(folder.parent)
    if not folder.is_dir():
        return "it is a file; name the data set's folder"
    return "it has no manifest.json" + _nearby(folder)


def _nearby(folder: Path) -> str:
    """Return the data sets in `folder`, or in the folder `datasets` of a data root."""
    for place in (folder, folder / "datasets", Path("data") / "datasets"):
        found = sorted(path.parent.name for path in place.glob("*/manifest.json") if path.parent.name[0] != ".")
        if found:
            more = f" and {len(found) - 5} more" if len(found) > 5 else ""
            return f"; {place} has {', '.join(found[:5])}{more}"
    return "; make one with: faceloom prepare"


def _bytes(features: Features, name: str) -> bytes:
    value = features[name]
    if not isinstance(value, bytes):
        raise ArtifactError(f"its feature '{name}' is not bytes")
    return value


def _text(features: Features, name: str) -> str:
    try:
        return _bytes(features, name).decode() if name in features else ""
    except UnicodeDecodeError:
        raise ArtifactError(f"its feature '{name}' is not UTF-8") from None


def _numbers(features: Features, name: str, kind: type) -> list[Any]:
    value = features.get(name, [])
    if isinstance(value, bytes) or any(type(item) is not kind for item in value):
        raise ArtifactError(f"its feature '{name}' is not {kind.__name__}")
    return value


def _one(features: Features, name: str, unknown: int) -> int:
    values = _numbers(features, name, int) if name in features else [unknown]
    if len(values) != 1:
        raise ArtifactError(f"its feature '{name}' has {len(values)} numbers, expected one")
    return int(values[0])
