"""LOSSES: adversarial losses as pairs of functions of the discriminator's logits.

Logits are float32 [batch, 1], results float32 scalars. Logarithms of probabilities are taken as softplus of logits, so
that no logit is too large for them; lsgan squares, and overflows above 1e19.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow ships no types that a strict checker could use.


@dataclass(frozen=True)
class Loss:
    """Both sides of a loss; each is minimised by its own network.

    Attributes:
        discriminator: (real_logits, fake_logits, label_smoothing) -> loss. Only bce and minimax smooth their labels,
            the others ignore `label_smoothing`.
        generator: (real_logits, fake_logits) -> loss.
        needs_real: whether the generator's side looks at the logits of real pictures, as many as generated ones. If
            not, it takes anything in their place and the discriminator need not be asked.
        boundary: the logit of a picture that may be either. None where only differences between logits mean something:
            the loss is the same when all of them move together.
    """

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    needs_real: bool = False
    boundary: float | None = 0.0


def bce_discriminator(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean cross-entropy of "real" on real and "fake" on fake, summed.

    The real label is 1 - label_smoothing (one-sided, Salimans et al. 2016, section 3.4); the fake label stays 0.
    Goodfellow et al. 2014 (arXiv:1406.2661), equation 1.
    """
    real_labels = tf.ones_like(real_logits) * (1.0 - label_smoothing)
    real = tf.nn.sigmoid_cross_entropy_with_logits(labels=real_labels, logits=real_logits)
    return tf.reduce_mean(real) + tf.reduce_mean(tf.nn.softplus(fake_logits))


def bce_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the non-saturating loss -log D(G(z)), mean over the batch. Goodfellow et al. 2014, section 3."""
    return tf.reduce_mean(tf.nn.softplus(-fake_logits))


def minimax_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return log(1 - D(G(z))), mean over the batch: the generator's part of Goodfellow et al. 2014, equation 1.

    Never positive, and flat where the discriminator is sure: with it the generator learns slowly at first.
    """
    return -tf.reduce_mean(tf.nn.softplus(fake_logits))


def lsgan_discriminator(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Return half the mean square of D(x) - 1 plus half that of D(G(z)).

    Mao et al. 2017 (arXiv:1611.04076), equation 2 with both its factors of 1/2, a = 0 for fake and b = 1 for real. The
    logit itself is compared to the labels, without a sigmoid.
    """
    return 0.5 * tf.reduce_mean(tf.square(real_logits - 1.0)) + 0.5 * tf.reduce_mean(tf.square(fake_logits))


def lsgan_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return half the mean square of D(G(z)) - 1. Mao et al. 2017, equation 2 with its factor of 1/2, c = 1."""
    return 0.5 * tf.reduce_mean(tf.square(fake_logits - 1.0))


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean of max(0, 1 - D(x)) plus that of max(0, 1 + D(G(z))).

    Lim and Ye 2017 (arXiv:1705.02894); Miyato et al. 2018 (arXiv:1802.05957), equation 16.
    """
    return tf.reduce_mean(tf.nn.relu(1.0 - real_logits)) + tf.reduce_mean(tf.nn.relu(1.0 + fake_logits))


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean D(G(z)) minus the mean D(x); unbounded below without a penalty such as penalties.gp.

    Gulrajani et al. 2017 (arXiv:1704.00028), equation 3 without its penalty.
    """
    return tf.reduce_mean(fake_logits) - tf.reduce_mean(real_logits)


def critic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return minus the mean D(G(z)): the generator's side of hinge and wgan-gp.

    Miyato et al. 2018, equation 17; Gulrajani et al. 2017, algorithm 1.
    """
    return -tf.reduce_mean(fake_logits)


def relativistic_discriminator(real_logits: Tensor, fake_logits: Tensor, label_smoothing: float) -> Tensor:
    """Return the mean of -log sigmoid(D(x) - D(G(z))) over the pairs: is the real one more real than the generated?

    Picture i of one is paired with picture i of the other. Jolicoeur-Martineau 2018 (arXiv:1807.00734), the
    relativistic standard GAN; the loss of R3GAN, Huang et al. 2024 (arXiv:2501.05441), called RpGAN there.

    Raises:
        ValueError: the shapes are not equal, so that logits would be paired with all others.
    """
    return tf.reduce_mean(tf.nn.softplus(-_lead(real_logits, fake_logits)))


def relativistic_generator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the mean of -log sigmoid(D(G(z)) - D(x)) over the pairs: `relativistic_discriminator` with sides swapped.

    Raises:
        ValueError: the shapes are not equal.
    """
    return tf.reduce_mean(tf.nn.softplus(_lead(real_logits, fake_logits)))


def _lead(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return by how much each real picture is more real than its generated partner, [batch, 1]."""
    real_logits.shape.assert_is_compatible_with(fake_logits.shape)  # Subtraction would broadcast.
    return real_logits - fake_logits


LOSSES: dict[str, Loss] = {
    "bce": Loss(bce_discriminator, bce_generator),
    "minimax": Loss(bce_discriminator, minimax_generator),
    "lsgan": Loss(lsgan_discriminator, lsgan_generator, boundary=0.5),
    "hinge": Loss(hinge_discriminator, critic_generator),
    "wgan-gp": Loss(wasserstein_discriminator, critic_generator, boundary=None),
    "relativistic": Loss(relativistic_discriminator, relativistic_generator, needs_real=True, boundary=None),
}
