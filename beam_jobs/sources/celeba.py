"""CelebA "Align&Cropped" (Liu et al. 2015, arXiv:1411.7766), a folder or the official zip, read in place.

Layouts that are found: the folder of the release (pictures and lists side by side, or in Img/, Anno/ and
Eval/), the folder `img_align_celeba`, `img_align_celeba.zip`, and Kaggle's copy (nested folder, lists as
.csv).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from beam_jobs.sources import celeba_lists
from beam_jobs.sources.base import Reader, ignored_note, source_path
from beam_jobs.sources.places import Archive, Found, Place, Tree, inside_common_folder, open_place
from gan_core.config import DataConfig
from gan_core.errors import ConfigError
from gan_core.handoff import ImageRef, SourceSummary
from gan_core.progress import ReportProgress

IMAGE_FOLDER = "img_align_celeba"
_NUMBERED = re.compile(r"\d{6}\.(jpg|png)")


class CelebaSource:
    """CelebA's pictures with its splits, attributes and identities; the key is the file name."""

    kind: ClassVar[str] = "celeba"
    name = "celeba"

    def __init__(self, place: Place, found: Found, location: Path) -> None:
        self.location = location
        self.attribute_names: tuple[str, ...] = ()
        self.label_names: tuple[str, ...] = ()
        self.notes: list[str] = []
        self._place = place
        self._found = found

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: by the name img_align_celeba in the path or just below it."""
        if path.is_dir():
            return _pictures_of(path) is not None
        return path.suffix.lower() == ".zip" and path.stem.startswith(IMAGE_FOLDER)

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> CelebaSource:
        """See `Source.open`."""
        return cls.at(source_path(config))

    @classmethod
    def at(cls, location: Path) -> CelebaSource:
        """Open the release at `location`. Raises ConfigError when its layout is another one."""
        place = open_place(location)
        if isinstance(place, Tree):
            place = _pictures_of(location) or place
        found = place.list()
        narrowed = inside_common_folder(place, found)
        if narrowed is None or not _NUMBERED.fullmatch(min(found.stamps).rpartition("/")[2]):
            raise ConfigError(
                f"data.kind=celeba does not fit '{location}': it has {found.describe()}, "
                f"and no {IMAGE_FOLDER} with 000001.jpg, 000002.jpg, ...; "
                "set data.kind=folder and data.crop=center for other pictures"
            )
        stamps = {key.rpartition("/")[2]: stamp for key, stamp in found.stamps.items()}
        return cls(narrowed, replace(found, stamps=stamps), location)

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`: the pictures must be listed."""
        return None

    def fetch(self, report_progress: ReportProgress) -> None:
        """See `Source.fetch`: they are read in place."""

    def list(self) -> list[ImageRef]:
        """See `Source.list`. Raises DataError when one of the text files is malformed."""
        lists = celeba_lists.read(self._text_folders(), {_stem(name) for name in self._found.stamps})
        self.attribute_names = lists.attribute_names
        self.notes = ignored_note(self._found.ignored) + lists.notes
        unknown = (-1,) * len(lists.attribute_names)
        return [
            ImageRef(
                name,
                lists.splits.get(_stem(name), "train"),
                stamp,
                lists.attributes.get(_stem(name), unknown),
                lists.identities.get(_stem(name), -1),
            )
            for name, stamp in sorted(self._found.stamps.items())
        ]

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return self._place

    def _text_folders(self) -> tuple[Path, ...]:
        """Return where the text files may lie: with the pictures, beside or above them, in Anno/ or Eval/."""
        place = self._place
        pictures = place.path if isinstance(place, Archive) else place.root / place.folder
        homes = (pictures, pictures.parent, pictures.parent.parent)
        return tuple(home / name for home in homes for name in ("", "Anno", "Eval"))


def _pictures_of(folder: Path) -> Place | None:
    """Return the pictures of a release at `folder`, None where it looks like something else."""
    if folder.name == IMAGE_FOLDER:
        return Tree(folder)
    for home in (folder, folder / "Img"):
        if (home / IMAGE_FOLDER).is_dir():
            return Tree(home / IMAGE_FOLDER)
        if (home / f"{IMAGE_FOLDER}.zip").is_file():
            return open_place(home / f"{IMAGE_FOLDER}.zip")
    return None


def _stem(name: str) -> str:
    return name.partition(".")[0]
