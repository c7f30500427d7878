from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core.data.verification import verify_dataset
from gan_core.records import decode_example, encode_example, read_records, write_record
from tests.written_datasets import pictures, pixels_of, sign, write_dataset


def rewritten(tmp_path: Path, change: Callable[[dict[str, Any]], Any], **options: Any) -> str:
    """Return the one problem of a data set whose second record was changed and properly written again."""
    dataset = write_dataset(tmp_path / "set", pictures(3), **options)
    path = dataset.path / "train-00000-of-00001.tfrecord"
    records = [record for _, record in read_records(path)]
    features: dict[str, Any] = dict(decode_example(records[1]))
    change(features)
    with path.open("wb") as stream:
        for record in (records[0], encode_example(features), *records[2:]):
            write_record(stream, record)
    sign(dataset.path)
    (problem,) = verify_dataset(dataset.path).problems
    return problem.what


REST = " (2 of 3 records not checked)"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda one: one.update(label=[2]), f"record 2: its label is 2, and there are 2 label_names{REST}"),
        (lambda one: one.update(label=[-2]), f"record 2: its label is -2, and there are 2 label_names{REST}"),
        (lambda one: one.update(attributes=[0, 5]), f"record 2: an attribute is none of -1, 0, 1{REST}"),
        (
            lambda one: one.update(attributes=[0]),
            f"record 2: its feature 'attributes' has 1 numbers, and the manifest says 2{REST}",
        ),
        (lambda one: one.update(key=b""), f"record 2: its key is empty{REST}"),
        (lambda one: one.update(key=b"\xff"), f"record 2: its feature 'key' is not UTF-8{REST}"),
        (lambda one: one.update(key=[1]), f"record 2: its feature 'key' is not bytes{REST}"),
        (lambda one: one.update(key=b"train/00.jpg"), f"record 2: its key 'train/00.jpg' is there twice{REST}"),
        (lambda one: one.update(identity=[0.5]), f"record 2: its feature 'identity' is not int{REST}"),
        (
            lambda one: one.update(shape=[8, 8, 1]),
            f"record 2: its shape is [8, 8, 1], and the manifest says [8, 8, 3]{REST}",
        ),
        (lambda one: one.pop("image"), f"record 2: it has no feature 'image'{REST}"),
        (
            lambda one: one.pop("label"),
            "record 2: its features are others than the manifest's: it lacks ['label'], and it has [] besides" + REST,
        ),
        (
            lambda one: one.update(extra=b""),
            "record 2: its features are others than the manifest's: it lacks [], and it has ['extra'] besides" + REST,
        ),
        (lambda one: one.update(landmarks=[1] * 10), f"record 2: its feature 'landmarks' is not float{REST}"),
        (
            lambda one: one.update(mirrored=[1]),
            f"record 2: the mirrored copy of 'train/01.jpg' does not follow its original{REST}",
        ),
    ],
)
def test_records_with_good_checksums_are_checked_too(
    tmp_path: Path, change: Callable[[dict[str, Any]], Any], problem: str
) -> None:
    """A record that was written wrongly, with valid CRCs and SHA-256, is found by what it says."""
    assert rewritten(tmp_path, change) == problem


@pytest.mark.parametrize("stored_as", ["uint8", "float32", "png", "jpeg"])
def test_every_picture_is_decoded(tmp_path: Path, stored_as: str) -> None:
    """Pixels that cannot be decoded are found, though every checksum fits."""
    what = rewritten(tmp_path, lambda one: one.update(image=one["image"][:-9]), stored_as=stored_as)
    assert what.startswith(f"record 2: it is no {stored_as} picture of 8x8x3 (")


def test_pixels_must_be_those_of_the_statistics(tmp_path: Path) -> None:
    """A picture that was exchanged, with every checksum made anew, no longer fits the statistics."""
    image = np.zeros((8, 8, 3), np.uint8).tobytes()
    what = rewritten(tmp_path, lambda one: one.update(image=image))
    assert what.startswith("statistics.mean is [")


def test_a_mirrored_copy_is_its_original_mirrored(tmp_path: Path) -> None:
    """The copy's pixels are compared; those of a JPEG cannot be."""
    image = pixels_of("another").tobytes()
    what = rewritten(tmp_path, lambda one: one.update(image=image), mirrored=True)
    assert what == "record 2: the mirrored copy of 'train/00.jpg' is not its original mirrored" + (
        " (5 of 6 records not checked)"
    )
