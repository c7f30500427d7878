"""FFHQ (Karras et al. 2019, arXiv:1812.04948): thumbnails128x128, images1024x1024, and copies of other sizes.

Given as that folder with its thousand-folders (00000/00000.png to 69000/69999.png), as the folder above, or as an
archive of either. ffhq-dataset-v2.json, with the pictures or above them, adds licence, author and landmarks.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from beam_jobs.places.listing import Found
from beam_jobs.places.place import Place, archive_stem, open_place
from beam_jobs.places.texts import TextFile, find_text
from beam_jobs.sources.base import Reader, source_path
from beam_jobs.sources.ffhq_metadata import COUNT, METADATA_FILE, landmarks_of, licence_of, read_records
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef, SourceSummary
from gan_core.paths import path_of
from gan_core.progress import ReportProgress

TRAIN_COUNT = 60_000
"""The first so many pictures are the official training set, the others validate (README of NVlabs/ffhq-dataset)."""

_IMAGES = re.compile(r"(images|thumbnails)(\d{2,4})x\2")
_THOUSAND = re.compile(r"[0-6]\d000")
_NUMBERED = re.compile(r"\d{5}")


class FfhqSource:
    """FFHQ's pictures with the official split; the key is the path below the folder of the pictures."""

    kind: ClassVar[str] = "ffhq"
    name = "ffhq"

    def __init__(self, place: Place, everything: Found, config: DataConfig, location: Path) -> None:
        """Take a place narrowed to the pictures, and all that its folder or archive holds."""
        self.location = location
        self.attribute_names: tuple[str, ...] = ()
        self.label_names: tuple[str, ...] = ()
        self.notes: list[str] = []
        self.place = place
        self._everything = everything
        self._found = everything.inside(place.folder)
        self._licences = config.licences
        self._layout_notes: list[str] = []

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: by the names of the folders, and numbered folders or pictures in them."""
        if path.is_dir():
            return bool(_image_folders(path))
        names = [name.split("/") for name in open_place(path).peek()]
        named = any(_IMAGES.fullmatch(part) for parts in ([archive_stem(path)], *names) for part in parts)
        return named and any(_looks_numbered(part) for parts in names for part in parts)

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> FfhqSource:
        """See `Source.open`."""
        location = source_path(config)
        place = open_place(location)
        if place.is_archive:
            everything = place.list()
            folders = _by_size({_folder_of(key) for key in everything.stamps})
            place = place.inside(folders[0]) if folders else place
        else:
            folders = _by_size(str(folder) for folder in _image_folders(location))
            place = open_place(path_of(folders[0])) if folders else place
            everything = place.list()
        if not any(_number(key) is not None for key in everything.inside(place.folder).stamps):
            raise ConfigError(
                f"data.kind=ffhq does not fit '{location}': it has {everything.describe()}, and no "
                "imagesNxN/00000/00000.png, imagesNxN/00000/00001.png, ...; set data.kind=folder for other pictures"
            )
        source = cls(place, everything, config, location)
        if len(folders) > 1:
            used, *others = (folder.rpartition("/")[2] for folder in folders)
            source._layout_notes.append(f"of several sizes, the largest is read: {used}, not {', '.join(others)}")
        return source

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`: the pictures must be listed."""
        return None

    def fetch(self, report_progress: ReportProgress) -> None:
        """See `Source.fetch`: they are read in place."""

    @property
    def folder_name(self) -> str:
        """The name of the folder with the pictures, such as images1024x1024; of the archive where it has none."""
        return (self.place.path / self.place.folder).name if self.place.folder else archive_stem(self.place.path)

    def metadata(self) -> TextFile | None:
        """Return the file with licences and landmarks; None where it is neither with the pictures nor above."""
        return find_text(self.place, self._everything, (METADATA_FILE,))

    def numbered(self) -> dict[int, ImageRef]:
        """Return number -> picture, without what the metadata says; of two with one number, the first by its key."""
        refs: dict[int, ImageRef] = {}
        for key in sorted(self._found.stamps):
            if (number := _number(key)) is not None and number not in refs:
                split = "train" if number < TRAIN_COUNT else "validation"
                refs[number] = self._found.ref(key)._replace(split=split)
        return refs

    def list(self) -> list[ImageRef]:
        """See `Source.list`.

        Raises:
            ConfigError: `data.licences` names one that there is not, or the file with the licences is missing.
            DataError: the file is malformed, or no picture has one of the licences.
        """
        file, numbered = self.metadata(), self.numbered()
        if file is None and self._licences:
            raise ConfigError(
                f"data.licences needs {METADATA_FILE} with the pictures in '{self.location}' or one folder above, "
                "and it is not there; get it from NVlabs/ffhq-dataset, or leave data.licences empty"
            )
        notes = self._everything.notes((file.entry,) if file else ())
        if others := len(self._everything.stamps) - len(numbered):
            notes.append(f"pictures without a number of FFHQ or of another size, left out: {others}")
        if file is not None:
            listed = _with_facts(numbered, file, self._licences)
            if missing := len(numbered) - len(listed):
                notes.append(f"pictures that {METADATA_FILE} does not list: {missing}; their licence is unknown")
            numbered |= listed
        refs = list(numbered.values())
        if self._licences:
            refs, left_out = _under(refs, self._licences)
            if not refs:
                raise DataError(
                    f"none of the pictures in '{self.location}' is under one of data.licences; {'; '.join(left_out)}"
                )
            notes += left_out
        self.notes = self._layout_notes + notes
        return refs

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return self.place


