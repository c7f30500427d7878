"""From a manifest to batches: which picture is shown when, and where its pixels come from.

The order is a pure function of (seed, images shown), so a resumed training needs no iterator state.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gan_core import storage
from gan_core.conditions import Values, values_of
from gan_core.errors import ArtifactError, DataError
from gan_core.handoff import DatasetManifest
from gan_core.normalization import Normalization
from gan_core.records import decode_example, read_records

Images = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]

_SHUFFLE_ROUNDS = 16


class Pictures(Protocol):
    """The pictures of one split, addressed by their position in the manifest's order.

    Attributes:
        values: int32 [N, k], what `conditions.values_of` says of each picture, for the k names asked for.
    """

    values: Values

    def __len__(self) -> int: ...

    def read(self, indices: Indices) -> Images:
        """Return uint8 [len(indices), H, W, C] in [0, 255]."""


class MemoryPictures:
    """A whole split as one uint8 array [N, H, W, C]."""

    def __init__(self, dataset: DatasetManifest, split: str, condition: Sequence[str] = ()) -> None:
        shape = (dataset.count(split), dataset.resolution, dataset.resolution, dataset.channels)
        self.images: Images = np.empty(shape, np.uint8)
        self.values: Values = np.empty((len(self.images), len(condition)), np.int32)
        for index, (path, offset, record) in enumerate(_records(dataset, split)):
            features, self.images[index] = _decoded(path, offset, record, dataset)
            if condition:
                self.values[index] = values_of(features, condition, dataset)

    def __len__(self) -> int:
        return len(self.images)

    def read(self, indices: Indices) -> Images:
        """Return uint8 [len(indices), H, W, C] in [0, 255]."""
        return self.images[indices]


class StreamedPictures:
    """A split that stays on disk: the place of every record is indexed once, then read at random."""

    def __init__(self, dataset: DatasetManifest, split: str, condition: Sequence[str] = ()) -> None:
        self._handles: dict[Path, int] = {}  # first: `__del__` needs it even when a shard is damaged
        self.dataset = dataset
        self.values: Values = np.empty((dataset.count(split), len(condition)), np.int32)
        self.places: list[tuple[Path, int, int]] = []
        for index, (path, offset, record) in enumerate(_records(dataset, split)):
            self.places.append((path, offset, len(record)))
            if condition:
                self.values[index] = values_of(decode_example(record), condition, dataset)

    def __len__(self) -> int:
        return len(self.places)

    def read(self, indices: Indices) -> Images:
        """Return uint8 [len(indices), H, W, C] in [0, 255]."""
        return np.stack([self._read_one(*self.places[index]) for index in indices])

    def _read_one(self, path: Path, offset: int, length: int) -> Images:
        if path not in self._handles:
            self._handles[path] = os.open(path, os.O_RDONLY)
        return _pixels(path, offset, os.pread(self._handles[path], length, offset), self.dataset)

    def __del__(self) -> None:
        for handle in self._handles.values():
            os.close(handle)


def open_pictures(dataset: DatasetManifest, split: str, placement: str, condition: Sequence[str] = ()) -> Pictures:
    """Open a split in "memory", or as a "stream" from its shards; `placement.choose` says which has room.

    What `condition` names of each picture is read with it; see `conditions.names_of` for what there is.

    Raises:
        DataError: the split has no pictures.
        ArtifactError: a shard is damaged.
    """
    split_bytes(dataset, split)
    kind = MemoryPictures if placement == "memory" else StreamedPictures
    return kind(dataset, split, condition)


def split_bytes(dataset: DatasetManifest, split: str) -> int:
    """Return the bytes of a split's pictures as uint8 [N, H, W, C]. Raises DataError where it has none."""
    count = dataset.count(split)
    if count == 0:
        raise DataError(
            f"{dataset.path} has no pictures in split '{split}'; it has {', '.join(dataset.splits) or 'none'}"
        )
    return count * dataset.resolution**2 * dataset.channels


