"""CelebA "Align&Cropped" (Liu et al. 2015, arXiv:1411.7766), a folder or an archive, read in place.

Layouts that are found: the folder of the release (pictures and lists side by side, or in Img/, Anno/ and
Eval/), the folder `img_align_celeba`, `img_align_celeba.zip` (or .tar, .tar.gz), and Kaggle's copy (nested folder,
lists as .csv), unpacked or as its archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from operator import truediv
from pathlib import Path
from typing import ClassVar

from beam_jobs.places.listing import Found
from beam_jobs.places.place import ARCHIVE_SUFFIXES, Place, archive_stem, open_place
from beam_jobs.places.texts import TextFile, find_text
from beam_jobs.sources import celeba_lists
from beam_jobs.sources.base import Reader, source_path
from gan_core.config import DataConfig
from gan_core.errors import ConfigError
from gan_core.handoff import SPLITS, ImageRef, SourceSummary
from gan_core.progress import ReportProgress

IMAGE_FOLDER = "img_align_celeba"
TEXT_FOLDERS = ("", "Anno", "Eval")

_NUMBERED = re.compile(r"\d{6}\.(jpg|png)")


class CelebaSource:
    """CelebA's pictures with its splits, attributes, identities and landmarks; the key is the file name.

    The landmarks are written for 178x218 and are given in shares of width and height, so they hold for copies of any
    size of that shape.
    """

    kind: ClassVar[str] = "celeba"
    name = "celeba"

    def __init__(self, place: Place, found: Found, everything: Found, location: Path) -> None:
        self.location = location
        self.attribute_names: tuple[str, ...] = ()
        self.label_names: tuple[str, ...] = ()
        self.notes: list[str] = []
        self._place = place
        self._found = found
        self._everything = everything
        self._used: list[str] = []

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: by the name img_align_celeba in the path, just below it, or in the archive."""
        if path.is_dir():
            return _pictures_of(path) is not None
        if archive_stem(path).startswith(IMAGE_FOLDER):
            return True
        return any(IMAGE_FOLDER in name.split("/")[:-1] for name in open_place(path).peek())

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> CelebaSource:
        """See `Source.open`."""
        return cls.at(source_path(config))

    @classmethod
    def at(cls, location: Path) -> CelebaSource:
        """Open the release at `location`. Raises ConfigError when its layout is another one."""
        place = open_place(location)
        if not place.is_archive:
            place = _pictures_of(location) or place
        everything = place.list()
        folder = _numbered_folder(everything)
        if folder is None:
            raise ConfigError(
                f"data.kind=celeba does not fit '{location}': it has {everything.describe()}, "
                f"and no {IMAGE_FOLDER} with 000001.jpg, 000002.jpg, ...; "
                "set data.kind=folder and data.crop=center for other pictures"
            )
        return cls(place.inside(folder), everything.inside(folder), everything, location)

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`: the pictures must be listed."""
        return None

    def fetch(self, report_progress: ReportProgress) -> None:
        """See `Source.fetch`: they are read in place."""

    def list(self) -> Iterator[ImageRef]:
        """See `Source.list`. Raises DataError when one of the text files is malformed."""
        stems = dict.fromkeys(map(_stem, self._found.stamps))
        rows = {stem: row for row, stem in enumerate(stems)}
        lists = celeba_lists.read(self._find, rows)
        self.attribute_names = lists.attribute_names
        self.notes = self._everything.notes(self._used) + lists.notes
        if outside := len(self._everything.stamps) - len(self._found.stamps):
            self.notes.append(f"pictures outside {IMAGE_FOLDER}, left out: {outside}")
        return self._refs(lists, rows)

    def _refs(self, lists: celeba_lists.Lists, rows: Mapping[str, int]) -> Iterator[ImageRef]:
        unknown, sides = (-1,) * len(lists.attribute_names), (celeba_lists.WIDTH, celeba_lists.HEIGHT) * 5
        spans, train = self._found.spans, SPLITS.index("train")
        for name, stamp in sorted(self._found.stamps.items()):
            row = rows[_stem(name)]
            points = lists.landmarks.get(row)
            yield ImageRef(
                name,
                SPLITS[lists.splits.one(row, train)],
                stamp,
                lists.attributes.get(row) or unknown,
                lists.identities.one(row, -1),
                landmarks=tuple(map(truediv, points, sides)) if points else (),
                span=spans.get(name, ()) if spans else (),
            )

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return self._place

    def _find(self, names: Sequence[str]) -> TextFile | None:
        file = find_text(self._place, self._everything, names, TEXT_FOLDERS)
        if file is not None:
            self._used.append(file.entry)
        return file


def _pictures_of(folder: Path) -> Place | None:
    """Return the pictures of a release at `folder`, None where it looks like something else."""
    if folder.name == IMAGE_FOLDER:
        return open_place(folder)
    for home in (folder, folder / "Img"):
        if (home / IMAGE_FOLDER).is_dir():
            return open_place(home / IMAGE_FOLDER)
        for suffix in ARCHIVE_SUFFIXES:
            if (home / f"{IMAGE_FOLDER}{suffix}").is_file():
                return open_place(home / f"{IMAGE_FOLDER}{suffix}")
    return None


def _numbered_folder(found: Found) -> str | None:
    """Return the one folder with the numbered pictures ("": the top), None where there is none or several."""
    folders = {key.rpartition("/")[0] for key in found.stamps}
    named = {folder for folder in folders if folder.rpartition("/")[2] == IMAGE_FOLDER}
    chosen = named if len(named) == 1 else folders
    if len(chosen) != 1:
        return None
    (folder,) = chosen
    first = min(found.inside(folder).stamps)
    return folder if _NUMBERED.fullmatch(first) else None


def _stem(name: str) -> str:
    return name.partition(".")[0]
