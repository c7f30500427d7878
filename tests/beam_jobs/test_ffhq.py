from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from beam_jobs.places.texts import TextFile
from beam_jobs.sources import ffhq_metadata
from beam_jobs.sources.base import survey
from beam_jobs.sources.ffhq_metadata import read_records
from beam_jobs.sources.registry import look, open_source
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from tests.archives import PACKED, contents, keys, pack, write_files
from tests.ffhq import LICENCES, NUMBERS, ffhq_files, metadata, record

REAL = Path(__file__).parents[2] / "../shared/data/ffhq"

FIVE = (
    *(385.0 / 1024, 538.5 / 1024),  # the mean of points 36 to 41
    *(445.0 / 1024, 544.5 / 1024),  # the mean of points 42 to 47
    *(300.0 / 1024, 530.0 / 1024),
    *(480.0 / 1024, 548.0 / 1024),
    *(540.0 / 1024, 554.0 / 1024),
)
"""Landmarks of picture 0, see tests/ffhq.py."""


def text_of(data: bytes) -> TextFile:
    """Return a text file of these bytes."""
    return TextFile("meta.json", ".json", "", lambda: io.BytesIO(data))


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("top", ["", "ffhq-dataset/"])
def test_layouts_are_the_same_pictures(tmp_path: Path, packed: str, top: str) -> None:
    """The folder above, as a folder or an archive: the same keys, splits, licences, authors and landmarks."""
    files = {f"{top}{name}": data for name, data in ffhq_files().items()}
    extra = {f"{top}ffhq-dataset-v2.json": metadata(), f"{top}LICENSE.txt": b"-"}
    path = pack(files | extra, tmp_path / f"pile.{packed}")
    path = path / top if packed == "folder" else path
    config = DataConfig(path=str(path))
    source = open_source(config, tmp_path)
    summary, names = survey(source, config)
    refs = list(names)
    assert (summary.kind, summary.name) == ("ffhq", "ffhq")
    assert summary.counts == {"train": 5, "validation": 2}
    assert [(ref.key, ref.split) for ref in refs] == [
        ("00000/00000.png", "train"),
        ("00000/00001.png", "train"),
        ("00000/00999.png", "train"),
        ("01000/01000.png", "train"),
        ("59000/59999.png", "train"),
        ("60000/60000.png", "validation"),
        ("69000/69999.png", "validation"),
    ]
    assert [(ref.licence, ref.author) for ref in refs] == [
        (LICENCES[number % 3], f"Author {number} Ä") for number in NUMBERS
    ]
    assert refs[0].landmarks == FIVE
    assert refs[2].landmarks[0] == (385 + 999 % 5) / 1024
    assert [*contents(source).values()] == [*files.values()]


@pytest.mark.parametrize("packed", PACKED)
def test_the_folder_of_the_pictures_itself(tmp_path: Path, packed: str) -> None:
    """Given as images32x32, or as an archive of that name with or without the folder, the metadata is found beside."""
    write_files(tmp_path, "ffhq-dataset-v2.json", data=metadata())
    suffix = "" if packed == "folder" else f".{packed}"
    bare = {name.partition("/")[2]: data for name, data in ffhq_files().items()}
    path = pack(bare, tmp_path / f"images32x32{suffix}")
    source = open_source(DataConfig(path=str(path)), tmp_path)
    refs = list(source.list())
    assert (source.kind, [ref.key for ref in refs], refs[0].landmarks) == ("ffhq", [*bare], FIVE)
    assert source.notes == []


def test_flat_copies(tmp_path: Path) -> None:
    """A copy without thousand-folders is FFHQ by the name of its folder and the numbers of its pictures."""
    write_files(tmp_path / "thumbnails128x128", "00000.png", "60000.jpg")
    source = open_source(DataConfig(path=str(tmp_path)), tmp_path)
    assert [(ref.key, ref.split) for ref in source.list()] == [("00000.png", "train"), ("60000.jpg", "validation")]


