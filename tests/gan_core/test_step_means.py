"""The norms of gradients in the log: of all gradients together, without loss scale, over the steps that had one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gan_core import step_means
from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.errors import ArtifactError
from gan_core.gan import Gan

CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=28, channels=1),
    model=ModelConfig(name="mlp", base_channels=4, latent_size=8, dropout=0.0),
    train=TrainConfig(batch_size=4, beta1=0.0, penalty="r1"),  # without momentum, Adam's mean is the gradient
)


def gan_of(**changes: Any) -> Gan:
    """Return a new pair with other training options."""
    return Gan(dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, **changes)))


def advance(gan: Gan, step: int) -> None:
    """Run one step on seeded noise."""
    images = np.random.default_rng(step).integers(0, 256, (1, 4, 28, 28, 1), np.uint8)
    gan.train_steps(images, tf.constant(step, tf.int64))


def adam_norm(optimizer: Any) -> float:
    """Return the norm of Adam's means, which are the last step's gradients."""
    adam = getattr(optimizer, "inner_optimizer", optimizer)
    moments = [variable.numpy() for variable in adam.variables if variable.name.endswith("momentum")]
    return math.sqrt(sum(float((moment.astype(np.float64) ** 2).sum()) for moment in moments))


@pytest.mark.parametrize("changes", [{}, {"micro_batch": 2}, {"precision": "mixed_float16"}, {"xla": True}])
def test_norms_are_those_of_what_the_optimizers_got(changes: dict[str, Any]) -> None:
    """The mean over two steps of the norm of all gradients, penalty included, micro-batches and loss scale or not."""
    gan = gan_of(**changes)
    norms = []
    for step in range(2):
        advance(gan, step)
        norms.append((adam_norm(gan.optimizer_g), adam_norm(gan.optimizer_d)))
    measured = gan.measured(2)
    assert measured["gradient_norm_g"] == pytest.approx((norms[0][0] + norms[1][0]) / 2, rel=1e-5)
    assert measured["gradient_norm_d"] == pytest.approx((norms[0][1] + norms[1][1]) / 2, rel=1e-5)
    assert norms[0][0] != norms[0][1] > 0


def test_a_skipped_step_has_no_norm() -> None:
    """Where float16 overflows, the step is skipped; its norm is in no mean, and the others' mean stays finite."""
    gan = gan_of(precision="mixed_float16")
    gan.optimizer_d.dynamic_scale.assign(1e38)
    advance(gan, 0)
    assert "gradient_norm_d" not in gan.measured(1)
    gan.optimizer_d.dynamic_scale.assign(1e38)
    advance(gan, 1)
    gan.optimizer_d.dynamic_scale.assign(1024.0)
    advance(gan, 2)
    assert gan.measured(2)["gradient_norm_d"] == pytest.approx(adam_norm(gan.optimizer_d), rel=1e-5)


def test_rows_and_means_in_closed_form() -> None:
    """Losses are divided by the steps, each norm by its own steps; a norm of no step is left out."""
    rows = [
        step_means.measured_row([tf.constant(value) for value in (1.0, 2.0, 0.5, 0.25)]),
        step_means.norm_row("gradient_norm_g", tf.constant(3.0)),
        step_means.measured_row([tf.constant(value) for value in (3.0, 6.0, 0.5, 0.75)]),
        step_means.norm_row("gradient_norm_g", tf.constant(math.inf)),
        step_means.norm_row("gradient_norm_d", tf.constant(math.nan)),
    ]
    sums = tf.add_n(rows).numpy()
    assert sums.tolist() == [4.0, 8.0, 1.0, 1.0, 3.0, 0.0, 1.0, 0.0]
    assert step_means.means_of(sums, 2) == {
        "loss_g": 2.0,
        "loss_d": 4.0,
        "accuracy_real": 0.5,
        "accuracy_fake": 0.5,
        "gradient_norm_g": 3.0,
    }


def test_the_norm_takes_all_gradients_together() -> None:
    """3, 4 and 12 in two tensors have the norm 13; a weight without a gradient counts for nothing."""
    gradients = [tf.constant([[3.0], [4.0]]), None, tf.constant([12.0])]
    assert step_means.unscaled_norm(gradients, gan_of().optimizer_g).numpy() == 13.0
    scaled = gan_of(precision="mixed_float16").optimizer_g
    scaled.dynamic_scale.assign(4.0)
    assert step_means.unscaled_norm(gradients, scaled).numpy() == 3.25


def test_a_checkpoint_from_before_there_were_norms_goes_on() -> None:
    """Its four sums are kept, and the norms' next means are those of the steps since."""
    gan = gan_of()
    old = {**gan.state(), "sums": np.array([1.0, 2.0, 0.5, 0.25], np.float32)}
    gan.restore(old)
    assert gan.state()["sums"].tolist() == [1.0, 2.0, 0.5, 0.25, 0, 0, 0, 0]
    advance(gan, 0)
    assert gan.measured(2)["gradient_norm_g"] == pytest.approx(adam_norm(gan.optimizer_g), rel=1e-5)
    with pytest.raises(ArtifactError, match=r"sums has shape \(5,\) in the checkpoint, \(8,\) here"):
        gan.restore({**old, "sums": np.zeros(5, np.float32)})
