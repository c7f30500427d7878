"""What every record of a data set must fulfil: the manifest's features, decodable pixels, one key for each picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_core.data.entries import Decoder, Entry, Features, Pixels
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest

_TYPES = {"int64": int, "float32": float}


def contradiction(features: Features, described: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return how a record's features contradict the manifest's `features`, None where they do not."""
    if features.keys() != described.keys():
        unknown, missing = sorted(features.keys() - described.keys()), sorted(described.keys() - features.keys())
        return f"its features are others than the manifest's: it lacks {missing}, and it has {unknown} besides"
    for name, one in described.items():
        if found := _mismatch(features[name], one.get("encoding"), one.get("dtype"), one.get("shape")):
            return f"its feature '{name}' {found}"
    return None


def _mismatch(value: bytes | list[int] | list[float], encoding: Any, dtype: Any, shape: Any) -> str | None:
    if encoding in ("raw", "png", "jpeg", "utf-8"):
        return None if isinstance(value, bytes) else f"is no {encoding}"
    if encoding not in ("int64_list", "float_list") or dtype not in _TYPES or not isinstance(shape, list):
        return "is described by the manifest in a way that this version of faceloom does not know"
    if isinstance(value, bytes) or any(type(item) is not _TYPES[dtype] for item in value):
        return f"is not {dtype}"
    if len(value) != math.prod(shape):
        return f"has {len(value)} numbers, and the manifest says {math.prod(shape)}"
    return None


class RecordChecks:
    """What the records of one shard must fulfil, alone and after the one before.

    Args:
        dataset: what they are records of.
        keys: marks of the keys that were seen in other shards; those of this one are added.
    """

    def __init__(self, dataset: DatasetManifest, keys: set[bytes]) -> None:
        self._dataset = dataset
        self._decode = Decoder(dataset)
        self._keys = keys
        self._before: tuple[Entry, Pixels] | None = None

    def __call__(self, entry: Entry, contradiction: str | None) -> Pixels:
        """Return the pixels. Raises ArtifactError with what is wrong."""
        if contradiction:
            raise ArtifactError(contradiction)
        pixels = self._decode(entry)
        classes = len(self._dataset.label_names)
        if not -1 <= entry.label < classes:
            raise ArtifactError(f"its label is {entry.label}, and there are {classes} label_names")
        if len(entry.attributes) != len(self._dataset.attribute_names):
            expected = len(self._dataset.attribute_names)
            raise ArtifactError(f"it has {len(entry.attributes)} attributes, and there are {expected} attribute_names")
        if not {-1, 0, 1}.issuperset(entry.attributes):
            raise ArtifactError("an attribute is none of -1, 0, 1")
        if entry.mirrored:
            self._check_copy(entry, pixels)
        else:
            self._check_key(entry.key)
        self._before = (entry, pixels)
        return pixels

    def _check_key(self, key: str) -> None:
        if not key:
            raise ArtifactError("its key is empty")
        mark = hashlib.sha256(key.encode()).digest()[:16]
        if mark in self._keys:
            raise ArtifactError(f"its key '{key}' is there twice")
        self._keys.add(mark)

    def _check_copy(self, entry: Entry, pixels: Pixels) -> None:
        before = self._before
        if before is None or before[0].mirrored or before[0].key != entry.key:
            raise ArtifactError(f"the mirrored copy of '{entry.key}' does not follow its original")
        # A JPEG of a mirrored picture is not the mirrored JPEG.
        if self._dataset.protocol["storage"] != "jpeg" and not np.array_equal(pixels, before[1][:, ::-1]):
            raise ArtifactError(f"the mirrored copy of '{entry.key}' is not its original mirrored")
