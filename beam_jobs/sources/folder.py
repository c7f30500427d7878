"""Any folder or zip of pictures, at any depth: a user's own photographs, FFHQ's numbered folders."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from beam_jobs.sources.base import Reader, ignored_note, source_path
from beam_jobs.sources.places import Archive, Place, open_place
from gan_core.config import DataConfig
from gan_core.errors import DataError
from gan_core.handoff import ImageRef, SourceSummary
from gan_core.progress import ReportProgress


class FolderSource:
    """Pictures by their extensions; the key is the path below the folder, the split is train."""

    kind: ClassVar[str] = "folder"

    def __init__(self, place: Place, location: Path) -> None:
        self.location = location
        self.name = location.stem if isinstance(place, Archive) else location.name
        self.attribute_names: tuple[str, ...] = ()
        self.label_names: tuple[str, ...] = ()
        self.notes: list[str] = []
        self._place = place

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """Every path is a folder of pictures, or fails as one."""
        return True

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> FolderSource:
        """See `Source.open`."""
        location = source_path(config)
        return cls(open_place(location), location)

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`: pictures of others must be listed."""
        return None

    def fetch(self, report_progress: ReportProgress) -> None:
        """See `Source.fetch`: they are read in place."""

    def list(self) -> list[ImageRef]:
        """See `Source.list`."""
        found = self._place.list()
        if not found.stamps:
            raise DataError(
                f"there is no picture in '{self.location}': {found.describe()}; "
                "name a folder with .jpg, .png or .webp files"
            )
        self.notes = ignored_note(found.ignored)
        return [ImageRef(key, stamp=stamp) for key, stamp in sorted(found.stamps.items())]

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return self._place
