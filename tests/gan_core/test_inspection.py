from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_core.data.contact_sheet import choose, write_sheet
from gan_core.data.entries import entries
from gan_core.data.inspection import count_contents, describe, first_records
from gan_core.errors import ArtifactError, ConfigError
from gan_core.progress import Progress
from tests.written_datasets import UNKNOWN, Picture, pictures, pixels_of, write_dataset

FACE = (1.0, 2.0, 6.0, 2.0, 4.0, 4.0, 2.0, 6.0, 6.0, 6.0)


def test_describe_says_what_the_manifest_says(tmp_path: Path) -> None:
    """Splits come in order with records, shards and bytes; no record is read."""
    dataset = write_dataset(tmp_path / "set", [*pictures(1, "test"), *pictures(5)])
    sizes = {path.name: path.stat().st_size for path in dataset.path.iterdir()}
    for path in dataset.path.glob("*.tfrecord"):
        path.write_bytes(b"")
    found = describe(dataset)
    first, second = (f"train-0000{index}-of-00002.tfrecord" for index in range(2))
    assert list(found["splits"]) == ["train", "test"]
    assert found["splits"]["train"] == {
        "records": 5,
        "bytes": sizes[first] + sizes[second],
        "shards": [
            {"name": first, "records": 4, "bytes": sizes[first]},
            {"name": second, "records": 1, "bytes": sizes[second]},
        ],
    }
    assert found["bytes"] == sum(sizes.values()) - sizes["manifest.json"]
    assert (found["name"], found["resolution"], found["channels"]) == ("Written Faces", 8, 3)
    assert found["statistics"] == dataset.statistics
    assert found["created_by"] == {"faceloom": "tests"}


def test_rejects_have_examples(tmp_path: Path) -> None:
    """Every reason has its count and the first three keys with their details."""
    rejects = [{"key": f"{index}.jpg", "reason": "truncated", "detail": f"at {index}"} for index in range(4)]
    rejects.append({"key": "z.jpg", "reason": "empty", "detail": "0 bytes"})
    found = describe(write_dataset(tmp_path / "set", pictures(1), rejects=rejects))["rejects"]
    assert found == {
        "empty": {"count": 1, "examples": [{"key": "z.jpg", "detail": "0 bytes"}]},
        "truncated": {
            "count": 4,
            "examples": [{"key": f"{index}.jpg", "detail": f"at {index}"} for index in range(3)],
        },
    }


def test_damaged_rejects_are_an_error(tmp_path: Path) -> None:
    """A line of rejects.jsonl that is none is named, not left out."""
    dataset = write_dataset(tmp_path / "set", pictures(1))
    (dataset.path / "rejects.jsonl").write_text("nonsense\n")
    with pytest.raises(ArtifactError, match=r"rejects\.jsonl cannot be read: Expecting value"):
        describe(dataset)


def test_contents_are_counted_without_copies(tmp_path: Path) -> None:
    """Classes by split, the share of ones among the known attributes, persons and landmarks; copies are apart."""
    listed = [
        Picture("a", label=1, attributes=(1, 0), identity=7, landmarks=FACE),
        Picture("b", label=1, attributes=(1, -1), identity=7),
        Picture("c", label=-1, attributes=(-1, -1)),
        Picture("d", "test", label=1, attributes=(0, -1), identity=9),
    ]
    dataset = write_dataset(tmp_path / "set", listed, mirrored=True)
    reported: list[Progress] = []
    assert count_contents(dataset, reported.append) == {
        "originals": 4,
        "mirrored": 4,
        "labels": {"cat": {}, "dog": {"train": 2, "test": 1}},
        "unlabelled": 1,
        "attributes": {"Smiling": {"ones": 2 / 3, "known": 3}, "Eyeglasses": {"ones": 0.0, "known": 1}},
        "identities": 2,
        "landmarks": 1,
    }
    assert reported[-1] == Progress("inspect", 8, 8, "records")


def test_attributes_that_nobody_knows_have_no_share(tmp_path: Path) -> None:
    """Where all are -1 there is no share of ones."""
    dataset = write_dataset(tmp_path / "set", pictures(2, attributes=(-1, 0)))
    assert count_contents(dataset)["attributes"]["Smiling"] == {"ones": None, "known": 0}


