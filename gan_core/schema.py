"""What a record holds, said for other tools: the manifest's `features`, and the metadata that TFDS reads.

With `features.json` and `dataset_info.json` beside its shards a data set folder is one that
`tensorflow_datasets.builder_from_directory(folder)` opens without any code of ours. The files are those of
`tfds.folder_dataset.write_metadata` (https://www.tensorflow.org/datasets/external_tfrecord), written without TFDS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_core import artifacts
from gan_core.errors import DataError
from gan_core.handoff import SPLITS, slug

TFDS_VERSION = "1.0.0"  # of what our records hold; TFDS wants one, and it may become part of a path
_CONNECTORS = "tensorflow_datasets.core.features"
_SHARD = re.compile(r"(?P<split>\w+)-(?P<index>\d{5})-of-(?P<total>\d{5})\.tfrecord")


def features_of(
    resolution: int, channels: int, storage: str, attribute_count: int, landmark_count: int
) -> dict[str, dict[str, Any]]:
    """Return name -> {"dtype", "shape", "encoding"} of every feature of a record, sorted by name.

    `encoding` says how the values lie in the tf.train.Example: `raw` (bytes of the little-endian array, row by row),
    `png`, `jpeg`, `utf-8` (each one string of a bytes_list), `int64_list` or `float_list`.

    Args:
        resolution: side of the pictures, pixels.
        channels: 3 or 1.
        storage: `data.storage`: uint8, float32, png, jpeg.
        attribute_count: numbers in `attributes`, may be 0.
        landmark_count: numbers in `landmarks`, 10 or 0.
    """
    # A picture file decodes to uint8, whatever it is compressed with.
    dtype, encoding = {"uint8": ("uint8", "raw"), "float32": ("float32", "raw")}.get(storage, ("uint8", storage))
    text = {"dtype": "string", "shape": [], "encoding": "utf-8"}
    number = {"dtype": "int64", "shape": [], "encoding": "int64_list"}
    return {
        "attributes": {**number, "shape": [attribute_count]},
        "author": dict(text),
        "identity": dict(number),
        "image": {"dtype": dtype, "shape": [resolution, resolution, channels], "encoding": encoding},
        "key": dict(text),
        "label": dict(number),
        "landmarks": {"dtype": "float32", "shape": [landmark_count], "encoding": "float_list"},
        "licence": dict(text),
        "mirrored": dict(number),
        "shape": {**number, "shape": [3]},
    }


def write_tfds(draft: Path, manifest_fields: Mapping[str, Any]) -> None:
    """Write features.json, dataset_info.json and, where there are classes, label.labels.txt into `draft`.

    To be called once all shards are in place and before the manifest is written, which then lists these files.

    Args:
        draft: the folder of the shards.
        manifest_fields: `features`, `splits`, `name`, `resolution`, `label_names`, `attribute_names`, `licences` of
            the manifest.

    Raises:
        DataError: a shard's name is not `<split>-<index>-of-<total>.tfrecord`.
    """
    artifacts.replace_file(draft / "features.json", _json(tfds_features(manifest_fields)))
    artifacts.replace_file(draft / "dataset_info.json", _json(tfds_info(draft, manifest_fields)))
    names = manifest_fields.get("label_names", ())
    if names:
        # One line a name: a line break inside one would shift all that follow.
        lines = "".join(f"{' '.join(str(name).split())}\n" for name in names)
        artifacts.replace_file(draft / "label.labels.txt", lines.encode())


def tfds_features(manifest_fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of features.json: `Feature` of TFDS's feature.proto, as JSON.

    A label of -1 means that there is none, as it does in TFDS.
    """
    classes = len(manifest_fields.get("label_names", ()))
    connectors = {name: _connector(name, one, classes) for name, one in manifest_fields["features"].items()}
    return {
        "pythonClassName": f"{_CONNECTORS}.features_dict.FeaturesDict",
        "featuresDict": {"features": dict(sorted(connectors.items()))},
    }


def tfds_info(draft: Path, manifest_fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of dataset_info.json: `DatasetInfo` of TFDS's dataset_info.proto, as JSON.

    A shard that does not exist because all its pictures were rejects has the length 0: TFDS does not open it then.
    """
    side, splits = manifest_fields["resolution"], manifest_fields["splits"]
    licences = sorted(manifest_fields.get("licences", ()))
    info: dict[str, Any] = {
        "name": re.sub(r"\W+", "_", f"{slug(manifest_fields['name'])}_{side}"),
        "version": TFDS_VERSION,
        "description": f"{manifest_fields['name']} at {side}x{side} pixels, prepared by faceloom. "
        f"attributes: {', '.join(manifest_fields.get('attribute_names', ())) or 'none'}.",
        "fileFormat": "tfrecord",
        "splits": [_split_info(draft, split, splits[split]) for split in SPLITS if splits.get(split)],
    }
    if licences:
        info["redistributionInfo"] = {"license": "; ".join(licences)}
    return info


def _connector(name: str, feature: Mapping[str, Any], classes: int) -> dict[str, Any]:
    shape, dtype, encoding = feature["shape"], feature["dtype"], feature["encoding"]
    if encoding in ("png", "jpeg"):
        image = {"shape": _dimensions(shape), "dtype": dtype, "encodingFormat": encoding}
        return {"pythonClassName": f"{_CONNECTORS}.image_feature.Image", "image": image}
    if dtype == "string":
        return {"pythonClassName": f"{_CONNECTORS}.text_feature.Text", "text": {}}
    if name == "label" and classes:
        label = {"numClasses": str(classes)}
        return {"pythonClassName": f"{_CONNECTORS}.class_label_feature.ClassLabel", "classLabel": label}
    place = "tensor_feature.Tensor" if shape else "scalar.Scalar"
    tensor = {"shape": _dimensions(shape), "dtype": dtype, "encoding": "bytes" if encoding == "raw" else "none"}
    return {"pythonClassName": f"{_CONNECTORS}.{place}", "tensor": tensor}


def _dimensions(shape: Sequence[int]) -> dict[str, list[str]]:
    # Protobuf's JSON writes 64-bit integers as strings, and leaves empty lists out.
    return {"dimensions": [str(length) for length in shape]} if shape else {}


def _split_info(draft: Path, split: str, shards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counts, totals = {}, set()
    for shard in shards:
        found = _SHARD.fullmatch(shard["name"])
        if found is None or found["split"] != split:
            raise DataError(f"the shard '{shard['name']}' is not named {split}-<index>-of-<total>.tfrecord")
        counts[int(found["index"])] = shard["count"]
        totals.add(int(found["total"]))
    if len(totals) != 1:
        raise DataError(f"the shards of split '{split}' disagree on their number: {sorted(totals)}")
    return {
        "name": split,
        "filepathTemplate": "{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}",
        "shardLengths": [str(counts.get(index, 0)) for index in range(totals.pop())],
        "numBytes": str(sum((draft / shard["name"]).stat().st_size for shard in shards)),
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
