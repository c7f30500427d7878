"""Which records of a data set are wanted, and their pictures one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from gan_core.data.entries import Decoder, Entry, Pixels, entries
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest
from gan_core.progress import Progress, ReportProgress


@dataclass(frozen=True)
class Selection:
    """Which records to export, in the manifest's order.

    Attributes:
        dataset: what they are records of.
        splits: the splits.
        count: at most so many pictures, the first ones; None for all.
        mirrored: mirrored copies too.
    """

    dataset: DatasetManifest
    splits: tuple[str, ...]
    count: int | None = None
    mirrored: bool = False

    def entries(self) -> Iterator[Entry]:
        """Yield the records. Raises ArtifactError for a damaged shard."""
        kept = (entry for entry in entries(self.dataset, self.splits) if self.mirrored or not entry.mirrored)
        return islice(kept, self.count)

    def pictures(self, report_progress: ReportProgress) -> Iterator[tuple[Entry, Pixels]]:
        """Yield every record with its pixels, uint8 [H, W, C], and report them as they are asked for."""
        decode = Decoder(self.dataset)
        listed = sum(self.dataset.count(split) for split in self.splits)
        total = min(listed, self.count or listed)
        done = 0
        for done, entry in enumerate(self.entries(), start=1):
            try:
                pixels = decode(entry)
            except ArtifactError as error:
                raise ArtifactError(f"{entry.path}: the record at byte {entry.byte} cannot be used: {error}") from None
            yield entry, pixels
            if done % 16 == 0:
                report_progress(Progress("export", done, total, "images"))
        report_progress(Progress("export", done, max(1, done), "images"))