def test_first_records(tmp_path: Path) -> None:
    """The features of the first records are plain JSON: unknown landmarks are None, the image is its size."""
    half_known = (*FACE[:2], *UNKNOWN[2:])
    listed = [Picture("a/ö.jpg", landmarks=half_known, licence="CC", author="Zoë"), Picture("b"), Picture("c")]
    first, second = first_records(write_dataset(tmp_path / "set", listed, stored_as="uint8"), 2)
    assert first == {
        "shard": "train-00000-of-00001.tfrecord",
        "byte": 12,
        "split": "train",
        "key": "a/ö.jpg",
        "shape": [8, 8, 3],
        "image_bytes": 192,
        "mirrored": False,
        "label": 0,
        "identity": -1,
        "attributes": [0, 1],
        "landmarks": [1.0, 2.0] + [None] * 8,
        "licence": "CC",
        "author": "Zoë",
    }
    assert second["key"] == "b"


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    """Counting does not go on over damage."""
    dataset = write_dataset(tmp_path / "set", pictures(1))
    path = dataset.path / "train-00000-of-00001.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"train-00000-of-00001\.tfrecord: damaged record data at byte 12"):
        count_contents(dataset)
    path.unlink()
    with pytest.raises(ArtifactError, match=r"train-00000-of-00001\.tfrecord is missing; delete"):
        count_contents(dataset)


def test_random_records_are_a_function_of_the_seed(tmp_path: Path) -> None:
    """The same seed chooses the same records, in the manifest's order, without repetition; another seed others."""
    dataset = write_dataset(tmp_path / "set", [*pictures(20), *pictures(9, "test")])

    def keys(count: int, seed: int, *splits: str) -> list[str]:
        return [entry.key for entry in choose(dataset, splits, count, seed)]

    order = [entry.key for entry in entries(dataset, ("train", "test"))]
    chosen = keys(8, 1, "train", "test")
    assert chosen == keys(8, 1, "train", "test") == [key for key in order if key in chosen]
    assert (len(set(chosen)), chosen == keys(8, 2, "train", "test")) == (8, False)
    assert keys(99, 0, "train", "test") == order
    assert keys(99, 0, "test") == order[20:]


def test_shards_without_a_chosen_record_are_not_opened(tmp_path: Path) -> None:
    """A sheet of a large data set reads what it shows, not everything."""
    dataset = write_dataset(tmp_path / "set", pictures(8))
    order = [entry.key for entry in entries(dataset, ("train",))]
    (only,) = choose(dataset, ("train",), 1, 0)
    other = dataset.splits["train"][0 if order.index(only.key) >= 4 else 1]
    (dataset.path / other.name).write_bytes(b"broken")
    assert [entry.key for entry in choose(dataset, ("train",), 1, 0)] == [only.key]


@pytest.mark.parametrize("stored_as", ["uint8", "png"])
def test_a_sheet_shows_the_stored_pixels(tmp_path: Path, stored_as: str) -> None:
    """Small pictures are magnified by a whole factor, eight in a row, 4 pixels apart."""
    dataset = write_dataset(tmp_path / "set", pictures(9), stored_as=stored_as)
    chosen = list(entries(dataset, ("train",)))
    write_sheet(tmp_path / "sheet.png", dataset, chosen, annotated=False)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (200, 800, 3)
    assert np.array_equal(sheet[100:196:12, 0:96:12], pixels_of("train/08.jpg"))
    assert np.array_equal(sheet[0:96:12, 700:796:12], pixels_of("train/07.jpg"))
    assert (sheet[96:100] == 255).all()


def test_notes_are_drawn_on_request(tmp_path: Path) -> None:
    """With annotations a dot is on every known landmark, and two lines of text below the picture."""
    grey = np.full((8, 8, 1), 128, np.uint8)
    listed = [Picture("a", pixels=grey, landmarks=FACE), Picture("b", pixels=grey, landmarks=(math.nan,) * 10)]
    dataset = write_dataset(tmp_path / "set", listed, channels=1)
    write_sheet(tmp_path / "sheet.png", dataset, list(entries(dataset, ("train",))), annotated=True)
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (124, 200, 3)
    dots = [sheet[int(y * 12), int(x * 12)].tolist() for x, y in zip(FACE[0::2], FACE[1::2], strict=True)]
    assert dots == [[255, 0, 0], [255, 0, 0], [0, 255, 0], [0, 255, 255], [0, 255, 255]]
    assert (sheet[:96, 100:196] == 128).all()
    assert (sheet[96:120, :96] < 128).any()


def test_large_pictures_are_shrunk(tmp_path: Path) -> None:
    """A sheet of 512-pixel pictures has tiles of 256."""
    dataset = write_dataset(tmp_path / "set", pictures(1), side=512)
    write_sheet(tmp_path / "sheet.png", dataset, list(entries(dataset, ("train",))), annotated=False)
    assert np.asarray(Image.open(tmp_path / "sheet.png")).shape == (260, 260, 3)


def test_a_sheet_that_cannot_be_written(tmp_path: Path) -> None:
    """A folder that is not there is the user's mistake."""
    dataset = write_dataset(tmp_path / "set", pictures(1))
    with pytest.raises(ConfigError, match=r"--images .*sheet\.png cannot be written: No such file or directory"):
        write_sheet(tmp_path / "no" / "sheet.png", dataset, list(entries(dataset, ("train",))), annotated=False)
