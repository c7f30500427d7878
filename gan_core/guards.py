"""Judgements on the figures of a training, without TensorFlow: what is not finite, who wins, what collapsed.

Thresholds are constants here, each with its reason; nothing in this file acts on what it finds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_core.config import TrainConfig
from gan_core.distances import Images, check_images
from gan_core.errors import DataError

WINNING_SHARE = 0.05
"""Of the way from a perfect discriminator's loss to one that guesses. At 0.05 it errs by about 3% on either side of a
cross-entropy, and what the generator learns from saturates; balanced trainings stay above 0.2."""
WINNING_KIMG = 20.0
"""A discriminator is ahead for a moment in every training, most of all at the start; thousand images."""

COLLAPSED_BELOW = 0.25
"""Of the real pictures' distance to their nearest neighbours. Measured: real halves stand at 1, trainings that went
well at 0.06 untrained, 0.5 to 0.7 after 3 to 20 kimg and 0.8 to 1 at their end; 64 pictures or fewer, repeated with
noise of 6 grey levels, at 0.03."""
COLLAPSE_FROM_KIMG = 20.0
"""Before, every generator draws nearly one picture: grey, then a mean; thousand images."""
_MOST = 512  # pictures: the time grows with their square
_SIDE = 8  # pixels: what is left is composition, colour and pose, not the sharpness that a generator learns last


def first_not_finite(figures: Mapping[str, Any]) -> str | None:
    """Return the first name whose number or array holds NaN or an infinity, None where all are finite."""
    return next((name for name, value in figures.items() if not np.isfinite(value).all()), None)


def loss_bounds(train: TrainConfig) -> tuple[float, float] | None:
    """Return what the discriminator's loss is when it is perfect, and when all its logits say "I cannot tell".

    Cross-entropies with smoothed labels cannot fall below the entropy of those labels. "Cannot tell" is a logit of 0,
    of 1/2 for lsgan. None for wgan-gp: its loss has no lower bound, and a critic that is far ahead still teaches.
    """
    label = train.label_smoothing
    entropy = -sum(p * math.log(p) for p in (label, 1 - label) if p)
    bounds = {
        "bce": (entropy, 2 * math.log(2)),
        "minimax": (entropy, 2 * math.log(2)),
        "lsgan": (0.0, 0.25),
        "hinge": (0.0, 2.0),
        "relativistic": (0.0, math.log(2)),
    }
    return bounds.get(train.loss)


def is_winning(loss_d: float, train: TrainConfig) -> bool:
    """Return whether a mean loss of the discriminator is near that of a perfect one, see `WINNING_SHARE`."""
    bounds = loss_bounds(train)
    if bounds is None:
        return False
    perfect, guessing = bounds
    return loss_d - perfect < WINNING_SHARE * (guessing - perfect)


@dataclass(frozen=True)
class Winning:
    """Since when the discriminator has been winning without a break: images shown, None while it is not."""

    since_images: int | None = None

    def after(self, images_before: int, loss_d: float, train: TrainConfig) -> Winning:
        """Return the state after a line of the log with the mean `loss_d` since `images_before` images."""
        if not is_winning(loss_d, train):
            return Winning()
        return self if self.since_images is not None else Winning(images_before)

    def is_long(self, images: int) -> bool:
        """Return whether it has lasted for `WINNING_KIMG` after `images` images."""
        return self.since_images is not None and images - self.since_images >= WINNING_KIMG * 1000


def spread(images: Images) -> float:
    """Return how far a picture is from its nearest neighbour in the set: root mean square of grey levels, mean.

    Of block means at 8x8 (7x7 for 28). 0 where every picture has a copy. Unlike the mean distance of all pairs, which
    ten pictures repeated a hundred times hardly lower, it falls when a generator draws few pictures again and again.

    Args:
        images: uint8 [N, S, S, C] in [0, 255], N >= 2; the first 512 are looked at.

    Raises:
        DataError: dtype or shape do not fit, or there are fewer than two pictures.
    """
    side = check_images(images)
    if len(images) < 2:
        raise DataError(f"the spread of pictures needs at least 2 of them, got {len(images)}")
    images = images[:_MOST]
    cells = _SIDE if side % _SIDE == 0 else side // 4
    blocks = images.reshape(len(images), cells, side // cells, cells, side // cells, -1)
    points = blocks.mean(axis=(2, 4), dtype=np.float64).reshape(len(images), -1)
    nearest = [_nearest(points, index) for index in range(len(points))]
    return float(np.mean(nearest))


def _nearest(points: np.ndarray[Any, Any], index: int) -> float:
    squares = np.square(points - points[index]).mean(axis=1)
    squares[index] = np.inf
    return math.sqrt(squares.min())


def is_collapsed(diversity: float, images: int) -> bool:
    """Return whether the generator repeats itself after `images` images shown.

    `diversity` is the spread of generated pictures over that of as many real ones.
    """
    return images >= COLLAPSE_FROM_KIMG * 1000 and diversity < COLLAPSED_BELOW


def smaller_micro_batch(batch_size: int, micro_batch: int, replicas: int = 1) -> int | None:
    """Return the largest divisor of the batch that is at most half of what is in memory at once; None after 1.

    Args:
        batch_size: pictures a step.
        micro_batch: pictures in memory at once, that of all replicas together; 0 is the whole batch.
        replicas: devices that share them; the result can be divided by it.
    """
    half = (micro_batch or batch_size) // 2
    return next((size for size in range(half, 0, -1) if batch_size % size == 0 and size % replicas == 0), None)


REMEDIES = {
    "discriminator_wins": (
        "the discriminator wins: its loss has been near that of a perfect one for {kimg:g} kimg or more, and a "
        "generator learns little from it. Usual remedies: augmentation (train.augment=color,translation,cutout with "
        "train.augment_target=0.6), a penalty (train.penalty=r1), a lower train.learning_rate_d, more pictures"
    ),
    "collapsed": (
        "mode collapse: generated pictures are {diversity:.2g} times as far apart as real ones, so the generator "
        "repeats itself. Usual remedies: a penalty (train.penalty=r1) or model.spectral_norm, train.loss=relativistic, "
        "lower learning rates, a larger train.batch_size, augmentation where pictures are few; or an earlier "
        "checkpoint (eval.checkpoint=best)"
    ),
}
"""Field of a log -> what it means and what usually helps, for the log and the report."""
