from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from beam_jobs.places import tar_stream
from beam_jobs.sources.base import Reader, survey
from beam_jobs.sources.registry import open_source
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef, SourceSummary
from tests.pictures import scene
from tests.python2_pickles import pickled

SHARED = Path(__file__).parents[3] / "shared" / "data" / "cifar10"
NAMES = ("cat", "ship", "frog")
SIZES = {"data_batch_1": 4, "data_batch_2": 3, "data_batch_10": 2, "test_batch": 5}


def pictures(batch: str) -> npt.NDArray[np.uint8]:
    """Return the pictures of a batch. uint8 [N, 32, 32, 3]."""
    seed = 10 * list(SIZES).index(batch)
    return np.stack([scene(32, 32, seed + index) for index in range(SIZES[batch])])


def labels(batch: str) -> list[int]:
    """Return the labels of a batch."""
    return [index % 3 for index in range(SIZES[batch])]


def planes(batch: str) -> npt.NDArray[np.uint8]:
    """Return the pictures as CIFAR-10 stores them. uint8 [N, 3072]."""
    return pictures(batch).transpose(0, 3, 1, 2).reshape(SIZES[batch], 3072)


def python_files(protocol: int = 2) -> dict[str, bytes]:
    """Return the files of the python version: batches of different sizes, numbered beyond nine."""
    files = {"batches.meta": pickled({b"label_names": [name.encode() for name in NAMES], b"num_vis": 3072}, protocol)}
    for name in SIZES:
        batch: dict[bytes, Any] = {b"batch_label": name.encode(), b"labels": labels(name), b"data": planes(name)}
        batch[b"filenames"] = [b"%d.png" % index for index in range(SIZES[name])]
        files[name] = pickled(batch, protocol)
    return files