def _with_facts(numbered: Mapping[int, ImageRef], file: TextFile, licences: Collection[str]) -> dict[int, ImageRef]:
    """Return the pictures that the metadata lists, with what it says.

    Raises:
        ConfigError: one of the licences is not there.
    """
    listed: dict[int, ImageRef] = {}
    known: Counter[str] = Counter()
    for number, record in read_records(file):
        licence, author = licence_of(record)
        licence = sys.intern(licence)  # one of five texts, 70,000 times
        known[licence] += 1
        if number in numbered:
            listed[number] = numbered[number]._replace(licence=licence, author=author, landmarks=landmarks_of(record))
    for licence in licences:
        if licence not in known:
            there = ", ".join(f"'{name}' ({count})" for name, count in sorted(known.items()))
            raise ConfigError(
                f"data.licences has '{licence}', which {file.label} does not know; it has {there or 'none'}"
            )
    return listed


def _under(refs: Iterable[ImageRef], licences: Collection[str]) -> tuple[list[ImageRef], list[str]]:
    """Return the pictures under one of the licences, and a note on the others."""
    kept, others = [], Counter[str]()
    for ref in refs:
        if ref.licence in licences:
            kept.append(ref)
        else:
            others[ref.licence or "unknown"] += 1
    counts = ", ".join(f"{name}: {count}" for name, count in sorted(others.items()))
    return kept, [f"pictures under other licences, left out: {others.total()} ({counts})"] if others else []


def _image_folders(path: Path) -> list[Path]:
    """Return the folder itself, or those just below it, that are named after a size and hold numbered pictures."""
    if _IMAGES.fullmatch(path.name):
        candidates = [path]
    else:
        candidates = [entry for entry in path.iterdir() if _IMAGES.fullmatch(entry.name) and entry.is_dir()]
    return [folder for folder in candidates if any(_looks_numbered(entry.name) for entry in folder.iterdir())]


def _folder_of(key: str) -> str:
    """Return the part of an archive's key up to the folder named after a size; "" where there is none."""
    parts = key.split("/")[:-1]
    named = [index for index, part in enumerate(parts) if _IMAGES.fullmatch(part)]
    return "/".join(parts[: named[0] + 1]) if named else ""


def _by_size(folders: Iterable[str]) -> list[str]:
    """Return the folders that are named after a size, largest pictures first."""
    sizes = {folder: match for folder in folders if (match := _IMAGES.fullmatch(folder.rpartition("/")[2]))}
    return sorted(sizes, key=lambda folder: (-int(sizes[folder][2]), folder))


def _looks_numbered(name: str) -> bool:
    return bool(_THOUSAND.fullmatch(name)) or _number(name) is not None


def _number(key: str) -> int | None:
    """Return the number of a picture, None where its name is none of FFHQ's."""
    stem = key.rpartition("/")[2].partition(".")[0]
    number = int(stem) if _NUMBERED.fullmatch(stem) else COUNT
    return number if number < COUNT else None