def test_of_several_sizes_the_largest_is_read(tmp_path: Path) -> None:
    """A folder or archive with several sizes gives one of them, and a note says which."""
    files = ffhq_files("thumbnails128x128", (0, 1)) | ffhq_files("images1024x1024", (0,))
    for packed in ("folder", "zip"):
        path = pack(files | {"in-the-wild-images/00000/00000.png": b"-"}, tmp_path / f"pile.{packed}")
        source = open_source(DataConfig(path=str(path)), tmp_path)
        assert [ref.key for ref in source.list()] == ["00000/00000.png"]
        assert source.notes[0] == "of several sizes, the largest is read: images1024x1024, not thumbnails128x128"


def test_other_pictures_are_left_out(tmp_path: Path) -> None:
    """Pictures whose names are no numbers of FFHQ, and a second one of a number, are left out with a note."""
    names = ["00000/00000.png", "00000/00000.jpg", "00000/cover.png", "00000/70000.png"]
    write_files(tmp_path / "images64x64", *names)
    source = open_source(DataConfig(path=str(tmp_path)), tmp_path)
    assert [ref.key for ref in source.list()] == ["00000/00000.jpg"]
    assert source.notes == ["pictures without a number of FFHQ or of another size, left out: 3"]


@pytest.mark.parametrize(
    "names",
    [
        ["images64x64/me.png", "images64x64/you.png"],
        ["images64x32/00000/00000.png"],
        ["00000/00000.png"],
        ["photos/00000/00000.png"],
    ],
)
def test_other_folders_are_not_ffhq(tmp_path: Path, names: list[str]) -> None:
    """Without a square size in the name, or without numbers below it, `auto` takes a folder for a folder."""
    write_files(tmp_path / "in", *names)
    pack(dict.fromkeys(names, b"-"), tmp_path / "in.zip")
    assert open_source(DataConfig(path=str(tmp_path / "in")), tmp_path).kind == "folder"
    assert open_source(DataConfig(path=str(tmp_path / "in.zip")), tmp_path).kind == "folder"


def test_forced_kind_reads_any_numbered_folder(tmp_path: Path) -> None:
    """With data.kind=ffhq the name of the folder does not matter; without numbers it is refused."""
    write_files(tmp_path / "faces", "00000/00000.png", "60000/60000.png")
    assert keys(tmp_path / "faces", "ffhq") == ["00000/00000.png", "60000/60000.png"]
    write_files(tmp_path / "other", "me.png", "notes.txt")
    with pytest.raises(ConfigError) as caught:
        look(DataConfig(kind="ffhq", path=str(tmp_path / "other")), tmp_path)
    assert str(caught.value) == (
        f"data.kind=ffhq does not fit '{tmp_path / 'other'}': it has 1 pictures such as me.png; 1 .txt, and no "
        "imagesNxN/00000/00000.png, imagesNxN/00000/00001.png, ...; set data.kind=folder for other pictures"
    )


def test_licences_filter(tmp_path: Path) -> None:
    """Only pictures under the licences that were asked for are listed; the note counts the others by licence."""
    pack(ffhq_files() | {"ffhq-dataset-v2.json": metadata(NUMBERS[:-1])}, tmp_path)
    config = DataConfig(path=str(tmp_path), licences=(LICENCES[2], LICENCES[1]))
    source = open_source(config, tmp_path)
    refs = list(source.list())
    assert [ref.key for ref in refs] == ["00000/00001.png", "01000/01000.png", "59000/59999.png"]
    assert [ref.licence for ref in refs] == [LICENCES[1], LICENCES[1], LICENCES[2]]
    assert source.notes == [
        "pictures that ffhq-dataset-v2.json does not list: 1; their licence is unknown",
        f"pictures under other licences, left out: 4 ({LICENCES[0]}: 3, unknown: 1)",
    ]


def test_licences_that_there_are_not(tmp_path: Path) -> None:
    """A licence that the metadata does not know, and a filter without metadata, are mistakes with a fix."""
    pack(ffhq_files(), tmp_path)
    config = DataConfig(path=str(tmp_path), licences=("CC-BY",))
    with pytest.raises(ConfigError) as caught:
        look(config, tmp_path)
    assert str(caught.value) == (
        f"data.licences needs ffhq-dataset-v2.json with the pictures in '{tmp_path}' or one folder above, and it is "
        "not there; get it from NVlabs/ffhq-dataset, or leave data.licences empty"
    )
    write_files(tmp_path, "ffhq-dataset-v2.json", data=metadata())
    with pytest.raises(ConfigError) as caught:
        look(config, tmp_path)
    assert str(caught.value) == (
        f"data.licences has 'CC-BY', which {tmp_path}/ffhq-dataset-v2.json does not know; it has "
        "'Attribution License' (4), 'Attribution-NonCommercial License' (2), 'Public Domain Mark' (1)"
    )


