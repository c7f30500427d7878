"""Both networks updated at the same weights: the same gradients as one after the other would get, for less work."""

from __future__ import annotations

import collections
import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.gan import Gan
from gan_core.losses import LOSSES
from gan_core.updates import Batch

BATCH, SIDE = 4, 32
CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=SIDE),
    model=ModelConfig(base_channels=4, latent_size=8, dropout=0.0),
    train=TrainConfig(batch_size=BATCH, updates="simultaneous"),
)
Gradients = tuple[list[tf.Tensor], tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]


def configured(**changes: object) -> RunConfig:
    """Return CONFIG with other training options."""
    return dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, **changes))  # type: ignore[arg-type]


def pictures(seed: int) -> tf.Tensor:
    """Return a batch of noise."""
    return tf.random.stateless_uniform([BATCH, SIDE, SIDE, 3], [seed, 0], -1.0, 1.0)


def asked(gan: Gan, step: int = 1) -> tuple[Gradients, Gradients]:
    """Return what `both` says, and what `judge` and `convince` say in its order."""
    batch = Batch(pictures(1), pictures(2), None, 1.0, tf.constant(step, tf.int64))
    scales = gan.optimizer_d.scale_loss, gan.optimizer_g.scale_loss
    gradients, logits, loss_d = gan.updates.judge(batch, scales[0])
    slopes, loss_g = gan.updates.convince(batch, scales[1])
    return gan.updates.both(batch, *scales), (gradients, logits, loss_d, slopes, loss_g)


def sure(gan: Gan, factor: float) -> Gan:
    """Make the discriminator's logits so many times as large."""
    logit = gan.discriminator.get_layer("logit")
    logit.kernel.assign(logit.kernel * factor)
    return gan


def assert_alike(one: tf.Tensor, other: tf.Tensor, tolerance: float = 1e-5) -> None:
    """Each picture's, or each weight's, values are the same to a part of the largest of them."""
    one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
    axes = tuple(range(1, one.ndim)) if one.ndim == 4 and len(one) == BATCH else None
    largest = np.abs(other).max(axes, keepdims=True)
    assert np.all(np.abs(one - other) <= tolerance * largest)


@pytest.mark.parametrize("penalty", ["none", "r1"])
@pytest.mark.parametrize("loss", [loss for loss in LOSSES if loss != "wgan-gp"])
def test_gradients_are_those_of_each_network_alone(loss: str, penalty: str) -> None:
    """Weights' gradients, generated pictures' gradients, logits and losses: what `judge` and `convince` compute."""
    both, apart = asked(sure(Gan(configured(loss=loss, penalty=penalty)), 300.0))
    for one, other in zip(both[0], apart[0], strict=True):
        assert_alike(one, other)
    np.testing.assert_array_equal(both[1], apart[1])
    assert_alike(both[3], apart[3])
    np.testing.assert_array_equal([both[2], both[4]], [apart[2], apart[4]])
    assert float(tf.reduce_max(tf.abs(both[3]))) > 0


@pytest.mark.parametrize(("loss", "factor"), [("bce", -2e5), ("hinge", -2e5), ("relativistic", -2e5)])
def test_a_discriminator_that_is_sure_leaves_the_generator_its_gradients(loss: str, factor: float) -> None:
    """Where a picture has (almost) no gradient in one loss, it cannot be stretched to that in the other."""
    gan = sure(Gan(configured(loss=loss)), factor)
    both, apart = asked(gan)
    logits = np.asarray(both[1])[BATCH:, 0]
    with tf.GradientTape() as tape:
        fake_logits = tf.constant(logits[:, np.newaxis])
        tape.watch(fake_logits)
        loss_d = gan.updates.loss.discriminator(both[1][:BATCH], fake_logits, 0.1)
    by_logit = np.abs(tape.gradient(loss_d, fake_logits))[:, 0]
    assert by_logit.min() < 1e-8  # the case that is meant
    assert np.abs(apart[3][by_logit.argmin()]).max() > 1e-6
    assert_alike(both[3], apart[3])


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_gradients_in_half_precision(precision: str) -> None:
    """As alike as roundings in the layers leave them, under loss scaling too."""
    both, apart = asked(sure(Gan(configured(precision=precision)), 30.0))
    assert_alike(both[3], apart[3], 0.05)
    for one, other in zip(both[0], apart[0], strict=True):
        assert_alike(one, other, 0.05)


def test_the_discriminator_is_asked_once() -> None:
    """Three convolutions each: judging both batches, kernels' gradients, pictures' gradients; and the generator's own.

    The latter's are three of BackpropInput forward, and of Conv2D and BackpropFilter on the way back.
    """
    step = tf.function(Gan(configured(loss="relativistic"))._train_step)
    images = tf.TensorSpec([BATCH, SIDE, SIDE, 3], tf.uint8)
    graph = step.get_concrete_function(images, tf.TensorSpec([], tf.int64), None).graph
    found = collections.Counter(operation.type for operation in graph.get_operations())
    names = ("Conv2D", "Conv2DBackpropFilter", "Conv2DBackpropInput")
    assert [found[name] for name in names] == [3 + 3, 3 + 3, 3 + 3]


def test_micro_batches_add_up() -> None:
    """Two parts of a batch give the discriminator what one does; there is no batch normalisation in it."""
    images = np.random.default_rng(0).integers(0, 256, (1, BATCH, SIDE, SIDE, 3), np.uint8)
    states = []
    for micro_batch in (0, 2):
        gan = Gan(dataclasses.replace(configured(micro_batch=micro_batch), model=ModelConfig(name="mlp", dropout=0.0)))
        gan.train_steps(images, tf.constant(0, tf.int64))
        states.append(gan.state())
    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=1e-3, atol=2e-6, err_msg=name)


def test_a_step_is_another_than_the_alternating_one() -> None:
    """The generator learns from the discriminator before its step: other weights, while the discriminator's agree."""
    images = np.random.default_rng(0).integers(0, 256, (1, BATCH, SIDE, SIDE, 3), np.uint8)
    states = []
    for updates in ("alternating", "simultaneous"):
        gan = Gan(configured(updates=updates, learning_rate_d=0.01))
        gan.train_steps(images, tf.constant(0, tf.int64))
        states.append(gan.state())
    one, other = states
    changed = {name.partition("/")[0] for name in one if not np.array_equal(one[name], other[name])}
    assert "generator" in changed
    assert "discriminator" not in changed
