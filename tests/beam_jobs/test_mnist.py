from __future__ import annotations

import gzip
import hashlib
import pickletools
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.pixels.decoding import Reject
from beam_jobs.sources.base import Reader, survey
from beam_jobs.sources.mnist import FashionMnistSource, MnistSource
from beam_jobs.sources.registry import open_source
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef, SourceSummary
from tests.idx_files import digits, idx_bytes, write_mnist

SHARED = Path(__file__).parents[3] / "shared" / "data" / "mnist"
FASHION = Path("/usr/share/datasets/fashion-mnist")


def opened(path: Path, kind: str = "mnist") -> tuple[SourceSummary, list[ImageRef], Reader]:
    """Return summary, pictures and reader of the files at `path`."""
    config = DataConfig(kind=kind, path=str(path))
    source = open_source(config, path)
    summary, names = survey(source, config)
    return summary, list(names), source.reader()


@pytest.mark.parametrize("dot", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_four_files_are_two_splits(tmp_path: Path, packed: bool, dot: bool) -> None:
    """Plain or gzipped, named with a dash or a dot: any number of pictures, each with its label."""
    summary, refs, reader = opened(write_mnist(tmp_path, 13, 4, packed=packed, dot=dot))
    assert (summary.kind, summary.name, summary.counts) == ("mnist", "mnist", {"train": 13, "test": 4})
    assert [ref.key for ref in refs[:5]] == ["test/00000", "test/00001", "test/00002", "test/00003", "train/00000"]
    assert [ref.label for ref in refs[4:]] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]
    pictures = np.stack([reader.read(ref) for ref in refs])
    assert (pictures.dtype, pictures.shape) == (np.uint8, (17, 28, 28, 1))
    np.testing.assert_array_equal(pictures[:4, :, :, 0], digits(4, 100))
    np.testing.assert_array_equal(pictures[4:, :, :, 0], digits(13))


def test_form_of_the_files_does_not_matter(tmp_path: Path) -> None:
    """Equal pictures and labels have one fingerprint, however they are packed; another label is another source."""
    plain = opened(write_mnist(tmp_path / "plain", 6, 2))[0]
    packed = opened(write_mnist(tmp_path / "packed", 6, 2, packed=True, dot=True))[0]
    assert plain.fingerprint == packed.fingerprint
    labels = tmp_path / "plain" / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.arange(6, dtype=np.uint8)[::-1]))
    assert opened(tmp_path / "plain")[0].fingerprint != plain.fingerprint


def test_plain_files_are_read_where_both_are(tmp_path: Path) -> None:
    """Of a file and its gzip, as some programs leave them, the one that needs no decompression is read."""
    write_mnist(tmp_path, 5, 2)
    for path in list(tmp_path.iterdir()):
        path.with_name(f"{path.name}.gz").write_bytes(b"not read")
    assert opened(tmp_path)[0].counts == {"train": 5, "test": 2}


def test_names_of_the_classes() -> None:
    """Ten digits, and the ten kinds of clothes in Zalando's order."""
    assert MnistSource.official_label_names == tuple("0123456789")
    assert FashionMnistSource.official_label_names[0] == "T-shirt/top"
    assert FashionMnistSource.official_label_names[9] == "Ankle boot"
    assert len(FashionMnistSource.official_label_names) == 10


@pytest.mark.parametrize(
    ("folder", "below", "kind"),
    [
        ("digits", "", "mnist"),
        ("Fashion stuff", "", "fashion-mnist"),
        ("torch", "MNIST/raw", "mnist"),
        ("torch", "FashionMNIST/raw", "fashion-mnist"),
        ("other", "deep/er", "folder"),
    ],
)
def test_auto_recognizes_the_files(
    tmp_path_factory: pytest.TempPathFactory, folder: str, below: str, kind: str
) -> None:
    """Their names say MNIST, `fashion` in the path says which, and the kind can be forced."""
    root = tmp_path_factory.mktemp("auto") / folder
    write_mnist(root / below, 3, 2)
    assert open_source(DataConfig(path=str(root)), root).kind == kind
    if kind == "mnist":
        forced = open_source(DataConfig(kind="fashion-mnist", path=str(root)), root)
        assert (forced.kind, forced.label_names[1]) == ("fashion-mnist", "Trouser")


