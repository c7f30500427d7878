from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core.data.comparison import Comparison, Found, compare
from gan_core.handoff import DatasetManifest
from gan_core.progress import Progress
from tests.written_datasets import Picture, pictures, pixels_of, write_dataset

KEYS = tuple(f"train/{number:02d}.jpg" for number in range(9))


def written(folder: Path, listed: list[Picture], **options: Any) -> DatasetManifest:
    """Publish pictures whose manifests agree on the statistics, whatever the pixels."""
    statistics = {"count": 1, "mean": [1.0], "deviation": [1.0]}
    source = {"fingerprint": "same"}
    return write_dataset(folder, listed, changes={"statistics": statistics, "source": source}, **options)


def against(tmp_path: Path, other: list[Picture], **options: Any) -> Comparison:
    """Compare six pictures with others."""
    return compare(written(tmp_path / "a", pictures(6)), written(tmp_path / "b", other, **options))


def test_a_data_set_is_identical_with_its_copy(tmp_path: Path) -> None:
    """Nothing differs, and both have one digest of contents."""
    reported: list[Progress] = []
    a, b = (written(tmp_path / name, [*pictures(6), *pictures(2, "test")]) for name in "ab")
    found = compare(a, b, reported.append)
    assert (found.identical, found.same_records, found.fields, found.records) == (True, True, {}, (8, 8))
    assert found.contents[0] == found.contents[1]
    assert len(found.contents[0]) == 64
    assert reported[-1] == Progress("compare", 16, 16, "records")


@pytest.mark.parametrize("stored_as", ["float32", "png"])
def test_storage_and_shards_do_not_change_the_contents(tmp_path: Path, stored_as: str) -> None:
    """The same pictures in another lossless storage and other shards: same records, other manifests."""
    found = against(tmp_path, pictures(6)[::-1], stored_as=stored_as, per_shard=2)
    assert (found.identical, found.same_records) == (False, True)
    assert found.fields["protocol.storage"] == ("uint8", stored_as)
    assert {name.partition(".")[0] for name in found.fields} == {"protocol", "features"}


def test_keys_of_one_side(tmp_path: Path) -> None:
    """Records that only one side has are counted, with the first keys."""
    found = against(tmp_path, pictures(9)[2:])
    assert (found.only_a, found.only_b) == (Found(2, KEYS[:2]), Found(3, KEYS[6:]))
    assert (found.other_pixels, found.other_facts, found.other_split) == (Found(), Found(), Found())
    assert (found.same_records, found.identical, found.records) == (False, False, (6, 7))


def test_only_five_keys_are_named(tmp_path: Path) -> None:
    """The count goes on beyond the examples."""
    a, b = written(tmp_path / "a", pictures(9)), written(tmp_path / "b", pictures(1))
    assert compare(a, b).only_a == Found(8, KEYS[1:6])
    assert compare(b, a).only_b == Found(8, KEYS[1:6])


def test_other_pixels_are_measured(tmp_path: Path) -> None:
    """The largest difference is that of a single value; the mean is over the pictures that differ."""
    one, two = np.full((8, 8, 3), 100, np.uint8), np.full((8, 8, 3), 100, np.uint8)
    two[0, 0, 0], two[7, 7, 2] = 0, 108
    same = Picture("same")
    a = written(tmp_path / "a", [Picture("changed", pixels=one), same])
    b = written(tmp_path / "b", [Picture("changed", pixels=two), same])
    found = compare(a, b)
    assert (found.other_pixels, found.max_difference) == (Found(1, ("changed",)), 100)
    assert found.mean_difference == 108 / 192
    assert found.fields == {}


def test_sizes_that_differ_cannot_be_measured(tmp_path: Path) -> None:
    """Pictures of two sizes are other pictures, without a distance."""
    found = against(tmp_path, pictures(6), side=16)
    assert (found.other_pixels.count, found.max_difference, found.mean_difference) == (6, None, None)
    assert found.fields["resolution"] == (8, 16)


@pytest.mark.parametrize(
    "change",
    [
        {"label": 1},
        {"identity": 4},
        {"attributes": (1, 1)},
        {"landmarks": (1.0,) * 10},
        {"licence": "CC"},
        {"author": "Zoë"},
    ],
)
def test_every_fact_counts(tmp_path: Path, change: dict[str, Any]) -> None:
    """A label, identity, attribute, landmark, licence or author that differs is found; its pixels are the same."""
    first, *rest = pictures(6)
    found = against(tmp_path, [dataclasses.replace(first, **change), *rest])
    assert (found.other_facts, found.other_pixels) == (Found(1, KEYS[:1]), Found())
    assert not found.same_records


def test_splits_and_copies(tmp_path: Path) -> None:
    """A picture in another split is found; a mirrored copy is a record of its own."""
    first, *rest = pictures(6)
    found = against(tmp_path, [*rest, dataclasses.replace(first, split="test")])
    assert found.other_split == Found(1, KEYS[:1])
    copies = compare(written(tmp_path / "c", pictures(1)), written(tmp_path / "d", pictures(1), mirrored=True))
    assert copies.only_b == Found(1, ("train/00.jpg (mirrored)",))
    assert copies.fields == {"protocol.flip": ("train", "store")}


def test_manifests_are_compared_name_by_name(tmp_path: Path) -> None:
    """What only one side has is None on the other."""
    a = write_dataset(tmp_path / "a", pictures(1), changes={"created_by": {"pillow": "1", "faceloom": "x"}})
    b = write_dataset(tmp_path / "b", pictures(1), changes={"created_by": {"pillow": "2", "jpg": "9"}})
    found = compare(a, b)
    assert found.fields == {
        "created_by.pillow": ("1", "2"),
        "created_by.faceloom": ("x", None),
        "created_by.jpg": (None, "9"),
    }
    assert (found.same_records, found.identical) == (True, False)
    assert found.to_json()["only_a"] == {"count": 0, "examples": ()}


def test_equal_pixels_under_another_name_are_no_match(tmp_path: Path) -> None:
    """Records are matched by key alone."""
    a = written(tmp_path / "a", [Picture("one", pixels=pixels_of("x"))])
    b = written(tmp_path / "b", [Picture("two", pixels=pixels_of("x"))])
    found = compare(a, b)
    assert (found.only_a, found.only_b) == (Found(1, ("one",)), Found(1, ("two",)))
