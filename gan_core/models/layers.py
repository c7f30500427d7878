"""What the pairs share: layers that are faster than Keras' own, sides and widths, seeds, initial kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_core import distribution
from gan_core.config import ModelConfig

Pair = tuple[keras.Model, keras.Model]

LEAK = 0.2  # slope of LeakyReLU below 0, in Radford et al. 2016 and in Huang et al. 2024


class BatchNormalization(keras.layers.BatchNormalization):  # type: ignore[misc]  # Keras is untyped
    """Keras' batch normalisation of [n, H, W, C] by TensorFlow's fused kernels, where one device sees the whole batch.

    Keras puts it together from means, differences and products, each of which reads all activations once more.
    """

    def call(self, inputs: Any, training: bool | None = None) -> Any:
        """Normalize by the batch and move the statistics towards its own in training; else by the statistics."""
        if not training or self.synchronized:
            return super().call(inputs, training=training)
        fused = tf.raw_ops.FusedBatchNormV3(  # tf.nn's raises epsilon to 1.001e-5
            x=inputs,
            scale=self.gamma.value,
            offset=self.beta.value,
            mean=tf.zeros([0]),
            variance=tf.zeros([0]),
            epsilon=self.epsilon,
            is_training=True,
        )
        # The kernel's is that of a sample, divided by n - 1; Keras takes the batch's own.
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance = fused.batch_variance * ((count - 1.0) / count)
        for moving, current in ((self.moving_mean, fused.batch_mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + current * (1.0 - self.momentum))
        return fused.y


_LEVELS = 1 << 16


class Dropout(keras.layers.Dropout):  # type: ignore[misc]
    """Keras' dropout from half the random bits: `rate` is rounded to 1/65536, and what is kept is scaled accordingly.

    One of several replicas drops what one device would drop of its pictures.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop, and scale the others up."""
        if not training:
            return inputs
        dropped = min(round(self.rate * _LEVELS), _LEVELS - 1)
        seed = self.seed_generator.next()

        def levels(shape: Any) -> Any:
            count = tf.reduce_prod(shape)
            pairs = tf.random.stateless_uniform([(count + 1) // 2], seed, None, None, tf.uint32)
            return tf.reshape(tf.reshape(tf.bitcast(pairs, tf.int16), [-1])[:count], shape)

        drawn = distribution.drawn(levels, [tf.shape(inputs)[0], *inputs.shape[1:]])
        scale = _LEVELS / (_LEVELS - dropped)
        return tf.where(drawn >= dropped - _LEVELS // 2, inputs * scale, tf.zeros([], inputs.dtype))


def pyramid(side: int, model: ModelConfig) -> tuple[list[int], list[int]]:
    """Return `side` and its halves down to 4 or to an odd one (28, 14, 7), and the channels at each.

    The channels double with every halving, from `model.base_channels` up to `model.max_channels`.
    """
    sides = [side]
    while sides[-1] > 4 and sides[-1] % 2 == 0:
        sides.append(sides[-1] // 2)
    return sides, [min(model.base_channels << halvings, model.max_channels) for halvings in range(len(sides))]


def seeds_of(seed: int) -> Iterator[int]:
    """Yield independent seeds for initializers and dropout, the same ones for the same `seed`."""
    generator = np.random.default_rng([seed, 1])
    while True:
        yield int(generator.integers(2**31))


def normal(stddev: float, seeds: Iterator[int]) -> Any:
    """Return an initializer of N(0, stddev^2)."""
    return keras.initializers.RandomNormal(0.0, stddev, seed=next(seeds))


def fan_in_normal(gain: float, seeds: Iterator[int]) -> Any:
    """Return an initializer of N(0, gain^2 / fan_in): unit variance in, variance gain^2 out (He et al. 2015)."""
    return keras.initializers.VarianceScaling(gain * gain, "fan_in", "untruncated_normal", seed=next(seeds))