def reference_order(dataset: DatasetManifest, split: str) -> Indices:
    """Return the positions of a split's original pictures in a fixed pseudo-random order: int64 [originals].

    Mirrored copies are left out: they would make a reference look more alike than it is. The first n are a sample of
    the split, and the next n another, disjoint one.

    Raises:
        DataError: the split has no pictures.
    """
    originals = [index for index, record in enumerate(_records(dataset, split)) if not _is_mirrored(record[2])]
    if not originals:
        raise DataError(f"{dataset.path} has no pictures in split '{split}'")
    return np.array(originals, np.int64)[np.random.default_rng(0).permutation(len(originals))]


def load_images(dataset: DatasetManifest, split: str, count: int | None = None) -> Images:
    """Return the first `count` original pictures of a split in `reference_order`.

    Returns:
        uint8 [min(count, originals), H, W, C] in [0, 255].
    """
    order = reference_order(dataset, split)[:count]
    by_place = np.argsort(order)
    images: Images = np.empty((len(order), dataset.resolution, dataset.resolution, dataset.channels), np.uint8)
    images[by_place] = StreamedPictures(dataset, split).read(order[by_place])
    return images


def split_features(dataset: DatasetManifest, split: str) -> Iterator[Mapping[str, Any]]:
    """Yield what each record of a split says, in the manifest's order, pixels still encoded.

    Raises:
        ArtifactError: a shard is missing or damaged.
    """
    return (decode_example(record) for _, _, record in _records(dataset, split))


def picture_of(features: Mapping[str, Any], dataset: DatasetManifest) -> Images:
    """Return the pixels of one record, however the data set stores them.

    Args:
        features: what `records.decode_example` makes of a record.
        dataset: the data set that it is from.

    Returns:
        uint8 [resolution, resolution, channels] in [0, 255], perhaps read-only.

    Raises:
        ArtifactError: it holds no such picture; the message continues "the record is ...".
    """
    image = features.get("image")
    if not isinstance(image, bytes):
        raise ArtifactError("without a picture in its feature `image`")
    shape = (dataset.resolution, dataset.resolution, dataset.channels)
    normalization = Normalization.from_json(dataset.normalization)
    return storage.decode(image, shape, dataset.protocol["storage"], normalization)


def shown_indices(first: int, count: int, total: int, seed: int) -> Indices:
    """Return which records the images number `first` to `first + count - 1` of a training are.

    Every epoch is a different permutation of all `total` records, made from (seed, epoch) alone.

    Returns:
        int64 [count] in [0, total).
    """
    import tensorflow as tf  # here alone: the readers above must work where TensorFlow is not installed

    shown = np.arange(first, first + count, dtype=np.int64)
    epochs, positions = np.divmod(shown, total)
    indices = np.empty(count, np.int64)
    for epoch in np.unique(epochs):
        mine = epochs == epoch
        # `tf.random.experimental.index_shuffle` is this op with 4 rounds, which are too few: the epochs of 60,000
        # pictures then correlate by 0.9, those of CelebA by 0.6. From 8 on they are independent.
        shuffled = tf.random_index_shuffle(
            positions[mine], np.array([seed, epoch, 0], np.int64), np.int64(total - 1), rounds=_SHUFFLE_ROUNDS
        )
        indices[mine] = shuffled.numpy()
    return indices


def _records(dataset: DatasetManifest, split: str) -> Iterator[tuple[Path, int, bytes]]:
    for shard in dataset.splits.get(split, ()):
        path = dataset.path / shard.name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; delete {dataset.path} and run `faceloom prepare` again")
        count = 0
        for offset, record in read_records(path):
            if count < shard.count:
                yield path, offset, record
            count += 1
        if count != shard.count:
            raise ArtifactError(
                f"{path} holds {count} records where the manifest says {shard.count}; "
                f"delete {dataset.path} and run `faceloom prepare` again"
            )


def _is_mirrored(record: bytes) -> bool:
    return decode_example(record).get("mirrored") == [1]


def _pixels(path: Path, offset: int, record: bytes, dataset: DatasetManifest) -> Images:
    return _decoded(path, offset, record, dataset)[1]


def _decoded(path: Path, offset: int, record: bytes, dataset: DatasetManifest) -> tuple[Mapping[str, Any], Images]:
    try:
        features = decode_example(record)
        return features, picture_of(features, dataset)
    except ArtifactError as error:
        raise ArtifactError(
            f"{path}: the record at byte {offset} is {error}; delete {dataset.path} and run `faceloom prepare` again"
        ) from None
