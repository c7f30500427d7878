"""CIFAR-10 (Krizhevsky 2009): the python and the binary version, unpacked or as they are distributed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from beam_jobs.places import tar_stream
from beam_jobs.sources import cifar_batches
from beam_jobs.sources.packed import Batch, Contents
from beam_jobs.sources.packed_source import PackedSource
from gan_core.errors import ConfigError, DataError

# Where both versions are, the one without pickles is read; unpacked ones need no decompression.
_FOLDERS = ("cifar-10-batches-bin", "cifar-10-batches-py")
_ARCHIVES = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
_TAR_NAME = re.compile(r".*\.(tar|tar\.gz|tgz)", re.IGNORECASE)
_BATCH = re.compile(r"(?:data_batch_(\d+)|test_batch)(\.bin)?")
_META = frozenset({"batches.meta", "batches.meta.txt"})


@dataclass(frozen=True)
class CifarFolder:
    """Unpacked batches."""

    folder: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """See `Layout.files`."""
        try:
            return tuple(path for path in sorted(self.folder.iterdir()) if _is_known(path.name) and path.is_file())
        except OSError as error:
            raise DataError(f"{self.folder} cannot be read ({error.strerror}); run again when it is back") from None

    def load(self) -> Contents:
        """See `Layout.load`."""
        return _contents(((path.name, tar_stream.read_file(path)) for path in self.files), self.folder)


@dataclass(frozen=True)
class CifarArchive:
    """A tar archive with the batches, read in place: each process decompresses it once, in memory."""

    path: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """See `Layout.files`."""
        return (self.path,)

    def load(self) -> Contents:
        """See `Layout.load`."""
        return _contents(tar_stream.members(self.path, _is_known), self.path)


class Cifar10Source(PackedSource):
    """Ten kinds of animals and vehicles, uint8 [32, 32, 3]; `test_batch` is the split test."""

    kind: ClassVar[str] = "cifar10"
    official_label_names: ClassVar[tuple[str, ...]] = (
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    )

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: by the official names of folder and archive, or of what an archive starts with."""
        if path.is_dir():
            return _find(path) is not None
        return bool(_TAR_NAME.fullmatch(path.name)) and tar_stream.first_folder(path) in _FOLDERS

    @classmethod
    def layout_at(cls, location: Path) -> CifarFolder | CifarArchive:
        """Find the batches at `location`. Raises ConfigError when there are none."""
        if location.is_dir():
            layout = _find(location)
        else:
            layout = CifarArchive(location) if _TAR_NAME.fullmatch(location.name) else None
        if layout is None:
            raise ConfigError(
                f"data.kind=cifar10 does not fit '{location}': it is neither {' nor '.join(_ARCHIVES)} "
                f"nor a folder with one of them, with {' or '.join(_FOLDERS)}, or with data_batch_1"
            )
        return layout


def _find(folder: Path) -> CifarFolder | CifarArchive | None:
    for home in (folder, *(folder / name for name in _FOLDERS)):
        if home.is_dir() and any(_BATCH.fullmatch(path.name) and path.is_file() for path in home.iterdir()):
            return CifarFolder(home)
    for name in _ARCHIVES:
        if (folder / name).is_file():
            return CifarArchive(folder / name)
    return None


def _is_known(name: str) -> bool:
    return name in _META or _BATCH.fullmatch(name) is not None


def _contents(files: Iterator[tuple[str, bytes]], location: Path) -> Contents:
    """Put the batches of one version in order: data_batch_1, data_batch_2, ..., test_batch."""
    batches: dict[tuple[str, int], Batch] = {}
    names: tuple[str, ...] = ()
    for name, data in files:
        described = f"{location}, {name}"
        found = _BATCH.fullmatch(name)
        if found is None:
            is_text = name.endswith(".txt")
            names = cifar_batches.names_of_text(data) if is_text else cifar_batches.names_of_pickle(data, described)
            continue
        read = cifar_batches.from_binary if found[2] else cifar_batches.from_pickle
        split, number = ("train", int(found[1])) if found[1] else ("test", 0)
        if (split, number) in batches:
            raise DataError(f"{location} has two files of {name.removesuffix('.bin')}; keep one version of each")
        batches[split, number] = Batch(described, split, *read(data, described))
    if not batches:
        raise DataError(f"{location} has no data_batch_1 or test_batch; get the official file again")
    ordered = sorted(batches, key=lambda place: (place[0] == "test", place[1]))
    notes = [] if names else ["there is no batches.meta; the official names of the classes are taken"]
    absent = {"train", "test"} - {split for split, _ in batches}
    notes += [f"there is no batch of the split {split}" for split in sorted(absent)]
    return Contents(tuple(batches[place] for place in ordered), names, tuple(notes))
