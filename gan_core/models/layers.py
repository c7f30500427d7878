"""What the pairs share: sides and widths, seeds, initial kernels."""

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


class Dropout(keras.layers.Dropout):  # type: ignore[misc]  # Keras is untyped
    """Keras' dropout; one of several replicas drops what one device would drop of its pictures."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop, and scale the others up."""
        if not (training and distribution.is_shared()):
            return super().call(inputs, training=training)

        def kept(shape: Any) -> Any:
            ones = tf.ones(shape, inputs.dtype)
            return keras.random.dropout(ones, self.rate, seed=self.seed_generator)

        return inputs * distribution.drawn(kept, [tf.shape(inputs)[0], *inputs.shape[1:]])


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
