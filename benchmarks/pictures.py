"""Input of the benchmarks: real faces at the sizes of CelebA and FFHQ, as many as wanted, under official names.

Everything is made once, in a folder of the caller's, from pictures of the caller's. More pictures than there are
come from repetition: hard links under new names, which cost no space and are files like others to every reader.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
from PIL import Image

CELEBA_SIZE = (178, 218)
# Gives 7.2 kB a picture; the 202,599 of the release have 7.1 kB on average (1,443,490,838 bytes in all).
CELEBA_QUALITY = 85
LARGE_SIDE = 1024
# Grey levels. Enlarged pictures are smooth; with this noise a PNG has 1.3 MB, as FFHQ's have (89.1 GB for 70,000).
LARGE_NOISE = 1.0
LARGE_QUALITY = 95
LARGE_ORIGINALS = 200
MIN_PORTRAIT_SIDE = 300

_LISTS = ("list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt")
_HEADER_LINES = {"list_attr_celeba.txt": 2}


@dataclass(frozen=True)
class Input:
    """A folder of pictures.

    Attributes:
        name: of its kind, for tables.
        source: what faceloom is given.
        folder: where the pictures themselves lie, at any depth.
        pictures: how many.
        mean_bytes: of a file.
    """

    name: str
    source: Path
    folder: Path
    pictures: int
    mean_bytes: float


def celeba(scratch: Path, original: Path, count: int) -> Input:
    """Return `count` pictures of 178x218 in CelebA's layout, with the lists that the original has.

    Args:
        scratch: a folder that keeps what was made.
        original: a folder with img_align_celeba.zip or img_align_celeba/, at any size, and the lists.
        count: up to 999,999, official names have six digits.
    """
    source = scratch / f"celeba-{count}"
    names, read = _celeba_files(original)
    made = _make(scratch / "celeba-originals", names[:count], ".jpg", partial(_enlarged_celeba, read))
    if not source.is_dir():
        with _whole(source) as draft:
            (draft / "img_align_celeba").mkdir()
            for number, path in enumerate(itertools.islice(itertools.cycle(made), count), start=1):
                (draft / "img_align_celeba" / f"{number:06d}.jpg").hardlink_to(path)
            for name in _LISTS:
                if (original / name).is_file():
                    (draft / name).write_text(_repeated(original / name, count), encoding="utf-8")
    return _input("178x218 JPEG", source, source / "img_align_celeba", count)


def large(scratch: Path, portraits: Path, count: int, suffix: str) -> Input:
    """Return `count` squares of 1024x1024 in FFHQ's folders of a thousand.

    Args:
        scratch: a folder that keeps what was made.
        portraits: a zip of pictures; those with sides of 300 pixels and more are taken.
        count: how many.
        suffix: `.png` or `.jpg`.
    """
    source = scratch / f"large-{suffix[1:]}-{count}"
    names, read = _portraits(portraits)
    names = names[: min(count, LARGE_ORIGINALS)]
    made = _make(scratch / f"large-{suffix[1:]}-originals", names, suffix, partial(_enlarged_portrait, read, suffix))
    folder = "images1024x1024"
    if not source.is_dir():
        with _whole(source) as draft:
            for number, path in enumerate(itertools.islice(itertools.cycle(made), count)):
                place = draft / folder / f"{number // 1000 * 1000:05d}" / f"{number:05d}{suffix}"
                place.parent.mkdir(parents=True, exist_ok=True)
                place.hardlink_to(path)
    kind = "PNG" if suffix == ".png" else "JPEG"
    return _input(f"1024x1024 {kind}", source / folder, source / folder, count)


def natural(scratch: Path, portraits: Path, count: int) -> Input:
    """Return up to `count` portraits as they are, with sides of 300 pixels and more: no pixel was invented."""
    source = scratch / f"portraits-{count}"
    names, read = _portraits(portraits)
    if not source.is_dir():
        with _whole(source) as draft:
            for name in names[:count]:
                (draft / Path(name).name).write_bytes(read(name))
    return _input("335x410 JPEG", source, source, len(names[:count]))


def warm(folder: Path) -> None:
    """Read every file once: the first contender shall not pay for the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            path.read_bytes()


@dataclass(frozen=True)
class _Zip:
    """Reads entries of a zip, in any process."""

    path: Path

    def __call__(self, name: str) -> bytes:
        return _opened(self.path, os.getpid()).read(name)