def test_one_split_is_enough(tmp_path: Path) -> None:
    """Without the t10k files there is a train split and a note."""
    write_mnist(tmp_path, 3, 2)
    for path in tmp_path.glob("t10k-*"):
        path.unlink()
    summary = opened(tmp_path)[0]
    assert (summary.counts, summary.notes) == ({"train": 3}, ("there is no file of the split test",))


@pytest.mark.parametrize(
    ("kept", "problem"),
    [
        ((), r"data\.kind=mnist does not fit .*: it is no folder with train-images-idx3-ubyte"),
        (("train-images-idx3-ubyte",), r"train-labels-idx1-ubyte is missing; put it there, plain or \.gz"),
        (("train-labels-idx1-ubyte",), r"train-images-idx3-ubyte is missing; put it there, plain or \.gz"),
    ],
)
def test_missing_files_are_named(tmp_path: Path, kept: tuple[str, ...], problem: str) -> None:
    """A folder without the files, and one with half a pair, end with what is missing."""
    write_mnist(tmp_path, 3, 2)
    for path in list(tmp_path.iterdir()):
        if path.name not in kept:
            path.unlink()
    with pytest.raises(ConfigError, match=problem):
        opened(tmp_path)


IMAGES = idx_bytes(digits(3))
BAD_FILES = {
    "magic": (b"\x00\x00\x08\x01" + IMAGES[4:], "it starts with 0x00000801 instead of 0x00000803"),
    "type": (b"\x00\x00\x0d\x03" + IMAGES[4:], "it starts with 0x00000d03 instead of 0x00000803"),
    "empty": (b"", "it starts with 0x instead of"),
    "header": (IMAGES[:10], "it ends within its header"),
    "short": (IMAGES[:-1], "its header says 3x28x28, 2352 bytes, and it has only 2351"),
    "long": (IMAGES + b"x", "its header says 3x28x28, 2352 bytes, and it has more"),
    "none": (idx_bytes(np.zeros((0, 28, 28), np.uint8)), "its header says 0x28x28, and 1 to"),
    "huge": (IMAGES[:4] + b"\xff" * 12, "its header says 4294967295x4294967295x4294967295, and 1 to 2147483648 bytes"),
    "large": (
        IMAGES[:4] + b"\x00\x10\x00\x00" + IMAGES[8:],
        "its header says 1048576x28x28, 822083584 bytes, and it has only 2352",
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("data", "problem"), BAD_FILES.values(), ids=BAD_FILES)
def test_damaged_files_are_refused(tmp_path: Path, data: bytes, problem: str, packed: bool) -> None:
    """Another magic number, another length than the header says, and impossible sizes end with file and fix."""
    write_mnist(tmp_path, 3, 2, packed=packed)
    path = tmp_path / f"train-images-idx3-ubyte{'.gz' if packed else ''}"
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=rf"{path.name} is not a usable IDX file: {problem}.*; get it again"):
        opened(tmp_path)


def test_every_flipped_byte_of_a_gzip_is_noticed(tmp_path: Path) -> None:
    """Behind the 10 bytes of its header a gzip is covered by its CRC: no byte may differ."""
    write_mnist(tmp_path, 3, 2, packed=True)
    path = tmp_path / "t10k-images-idx3-ubyte.gz"
    whole = path.read_bytes()
    expected = opened(tmp_path)[0].fingerprint
    for position in range(10, len(whole), 7):
        data = bytearray(whole)
        data[position] ^= 0x10
        path.write_bytes(data)
        try:
            found = opened(tmp_path)[0].fingerprint
        except DataError:
            continue
        assert found == expected, position
    path.write_bytes(whole[:-5])
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte\.gz is not a usable IDX file"):
        opened(tmp_path)


