"""10,000 damaged files: each ends as the right pixels, as an error that says so, or as pixels that nobody can check.

A new format is one line of CORPUS.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from beam_jobs.pixels.decoding import Bounds, Reject, decode, quiet_pillow
from beam_jobs.places.place import open_place
from beam_jobs.sources import idx
from beam_jobs.sources.cifar_batches import from_binary, from_pickle
from gan_core.errors import ArtifactError, ConfigError, DataError
from gan_core.records import read_records, write_record
from tests import pictures
from tests.pictures import encode, scene
from tests.python2_pickles import pickled

MUTATIONS = 10_000
MOST_PIXELS = 1_000_000  # a header that claims more is refused, as data.max_megapixels does
EXPECTED = (Reject, DataError, ArtifactError, ConfigError)

Contents = Iterator[bytes]


@dataclass(frozen=True)
class Case:
    """A file, how it is read, and whether a checksum covers what is read.

    Attributes:
        make: returns the bytes of the intact file.
        read: yields the contents of a file as bytes; raises one of EXPECTED. The path has the file's own name.
        name: of the file, where it matters.
        checked: every content that is read must be one of the intact file.
    """

    make: Callable[[], bytes]
    read: Callable[[Path], Contents]
    name: str = "file"
    checked: bool = False


def picture(path: Path) -> Contents:
    """Yield the pixels of a picture file."""
    pixels = decode(path.read_bytes(), bounds=Bounds(max_pixels=MOST_PIXELS))
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)
    yield pixels.tobytes()


def archive(path: Path) -> Contents:
    """Yield the bytes of every picture that an archive lists; entries that cannot be read are skipped."""
    place = open_place(path)
    found = place.list()
    for key in sorted(found.stamps):
        with contextlib.suppress(Reject):
            yield place.read(found.ref(key))


def records(path: Path) -> Contents:
    """Yield the data of every TFRecord before the damage."""
    for _, data in read_records(path):
        yield data


def idx_pictures(path: Path) -> Contents:
    """Yield the pixels of an IDX file, each picture for itself."""
    yield from (one.tobytes() for one in idx.read(path, 3))


def cifar_pickle(path: Path) -> Contents:
    """Yield the pixels of a CIFAR-10 batch."""
    yield from (one.tobytes() for one in from_pickle(path.read_bytes(), path.name)[0])


def cifar_binary(path: Path) -> Contents:
    """Yield the pixels of a CIFAR-10 batch."""
    yield from (one.tobytes() for one in from_binary(path.read_bytes(), path.name)[0])


def kind(name: str) -> Callable[[], bytes]:
    """Return what makes one of the awkward pictures."""
    return lambda: pictures.awkward()[name].data


def zip_file() -> bytes:
    """Return three pictures, one of them stored and two compressed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for seed, method in enumerate((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_DEFLATED)):
            archive.writestr(zipfile.ZipInfo(f"faces/{seed}.bmp"), encode(scene(seed=seed), "BMP"), method)
    return stream.getvalue()


def tar_file() -> bytes:
    """Return three pictures."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for seed in range(3):
            data = encode(scene(seed=seed), "BMP")
            entry = tarfile.TarInfo(f"faces/{seed}.bmp")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def tfrecord_file() -> bytes:
    """Return four records."""
    stream = io.BytesIO()
    for seed in range(4):
        write_record(stream, scene(8, 8, seed).tobytes())
    return stream.getvalue()


def idx_file() -> bytes:
    """Return five pictures of 12x10."""
    return struct.pack(">HBBIII", 0, 8, 3, 5, 10, 12) + b"".join(scene(12, 10, n)[:, :, 0].tobytes() for n in range(5))


def pickle_file() -> bytes:
    """Return four pictures as CIFAR-10's python version has them, in protocol 2."""
    return pickled({b"data": np.frombuffer(planes(), np.uint8).reshape(4, 3072), b"labels": [0, 1, 2, 3]}, 2)


def planes() -> bytes:
    """Return four pictures of 32x32 as planes."""
    return b"".join(scene(32, 32, seed).transpose(2, 0, 1).tobytes() for seed in range(4))


def binary_file() -> bytes:
    """Return four pictures as CIFAR-10's binary version has them."""
    data = planes()
    return b"".join(bytes([label]) + data[3072 * label : 3072 * (label + 1)] for label in range(4))


