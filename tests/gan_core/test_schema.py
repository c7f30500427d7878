from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gan_core.errors import DataError
from gan_core.records import decode_example, read_records
from gan_core.schema import features_of, tfds_features, write_tfds
from tests.written_datasets import Picture, pictures, write_dataset

CONNECTORS = "tensorflow_datasets.core.features"
NUMBER = {"dtype": "int64", "shape": [], "encoding": "int64_list"}
TEXT = {"dtype": "string", "shape": [], "encoding": "utf-8"}


def test_the_features_of_a_record() -> None:
    """Every feature has its type, shape and encoding, sorted by name."""
    features = features_of(64, 3, "uint8", 40, 10)
    assert list(features) == sorted(features)
    assert features == {
        "attributes": {"dtype": "int64", "shape": [40], "encoding": "int64_list"},
        "author": TEXT,
        "identity": NUMBER,
        "image": {"dtype": "uint8", "shape": [64, 64, 3], "encoding": "raw"},
        "key": TEXT,
        "label": NUMBER,
        "landmarks": {"dtype": "float32", "shape": [10], "encoding": "float_list"},
        "licence": TEXT,
        "mirrored": NUMBER,
        "shape": {"dtype": "int64", "shape": [3], "encoding": "int64_list"},
    }


@pytest.mark.parametrize(
    ("storage", "dtype", "encoding"),
    [("uint8", "uint8", "raw"), ("float32", "float32", "raw"), ("png", "uint8", "png"), ("jpeg", "uint8", "jpeg")],
)
def test_storage_decides_how_the_image_is_read(storage: str, dtype: str, encoding: str) -> None:
    """float32 holds raw floats; png and jpeg are files that decode to uint8."""
    assert features_of(28, 1, storage, 0, 0)["image"] == {"dtype": dtype, "shape": [28, 28, 1], "encoding": encoding}


def test_records_have_what_the_features_say(tmp_path: Path) -> None:
    """The names of a record's features are those of the manifest."""
    dataset = write_dataset(tmp_path / "set", pictures(1))
    ((_, record),) = read_records(tmp_path / "set" / "train-00000-of-00001.tfrecord")
    assert sorted(decode_example(record)) == sorted(dataset.features)


def connectors(storage: str, label_names: list[str]) -> dict[str, Any]:
    """Return the connector of each feature, as features.json says them."""
    fields = {"features": features_of(16, 3, storage, 2, 0), "label_names": label_names}
    document = tfds_features(fields)
    assert document["pythonClassName"] == f"{CONNECTORS}.features_dict.FeaturesDict"
    return dict(document["featuresDict"]["features"])


def test_features_json_is_what_tfds_writes() -> None:
    """Raw pixels are a Tensor in bytes, scalars are Scalars, texts Texts, in the JSON of TFDS's feature.proto."""
    found = connectors("uint8", [])
    assert found["image"] == {
        "pythonClassName": f"{CONNECTORS}.tensor_feature.Tensor",
        "tensor": {"shape": {"dimensions": ["16", "16", "3"]}, "dtype": "uint8", "encoding": "bytes"},
    }
    assert found["attributes"] == {
        "pythonClassName": f"{CONNECTORS}.tensor_feature.Tensor",
        "tensor": {"shape": {"dimensions": ["2"]}, "dtype": "int64", "encoding": "none"},
    }
    assert found["landmarks"]["tensor"] == {"shape": {"dimensions": ["0"]}, "dtype": "float32", "encoding": "none"}
    assert (
        found["identity"]
        == found["label"]
        == {
            "pythonClassName": f"{CONNECTORS}.scalar.Scalar",
            "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"},
        }
    )
    assert found["key"] == {"pythonClassName": f"{CONNECTORS}.text_feature.Text", "text": {}}


def test_features_json_knows_picture_files_floats_and_classes() -> None:
    """PNG and JPEG are Images that TFDS decodes, float32 a Tensor of floats, a label with names a ClassLabel."""
    for storage in ("png", "jpeg"):
        assert connectors(storage, [])["image"] == {
            "pythonClassName": f"{CONNECTORS}.image_feature.Image",
            "image": {"shape": {"dimensions": ["16", "16", "3"]}, "dtype": "uint8", "encodingFormat": storage},
        }
    assert connectors("float32", [])["image"]["tensor"]["dtype"] == "float32"
    assert connectors("uint8", ["cat", "dog"])["label"] == {
        "pythonClassName": f"{CONNECTORS}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": "2"},
    }


