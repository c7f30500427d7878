from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from gan_core.losses import LOSSES, bce_discriminator, bce_generator

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)


def logits(*values: float) -> tf.Tensor:
    """Return float32 [batch, 1]."""
    return tf.constant([[value] for value in values], tf.float32)


@pytest.mark.parametrize(
    ("fake", "expected"),
    [
        ((0.0,), LN2),  # -log 1/2
        ((LN3,), LN4 - LN3),  # -log 3/4
        ((0.0, LN3), (LN2 + LN4 - LN3) / 2),
        ((-1000.0,), 1000.0),  # no overflow: -log sigmoid(x) = -x for very negative x
        ((1000.0,), 0.0),
    ],
)
def test_bce_generator_is_minus_log_d(fake: tuple[float, ...], expected: float) -> None:
    """The generator's loss is the mean of -log D(G(z))."""
    assert float(bce_generator(logits(*fake))) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("real", "fake", "smoothing", "expected"),
    [
        ((0.0,), (0.0,), 0.0, 2 * LN2),
        ((LN3,), (0.0,), 0.0, LN4 - LN3 + LN2),
        ((LN3,), (0.0,), 0.1, 0.9 * (LN4 - LN3) + 0.1 * LN4 + LN2),
        ((0.0,), (LN3,), 0.5, LN2 + LN4),  # the fake label is never smoothed
        ((0.0, LN3), (0.0, LN3), 0.0, (LN2 + LN4 - LN3) / 2 + (LN2 + LN4) / 2),
        ((1000.0,), (-1000.0,), 0.0, 0.0),
        ((-1000.0,), (1000.0,), 0.0, 2000.0),
        ((1000.0,), (-1000.0,), 0.1, 100.0),
    ],
)
def test_bce_discriminator_is_the_sum_of_both_cross_entropies(
    real: tuple[float, ...], fake: tuple[float, ...], smoothing: float, expected: float
) -> None:
    """-(1-s) log D(x) - s log(1-D(x)) - log(1-D(G(z))), each a mean over its batch."""
    loss = bce_discriminator(logits(*real), logits(*fake), smoothing)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_bce_gradients_are_the_differences_to_the_labels() -> None:
    """The slope at a logit is (sigmoid - label) / batch: for real, for fake, and for the generator."""
    real, fake = logits(LN3, 0.0), logits(0.0, -LN3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        loss_d = bce_discriminator(real, fake, 0.1)
        loss_g = bce_generator(fake)
    np.testing.assert_allclose(tape.gradient(loss_d, real), [[(0.75 - 0.9) / 2], [(0.5 - 0.9) / 2]], atol=1e-7)
    np.testing.assert_allclose(tape.gradient(loss_d, fake), [[0.5 / 2], [0.25 / 2]], atol=1e-7)
    np.testing.assert_allclose(tape.gradient(loss_g, fake), [[(0.5 - 1) / 2], [(0.25 - 1) / 2]], atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_finite_scalar_with_the_right_sign(name: str) -> None:
    """Whatever the loss: scalars in float32, finite for huge logits, smaller for the side that is winning."""
    loss = LOSSES[name]
    high, low = logits(1e4, 1e4), logits(-1e4, -1e4)
    results = [loss.discriminator(high, low, 0.1), loss.discriminator(low, high, 0.1), loss.generator(high)]
    results.append(loss.generator(low))
    assert [(result.dtype, result.shape.as_list()) for result in results] == [(tf.float32, [])] * 4
    winning_d, losing_d, winning_g, losing_g = (float(result) for result in results)
    assert all(map(math.isfinite, (winning_d, losing_d, winning_g, losing_g)))
    assert winning_d < losing_d
    assert winning_g < losing_g
