"""Small published data sets for tests: what `prepare` would leave, without its sources and without Beam."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_core import artifacts, storage
from gan_core.handoff import DatasetManifest, Shard
from gan_core.normalization import NORMALIZATIONS, Normalization
from gan_core.records import Feature, encode_example, write_record

Images = npt.NDArray[np.uint8]
Form = tuple[str, Normalization]

ATTRIBUTE_NAMES = ("Smiling", "Eyeglasses")
LABEL_NAMES = ("cat", "dog", "frog")
LICENCE = "CC0 1.0"
JPEG_QUALITY = 95
# Of the side: eyes, nose, corners of the mouth. A face that is its own mirror image, in numbers that float32 has.
LANDMARKS = (0.25, 0.375, 0.75, 0.375, 0.5, 0.5, 0.375, 0.75, 0.625, 0.75)


def smooth_pictures(count: int, resolution: int, channels: int, seed: int = 0) -> Images:
    """Return seeded random pictures without hard edges: uint8 [count, resolution, resolution, channels].

    A 4x4 random field, enlarged: pictures that differ, with pixels that resemble their neighbours.
    """
    field = np.random.default_rng([seed, resolution, channels]).integers(0, 256, (count, 4, 4, channels), np.uint8)
    planes = [
        np.asarray(Image.fromarray(picture[:, :, channel]).resize((resolution, resolution), Image.Resampling.BICUBIC))
        for picture in field
        for channel in range(channels)
    ]
    stacked = np.stack(planes).reshape(count, channels, resolution, resolution)
    return np.ascontiguousarray(stacked.transpose(0, 2, 3, 1))


def make_dataset(
    folder: Path,
    *,
    count: int = 40,
    resolution: int = 32,
    channels: int = 3,
    splits: Sequence[str] = ("train",),
    images_per_shard: int = 16,
    seed: int = 0,
    mirrored: bool = False,
    stored_as: str = "uint8",
    normalize: str = "[-1,1]",
) -> DatasetManifest:
    """Publish a data set at `folder` and return its manifest.

    The pictures of a split are those of `split_pictures`, with the keys "<split>/000000.png" onwards. Picture i has
    the label i modulo 3, the author "Author <i>", the licence LICENCE, and LANDMARKS times the side.

    Args:
        folder: where; its parents are created.
        count: pictures in each split.
        resolution: side of the pictures, pixels.
        channels: 3 or 1.
        splits: train, validation, test, or some of them.
        images_per_shard: pictures a shard; the last one may be shorter.
        seed: of the pictures; part of the digest.
        mirrored: store a mirrored copy after every picture, as `data.flip = "store"` does.
        stored_as: what `data.storage` would be, with JPEG_QUALITY.
        normalize: what `data.normalize` would be, by the statistics of the first split.
    """
    asked = [count, resolution, channels, list(splits), images_per_shard, seed, mirrored, stored_as, normalize]
    with artifacts.publishing(folder) as draft:
        pictures = {split: split_pictures(split, count, resolution, channels, seed) for split in splits}
        values = next(iter(pictures.values())).astype(np.float64)
        mean, deviation = values.mean(axis=(0, 1, 2)).tolist(), values.std(axis=(0, 1, 2)).tolist()
        form = stored_as, NORMALIZATIONS[normalize](mean, deviation)
        shards = {
            split: _write_shards(draft, split, images, images_per_shard, mirrored, form)
            for split, images in pictures.items()
        }
        (draft / "rejects.jsonl").write_text("")
        fields = {
            "name": "tiny",
            "resolution": resolution,
            "channels": channels,
            "splits": {split: [vars(shard) for shard in listed] for split, listed in shards.items()},
            "rejects": {},
            "statistics": {"mean": mean, "deviation": deviation, "count": count},
            "protocol": {
                "crop": "none",
                "filter": "lanczos",
                "flip": "store" if mirrored else "train",
                "storage": stored_as,
                "normalize": normalize,
            },
            "normalization": form[1].to_json(),
            "source": {
                "kind": "folder",
                "name": "tiny",
                "fingerprint": artifacts.digest_of([count, resolution, channels, list(splits), seed]),
                "counts": dict.fromkeys(splits, count),
            },
            "created_by": {"faceloom": "tests"},
            "attribute_names": list(ATTRIBUTE_NAMES),
            "label_names": list(LABEL_NAMES),
            "licences": {LICENCE: count * len(splits)},
        }
        artifacts.write_manifest(draft, "dataset", artifacts.digest_of(asked), fields)
    return DatasetManifest.load(folder)


def split_pictures(split: str, count: int = 40, resolution: int = 32, channels: int = 3, seed: int = 0) -> Images:
    """Return what `make_dataset` stores in `split`: uint8 [count, resolution, resolution, channels]."""
    return smooth_pictures(count, resolution, channels, seed * 3 + ("train", "validation", "test").index(split))


def _write_shards(
    draft: Path, split: str, images: Images, images_per_shard: int, mirrored: bool, form: Form
) -> list[Shard]:
    total = -(-len(images) // images_per_shard)
    shards = []
    for index in range(total):
        first = index * images_per_shard
        chosen = images[first : first + images_per_shard]
        path = draft / f"{split}-{index:05d}-of-{total:05d}.tfrecord"
        with path.open("wb") as stream:
            for number, image in enumerate(chosen, first):
                copies = (image, image[:, ::-1]) if mirrored else (image,)
                for is_mirrored, copy in enumerate(copies):
                    write_record(stream, encode_example(_features(split, number, copy, is_mirrored, form)))
        shards.append(Shard(path.name, len(chosen) * (1 + mirrored), artifacts.sha256_file(path)))
    return shards


def _features(split: str, number: int, image: Images, is_mirrored: int, form: Form) -> dict[str, Feature]:
    stored_as, normalization = form
    return {
        "image": storage.encode(image, stored_as, jpeg_quality=JPEG_QUALITY, normalization=normalization),
        "shape": image.shape,
        "key": f"{split}/{number:06d}.png".encode(),
        "attributes": (0, 1),
        "identity": (-1,),
        "mirrored": (is_mirrored,),
        "label": (number % len(LABEL_NAMES),),
        "landmarks": [share * len(image) for share in LANDMARKS],
        "licence": LICENCE.encode(),
        "author": f"Author {number}".encode(),
    }
