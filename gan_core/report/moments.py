"""The moments of a training that matter: the best checkpoint by score, the newest, and the one that was promoted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gan_core import registry
from gan_core.artifacts import Manifest
from gan_core.report.logs import Log, number


@dataclass(frozen=True)
class Moment:
    """A checkpoint worth a mark.

    Attributes:
        name: "best", "last", "blessed", or several of them at one moment: "best, last".
        images: real images shown by then.
        swd, swd_error, swd_floor, diversity: what was measured of its snapshot; NaN where nothing was.
    """

    name: str
    images: int
    swd: float
    swd_error: float
    swd_floor: float
    diversity: float

    @property
    def kimg(self) -> float:
        """Thousand real images shown."""
        return self.images / 1000


def moments(run_dir: Path, checkpoint: Manifest | None, scores: Log) -> list[Moment]:
    """Return the marked checkpoints of a run in the order of its training; empty before the first checkpoint.

    Args:
        run_dir: the run's folder.
        checkpoint: the newest checkpoint; its progress names the best.
        scores: the log of scores during training.
    """
    found: dict[int, list[str]] = {}
    if checkpoint is not None:
        progress = checkpoint.fields.get("progress")
        best = progress.get("best") if isinstance(progress, Mapping) else None
        if isinstance(best, Mapping) and isinstance(best.get("images"), int):
            found.setdefault(best["images"], []).append("best")
        if isinstance(last := checkpoint.fields.get("images_seen"), int):
            found.setdefault(last, []).append("last")
    blessed = blessed_images(run_dir)
    if blessed is not None:
        found.setdefault(blessed, []).append("blessed")
    return [_moment(", ".join(names), images, scores) for images, names in sorted(found.items())]


def blessed_images(run_dir: Path) -> int | None:
    """Return after how many images the promoted checkpoint of this run was; None where none of it was promoted."""
    return registry.blessed_images(run_dir.parent.parent, run_dir.name)


def _moment(name: str, images: int, scores: Log) -> Moment:
    line = next((line for line in scores.lines if line.get("images") == images), {})
    return Moment(name, images, *(number(line, key) for key in ("swd", "swd_error", "swd_floor", "diversity")))
