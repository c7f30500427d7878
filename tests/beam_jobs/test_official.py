from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from beam_jobs.sources import official
from beam_jobs.sources.official import FileCheck, check_official
from beam_jobs.sources.registry import look
from gan_core.config import DataConfig
from gan_core.errors import ConfigError
from gan_core.progress import Progress
from tests.archives import pack, write_files
from tests.celeba import write_celeba
from tests.ffhq import ffhq_files, metadata

REAL = Path(__file__).parents[2] / "../shared/data/celeba"


def md5(data: bytes) -> str:
    """Return the MD5 of bytes."""
    return hashlib.md5(data).hexdigest()


def test_celeba_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each file is official or differs; the folder and the archive in it are checked alike; progress counts bytes."""
    root = write_celeba(tmp_path / "in", count=3, zipped=True)
    (root / "Anno").mkdir()
    shutil.move(root / "identity_CelebA.txt", root / "Anno/identity_CelebA.txt")
    write_files(root, "list_landmarks_align_celeba.csv", data=b"-")
    zipped, listed = root / "img_align_celeba.zip", root / "list_attr_celeba.txt"
    monkeypatch.setitem(official.CELEBA_MD5, zipped.name, md5(zipped.read_bytes()))
    monkeypatch.setitem(official.CELEBA_MD5, listed.name, md5(listed.read_bytes()))
    partition = md5((root / "list_eval_partition.txt").read_bytes())
    identity = md5((root / "Anno/identity_CelebA.txt").read_bytes())
    expected = [
        FileCheck("img_align_celeba.zip", "official"),
        FileCheck("list_attr_celeba.txt", "official"),
        FileCheck(
            "list_eval_partition.txt",
            "differs",
            f"its checksum is {partition}, the owner's is d32c9cbf5e040fd4025c592c306e6668",
        ),
        FileCheck(
            "identity_CelebA.txt",
            "differs",
            f"its checksum is {identity}, the owner's is 32bd1bd63d3c78cd57e08160ec5ed1e2",
        ),
        FileCheck("list_landmarks_align_celeba.csv", "unknown", "a converted list; the owner's is .txt"),
    ]
    reported: list[Progress] = []
    assert check_official(root, "auto", reported.append) == expected
    assert check_official(zipped, "celeba") == expected
    sizes = [path.stat().st_size for path in root.rglob("*") if path.is_file() and path.suffix != ".csv"]
    assert reported[-1] == Progress("verify", sum(sizes), sum(sizes), unit="bytes")


def test_unpacked_celeba_is_unknown(tmp_path: Path) -> None:
    """The owner's checksum is of the archive: unpacked pictures cannot be compared."""
    root = write_celeba(tmp_path / "in", count=3)
    for location in (root, root / "img_align_celeba"):
        first, *others = check_official(location, "auto")
        assert first == FileCheck("img_align_celeba", "unknown", "the owner's checksum is that of img_align_celeba.zip")
        assert [(check.name, check.state) for check in others] == [
            ("list_attr_celeba.txt", "differs"),
            ("list_eval_partition.txt", "differs"),
            ("identity_CelebA.txt", "differs"),
        ]


@pytest.mark.parametrize("packed", ["folder", "zip", "tar"])
def test_ffhq_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: str) -> None:
    """Every picture is compared with the checksum in the metadata, and the metadata with the owner's."""
    files = ffhq_files("thumbnails128x128", (0, 1, 2, 60_000))
    pictures = dict(zip((0, 1, 60_000), (files[name] for name in sorted(files) if "00002" not in name), strict=True))
    data = metadata((0, 1, 60_000), pictures)
    damaged = files | {"thumbnails128x128/00000/00001.png": b"other"}
    path = pack(damaged | {"ffhq-dataset-v2.json": data}, tmp_path / f"pile.{packed}")
    monkeypatch.setattr(official, "FFHQ_METADATA_MD5", md5(data))
    monkeypatch.setattr(official, "FFHQ_METADATA_BYTES", len(data))
    reported: list[Progress] = []
    differs = f"its checksum is {md5(b'other')}, the owner's is {md5(pictures[1])}"
    assert check_official(path, "auto", reported.append) == [
        FileCheck("ffhq-dataset-v2.json", "official"),
        FileCheck("00000/00000.png", "official"),
        FileCheck("00000/00001.png", "differs", differs),
        FileCheck("00000/00002.png", "unknown", "ffhq-dataset-v2.json has no checksum of it"),
        FileCheck("60000/60000.png", "official"),
    ]
    total = len(data) + sum(map(len, pictures.values()))
    assert reported[-1] == Progress("verify", total, total, unit="bytes")
    monkeypatch.undo()
    checks = check_official(path, "ffhq")
    assert [check.state for check in checks] == ["differs", "unknown", "differs", "unknown", "unknown"]
    assert checks[1].detail == "it agrees with ffhq-dataset-v2.json, which is not the owner's"


def test_ffhq_that_cannot_be_compared(tmp_path: Path) -> None:
    """Without the metadata, and for sizes that the owner does not publish, nothing is known."""
    pack(ffhq_files("images64x64", (0,)), tmp_path)
    assert check_official(tmp_path, "auto") == [
        FileCheck(tmp_path.name, "unknown", "the checksums are in ffhq-dataset-v2.json, which is not there")
    ]
    write_files(tmp_path, "ffhq-dataset-v2.json", data=metadata((0,)))
    assert check_official(tmp_path, "auto")[1:] == [
        FileCheck("images64x64", "unknown", "the owner has checksums for images1024x1024 and thumbnails128x128 only")
    ]


def test_releases(tmp_path: Path) -> None:
    """Files of the data sets that can be downloaded are compared by their SHA-256."""
    write_files(tmp_path, "t10k-labels-idx1-ubyte.gz", "notes.txt", data=b"-")
    (check,) = check_official(tmp_path, "mnist")
    assert (check.name, check.state) == ("t10k-labels-idx1-ubyte.gz", "differs")
    assert check.detail == (
        f"its checksum is {hashlib.sha256(b'-').hexdigest()}, the owner's is "
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"
    )


def test_other_places(tmp_path: Path) -> None:
    """A user's own folder has no owner's checksums; a place that is not there is a mistake."""
    write_files(tmp_path, "a.png")
    assert check_official(tmp_path, "auto") == [
        FileCheck(tmp_path.name, "unknown", "there are no checksums for data.kind=folder")
    ]
    with pytest.raises(ConfigError, match="does not exist"):
        check_official(tmp_path / "x", "auto")


@pytest.mark.parametrize(("kind", "words"), [("celeba", "CelebA.html"), ("ffhq", "NVlabs/ffhq-dataset")])
def test_how_to_get_what_cannot_be_downloaded(tmp_path: Path, kind: str, words: str) -> None:
    """Without a path, one line says where the data set is offered, which files, and what to pass."""
    with pytest.raises(ConfigError) as caught:
        look(DataConfig(kind=kind), tmp_path)
    message = str(caught.value)
    assert words in message
    assert "--source FOLDER" in message
    assert "\n" not in message


@pytest.mark.skipif(not REAL.is_dir(), reason="needs ../shared/data/celeba")
def test_a_part_of_celeba_is_not_the_whole() -> None:
    """The copies beside the checkout are cut to 10,000 lines: every one differs from the owner's."""
    assert {check.state for check in check_official(REAL, "celeba")} == {"differs"}
