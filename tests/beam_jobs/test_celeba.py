from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from beam_jobs.sources import celeba_lists
from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import fetch, look, open_source
from gan_core.config import DataConfig
from gan_core.errors import DataError
from gan_core.handoff import ImageRef
from tests.archives import listed, pack, write_files
from tests.celeba import write_celeba

REAL = Path(__file__).parents[2] / "../shared/data/celeba"


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
            assert [ref._replace(stamp="") for ref in refs] == [
                ImageRef(f"{index:06d}.jpg", split, "", (index % 2, 1), 100 + index)
                for index, split in enumerate(["train"] * 4 + ["validation", "test"], start=1)
            ]
    assert next(open_source(DataConfig(path=str(zipped)), tmp_path).list()).stamp.count("-") == 1


@pytest.mark.parametrize("packed", ["zip", "tar", "tar.gz", "tgz"])
def test_celeba_in_one_archive(tmp_path: Path, packed: str) -> None:
    """A release packed as a whole is read in place, the lists inside it included; so are the pictures alone."""
    release = write_celeba(tmp_path / "release", count=6, landmarks=True)
    whole = {
        f"CelebA/{path.relative_to(release).as_posix()}": path.read_bytes()
        for path in sorted(release.rglob("*"))
        if path.is_file()
    }
    images = {name.removeprefix("CelebA/"): data for name, data in whole.items() if name.endswith(".jpg")}
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in release.glob("*.txt"):
        shutil.copy(path, alone)
    expected = [ref._replace(stamp="") for ref in listed(DataConfig(path=str(release)), tmp_path)]
    assert expected[5].landmarks[:2] == (66 / 178, 109 / 218)
    remarks = [
        "files that are not pictures by their extension: 1 (.txt: 1)",
        "pictures outside img_align_celeba, left out: 1",
    ]
    for path, notes in (
        (pack(whole | {"CelebA/README.txt": b"hello", "CelebA/logo.png": b"-"}, tmp_path / f"all.{packed}"), remarks),
        (pack(images, alone / f"img_align_celeba.{packed}"), []),
        (alone, []),
    ):
        source = open_source(DataConfig(path=str(path)), tmp_path)
        refs = list(source.list())
        assert (source.kind, source.notes) == ("celeba", notes)
        assert [ref._replace(stamp="", span=()) for ref in refs] == expected
        assert [source.reader().read(ref) for ref in refs] == [*images.values()]


def test_landmarks_are_shares_of_the_sides(tmp_path: Path) -> None:
    """Pixels of 178x218 become shares of width and height; they survive JSON exactly."""
    root = write_celeba(tmp_path, count=3, landmarks=True)
    first, *_ = listed(DataConfig(path=str(root)), root)
    assert first.landmarks == (
        *(61 / 178, 109 / 218, 106 / 178, 113 / 218, 77 / 178, 142 / 218),
        *(73 / 178, 152 / 218, 108 / 178, 154 / 218),
    )
    assert tuple(json.loads(json.dumps(first.landmarks))) == first.landmarks


def test_landmarks_that_miss_pictures(tmp_path: Path) -> None:
    """A picture without a line has no landmarks, and a note counts such pictures."""
    root = write_celeba(tmp_path, count=6, landmarks=True)
    lines = (root / "list_landmarks_align_celeba.txt").read_text().splitlines()
    (root / "list_landmarks_align_celeba.txt").write_text("\n".join(lines[:-2]) + "\n")
    source = open_source(DataConfig(path=str(root)), root)
    assert [len(ref.landmarks) for ref in source.list()] == [10, 10, 10, 10, 0, 0]
    assert source.notes == ["pictures that list_landmarks_align_celeba does not list: 2; they have no landmarks"]