def test_dataset_info_json(tmp_path: Path) -> None:
    """Splits are listed in order, with the template of our file names, the records of each shard, and its bytes."""
    listed = [*pictures(2, "test"), *pictures(5, licence="CC BY 4.0")]
    dataset = write_dataset(tmp_path / "set", listed, per_shard=4)
    sizes = {path.name: str(path.stat().st_size) for path in dataset.path.glob("*.tfrecord")}
    train = str(sum(int(sizes[f"train-0000{index}-of-00002.tfrecord"]) for index in range(2)))
    assert json.loads((dataset.path / "dataset_info.json").read_text()) == {
        "name": "written_faces_8",
        "version": "1.0.0",
        "description": "Written Faces at 8x8 pixels, prepared by faceloom. attributes: Smiling, Eyeglasses.",
        "fileFormat": "tfrecord",
        "splits": [
            {
                "name": "train",
                "filepathTemplate": "{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}",
                "shardLengths": ["4", "1"],
                "numBytes": train,
            },
            {
                "name": "test",
                "filepathTemplate": "{SPLIT}-{SHARD_X_OF_Y}.{FILEFORMAT}",
                "shardLengths": ["2"],
                "numBytes": sizes["test-00000-of-00001.tfrecord"],
            },
        ],
        "redistributionInfo": {"license": "CC BY 4.0"},
    }


def fields(**changes: Any) -> dict[str, Any]:
    """Return the fields of a manifest with the shards 0 and 2 of 3."""
    shards = [{"name": f"train-0000{index}-of-00003.tfrecord", "count": 7 + index} for index in (0, 2)]
    described = features_of(8, 3, "uint8", 0, 0)
    return {"name": "A B", "resolution": 8, "splits": {"train": shards}, "features": described, **changes}


def test_a_shard_that_does_not_exist_has_no_records(tmp_path: Path) -> None:
    """A shard whose pictures were all rejects has length 0, so that the others keep their numbers."""
    for index in (0, 2):
        (tmp_path / f"train-0000{index}-of-00003.tfrecord").write_bytes(b"12345")
    write_tfds(tmp_path, fields())
    (split,) = json.loads((tmp_path / "dataset_info.json").read_text())["splits"]
    assert (split["shardLengths"], split["numBytes"]) == (["7", "0", "9"], "10")


def test_label_names_are_a_line_each(tmp_path: Path) -> None:
    """label.labels.txt has one name a line, whatever is in a name; without classes there is no such file."""
    write_tfds(tmp_path, fields(splits={}))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dataset_info.json", "features.json"]
    write_tfds(tmp_path, fields(splits={}, label_names=["cat", "a\nb", "naïve"]))
    assert (tmp_path / "label.labels.txt").read_text(encoding="utf-8") == "cat\na b\nnaïve\n"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["part-1.tfrecord"], "the shard 'part-1.tfrecord' is not named train-<index>-of-<total>.tfrecord"),
        (["test-00000-of-00001.tfrecord"], "the shard 'test-00000-of-00001.tfrecord' is not named train-<"),
        (
            ["train-00000-of-00001.tfrecord", "train-00001-of-00002.tfrecord"],
            "the shards of split 'train' disagree on their number: [1, 2]",
        ),
    ],
)
def test_shards_that_tfds_could_not_find_are_refused(tmp_path: Path, names: list[str], message: str) -> None:
    """TFDS makes file names from split, index and total; shards that are named otherwise would not be found."""
    for name in names:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError) as caught:
        write_tfds(tmp_path, fields(splits={"train": [{"name": name, "count": 1} for name in names]}))
    assert str(caught.value).startswith(message)


def test_equal_data_sets_have_equal_metadata(tmp_path: Path) -> None:
    """The metadata holds no time and no path: the same data set has the same bytes anywhere."""
    listed = [Picture("a.jpg"), Picture("b.jpg")]
    for name in ("features.json", "dataset_info.json", "label.labels.txt"):
        first, second = (write_dataset(tmp_path / place, listed).path / name for place in ("one", "other"))
        assert first.read_bytes() == second.read_bytes()
