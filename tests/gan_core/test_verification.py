from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core.data.record_account import statistics_of
from gan_core.data.verification import Problem, Verification, unreadable, verify_dataset
from gan_core.errors import ArtifactError
from gan_core.progress import Progress
from gan_core.records import read_records
from gan_core.schema import features_of
from tests.written_datasets import Picture, pictures, sign, write_dataset

STRANGE = {"dtype": "int8", "shape": [], "encoding": "bits"}
FIRST, SECOND = "train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord"


@pytest.mark.parametrize("stored_as", ["uint8", "float32", "png", "jpeg"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_what_was_written_is_good(tmp_path: Path, stored_as: str, mirrored: bool) -> None:
    """A data set of every storage verifies: all files, all records, no problem."""
    listed = [*pictures(5, licence="CC"), *pictures(2, "test")]
    rejects = [{"key": "x.jpg", "reason": "truncated", "detail": "it ends"}]
    dataset = write_dataset(
        tmp_path / "set",
        listed,
        stored_as=stored_as,
        normalize="mean-deviation",
        mirrored=mirrored,
        rejects=rejects,
    )
    reported: list[Progress] = []
    found = verify_dataset(dataset.path, reported.append)
    records = 14 if mirrored else 7
    size_bytes = sum(path.stat().st_size for path in dataset.path.iterdir() if path.name != "manifest.json")
    assert found == Verification(dataset.path, 7, size_bytes, records, records, ())
    assert found.good
    assert reported[-1] == Progress("verify", records, records, "records")


def damaged(tmp_path: Path, name: str, change: Callable[[bytes], bytes], **options: Any) -> tuple[Problem, ...]:
    """Return the problems of a data set of six pictures in two shards after a change of one file's bytes."""
    dataset = write_dataset(tmp_path / "set", pictures(6), **options)
    path = dataset.path / name
    path.write_bytes(change(path.read_bytes()))
    found = verify_dataset(dataset.path)
    assert found.good == (not found.problems)
    return found.problems


def flipped(byte: int) -> Callable[[bytes], bytes]:
    """Return what inverts the lowest bit of one byte."""
    return lambda data: data[:byte] + bytes([data[byte] ^ 1]) + data[byte + 1 :]


def starts(tmp_path: Path) -> list[int]:
    """Return where the records of the first shard begin, with their length headers."""
    dataset = write_dataset(tmp_path / "starts", pictures(6))
    return [offset - 12 for offset, _ in read_records(dataset.path / FIRST)]


def test_every_single_byte_of_a_shard_is_guarded(tmp_path: Path) -> None:
    """Whichever byte is flipped, the problem names the file, and the record that holds the byte."""
    begins = starts(tmp_path)
    dataset = write_dataset(tmp_path / "set", pictures(6))
    path = dataset.path / FIRST
    good = path.read_bytes()
    for byte in range(0, len(good), 7):
        path.write_bytes(flipped(byte)(good))
        (problem,) = verify_dataset(dataset.path).problems
        assert (problem.file, problem.byte) == (FIRST, max(begin for begin in begins if begin <= byte))


def test_a_damaged_shard_does_not_hide_the_others(tmp_path: Path) -> None:
    """The first bad byte of every shard is named, and the good records of all are counted."""
    begins = starts(tmp_path)
    dataset = write_dataset(tmp_path / "set", pictures(6))
    for name, byte in ((FIRST, begins[1] + 20), (SECOND, 3)):
        (dataset.path / name).write_bytes(flipped(byte)((dataset.path / name).read_bytes()))
    found = verify_dataset(dataset.path)
    assert found.problems == (
        Problem(FIRST, begins[1], f"damaged record data at byte {begins[1] + 12} (3 of 4 records not checked)"),
        Problem(SECOND, 0, "damaged record length at byte 0 (2 of 2 records not checked)"),
    )
    assert (found.records, found.records_listed) == (1, 6)
    assert str(found.problems[1]) == f"{SECOND} at byte 0: damaged record length at byte 0 (2 of 2 records not checked)"


def test_shards_that_are_cut_grown_or_gone(tmp_path: Path) -> None:
    """A shard that ends early, has a record more, or is not there is named with the byte where it goes wrong."""
    begins = starts(tmp_path)
    cut = damaged(tmp_path / "1", FIRST, lambda data: data[: begins[3]])
    assert cut == (Problem(FIRST, begins[3], "ends after 3 of 4 records (1 of 4 records not checked)"),)
    inside = damaged(tmp_path / "2", FIRST, lambda data: data[:-1])
    assert [(one.file, one.byte) for one in inside] == [(FIRST, begins[3])]
    twice = damaged(tmp_path / "3", FIRST, lambda data: data + data[: begins[1]])
    end = begins[3] + begins[1]
    assert twice == (Problem(FIRST, end, "a record more than the 4 that the manifest says"),)
    tail = damaged(tmp_path / "4", FIRST, lambda data: data + b"?")
    assert tail == (Problem(FIRST, end, f"damaged record length at byte {end}"),)
    dataset = write_dataset(tmp_path / "5", pictures(6))
    (dataset.path / FIRST).unlink()
    assert verify_dataset(dataset.path).problems == (Problem(FIRST, None, "is missing (4 of 4 records not checked)"),)


def test_other_files_are_held_against_size_and_digest(tmp_path: Path) -> None:
    """A file that is no shard is compared by length, then by SHA-256."""
    assert damaged(tmp_path / "1", "features.json", lambda data: data[:-3])[0].what.startswith("ends here, and the")
    longer = damaged(tmp_path / "2", "features.json", lambda data: data + b" ")
    assert longer[0].what.startswith("should end here, and has ")
    other = damaged(tmp_path / "3", "features.json", flipped(5))
    assert other == (Problem("features.json", None, "its SHA-256 is not the manifest's"),)


def test_a_key_may_not_be_in_two_splits(tmp_path: Path) -> None:
    """A picture that is in training and test is there twice."""
    listed = [Picture("a.jpg"), Picture("b.jpg", "test"), Picture("a.jpg", "test")]
    (problem,) = verify_dataset(write_dataset(tmp_path / "set", listed).path).problems
    assert problem.file == "test-00000-of-00001.tfrecord"
    assert problem.what == "record 2: its key 'a.jpg' is there twice (1 of 2 records not checked)"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"licences": {"CC": 3}}, "manifest.json: licences is {'CC': 3}, and the records have {}"),
        ({"source": {"counts": {"train": 4}}}, "manifest.json: 4 pictures in source.counts became 3 records and 0 "
         "rejects"),
        ({"features": {}}, "manifest.json: describes no features; run `faceloom prepare` again"),
        ({"attribute_names": ["a"]}, "train-00000-of-00001.tfrecord at byte 0: record 1: it has 2 attributes, and there"
         " are 1 attribute_names (3 of 3 records not checked)"),
        ({"statistics": {"count": 3, "mean": "?", "deviation": [1.0]}}, "manifest.json: statistics.mean is ?, and the "
         "training pictures have [129.95833333333334, 124.23958333333333, 141.69270833333334]"),
        ({"features": {**features_of(8, 3, "uint8", 2, 10), "label": STRANGE}}, "train-00000-of-00001.tfrecord at byte "
         "0: record 1: its feature 'label' is described by the manifest in a way that this version of faceloom does "
         "not know (3 of 3 records not checked)"),
        ({"label_names": []}, "train-00000-of-00001.tfrecord at byte 0: record 1: its label is 0, and there are 0 "
         "label_names (3 of 3 records not checked)"),
    ],
)  # fmt: skip
def test_what_the_manifest_claims_is_counted(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    """Licences, rejects, features and names are held against the records."""
    found = verify_dataset(write_dataset(tmp_path / "set", pictures(3), changes=changes).path)
    assert [str(one) for one in found.problems] == [problem]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": {"storage": "webp"}}, "stored as 'webp', and this version of faceloom reads uint8, float32, png"),
        ({"protocol": {"storage": "float32"}, "normalization": {"scale": [1.0], "offset": [0.0]}}, "has a "
         "normalization that does not fit its 3 channels; run `faceloom prepare` again"),
        ({"protocol": {"storage": "float32"}, "normalization": {"scale": 2.0, "offset": 0.0}}, "has a normalization "
         "that does not fit its 3 channels; run `faceloom prepare` again"),
    ],
)  # fmt: skip
def test_a_manifest_of_another_version_is_said(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """Storage and normalization that this version does not know are a problem or an error, never a crash."""
    dataset = write_dataset(tmp_path / "set", pictures(3))
    document = json.loads((dataset.path / "manifest.json").read_text())
    (dataset.path / "manifest.json").write_text(json.dumps(document | changes | {"manifest_sha256": None}))
    try:
        found = " ".join(map(str, verify_dataset(dataset.path).problems))
    except ArtifactError as error:
        found = str(error)
    assert message in found


def test_rejects_are_counted(tmp_path: Path) -> None:
    """The reasons in rejects.jsonl are those of the manifest; a line that is none is named."""
    reject = {"key": "x.jpg", "reason": "truncated", "detail": "it ends"}
    dataset = write_dataset(tmp_path / "1", pictures(3), rejects=[reject], changes={"rejects": {"empty": 1}})
    problem = "has {'truncated': 1}, and the manifest says {'empty': 1}"
    assert verify_dataset(dataset.path).problems == (Problem("rejects.jsonl", None, problem),)
    dataset = write_dataset(tmp_path / "2", pictures(3))
    (dataset.path / "rejects.jsonl").write_text("{}\n")
    sign(dataset.path)
    assert verify_dataset(dataset.path).problems == (Problem("rejects.jsonl", None, "cannot be read: 'reason'"),)


def test_missing_copies_are_counted(tmp_path: Path) -> None:
    """With flip=store every picture has its mirrored copy."""
    protocol = {"crop": "none", "flip": "store", "storage": "uint8", "normalize": "[-1,1]"}
    found = verify_dataset(write_dataset(tmp_path / "set", pictures(3), changes={"protocol": protocol}).path)
    assert [one.what for one in found.problems] == ["0 mirrored copies, expected 3 (flip is store)"]


def test_a_shard_is_listed_once_and_alike(tmp_path: Path) -> None:
    """Shards of the manifest that are no files of it, or have another SHA-256 there, are a contradiction."""
    dataset = write_dataset(tmp_path / "set", pictures(2))
    document = json.loads((dataset.path / "manifest.json").read_text())
    (shard,) = document["splits"]["train"]
    document["splits"]["train"] = [{**shard, "sha256": "0" * 64}, {**shard, "name": "train-00001-of-00002.tfrecord"}]
    (dataset.path / "manifest.json").write_text(json.dumps(document | {"manifest_sha256": None}))
    assert [one.what for one in verify_dataset(dataset.path).problems] == [
        "gives two SHA-256 for train-00000-of-00001.tfrecord",
        "lists the shard train-00001-of-00002.tfrecord, but no such file",
    ]


def test_an_unreadable_manifest_is_a_problem_of_its_own(tmp_path: Path) -> None:
    """A manifest that is no JSON raises; `unreadable` turns that into a result, for lists of data sets."""
    dataset = write_dataset(tmp_path / "set", pictures(2))
    (dataset.path / "manifest.json").write_text("{")
    with pytest.raises(ArtifactError) as caught:
        verify_dataset(dataset.path)
    found = unreadable(dataset.path, caught.value)
    assert not found.good
    assert found.problems[0].what.startswith("cannot be read (Expecting property name")


def test_statistics_are_exact() -> None:
    """Two pixels, 0 and 255, have mean and deviation 127.5; 3, 3, 3, 7 have 4 and the square root of 3."""
    histogram = np.zeros((2, 256), np.int64)
    histogram[0, [0, 255]] = 2
    histogram[1, 3], histogram[1, 7] = 3, 1
    assert statistics_of(histogram, 1) == {"count": 1, "mean": [127.5, 4.0], "deviation": [127.5, 3**0.5]}