@cache
def _opened(path: Path, _: int) -> zipfile.ZipFile:
    """Open an archive once a process, as forked ones would share a position: its index takes long to read."""
    return zipfile.ZipFile(path)


@dataclass(frozen=True)
class _Folder:
    """Reads files of a folder."""

    path: Path

    def __call__(self, name: str) -> bytes:
        return (self.path / name).read_bytes()


Read = Callable[[str], bytes]


def _celeba_files(original: Path) -> tuple[list[str], Read]:
    archive, folder = original / "img_align_celeba.zip", original / "img_align_celeba"
    if archive.is_file():
        return _zip_names(archive), _Zip(archive)
    if folder.is_dir():
        return sorted(path.name for path in folder.glob("*.jpg")), _Folder(folder)
    raise SystemExit(f"{original} holds neither img_align_celeba.zip nor img_align_celeba/; name CelebA's folder")


def _portraits(archive: Path) -> tuple[list[str], Read]:
    if not archive.is_file():
        raise SystemExit(f"{archive} does not exist; name a zip of portraits")
    read = _Zip(archive)
    names = [name for name in _zip_names(archive) if min(_size(read(name))) >= MIN_PORTRAIT_SIDE]
    if not names:
        raise SystemExit(f"{archive} has no picture with sides of {MIN_PORTRAIT_SIDE} pixels; name another zip")
    return names, read


def _zip_names(archive: Path) -> list[str]:
    return sorted(name for name in _opened(archive, os.getpid()).namelist() if name.lower().endswith(".jpg"))


def _size(data: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(data)) as image:
        return image.size


def _make(folder: Path, names: Sequence[str], suffix: str, draw: Callable[[int, str], bytes]) -> list[Path]:
    """Return a file for each of `names`; those that are not there yet are drawn, on all cores."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{number:06d}{suffix}" for number in range(1, len(names) + 1)]
    missing = [number for number, path in enumerate(paths) if not path.is_file()]
    if missing:
        with ProcessPoolExecutor() as pool:
            drawn = pool.map(draw, missing, [names[number] for number in missing], chunksize=16)
            for number, data in zip(missing, drawn, strict=True):
                temporary = paths[number].with_suffix(".part")
                temporary.write_bytes(data)
                temporary.replace(paths[number])
    return paths


def _enlarged_celeba(read: Read, _: int, name: str) -> bytes:
    with Image.open(io.BytesIO(read(name))) as image:
        enlarged = image.convert("RGB").resize(CELEBA_SIZE, Image.Resampling.LANCZOS)
    return _encoded(enlarged, "JPEG", quality=CELEBA_QUALITY)


def _enlarged_portrait(read: Read, suffix: str, number: int, name: str) -> bytes:
    with Image.open(io.BytesIO(read(name))) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, top, left + side, top + side))
    pixels = np.asarray(square.resize((LARGE_SIDE, LARGE_SIDE), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(number).normal(0.5, LARGE_NOISE, pixels.shape)
    noisy = Image.fromarray(np.clip(np.floor(pixels + noise), 0, 255).astype(np.uint8))
    return _encoded(noisy, "PNG") if suffix == ".png" else _encoded(noisy, "JPEG", quality=LARGE_QUALITY)


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _repeated(path: Path, count: int) -> str:
    """Return the text of one of CelebA's lists for pictures 000001.jpg to `count`, its rows repeated."""
    lines = path.read_text(encoding="utf-8").splitlines()
    header, rows = lines[: _HEADER_LINES.get(path.name, 0)], lines[_HEADER_LINES.get(path.name, 0) :]
    values = itertools.cycle(row.partition(" ")[2] for row in rows if row.strip())
    repeated = [f"{number:06d}.jpg {value}" for number, value in zip(range(1, count + 1), values, strict=False)]
    return "\n".join([str(count), *header[1:], *repeated] if header else repeated) + "\n"


def _input(name: str, source: Path, folder: Path, count: int) -> Input:
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    if len(sizes) != count:
        raise SystemExit(f"{folder} has {len(sizes)} pictures instead of {count}; remove it and run again")
    return Input(name, source, folder, count, sum(sizes) / len(sizes))


@contextlib.contextmanager
def _whole(final: Path) -> Iterator[Path]:
    """Yield a folder that is `final` when the block has ended well, and gone otherwise."""
    draft = final.with_name(f"{final.name}.{os.getpid()}.part")
    draft.mkdir(parents=True)
    try:
        yield draft
        draft.rename(final)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
