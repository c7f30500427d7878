"""The source behind MNIST, Fashion-MNIST and CIFAR-10: official files that the user has, or downloaded ones."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar, Self

from beam_jobs.names import count_splits
from beam_jobs.places.place import open_place
from beam_jobs.sources.base import Reader, sample, source_path
from beam_jobs.sources.packed import Layout, PackedReader, list_batches, loaded, numbered_keys
from gan_core.config import DataConfig
from gan_core.downloads.download import check_mirrors, fetch_release
from gan_core.downloads.releases import RELEASES
from gan_core.handoff import ImageRef, SourceSummary
from gan_core.progress import ReportProgress


class PackedSource(ABC):
    """Pictures of one size in few files, with labels. Without a path the official files are downloaded."""

    kind: ClassVar[str]
    official_label_names: ClassVar[tuple[str, ...]]

    def __init__(self, config: DataConfig, data_root: Path) -> None:
        self.name = self.kind
        self.attribute_names: tuple[str, ...] = ()
        self.label_names = self.official_label_names
        self.notes: list[str] = []
        self._config = config
        self._release = None if config.path else RELEASES[self.kind]
        if self._release:
            self.location = data_root.absolute() / "raw" / self.kind
            self._mirrors = check_mirrors(config.mirrors) or self._release.mirrors
        else:
            self.location = source_path(config)
            if not self.location.exists():
                open_place(self.location)  # says what lies there instead
            self.layout_at(self.location)

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> Self:
        """See `Source.open`. Raises ConfigError also for a mirror that is no address."""
        return cls(config, data_root)

    @classmethod
    @abstractmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`."""

    @classmethod
    @abstractmethod
    def layout_at(cls, location: Path) -> Layout:
        """Find the files at `location`. Raises ConfigError when they are not there."""

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`: a release is known by its checksums, files of the user's must be listed."""
        if self._release is None:
            return None
        refs = [
            ImageRef(key, split) for split, count in self._release.counts.items() for key in numbered_keys(split, count)
        ]
        counts = count_splits(ref.split for ref in sample(refs, self._config.limit))
        return SourceSummary(self.kind, self.name, str(self.location), self._release.fingerprint, counts)

    def fetch(self, report_progress: ReportProgress) -> None:
        """Download the official files, unless an earlier run has and every file verifies; see `fetch_release`."""
        if self._release is not None:
            fetch_release(self._release, self.location, self._mirrors, report_progress)

    def list(self) -> list[ImageRef]:
        """See `Source.list`; reads everything, for the checksums of the pictures. `fetch` comes first."""
        contents = loaded(self.layout_at(self.location))
        self.label_names = contents.label_names or self.official_label_names
        self.notes = [*contents.notes]
        return list_batches(contents.batches, self.label_names)

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return PackedReader(self.layout_at(self.location))
