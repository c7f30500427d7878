"""PENALTIES: what the discriminator's gradients with respect to its pictures cost it.

Each maps (critic, real, fake, seed) to a float32 scalar, a mean over the batch, not yet weighted:
critic: float32 images [batch, H, W, C] -> logits [batch, 1];
real, fake: float32 [batch, H, W, C], as many of one as of the other;
seed: int64 [2], decides where `gp` looks; the others ignore it.

A picture's gradient is that of the sum of the logits, so the logit of a picture must depend on that picture alone: no
batch normalisation, no statistics over a batch. Norms are over all values of a picture, in float32. What comes back can
be differentiated with respect to the critic's weights, under an outer GradientTape, eagerly and in a tf.function.

Lazily (Karras et al. 2020, arXiv:1912.04958, appendix B): with `train.penalty_every = k` the penalty is added to the
loss only in steps that are multiples of k, multiplied by k, so that over k steps it weighs the same. It is a part of
that step's loss and no update of its own, so Adam's constants stay as they are; that appendix changes them because it
makes k + 1 updates in k steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gan_core import distribution

Tensor = Any
Critic = Callable[[Tensor], Tensor]

# float16 holds nothing below 3e-8 and few digits below 6e-5, where gradients by pixel lie at first (1e-6 at 256x256).
# A power of two changes no digit in float32. Larger ones cost the derivatives what they bring the gradients: those come
# back divided by it.
_SCALE = 16.0


def r1(critic: Critic, real: Tensor, fake: Tensor, seed: Tensor) -> Tensor:
    """Return half the mean squared norm of the gradient at real pictures.

    Mescheder et al. 2018 (arXiv:1801.04406), equation 9, for a weight (gamma) of 1.
    """
    return 0.5 * tf.reduce_mean(_squared_norms(critic, real))


def r2(critic: Critic, real: Tensor, fake: Tensor, seed: Tensor) -> Tensor:
    """Return half the mean squared norm of the gradient at generated pictures. Mescheder et al. 2018, equation 10."""
    return 0.5 * tf.reduce_mean(_squared_norms(critic, fake))


def r1_and_r2(critic: Critic, real: Tensor, fake: Tensor, seed: Tensor) -> Tensor:
    """Return r1 + r2, as R3GAN has it: Huang et al. 2024 (arXiv:2501.05441).

    The critic is called once, with 2 * batch pictures, the real ones first; what it holds for each picture, such as a
    label, must be there for both halves. It is the sum because each logit depends on its own picture alone, and up to
    the critic's own randomness, such as dropout.
    """
    # The mean over 2 * batch is half the sum of two means, and so has the 1/2 of r1 and r2 in it.
    return tf.reduce_mean(_squared_norms(critic, tf.concat([real, fake], 0)))


def gp(critic: Critic, real: Tensor, fake: Tensor, seed: Tensor) -> Tensor:
    """Return the mean of (norm of the gradient - 1)^2 at points between real and generated pictures.

    Picture i of one is mixed with picture i of the other, with one uniform number for the whole picture. Gulrajani et
    al. 2017 (arXiv:1704.00028), algorithm 1, for a weight (lambda) of 1. Where a gradient is exactly 0 the norm has no
    derivative, and 0 is taken for it.
    """
    share = distribution.drawn(lambda shape: tf.random.stateless_uniform(shape, seed), [tf.shape(real)[0], 1, 1, 1])
    squared = _squared_norms(critic, share * real + (1.0 - share) * fake)
    positive = squared > 0.0
    # Two `where`: the derivative of a root at 0 is infinite, and XLA makes 0 times infinity NaN.
    norms = tf.where(positive, tf.sqrt(tf.where(positive, squared, 1.0)), 0.0)
    return tf.reduce_mean(tf.square(norms - 1.0))


PENALTIES: dict[str, Callable[[Critic, Tensor, Tensor, Tensor], Tensor]] = {
    "r1": r1,
    "r2": r2,
    "r1+r2": r1_and_r2,
    "gp": gp,
}


def is_due(step: Any, every: int) -> Any:
    """Return whether the penalty is added in `step`, counted from 0: in the first one and in each `every`-th after it.

    step: an int, or an integer tensor [] -> a bool, or a bool tensor [].
    """
    return step % every == 0


def _squared_norms(critic: Critic, images: Tensor) -> Tensor:
    """Return the squared norm of the gradient of each picture's logit. [batch, H, W, C] -> float32 [batch]."""
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(images)
        logits = tf.cast(critic(images), tf.float32) * _SCALE
    gradients = tf.cast(tape.gradient(logits, images), tf.float32) / _SCALE
    return tf.reduce_sum(tf.square(gradients), axis=[1, 2, 3])