def binary_files() -> dict[str, bytes]:
    """Return the files of the binary version with the same pictures."""
    files = {"batches.meta.txt": ("\n".join(NAMES) + "\n\n").encode()}
    for name in SIZES:
        records = np.concatenate([np.array(labels(name), np.uint8)[:, np.newaxis], planes(name)], axis=1)
        files[f"{name}.bin"] = records.tobytes()
    return files


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write the files into `folder`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def write_tar(path: Path, files: dict[str, bytes], folder: str, *, packed: bool = True) -> Path:
    """Write an archive with a folder of files, last ones first, and return its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz" if packed else "w") as archive:
        for name, data in reversed(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def opened(path: Path, kind: str = "cifar10") -> tuple[SourceSummary, list[ImageRef], Reader, tuple[str, ...]]:
    """Return summary, pictures, reader and class names of what lies at `path`."""
    config = DataConfig(kind=kind, path=str(path))
    source = open_source(config, path)
    summary, names = survey(source, config)
    return summary, list(names), source.reader(), source.label_names


LAYOUTS = {
    "python folder": lambda root: write(root / "cifar-10-batches-py", python_files()),
    "folder above": lambda root: write(root / "cifar-10-batches-py", python_files()).parent,
    "protocol 0": lambda root: write(root / "cifar-10-batches-py", python_files(0)),
    "by Python 3": lambda root: write(root / "cifar-10-batches-py", python_files(3)),
    "other name": lambda root: write(root / "my batches", python_files()),
    "binary folder": lambda root: write(root / "cifar-10-batches-bin", binary_files()),
    "python tar.gz": lambda root: write_tar(root / "cifar-10-python.tar.gz", python_files(), "cifar-10-batches-py"),
    "binary tar.gz": lambda root: write_tar(root / "cifar-10-binary.tar.gz", binary_files(), "cifar-10-batches-bin"),
    "renamed tar": lambda root: write_tar(root / "c10.tar", binary_files(), "cifar-10-batches-bin", packed=False),
    "renamed tgz": lambda root: write_tar(root / "c10.tgz", python_files(), "cifar-10-batches-py"),
    "folder of tar.gz": lambda root: (
        write_tar(root / "cifar-10-binary.tar.gz", binary_files(), "cifar-10-batches-bin").parent
    ),
}


@pytest.mark.parametrize("kind", ["auto", "cifar10"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_both_versions_in_every_form(tmp_path: Path, layout: Any, kind: str) -> None:
    """Folder or archive, pickles of any Python or binary: the same pictures, labels, names and keys."""
    summary, refs, reader, names = opened(layout(tmp_path), kind)
    assert (summary.kind, summary.name, summary.counts) == ("cifar10", "cifar10", {"train": 9, "test": 5})
    assert (names, summary.notes) == (NAMES, ())
    assert [ref.key for ref in refs[:6]] == [*(f"test/0000{index}" for index in range(5)), "train/00000"]
    order = ("test_batch", "data_batch_1", "data_batch_2", "data_batch_10")
    assert [ref.label for ref in refs] == [label for batch in order for label in labels(batch)]
    found = np.stack([reader.read(ref) for ref in refs])
    np.testing.assert_array_equal(found, np.concatenate([pictures(batch) for batch in order]))


def test_all_forms_are_one_data_set(tmp_path: Path) -> None:
    """Equal pictures and labels have one fingerprint."""
    roots = [tmp_path / str(number) for number in range(len(LAYOUTS))]
    found = {opened(layout(root))[0].fingerprint for layout, root in zip(LAYOUTS.values(), roots, strict=True)}
    assert len(found) == 1


def test_binary_version_is_read_where_both_are(tmp_path: Path) -> None:
    """Pickles are only touched when there is nothing else."""
    write(tmp_path / "cifar-10-batches-bin", binary_files())
    write(tmp_path / "cifar-10-batches-py", dict.fromkeys(python_files(), b"cos\nsystem\n."))
    assert opened(tmp_path)[0].counts == {"train": 9, "test": 5}


def test_missing_parts_are_noted(tmp_path: Path) -> None:
    """Without a test batch there is a train split; without batches.meta the official names are taken."""
    files = python_files()
    del files["test_batch"], files["batches.meta"]
    summary, _, _, names = opened(write(tmp_path, files))
    assert summary.counts == {"train": 9}
    assert summary.notes == (
        "there is no batches.meta; the official names of the classes are taken",
        "there is no batch of the split test",
    )
    assert names[0] == "airplane"


def test_places_without_batches(tmp_path: Path) -> None:
    """A folder of something else, a file of something else and a path with nothing end with what would be right."""
    (tmp_path / "cifar.txt").write_text("x")
    for path in (tmp_path, tmp_path / "cifar.txt"):
        with pytest.raises(
            ConfigError, match=r"data\.kind=cifar10 does not fit .*neither cifar-10-binary\.tar\.gz nor"
        ):
            opened(path)
    with pytest.raises(ConfigError, match="gone' does not exist"):
        opened(tmp_path / "gone")
    with pytest.raises(DataError, match=r"x\.tar has no data_batch_1 or test_batch"):
        opened(write_tar(tmp_path / "x.tar", {"a.txt": b"x"}, "x", packed=False))


BAD_BATCHES = {
    "system": (b"cos\nsystem\n(S'true'\ntR.", "data_batch_2 cannot be read: the pickle asks for 'os.system'"),
    "no dict": (pickled([1, 2]), "data_batch_2 holds no dict"),
    "no data": (pickled({b"labels": [1]}), r"data_batch_2 has no array 'data' of uint8 \[N, 3072\]"),
    "shape": (pickled({b"data": np.zeros((2, 3073), np.uint8), b"labels": [1, 1]}), "no array 'data'"),
    "no labels": (pickled({b"data": np.zeros((1, 3072), np.uint8)}), "data_batch_2 has no list 'labels'"),
    "text labels": (pickled({b"data": np.zeros((1, 3072), np.uint8), b"labels": [b"1"]}), "has no list 'labels'"),
    "counts": (pickled({b"data": np.zeros((1, 3072), np.uint8), b"labels": [1, 2]}), "has 1 pictures and 2 labels"),
    "label": (
        pickled({b"data": np.zeros((1, 3072), np.uint8), b"labels": [3]}),
        "the label 3, and there are 3 classes",
    ),
    "negative": (pickled({b"data": np.zeros((1, 3072), np.uint8), b"labels": [-1]}), "has no list 'labels'"),
    "empty": (b"", "data_batch_2 cannot be read: the pickle ends after 0 bytes"),
}


@pytest.mark.parametrize(("data", "problem"), BAD_BATCHES.values(), ids=BAD_BATCHES)
def test_wrong_batches_are_refused(tmp_path: Path, data: bytes, problem: str) -> None:
    """A batch in another form, or that wants to run something, ends with its name and the fix, packed or not."""
    files = {**python_files(), "data_batch_2": data}
    for path in (
        write(tmp_path / "cifar-10-batches-py", files),
        write_tar(tmp_path / "cifar-10-python.tar.gz", files, "cifar-10-batches-py"),
    ):
        with pytest.raises(DataError, match=rf"{problem}.*; get the official file again"):
            opened(path)


def test_wrong_names_are_refused(tmp_path: Path) -> None:
    """batches.meta must have a list of names."""
    files = {**python_files(), "batches.meta": pickled({b"label_names": [1]})}
    with pytest.raises(DataError, match=r"batches\.meta has no list 'label_names'"):
        opened(write(tmp_path, files))


@pytest.mark.parametrize("size", [0, 1, 3072, 3 * 3073 - 1])
def test_binary_batch_has_whole_records(tmp_path: Path, size: int) -> None:
    """A file that is no multiple of 3073 bytes ends with its size."""
    files = {**binary_files(), "data_batch_2.bin": bytes(size)}
    with pytest.raises(DataError, match=rf"data_batch_2\.bin has {size} bytes, not a multiple of 3073"):
        opened(write(tmp_path, files))


def test_same_batch_twice_is_refused(tmp_path: Path) -> None:
    """A folder where both versions were unpacked into one does not say which is meant."""
    with pytest.raises(DataError, match="has two files of data_batch_1; keep one version of each"):
        opened(write(tmp_path, {**python_files(), **binary_files()}))


@pytest.mark.parametrize("name", ["../data_batch_1.bin", "/data_batch_1.bin", "a/../../data_batch_1.bin"])
def test_entries_that_leave_their_folder_are_refused(tmp_path: Path, name: str) -> None:
    """Nothing is unpacked, and still such an archive is not what it says to be."""
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(DataError, match=rf"holds the entry '{name}', which leaves its folder"):
        opened(path)


def test_links_in_an_archive_are_not_batches(tmp_path: Path) -> None:
    """Only regular files are read."""
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("data_batch_1.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(DataError, match="has no data_batch_1 or test_batch"):
        opened(path)


def test_archive_that_never_ends_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an archive decompresses to is bounded."""
    path = write_tar(tmp_path / "x.tar.gz", {"data_batch_1.bin": bytes(3073 * 100)}, "x")
    monkeypatch.setattr(tar_stream, "MAX_BYTES", 3073 * 50)
    with pytest.raises(DataError, match=r"x\.tar\.gz is damaged \(ReadError: .*\); get the official file again"):
        opened(path)