def test_labels_must_fit(tmp_path: Path) -> None:
    """As many labels as pictures, and none beyond the ten classes."""
    write_mnist(tmp_path, 3, 2)
    labels = tmp_path / "train-labels-idx1-ubyte"
    labels.write_bytes(idx_bytes(np.zeros(4, np.uint8)))
    with pytest.raises(DataError, match="train-images-idx3-ubyte has 3 pictures and 4 labels"):
        opened(tmp_path)
    labels.write_bytes(idx_bytes(np.array([0, 10, 1], np.uint8)))
    with pytest.raises(DataError, match="train-images-idx3-ubyte has the label 10, and there are 10 classes"):
        opened(tmp_path)


def test_reader_is_small_and_reads_alone(tmp_path: Path) -> None:
    """What travels to a worker holds no pixel, also when it has read some."""
    _, refs, reader = opened(write_mnist(tmp_path, 40, 2))
    reader.read(refs[0])
    data = bytes(ForkingPickler.dumps(reader))
    assert len(data) < 1000
    assert "numpy" not in {argument for _, argument, _ in pickletools.genops(data)}


def test_reader_notices_files_that_changed(tmp_path: Path) -> None:
    """A worker that opens other pictures than those listed rejects them; one without files cannot go on."""
    _, refs, reader = opened(write_mnist(tmp_path, 3, 2))
    write_mnist(tmp_path, 2, 2)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx_bytes(digits(2, first_seed=1)))
    with pytest.raises(Reject) as caught:
        reader.read(next(ref for ref in refs if ref.key == "train/00000"))
    assert caught.value.reason == "changed"
    with pytest.raises(Reject) as caught:
        reader.read(next(ref for ref in refs if ref.key == "train/00002"))
    assert caught.value.reason == "missing"
    assert np.array_equal(reader.read(refs[0])[:, :, 0], digits(1, 100)[0])
    fresh = open_source(DataConfig(kind="mnist", path=str(tmp_path)), tmp_path).reader()
    (tmp_path / "t10k-images-idx3-ubyte").unlink()
    with pytest.raises(DataError, match=r"t10k-images-idx3-ubyte cannot be read \(No such file or directory\)"):
        fresh.read(refs[0])


def contents(path: Path, kind: str) -> tuple[SourceSummary, dict[str, list[int]], str]:
    """Return summary, the first labels of each split, and a SHA-256 over all pixels and labels."""
    summary, refs, reader = opened(path, kind)
    digest = hashlib.sha256()
    for ref in refs:
        digest.update(np.asarray(reader.read(ref)).tobytes() + bytes([ref.label]))
    labels = {split: [ref.label for ref in refs if ref.split == split][:10] for split in summary.counts}
    return summary, labels, digest.hexdigest()[:16]


@pytest.mark.skipif(not SHARED.is_dir(), reason="MNIST is not beside the checkout")
def test_real_mnist() -> None:
    """The official files: 60,000 and 10,000 pictures, their first labels, and every pixel."""
    summary, labels, digest = contents(SHARED, "auto")
    assert (summary.kind, summary.counts, summary.notes) == ("mnist", {"train": 60_000, "test": 10_000}, ())
    assert labels == {"train": [5, 0, 4, 1, 9, 2, 1, 3, 1, 4], "test": [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]}
    assert digest == "a8f951594b91b202"


@pytest.mark.skipif(not FASHION.is_dir(), reason="Debian's dataset-fashion-mnist is not installed")
def test_real_fashion_mnist() -> None:
    """The official files as Debian installs them."""
    summary, labels, digest = contents(FASHION, "auto")
    assert (summary.kind, summary.counts) == ("fashion-mnist", {"train": 60_000, "test": 10_000})
    assert labels == {"train": [9, 0, 0, 3, 0, 2, 7, 2, 5, 5], "test": [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]}
    assert digest == "becc3aa11cf42665"
