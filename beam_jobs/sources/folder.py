"""Any folder, zip or tar of pictures, at any depth: a user's own photographs, LFW, what StyleGAN's tools wrote."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import ClassVar

from beam_jobs.places.listing import Found
from beam_jobs.places.place import Place, archive_stem, open_place
from beam_jobs.places.texts import TextFile
from beam_jobs.sources.base import Reader, source_path
from beam_jobs.sources.labels import LABELS_FILE, Labels, labels_from_file, labels_from_folders
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef, SourceSummary
from gan_core.progress import ReportProgress


class FolderSource:
    """Pictures by their extensions; the key is the path below the folder, the split is train."""

    kind: ClassVar[str] = "folder"

    def __init__(self, place: Place, location: Path, folder_labels: bool) -> None:
        self.location = location
        self.name = archive_stem(location) if place.is_archive else location.name
        self.attribute_names: tuple[str, ...] = ()
        self.label_names: tuple[str, ...] = ()
        self.notes: list[str] = []
        self._place = place
        self._folder_labels = folder_labels

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Every path is a folder of pictures, or fails as one."""
        return True

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> FolderSource:
        """See `Source.open`."""
        location = source_path(config)
        return cls(open_place(location), location, config.folder_labels)

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`: pictures of others must be listed."""
        return None

    def fetch(self, report_progress: ReportProgress) -> None:
        """See `Source.fetch`: they are read in place."""

    def list(self) -> Iterator[ImageRef]:
        """See `Source.list`. Raises ConfigError when `data.folder_labels` finds no folder."""
        found = self._place.list()
        if not found.stamps:
            raise DataError(
                f"there is no picture in '{self.location}': {found.describe()}; "
                "name a folder with .jpg, .png or .webp files"
            )
        labels, used = self._labels(found)
        self.label_names = labels.names
        self.notes = [*found.notes(used), *labels.notes]
        return (found.ref(key, labels.of.get(key, -1)) for key in sorted(found.stamps))

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return self._place

    def _labels(self, found: Found) -> tuple[Labels, tuple[str, ...]]:
        """Return the classes, and the name of the file that has them."""
        # Who packs a folder often packs it with its name: lfw.tgz holds lfw/Aaron_Eckhart/...
        top = found.top_folder() if self._place.is_archive else ""
        if self._folder_labels:
            if top and not any("/" in key for key in found.inside(top).stamps):
                top = ""
            labels = labels_from_folders(found.stamps, top)
            if not labels.names:
                raise ConfigError(
                    f"data.folder_labels=true takes the folders in '{self.location}' as classes, "
                    "and all its pictures lie at the top; put each class in a folder, or set it to false"
                )
            return labels, ()
        for folder in dict.fromkeys(("", top)):
            entry = f"{folder}/{LABELS_FILE}" if folder else LABELS_FILE
            if entry in found.others:
                span = found.others[entry]
                file = TextFile(
                    f"{self.location}/{entry}", ".json", entry, partial(self._place.open_other, entry, span)
                )
                return labels_from_file(file, found.stamps, folder), (entry,)
        return Labels(), ()
