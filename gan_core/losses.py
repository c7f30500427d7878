"""LOSSES: adversarial losses as pairs of functions of the discriminator's logits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types that a strict checker could use.


@dataclass(frozen=True)
class Loss:
    """Both sides of a loss; each maps float32 logits [batch, 1] to a scalar."""

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor], Tensor]


def bce_discriminator(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean cross-entropy of "real" on real and "fake" on fake, summed.

    The real label is 1 - label_smoothing (one-sided, Salimans et al. 2016, section 3.4); the fake label stays 0.
    Goodfellow et al. 2014, equation 1.
    """
    real_labels = tf.ones_like(real_logits) * (1.0 - label_smoothing)
    real = tf.nn.sigmoid_cross_entropy_with_logits(labels=real_labels, logits=real_logits)
    return tf.reduce_mean(real) + tf.reduce_mean(tf.nn.softplus(fake_logits))


def bce_generator(fake_logits: Tensor) -> Tensor:
    """Return the non-saturating loss -log D(G(z)), mean over the batch. Goodfellow et al. 2014, section 3."""
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


LOSSES: dict[str, Loss] = {"bce": Loss(bce_discriminator, bce_generator)}