def test_every_flipped_byte_of_an_archive_is_noticed(tmp_path: Path) -> None:
    """Behind its header a gzip is covered by its CRC, which is compared: no other pixel or label comes out."""
    path = write_tar(tmp_path / "cifar-10-binary.tar.gz", binary_files(), "cifar-10-batches-bin")
    whole = path.read_bytes()
    expected = opened(path)[0].fingerprint
    start = whole.index(b"\0", 10) + 1  # behind the name in the gzip header, which nothing depends on
    for position in range(start, len(whole), len(whole) // 150):
        data = bytearray(whole)
        data[position] ^= 0x04
        path.write_bytes(data)
        try:
            found = opened(path)[0].fingerprint
        except DataError:
            continue
        assert found == expected, position
    path.write_bytes(whole[:-4])
    with pytest.raises(DataError, match="is damaged"):
        opened(path)
    path.write_bytes(gzip.compress(b"x" * 5000))
    with pytest.raises(DataError, match="is damaged"):
        opened(path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="CIFAR-10 is not beside the checkout")
@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"])
def test_real_cifar(name: str) -> None:
    """Both versions of the shortened release have the same 6,000 pictures, to the pixel."""
    summary, refs, reader, names = opened(SHARED / name, "auto")
    assert (summary.kind, summary.counts, summary.notes) == ("cifar10", {"train": 5000, "test": 1000}, ())
    assert names == ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    assert [ref.label for ref in refs if ref.split == "train"][:10] == [6, 9, 8, 4, 1, 0, 9, 6, 9, 4]
    digest = hashlib.sha256()
    for ref in refs:
        digest.update(np.asarray(reader.read(ref)).tobytes() + bytes([ref.label]))
    assert digest.hexdigest()[:16] == "95acb8ff5dd92c8a"
