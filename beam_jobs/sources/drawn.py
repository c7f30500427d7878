"""The synthetic source: portraits that faceloom draws under data_root/raw and reads as CelebA's layout."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

import PIL

from beam_jobs.names import count_splits
from beam_jobs.sources.base import Reader, sample
from beam_jobs.sources.celeba import CelebaSource
from beam_jobs.sources.synthetic import PORTRAITS_VERSION, file_name, partition_of, write_portraits
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.handoff import SPLITS, ImageRef, SourceSummary
from gan_core.progress import Progress, ReportProgress


class SyntheticSource:
    """Drawn portraits. What they are is known before any is drawn, so their fingerprint needs no files."""

    kind: ClassVar[str] = "synthetic"
    name = "synthetic"

    def __init__(self, config: DataConfig, data_root: Path) -> None:
        self._config = config
        self._fingerprint = artifacts.digest_of(
            {
                "portraits": PORTRAITS_VERSION,
                "seed": config.synthetic_seed,
                "count": config.synthetic_count,
                "pillow": PIL.__version__,  # its JPEG encoder makes the bytes
            }
        )
        self.location = data_root / "raw" / f"synthetic-{self._fingerprint[:12]}"
        self.attribute_names: tuple[str, ...] = ()
        self.label_names: tuple[str, ...] = ()
        self.notes: list[str] = []

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: no path holds it."""
        return False

    @classmethod
    def open(cls, config: DataConfig, data_root: Path) -> SyntheticSource:
        """See `Source.open`."""
        return cls(config, data_root.absolute())

    def planned(self) -> SourceSummary | None:
        """See `Source.planned`."""
        count = self._config.synthetic_count
        refs = [ImageRef(file_name(index), SPLITS[partition_of(index, count)]) for index in range(count)]
        counts = count_splits(ref.split for ref in sample(refs, self._config.limit))
        return SourceSummary(self.kind, self.name, str(self.location), self._fingerprint, counts)

    def fetch(self, report_progress: ReportProgress) -> None:
        """Draw the portraits, unless an earlier run has and every file verifies."""
        if self._is_drawn():
            return
        with artifacts.publishing(self.location) as draft:
            if self._is_drawn():  # by the process that held the lock
                return

            def report(done: int, total: int) -> None:
                report_progress(Progress("ingest", done, total, unit="portraits"))

            write_portraits(draft, self._config.synthetic_count, self._config.synthetic_seed, progress=report)
            fields = {
                "name": self.name,
                "count": self._config.synthetic_count,
                "seed": self._config.synthetic_seed,
            }
            artifacts.write_manifest(draft, "source", self._fingerprint, fields)

    def list(self) -> Iterable[ImageRef]:
        """See `Source.list`; `fetch` comes first."""
        drawn = CelebaSource.at(self.location)
        refs = drawn.list()
        self.attribute_names = drawn.attribute_names
        return refs

    def reader(self) -> Reader:
        """See `Source.reader`."""
        return CelebaSource.at(self.location).reader()

    def _is_drawn(self) -> bool:
        return artifacts.find(self.location, "source", self._fingerprint) is not None