CORPUS = {
    "png": Case(kind("rgb.png"), picture, checked=True),
    "png, 16 bits": Case(kind("16-bit-rgba.png"), picture, checked=True),
    "png, palette": Case(kind("palette-alpha.png"), picture, checked=True),
    "png, animated": Case(kind("animated.png"), picture, checked=True),
    "png with profile": Case(kind("profile-swapped.png"), picture, checked=True),
    "jpeg": Case(lambda: encode(scene(64, 64), "JPEG", quality=90), picture),
    "jpeg, progressive": Case(kind("progressive.jpg"), picture),
    "jpeg, cmyk": Case(kind("cmyk.jpg"), picture),
    "jpeg with exif": Case(kind("exif-broken.jpg"), picture),
    "webp": Case(kind("rgb.webp"), picture),
    "avif": Case(kind("rgb.avif"), picture),
    "gif": Case(kind("animated.gif"), picture),
    "bmp": Case(kind("rgb.bmp"), picture),
    "tiff": Case(kind("rgb.tif"), picture),
    "tiff, jpeg": Case(kind("ycbcr.tif"), picture),
    "tiff, 16 bits": Case(kind("16-bit-rgb-big.tif"), picture),
    "ppm": Case(kind("rgb.ppm"), picture),
    "jpeg 2000": Case(kind("rgb.jp2"), picture),
    "tga": Case(kind("rgb.tga"), picture),
    "ico": Case(kind("rgb.ico"), picture),
    "icns": Case(kind("rgb.icns"), picture),
    "cur": Case(kind("rgb.cur"), picture),
    "psd": Case(kind("rgb.psd"), picture),
    "qoi": Case(kind("rgb.qoi"), picture),
    "dds": Case(kind("rgb.dds"), picture),
    "sgi": Case(kind("rgb.sgi"), picture),
    "sun": Case(kind("rgb.ras"), picture),
    "pcx": Case(kind("rgb.pcx"), picture),
    "dcx": Case(kind("rgb.dcx"), picture),
    "xpm": Case(kind("palette.xpm"), picture),
    "xbm": Case(kind("one-bit.xbm"), picture),
    "msp": Case(kind("one-bit.msp"), picture),
    "zip": Case(zip_file, archive, "faces.zip", checked=True),
    "tar": Case(tar_file, archive, "faces.tar"),
    "tar.gz": Case(lambda: gzip.compress(tar_file(), mtime=0), archive, "faces.tar.gz", checked=True),
    "idx": Case(idx_file, idx_pictures, "t10k-images-idx3-ubyte"),
    "idx.gz": Case(lambda: gzip.compress(idx_file(), mtime=0), idx_pictures, "t10k.gz", checked=True),
    "cifar, python": Case(pickle_file, cifar_pickle, "data_batch_1"),
    "cifar, binary": Case(binary_file, cifar_binary, "data_batch_1.bin"),
    "tfrecord": Case(tfrecord_file, records, checked=True),
}


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Return a damaged copy: bits flipped, bytes replaced, removed, inserted or repeated, or the end cut off."""
    damaged = bytearray(data)
    for _ in range(generator.choice((1, 1, 1, 2, 5))):
        # Headers decide most, and are short.
        place = generator.randrange(min(len(damaged), generator.choice((64, 64, len(damaged)))) or 1)
        length = generator.choice((1, 1, 2, 4, 16))
        match generator.choice(("flip", "flip", "replace", "remove", "insert", "repeat", "cut")):
            case "flip" if damaged:
                damaged[place] ^= 1 << generator.randrange(8)
            case "replace":
                damaged[place : place + length] = generator.choice((b"\0", b"\xff", generator.randbytes(1))) * length
            case "remove":
                del damaged[place : place + length]
            case "insert":
                damaged[place:place] = generator.randbytes(length)
            case "repeat":
                damaged[place:place] = damaged[place : place + 8 * length]
            case "cut":
                del damaged[generator.randrange(len(damaged) + 1) :]
    return bytes(damaged)


def share(index: int) -> int:
    """Return how many mutations the case with this index gets: together they are MUTATIONS."""
    return (index + 1) * MUTATIONS // len(CORPUS) - index * MUTATIONS // len(CORPUS)


def test_there_are_ten_thousand() -> None:
    """Every format gets its share, whatever their number."""
    assert sum(share(index) for index in range(len(CORPUS))) == MUTATIONS


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CORPUS)
def test_damage_is_noticed_or_harmless(name: str, tmp_path: Path) -> None:
    """No crash, no hang, no unknown exception; where a checksum covers the content, no wrong content either."""
    quiet_pillow()
    case = CORPUS[name]
    intact = case.make()
    folder = tmp_path / "intact"
    folder.mkdir()
    (folder / case.name).write_bytes(intact)
    originals = set(case.read(folder / case.name))
    assert originals
    wrong, noticed = [], 0
    for number in range(share(list(CORPUS).index(name))):
        data = mutated(intact, random.Random(f"{name}-{number}"))
        # Every one in a folder of its own: handles of archives are kept by path, size and time.
        path = tmp_path / str(number) / case.name
        path.parent.mkdir()
        path.write_bytes(data)
        try:
            found = set(case.read(path))
        except EXPECTED as error:
            assert "\n" not in str(error)
            noticed += 1
        else:
            if case.checked and not found <= originals:
                wrong.append(number)
    assert wrong == []
    assert noticed > 0
