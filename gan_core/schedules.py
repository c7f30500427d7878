"""Numbers that change while images are shown: schedules, and the decay of the averaged generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any


@dataclass(frozen=True)
class Schedule:
    """A value that goes from `start` to `end` by half a cosine while `span_images` are shown, and stays there.

    A span of 0 is no schedule: the value is `start` for good. R3GAN's cosine over its burn-in (Huang et al. 2024,
    arXiv:2501.05441; reference: brownvc/R3GAN, training/training_loop.py).
    """

    start: float
    end: float
    span_images: float

    def at(self, images: Tensor | int) -> Tensor:
        """Return the value after so many images (int64 scalar): float32 scalar, exact at both ends."""
        if self.span_images == 0 or self.start == self.end:
            return tf.constant(self.start, tf.float32)
        # float64: beyond 2**24 images, float32 no longer counts them one by one.
        share = tf.clip_by_value(tf.cast(images, tf.float64) / self.span_images, 0.0, 1.0)
        left = 0.5 + 0.5 * tf.cos(math.pi * share)
        return tf.cast(self.start * left + self.end * (1.0 - left), tf.float32)


def ema_decay(halflife_images: Tensor | float, rampup: float, shown_images: Tensor | int, batch_size: int) -> Tensor:
    """Return the share of itself that an average keeps in a step: 0.5 ** (batch_size / half-life).

    As in NVlabs/stylegan3, training/training_loop.py.

    Args:
        halflife_images: float32 scalar; 0 keeps nothing, the average is then the latest value.
        rampup: the half-life is at most this share of the images shown; 0 is no such bound.
        shown_images: int64 or float32 scalar, real images shown, those of this step included.
        batch_size: images of this step.

    Returns:
        float32 scalar in [0, 1].
    """
    # In float32 and in this order, as averaged weights, and the pictures made with them, are compared by their bits.
    if rampup > 0:
        halflife_images = tf.minimum(halflife_images, tf.cast(shown_images, tf.float32) * rampup)
    return 0.5 ** (batch_size / tf.maximum(halflife_images, 1e-6))
