"""Data sets of pictures that a test names one by one, with all that `prepare` leaves beside them but a preview."""

from __future__ import annotations

import dataclasses
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core import artifacts, storage
from gan_core.data.record_account import statistics_of
from gan_core.handoff import DatasetManifest
from gan_core.normalization import NORMALIZATIONS
from gan_core.records import encode_example, write_record
from gan_core.schema import features_of, write_tfds

Pixels = npt.NDArray[np.uint8]

ATTRIBUTE_NAMES = ("Smiling", "Eyeglasses")
LABEL_NAMES = ("cat", "dog")
JPEG_QUALITY = 95
UNKNOWN = (math.nan,) * 10


@dataclass(frozen=True)
class Picture:
    """What a record is to say; pixels None are those of `pixels_of(key)`."""

    key: str
    split: str = "train"
    pixels: Pixels | None = None
    label: int = 0
    attributes: tuple[int, ...] = (0, 1)
    identity: int = -1
    landmarks: tuple[float, ...] = UNKNOWN
    licence: str = ""
    author: str = ""


def pictures(count: int, split: str = "train", **facts: Any) -> list[Picture]:
    """Return pictures with the keys <split>/00.jpg, <split>/01.jpg, ..., and labels 0, 1, 0, ..."""
    return [Picture(f"{split}/{number:02d}.jpg", split, **{"label": number % 2, **facts}) for number in range(count)]


def pixels_of(key: str, side: int = 8, channels: int = 3) -> Pixels:
    """Return random pixels that belong to a key: uint8 [side, side, channels]."""
    seed = [side, channels, *key.encode()]
    return np.random.default_rng(seed).integers(0, 256, (side, side, channels), np.uint8)


def write_dataset(
    folder: Path,
    listed: Sequence[Picture],
    *,
    side: int = 8,
    channels: int = 3,
    stored_as: str = "uint8",
    normalize: str = "[-1,1]",
    per_shard: int = 4,
    mirrored: bool = False,
    rejects: Sequence[Mapping[str, str]] = (),
    changes: Mapping[str, Any] | None = None,
) -> DatasetManifest:
    """Publish the pictures at `folder`, in their order, `per_shard` of them in a shard.

    Args:
        folder: where; its parents are created.
        listed: the pictures.
        side: of the pictures.
        channels: of the pictures.
        stored_as: `data.storage`.
        normalize: `data.normalize`, by the statistics of the training pictures.
        per_shard: pictures a shard.
        mirrored: whether every picture is followed by its mirrored copy.
        rejects: the lines of rejects.jsonl.
        changes: of fields of the manifest, and what they become.
    """
    listed = [one if one.pixels is not None else _drawn(one, side, channels) for one in listed]
    splits = {split: [one for one in listed if one.split == split] for split in ("train", "validation", "test")}
    histogram = _histogram(splits["train"], channels, stored_as)
    statistics = statistics_of(histogram, len(splits["train"]))
    normalization = NORMALIZATIONS[normalize](statistics["mean"], statistics["deviation"])

    def encoded(pixels: Pixels) -> bytes:
        return storage.encode(pixels, stored_as, jpeg_quality=JPEG_QUALITY, normalization=normalization)

    with artifacts.publishing(folder) as draft:
        shards: dict[str, list[dict[str, Any]]] = {}
        for split, chosen in splits.items():
            total = -(-len(chosen) // per_shard)
            for index in range(total):
                path = draft / f"{split}-{index:05d}-of-{total:05d}.tfrecord"
                count = 0
                with path.open("wb") as stream:
                    for one in chosen[index * per_shard : (index + 1) * per_shard]:
                        for record in _records(one, encoded, mirrored):
                            write_record(stream, record)
                            count += 1
                shard = {"name": path.name, "count": count, "sha256": artifacts.sha256_file(path)}
                shards.setdefault(split, []).append(shard)
        (draft / "rejects.jsonl").write_text("".join(json.dumps(line) + "\n" for line in rejects))
        landmark_count, asked = len(listed[0].landmarks), len(splits["train"]) + len(rejects)
        fields = {
            "name": "Written Faces",
            "resolution": side,
            "channels": channels,
            "splits": shards,
            "rejects": dict(Counter(line["reason"] for line in rejects)),
            "statistics": statistics,
            "protocol": {
                "crop": "none",
                "flip": "store" if mirrored else "train",
                "storage": stored_as,
                "normalize": normalize,
            },
            "normalization": normalization.to_json(),
            "source": {
                "kind": "folder",
                "name": "Written Faces",
                "fingerprint": "f" * 64,
                "counts": {split: len(chosen) for split, chosen in splits.items() if chosen} | {"train": asked},
            },
            "created_by": {"faceloom": "tests"},
            "attribute_names": list(ATTRIBUTE_NAMES[: len(listed[0].attributes)]),
            "label_names": list(LABEL_NAMES) if any(one.label >= 0 for one in listed) else [],
            "licences": dict(Counter(one.licence for one in listed if one.licence)),
            "features": features_of(side, channels, stored_as, len(listed[0].attributes), landmark_count),
            **(changes or {}),
        }
        write_tfds(draft, fields)
        artifacts.write_manifest(draft, "dataset", "d" * 64, fields)
    return DatasetManifest.load(folder)


def sign(folder: Path) -> None:
    """Let the manifest say what the files of a data set are now."""
    manifest = artifacts.read_manifest(folder, "dataset")
    fields = json.loads(json.dumps(manifest.fields))
    for shards in fields["splits"].values():
        for shard in shards:
            shard["sha256"] = artifacts.sha256_file(folder / shard["name"])
    artifacts.write_manifest(folder, "dataset", manifest.digest, fields)


def _drawn(one: Picture, side: int, channels: int) -> Picture:
    return dataclasses.replace(one, pixels=pixels_of(one.key, side, channels))


def _histogram(chosen: Sequence[Picture], channels: int, stored_as: str) -> npt.NDArray[np.int64]:
    stacked = np.stack([_stored(one.pixels, stored_as) for one in chosen if one.pixels is not None])
    return np.stack([np.bincount(stacked[..., channel].ravel(), minlength=256) for channel in range(channels)])


def _stored(pixels: Pixels, stored_as: str) -> Pixels:
    if stored_as != "jpeg":
        return pixels
    data = storage.encode(pixels, "jpeg", jpeg_quality=JPEG_QUALITY, normalization=None)
    return storage.decode(data, pixels.shape, "jpeg", None)


def _records(one: Picture, encoded: Any, mirrored: bool) -> Iterator[bytes]:
    assert one.pixels is not None
    for is_mirrored, pixels in enumerate((one.pixels, one.pixels[:, ::-1]) if mirrored else (one.pixels,)):
        yield encode_example(
            {
                "image": encoded(np.ascontiguousarray(pixels)),
                "shape": pixels.shape,
                "key": one.key.encode(),
                "attributes": one.attributes,
                "identity": (one.identity,),
                "mirrored": (is_mirrored,),
                "label": (one.label,),
                "landmarks": np.array(one.landmarks, np.float32),
                "licence": one.licence.encode(),
                "author": one.author.encode(),
            }
        )
