"""What a training remembers of its own course: the best score, patience, a discriminator that wins, mode collapse.

It belongs to the checkpoint, so that a resumed training judges and warns as one that was left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from gan_core import guards
from gan_core.config import TrainConfig
from gan_core.guards import REMEDIES, Winning

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Best:
    """A snapshot: after how many images, its sliced Wasserstein distance x1000, and over how many pictures."""

    images: int
    swd: float
    n: int


def better(best: Best | None, other: Best) -> Best:
    """Return `other` where its score is lower, else `best`. Scores over other numbers of pictures do not compare."""
    return other if best is None or other.n != best.n or other.swd < best.swd else best


def out_of_patience(best: Best, images: int, train: TrainConfig) -> str:
    """Say why to stop after the snapshot at `images`, "" to go on; `train.patience_kimg=0` never stops."""
    patience, total_images = train.patience_kimg, train.total_steps * train.batch_size
    if not patience or images - best.images < patience * 1000 or images >= total_images:
        return ""
    return (
        f"stopped early at {images / 1000:g} of {total_images / 1000:g} kimg: the score was best at "
        f"{best.images / 1000:g} kimg (SWD {best.swd:.4g}), and train.patience_kimg={patience:g} have passed since"
    )


@dataclass
class Watch:
    """What was judged so far.

    Attributes:
        best: of the scores after the start; None before the first.
        stopped_early: why the training shall end before `train.total_kimg`; empty while it shall not.
        winning: since when the discriminator has been winning.
        has_collapsed: whether the last snapshot's pictures repeated each other.
    """

    train: TrainConfig
    best: Best | None = None
    stopped_early: str = ""
    winning: Winning = field(default_factory=Winning)
    has_collapsed: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `from_json` is the inverse."""
        return {
            "best": asdict(self.best) if self.best else None,
            "stopped_early": self.stopped_early,
            "winning_since": self.winning.since_images,
            "has_collapsed": self.has_collapsed,
        }

    @classmethod
    def from_json(cls, train: TrainConfig, saved: Mapping[str, Any]) -> Watch:
        """Rebuild what `to_json` returned; an empty mapping is a new training."""
        best = Best(**saved["best"]) if saved.get("best") else None
        winning = Winning(saved.get("winning_since"))
        return cls(train, best, saved.get("stopped_early", ""), winning, saved.get("has_collapsed", False))

    def is_best(self, images: int) -> bool:
        """Return whether the best score is that of the snapshot after `images` images."""
        return self.best is not None and self.best.images == images

    def logged(self, loss_d: float, images_before: int, images: int) -> dict[str, int]:
        """Take note of a line of the log, with the mean `loss_d` from `images_before` to `images` images.

        Returns:
            what the line has besides: `discriminator_wins`, 1, while it does for long. The log warns at the start.
        """
        was_long = self.winning.is_long(images_before)
        self.winning = self.winning.after(images_before, loss_d, self.train)
        if not self.winning.is_long(images):
            return {}
        if not was_long:
            kimg = (images - (self.winning.since_images or 0)) / 1000
            _warn(images, REMEDIES["discriminator_wins"].format(kimg=kimg))
        return {"discriminator_wins": 1}

    def scored(self, images: int, score: Mapping[str, float]) -> dict[str, int]:
        """Take note of a snapshot's `swd`, `n` and perhaps `diversity`. At the start, nothing is judged.

        Returns:
            what the line has besides: `collapsed`, 1, while pictures repeat each other. The log warns at the start.
        """
        if not images:
            return {}
        this = Best(images, float(score["swd"]), int(score["n"]))
        self.best = better(self.best, this)
        self.stopped_early = out_of_patience(self.best, images, self.train)
        if self.stopped_early:
            _LOG.warning("%s", self.stopped_early)
        had, self.has_collapsed = self.has_collapsed, guards.is_collapsed(score.get("diversity", 1.0), images)
        if self.has_collapsed and not had:
            _warn(images, REMEDIES["collapsed"].format(diversity=score["diversity"]))
        return {"collapsed": 1} if self.has_collapsed else {}


def _warn(images: int, message: str) -> None:
    _LOG.warning("at %g kimg %s", images / 1000, message)