def test_no_picture_under_the_licence(tmp_path: Path) -> None:
    """A known licence that none of the pictures has is an error that says which they have."""
    pack(ffhq_files(numbers=(0, 999)) | {"ffhq-dataset-v2.json": metadata()}, tmp_path)
    with pytest.raises(DataError) as caught:
        look(DataConfig(path=str(tmp_path), licences=(LICENCES[2],)), tmp_path)
    assert str(caught.value) == (
        f"none of the pictures in '{tmp_path}' is under one of data.licences; "
        f"pictures under other licences, left out: 2 ({LICENCES[0]}: 2)"
    )


@pytest.mark.parametrize("kind", ["celeba", "folder", "synthetic"])
def test_licences_of_other_kinds_are_refused(tmp_path: Path, kind: str) -> None:
    """A filter that would be passed over is refused."""
    path = "" if kind == "synthetic" else str(write_files(tmp_path / "img_align_celeba", "000001.jpg"))
    with pytest.raises(ConfigError, match=rf"data.licences filters FFHQ only, and data.kind={kind} names no licences"):
        look(DataConfig(kind=kind, path=path, licences=("x",)), tmp_path)


def test_records_are_read_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the file is cut while it is read, between and inside letters, the records are the same."""
    numbers = (0, 1, 2)
    data = metadata(numbers)
    for size in (1, 2, 3, 7, 1000, 1 << 20):
        monkeypatch.setattr(ffhq_metadata, "_CHUNK_BYTES", size)
        assert dict(read_records(text_of(data))) == {number: record(number) for number in numbers}
    indented = json.dumps({str(number): record(number) for number in numbers}, indent=2).encode()
    assert dict(read_records(text_of(b"\xef\xbb\xbf\n" + indented + b"\n"))) == dict(read_records(text_of(data)))
    assert dict(read_records(text_of(b"{ }"))) == {}


MALFORMED = {
    "empty": (b"", r"meta.json is malformed after character 0 \('\{' expected, got ''\); download it again"),
    "a list": (b"[1]", r"after character 0 \('\{' expected, got '\['\)"),
    "truncated": (metadata()[:3000], "is malformed after character"),
    "no record": (b'{"0": 5}', "after character 6 .a text or a record expected"),
    "no number": (b'{"x": {}}', "after character 5 .no record of a numbered picture"),
    "no comma": (b'{"0": {} "1": {}}', r"after character 9 \('\}' expected, got '\"'\)"),
    "no text": (b'{"0": {"a": "\xff"}}', "is not a text file"),
    "deep": (b'{"0": {"a": ' + b"[" * 200_000, "is malformed after character 6"),
    "endless": (b'{"0": {"a": "' + b"x" * (3 << 20), "is malformed after character 6"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_metadata(name: str) -> None:
    """The error says where; no text makes the reader hang, crash or swallow the whole file."""
    data, message = MALFORMED[name]
    with pytest.raises(DataError, match=message):
        list(read_records(text_of(data)))


@pytest.mark.parametrize(
    "image",
    [
        {},
        {"face_landmarks": [[1, 2]] * 5},
        {"face_landmarks": "x" * 68},
        {"face_landmarks": [[1, 2]] * 68, "pixel_size": [0, 0]},
        {"face_landmarks": [[1]] * 68},
        None,
    ],
)
def test_records_without_landmarks(image: object) -> None:
    """A record whose landmarks are missing or of another form has none."""
    assert ffhq_metadata.landmarks_of({"image": image}) == ()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/ffhq")
def test_real_ffhq() -> None:
    """The first ten pictures in the official tree."""
    source = open_source(DataConfig(path=str(REAL)), REAL)
    assert (source.kind, [ref.key for ref in source.list()]) == (
        "ffhq",
        [f"00000/{number:05d}.png" for number in range(10)],
    )
    assert {ref.split for ref in source.list()} == {"train"}
    assert all(data.startswith(b"\x89PNG") for data in contents(source).values())
