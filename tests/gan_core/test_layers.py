"""The layers that replace Keras' own: what they compute is what Keras' do."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_core.models.layers import BatchNormalization, Dropout

_DATA = np.random.default_rng(0).normal(3.0, 2.0, (6, 4, 5, 8)).astype(np.float32)
_OUTER = np.random.default_rng(1).normal(size=_DATA.shape).astype(np.float32)


@pytest.mark.parametrize(("policy", "rtol"), [("float32", 2e-5), ("mixed_float16", 4e-3), ("mixed_bfloat16", 3e-2)])
def test_fused_batch_normalisation_is_that_of_keras(policy: str, rtol: float) -> None:
    """Output, its type, gradients of input, scale and shift, and the statistics moved by a step: as Keras has them."""
    found = []
    for kind in (BatchNormalization, keras.layers.BatchNormalization):
        norm = kind(momentum=0.7, epsilon=1e-5, dtype=policy)
        norm.build(_DATA.shape)
        norm.gamma.assign(np.linspace(0.5, 2.0, 8))
        norm.beta.assign(np.linspace(-1.0, 1.0, 8))
        norm.moving_mean.assign(np.linspace(-3.0, 3.0, 8))
        x = tf.cast(_DATA, norm.compute_dtype)
        weights = [norm.gamma.value, norm.beta.value]
        with tf.GradientTape() as tape:
            tape.watch([x, *weights])
            y = norm(x, training=True)
            total = tf.reduce_sum(tf.cast(y, tf.float32) * _OUTER)
        assert y.dtype == x.dtype
        gradients = tape.gradient(total, [x, *weights])
        found.append([y, *gradients, norm.moving_mean, norm.moving_variance, norm(x, training=False)])
    for ours, theirs in zip(*found, strict=True):
        ours, theirs = (np.asarray(tf.cast(one, tf.float32)) for one in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=rtol * np.abs(theirs).max())


def test_a_batch_of_one_value_leaves_no_variance() -> None:
    """One picture of 1x1: the output is the shift, and the variance moves towards 0, not towards a division by 0."""
    norm = BatchNormalization(momentum=0.0)
    assert np.array_equal(norm(tf.fill([1, 1, 1, 3], 7.0), training=True), np.zeros((1, 1, 1, 3)))
    assert norm.moving_mean.numpy().tolist() == [7.0, 7.0, 7.0]
    assert norm.moving_variance.numpy().tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(64, 8, 8, 3), (7, 3, 5, 3)])
def test_dropout_drops_its_rate_and_keeps_the_mean(shape: tuple[int, ...]) -> None:
    """0.2 is 13107 of 65536: what is kept is scaled by the inverse of the rest exactly; odd numbers of values too."""
    dropped = np.asarray(Dropout(0.2, seed=3)(tf.ones(shape), training=True))
    assert dropped.shape == shape
    assert set(np.unique(dropped)) == {0.0, np.float32(65536 / (65536 - 13107))}
    count, share = dropped.size, float(np.mean(dropped == 0))
    assert abs(share - 0.2) < 4 * np.sqrt(0.2 * 0.8 / count)


def test_dropout_depends_on_its_state_alone() -> None:
    """Each call drops others, the same state the same ones again, in a graph as without; neighbours are independent."""
    layer = Dropout(0.5, seed=5)
    state = layer.seed_generator.state
    ones, first = tf.ones([8, 16, 16, 4]), state.numpy()
    one, other = layer(ones, training=True), layer(ones, training=True)
    assert not np.array_equal(one, other)
    state.assign(first)
    assert np.array_equal(tf.function(lambda x: layer(x, training=True))(ones), one)
    kept = np.asarray(one).reshape(-1) > 0
    both = np.mean(kept[:-1] & kept[1:])  # two values share one random number
    assert abs(both - 0.25) < 0.02


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_dropout_outside_of_training_changes_nothing(policy: str) -> None:
    """Nor does it in half precision, whose type the result has; in training its gradient is the mask."""
    layer = Dropout(0.25, seed=1, dtype=policy)
    x = tf.cast(_DATA, layer.compute_dtype)
    assert np.array_equal(layer(x), x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=True)
    mask = tape.gradient(y, x)
    assert y.dtype == mask.dtype == x.dtype
    assert np.array_equal(np.asarray(mask) > 0, np.asarray(y) != 0)
    assert set(np.unique(np.asarray(tf.cast(mask, tf.float32)))) == {0.0, float(tf.cast(4 / 3, x.dtype))}


def test_the_highest_rate_keeps_something() -> None:
    """0.99999 is no division by 0: one of 65536 values is kept."""
    y = np.asarray(Dropout(0.99999, seed=1)(tf.ones([1024, 1024]), training=True))
    assert set(np.unique(y)) == {0.0, 65536.0}
