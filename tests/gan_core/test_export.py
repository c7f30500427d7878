from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from gan_core.data import export_formats
from gan_core.data.entries import entries
from gan_core.data.export import Export, export
from gan_core.errors import ArtifactError, ConfigError
from gan_core.progress import Progress
from tests.written_datasets import Picture, pictures, pixels_of, write_dataset

STORAGES = ["uint8", "float32", "png", "jpeg"]


def pixels_in(path: Path) -> npt.NDArray[np.uint8]:
    """Return what a picture file holds."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def tree(folder: Path) -> list[str]:
    """Return all files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("stored_as", ["uint8", "float32", "png"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_has_the_exact_pixels(tmp_path: Path, stored_as: str, channels: int) -> None:
    """Every picture is a PNG in its split's folder under its key's name, grey ones with one channel."""
    listed = [*pictures(3), *pictures(2, "test")]
    dataset = write_dataset(tmp_path / "set", listed, stored_as=stored_as, channels=channels)
    reported: list[Progress] = []
    written = export(dataset, tmp_path / "out", "folder", split="all", report_progress=reported.append)
    names = [f"{one.split}/{one.key.removesuffix('.jpg')}.png" for one in listed]
    assert tree(tmp_path / "out") == sorted([*names, "dataset.json"])
    for one, name in zip(listed, names, strict=True):
        wanted = pixels_of(one.key, channels=channels)
        assert np.array_equal(pixels_in(tmp_path / "out" / name).reshape(wanted.shape), wanted)
    size_bytes = sum(path.stat().st_size for path in (tmp_path / "out").rglob("*.*"))
    assert written == Export(tmp_path / "out", "folder", 5, True, size_bytes)
    assert reported[-1] == Progress("export", 5, 5, "images")


def test_labels_go_with_a_folder(tmp_path: Path) -> None:
    """dataset.json names the class of every file; it is left out where one picture has none."""
    dataset = write_dataset(tmp_path / "set", pictures(2))
    export(dataset, tmp_path / "out", "folder")
    document = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert document == {"labels": [["train/train/00.png", 0], ["train/train/01.png", 1]]}
    some = write_dataset(tmp_path / "some", [Picture("a"), Picture("b", label=-1)])
    assert not export(some, tmp_path / "plain", "folder").labelled
    assert tree(tmp_path / "plain") == ["train/a.png", "train/b.png"]


def test_a_zip_is_laid_out_as_stylegan_reads_it(tmp_path: Path) -> None:
    """Names as of dataset_tool.py, nothing compressed, the labels of all pictures in dataset.json."""
    dataset = write_dataset(tmp_path / "set", [*pictures(3), *pictures(1, "test")])
    export(dataset, tmp_path / "out.zip", "zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        names = [f"00000/img0000000{number}.png" for number in range(3)]
        assert archive.namelist() == [*names, "dataset.json"]
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}
        assert (
            archive.read("dataset.json")
            == json.dumps({"labels": [[name, number % 2] for number, name in enumerate(names)]}).encode()
        )
        for number, name in enumerate(names):
            with archive.open(name) as stream, Image.open(stream) as picture:
                assert (picture.format, picture.mode) == ("PNG", "RGB")
                assert np.array_equal(np.asarray(picture), pixels_of(f"train/0{number}.jpg"))


def test_a_zip_without_labels_says_null(tmp_path: Path) -> None:
    """StyleGAN takes labels of all pictures or of none."""
    dataset = write_dataset(tmp_path / "set", [Picture("a"), Picture("b", label=-1)])
    assert not export(dataset, tmp_path / "out.zip", "zip").labelled
    with zipfile.ZipFile(tmp_path / "out.zip") as archive:
        assert archive.read("dataset.json") == b'{"labels": null}'


@pytest.mark.parametrize("form", ["zip", "npz"])
def test_the_same_pictures_give_the_same_bytes(tmp_path: Path, form: str) -> None:
    """No time of writing is in an archive."""
    dataset = write_dataset(tmp_path / "set", pictures(3))
    for name in ("one", "other"):
        export(dataset, tmp_path / f"{name}.{form}", form)
    assert (tmp_path / f"one.{form}").read_bytes() == (tmp_path / f"other.{form}").read_bytes()


def test_arrays_hold_everything(tmp_path: Path) -> None:
    """An .npz has pixels, keys, splits, classes, attributes, persons, landmarks and their names, without pickles."""
    first = Picture("ö.jpg", label=1, attributes=(1, -1), identity=7, landmarks=(0.5,) * 10, licence="CC", author="Z")
    dataset = write_dataset(tmp_path / "set", [first, Picture("b.jpg", "test")])
    assert export(dataset, tmp_path / "out.npz", "npz", split="all").labelled
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        found = dict(arrays)
    assert {name: (array.dtype.kind, array.dtype.itemsize, array.shape) for name, array in found.items()} == {
        "images": ("u", 1, (2, 8, 8, 3)),
        "keys": ("U", 20, (2,)),
        "splits": ("U", 20, (2,)),
        "labels": ("i", 8, (2,)),
        "identities": ("i", 8, (2,)),
        "mirrored": ("b", 1, (2,)),
        "attributes": ("i", 8, (2, 2)),
        "landmarks": ("f", 4, (2, 10)),
        "licences": ("U", 8, (2,)),
        "authors": ("U", 4, (2,)),
        "label_names": ("U", 12, (2,)),
        "attribute_names": ("U", 40, (2,)),
    }
    assert np.array_equal(found["images"], np.stack([pixels_of("ö.jpg"), pixels_of("b.jpg")]))
    lists = ("keys", "splits", "labels", "identities", "attributes", "licences", "label_names", "attribute_names")
    assert {name: found[name].tolist() for name in lists} == {
        "keys": ["ö.jpg", "b.jpg"],
        "splits": ["train", "test"],
        "labels": [1, 0],
        "identities": [7, -1],
        "attributes": [[1, -1], [0, 1]],
        "licences": ["CC", ""],
        "label_names": ["cat", "dog"],
        "attribute_names": ["Smiling", "Eyeglasses"],
    }
    assert found["landmarks"][0].tolist() == [0.5] * 10
    assert np.isnan(found["landmarks"][1]).all()


@pytest.mark.parametrize("form", ["folder", "zip", "npz"])
def test_mirrored_copies_only_on_request(tmp_path: Path, form: str) -> None:
    """Copies are left out, or exported beside their originals."""
    dataset = write_dataset(tmp_path / "set", pictures(3), mirrored=True)
    ending = "" if form == "folder" else f".{form}"
    assert export(dataset, tmp_path / f"one{ending}", form).pictures == 3
    assert export(dataset, tmp_path / f"two{ending}", form, mirrored=True).pictures == 6
    assert export(dataset, tmp_path / f"three{ending}", form, mirrored=True, count=3).pictures == 3
    if form == "folder":
        copy = pixels_in(tmp_path / "two" / "train" / "train" / "00-mirrored.png")
        assert np.array_equal(copy, pixels_of("train/00.jpg")[:, ::-1])


@pytest.mark.parametrize("stored_as", STORAGES)
def test_count_takes_the_first_ones(tmp_path: Path, stored_as: str) -> None:
    """`count` pictures in the manifest's order, all of them where there are fewer."""
    dataset = write_dataset(tmp_path / "set", pictures(6), stored_as=stored_as)
    order = [entry.key for entry in entries(dataset, ("train",))]
    for count, kept in ((2, order[:2]), (99, order)):
        export(dataset, tmp_path / f"{count}.npz", "npz", count=count)
        with np.load(tmp_path / f"{count}.npz") as arrays:
            assert arrays["keys"].tolist() == kept


def refused(tmp_path: Path, target: str, form: str, **options: Any) -> str:
    """Return why an export of a data set at "set" is refused, with {here} for the folder."""
    dataset = write_dataset(tmp_path / "set", pictures(1), side=options.pop("side", 8))
    with pytest.raises(ConfigError) as caught:
        export(dataset, tmp_path / target, form, **options)
    return str(caught.value).replace(str(tmp_path), "{here}")


def test_mistakes(tmp_path: Path) -> None:
    """Wrong formats, splits, names and sizes are the user's, and say what is right."""
    assert refused(tmp_path, "x", "tar") == "--format must be one of folder, zip, npz, got 'tar'"
    assert refused(tmp_path, "x", "npz", split="test") == "--split test: {here}/set has train; or take all"
    assert refused(tmp_path, "x", "zip") == "--to {here}/x must end in .zip: StyleGAN goes by the name"
    assert refused(tmp_path, "x.zip", "zip", side=28) == (
        "--format zip is StyleGAN's, which takes sides that are powers of two, and {here}/set has 28x28; take "
        "--format folder or npz, or prepare with another data.resolution"
    )
    (tmp_path / "file").write_text("mine")
    assert refused(tmp_path, "file", "npz") == "--to {here}/file exists already; name another place, or delete it first"
    assert (tmp_path / "file").read_text() == "mine"
    assert refused(tmp_path, "file/x", "npz") == "--to {here}/file/x cannot be made: File exists: {here}/file"
    assert refused(tmp_path, "set/x", "folder") == (
        "--to {here}/set/x lies inside the data set, which must not change; name another place"
    )


@pytest.mark.parametrize("form", ["folder", "zip", "npz"])
def test_nothing_is_left_of_a_failure(tmp_path: Path, form: str) -> None:
    """A damaged shard ends the export with file and byte, and leaves neither a target nor a draft."""
    dataset = write_dataset(tmp_path / "set", pictures(6))
    path = dataset.path / "train-00001-of-00002.tfrecord"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match=r"train-00001-of-00002\.tfrecord: damaged record data at byte "):
        export(dataset, tmp_path / "out.zip", form)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".set.lock", "set"]


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the file system ends in one line, and the draft is removed."""

    def full(*_: Any, **__: Any) -> bytes:
        raise OSError(28, "No space left on device")

    dataset = write_dataset(tmp_path / "set", pictures(1))
    monkeypatch.setattr(export_formats, "_png", full)
    with pytest.raises(ArtifactError) as caught:
        export(dataset, tmp_path / "out", "folder")
    assert str(caught.value) == f"cannot write {tmp_path / 'out'}: No space left on device; nothing of it is left there"
    assert sorted(path.name for path in tmp_path.iterdir()) == [".set.lock", "set"]


def test_records_of_unequal_length_have_no_array(tmp_path: Path) -> None:
    """Attributes that differ in number do not fit one array."""
    dataset = write_dataset(tmp_path / "set", [Picture("a"), Picture("b", attributes=(1,))])
    with pytest.raises(ArtifactError, match="has records with different numbers of attributes or landmarks"):
        export(dataset, tmp_path / "out.npz", "npz")
