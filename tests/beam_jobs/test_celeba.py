from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.sources import open_source, plan, survey
from gan_core.config import DataConfig
from gan_core.errors import DataError
from gan_core.handoff import ImageRef
from tests.archives import listed, write_files
from tests.celeba import write_celeba


def test_celeba_layouts_are_the_same_pictures(tmp_path: Path) -> None:
    """Release folder, picture folder, zip, official subfolders and Kaggle's copy list the same references."""
    release = write_celeba(tmp_path / "release", count=6)
    zipped = write_celeba(tmp_path / "zipped", count=6, zipped=True)
    official = tmp_path / "official"
    for folder, name in [
        ("Img", "img_align_celeba"),
        ("Anno", "list_attr_celeba.txt"),
        ("Anno", "identity_CelebA.txt"),
        ("Eval", "list_eval_partition.txt"),
    ]:
        (official / folder).mkdir(parents=True, exist_ok=True)
        (release / name).rename(official / folder / name)
    shutil.copytree(official / "Img/img_align_celeba", release / "img_align_celeba")
    for path in [*official.glob("Anno/*"), *official.glob("Eval/*")]:
        shutil.copy(path, release)
    paths = [
        release,
        release / "img_align_celeba",
        zipped,
        zipped / "img_align_celeba.zip",
        official,
        official / "Img/img_align_celeba",
    ]
    for kind in ("auto", "celeba"):
        for path in paths:
            config = DataConfig(kind=kind, path=str(path))
            summary, refs = survey(open_source(config, tmp_path), config)
            assert (summary.kind, summary.name) == ("celeba", "celeba")
            assert summary.counts == {"train": 4, "validation": 1, "test": 1}, path
            assert [replace(ref, stamp="") for ref in refs] == [
                ImageRef(f"{index:06d}.jpg", split, "", (index % 2, 1), 100 + index)
                for index, split in enumerate(["train"] * 4 + ["validation", "test"], start=1)
            ]
    assert open_source(DataConfig(path=str(zipped)), tmp_path).list()[0].stamp.count("-") == 1


def test_celeba_from_kaggle(tmp_path: Path) -> None:
    """A doubly nested folder and .csv lists are CelebA as well."""
    write_files(tmp_path / "img_align_celeba/img_align_celeba", "000001.jpg", "000002.jpg")
    (tmp_path / "list_attr_celeba.csv").write_text("image_id,Bald,Young\n000001.jpg,-1,1\n000002.jpg,1,-1\n")
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n000001.jpg,0\n000002.jpg,2\n")
    source = open_source(DataConfig(path=str(tmp_path)), tmp_path)
    assert [(ref.key, ref.split, ref.attributes) for ref in source.list()] == [
        ("000001.jpg", "train", (0, 1)),
        ("000002.jpg", "test", (1, 0)),
    ]
    assert source.attribute_names == ("Bald", "Young")


def test_celeba_without_lists(tmp_path: Path) -> None:
    """Without the text files all pictures are in train, and nothing is known of them."""
    write_files(tmp_path / "img_align_celeba", "000001.jpg")
    (ref,) = listed(DataConfig(path=str(tmp_path)), tmp_path)
    assert (ref.split, ref.attributes, ref.identity) == ("train", (), -1)


def test_celeba_lists_that_miss_pictures(tmp_path: Path) -> None:
    """A picture that is not listed is in train with unknown labels, and a note counts them."""
    root = write_celeba(tmp_path, count=6)
    for name in ("list_eval_partition.txt", "identity_CelebA.txt", "list_attr_celeba.txt"):
        lines = (root / name).read_text().splitlines()
        (root / name).write_text("\n".join(lines[:-2]) + "\n")
    config = DataConfig(path=str(root))
    summary, refs = survey(open_source(config, root), config)
    assert [(ref.split, ref.attributes, ref.identity) for ref in refs[-2:]] == [("train", (-1, -1), -1)] * 2
    assert summary.notes == (
        "pictures that list_attr_celeba does not list: 2; their attributes are -1",
        "pictures that list_eval_partition does not list: 2; they are in the train split",
        "pictures that identity_CelebA does not list: 2; their identity is -1",
    )


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        (
            "list_eval_partition.txt",
            2,
            "000002.jpg 3",
            "line 2: expected 0 (train), 1 (validation) or 2 (test), got '3'",
        ),
        ("list_eval_partition.txt", 2, "000002.jpg", "line 2: expected a file name and a number, got '000002.jpg'"),
        ("list_attr_celeba.txt", 1, "six", "line 1: expected the number of pictures, got 'six'"),
        ("list_attr_celeba.txt", 4, "000002.jpg 1", "line 4: expected 2, one for each attribute, got '1 values'"),
        ("list_attr_celeba.txt", 4, "000002.jpg 1 0", "line 4: expected 1 or -1, got '0'"),
        ("identity_CelebA.txt", 6, "000006.jpg x7", "line 6: expected the number of a person, got 'x7'"),
    ],
)
def test_celeba_malformed_lists(tmp_path: Path, name: str, line: int, text: str, message: str) -> None:
    """The error names the file, the line and the value."""
    root = write_celeba(tmp_path, count=6)
    lines = (root / name).read_text().splitlines()
    lines[line - 1] = text
    (root / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        plan(DataConfig(path=str(root)), root)
    assert str(caught.value) == f"{root / name}, {message}; download the file again"


def test_celeba_lists_of_another_data_set(tmp_path: Path) -> None:
    """A list without any of the pictures is refused, and so is one that is no text."""
    root = write_celeba(tmp_path, count=2)
    (root / "identity_CelebA.txt").write_text("999999.jpg 5\n")
    with pytest.raises(DataError, match=r"identity_CelebA.txt lists none of the pictures beside it"):
        plan(DataConfig(path=str(root)), root)
    (root / "identity_CelebA.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"identity_CelebA.txt is not a text file \(byte 0\)"):
        plan(DataConfig(path=str(root)), root)