def test_drawn_portraits_have_landmarks(tmp_path: Path) -> None:
    """The synthetic source lists the landmarks that it wrote, in the same shares."""
    config = DataConfig(kind="synthetic", synthetic_count=16)
    root = Path(fetch(look(config, tmp_path), config).summary.location)
    refs = listed(config, tmp_path)
    rows = [line.split() for line in (root / "list_landmarks_align_celeba.txt").read_text().splitlines()[2:]]
    assert {ref.key: ref.landmarks for ref in refs} == {
        name: tuple(int(value) / (178, 218)[index % 2] for index, value in enumerate(values)) for name, *values in rows
    }


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/celeba")
def test_real_celeba() -> None:
    """The first 10,000 faces with the official lists: first labels, splits and person."""
    source = open_source(DataConfig(path=str(REAL)), REAL)
    refs = list(source.list())
    assert (source.kind, len(refs), len(source.attribute_names)) == ("celeba", 10_000, 40)
    assert (refs[0].key, refs[0].identity, refs[0].landmarks) == ("000001.jpg", 2880, ())
    names = [name for name, value in zip(source.attribute_names, refs[0].attributes, strict=True) if value]
    assert names == [
        *("Arched_Eyebrows", "Attractive", "Brown_Hair", "Heavy_Makeup", "High_Cheekbones", "Mouth_Slightly_Open"),
        *("No_Beard", "Pointy_Nose", "Smiling", "Straight_Hair", "Wearing_Earrings", "Wearing_Lipstick", "Young"),
    ]
    assert {ref.split for ref in refs} == {"train"}


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
    summary, names = survey(open_source(config, root), config)
    assert [(ref.split, ref.attributes, ref.identity) for ref in list(names)[-2:]] == [("train", (-1, -1), -1)] * 2
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
        ("list_attr_celeba.txt", 4, "000002.jpg 1 11", "line 4: expected 1 or -1, got '11'"),
        ("list_attr_celeba.txt", 4, "000002.jpg 1 --1", "line 4: expected 1 or -1, got '--1'"),
        ("list_attr_celeba.txt", 4, " 1 -1", "line 4: expected 2, one for each attribute, got '1 values'"),
        ("list_attr_celeba.txt", 4, "000002.jpg 1-1", "line 4: expected 2, one for each attribute, got '1 values'"),
        (
            "list_landmarks_align_celeba.txt",
            3,
            "000001.jpg 1 2",
            "line 3: expected 10, x and y of five points, got '2 values'",
        ),
        (
            "list_landmarks_align_celeba.txt",
            3,
            "000001.jpg 1 2 3 4 5 6 7 8 9 x",
            "line 3: expected whole numbers of pixels, got '1 2 3 4 5 6 7 8 9 x'",
        ),
        ("identity_CelebA.txt", 6, "000006.jpg x7", "line 6: expected the number of a person, got 'x7'"),
    ],
)
def test_celeba_malformed_lists(tmp_path: Path, name: str, line: int, text: str, message: str) -> None:
    """The error names the file, the line and the value."""
    root = write_celeba(tmp_path, count=6, landmarks=True)
    lines = (root / name).read_text().splitlines()
    lines[line - 1] = text
    (root / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        look(DataConfig(path=str(root)), root)
    assert str(caught.value) == f"{root / name}, {message}; download the file again"


@pytest.mark.parametrize(
    "line", ["000002.jpg -1  1", "000002.jpg  1 -1", "000002.jpg   1  -1 ", "000002.jpg\t-1\t-1", "  000002.jpg 1 1"]
)
def test_celeba_attributes_with_any_space_between(tmp_path: Path, line: str) -> None:
    """The release aligns them with two spaces; other columns of spaces and tabs mean the same."""
    root = write_celeba(tmp_path, count=3)
    lines = (root / "list_attr_celeba.txt").read_text().splitlines()
    lines[3] = line
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n")
    _, names = survey(open_source(DataConfig(path=str(root)), root), DataConfig(path=str(root)))
    assert list(names)[1].attributes == tuple({"1": 1, "-1": 0}[value] for value in line.split()[1:])


def test_celeba_lists_of_another_data_set(tmp_path: Path) -> None:
    """A list without any of the pictures is refused, and so is one that is no text."""
    root = write_celeba(tmp_path, count=2)
    (root / "identity_CelebA.txt").write_text("999999.jpg 5\n")
    with pytest.raises(DataError, match=r"identity_CelebA.txt lists none of the pictures beside it"):
        look(DataConfig(path=str(root)), root)
    (root / "identity_CelebA.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"identity_CelebA.txt is not a text file \(byte 0\)"):
        look(DataConfig(path=str(root)), root)


@pytest.mark.parametrize("text", ["", "a", "a\nb\n", "one\r\ntwo\r\n\r\nthree", "\n\n", "long line before\nx\ry\n"])
def test_lines_are_those_of_splitlines(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the text is cut into blocks, no line is lost, doubled or divided."""
    for block in range(1, 8):
        monkeypatch.setattr(celeba_lists, "_BLOCK_CHARACTERS", block)
        assert list(celeba_lists._lines(text)) == text.splitlines()
