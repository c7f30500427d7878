"""The original GAN of Goodfellow et al. 2014: fully connected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from gan_core.config import DataConfig, ModelConfig
from gan_core.models.conditional import beside_latent, condition_input, inputs, projected
from gan_core.models.layers import LEAK, Dropout, Pair, fan_in_normal, seeds_of
from gan_core.models.spectral import spectral

_WIDTH_IN_BASE_CHANNELS = 16
_HIDDEN = 2


def mlp(data: DataConfig, model: ModelConfig, precision: str, seed: int, condition_size: int = 0) -> Pair:
    """Build the fully connected pair of Goodfellow et al. 2014 (arXiv:1406.2661), made for MNIST.

    Generator: two hidden layers with ReLU, then one value a pixel. Discriminator: two hidden layers with dropout, then
    a logit. Every hidden layer has 16 * `base_channels` units, at most `max_channels`: 75 and 1200 give the 1200 of
    the paper's MNIST networks. The weights grow with the square of the side, so this is for small pictures.

    Departures: latents are N(0, 1) and pictures end in tanh, as in the other pairs, in place of uniform latents and a
    sigmoid; LeakyReLU in place of maxout over five linear pieces, a fifth of the work for the same units; dropout
    behind the hidden layers only, with one rate; kernels start as He et al. 2015 (arXiv:1502.01852), so that widths
    other than the paper's start well too. `spectral_norm` is as in `dcgan`. A condition enters the
    generator beside the latent and the discriminator by projection of the last hidden layer (see conditional.py).
    """
    width = min(_WIDTH_IN_BASE_CHANNELS * model.base_channels, model.max_channels)
    seeds = seeds_of(seed)
    policy = keras.DTypePolicy(precision)
    return (
        _generator(data, model, width, policy, seeds, condition_size),
        _discriminator(data, model, width, policy, seeds, condition_size),
    )


def _generator(
    data: DataConfig, model: ModelConfig, width: int, policy: Any, seeds: Iterator[int], condition_size: int
) -> keras.Model:
    latent = keras.Input((model.latent_size,), name="latent")
    condition = condition_input(condition_size)
    x = beside_latent(latent, condition, policy, seeds)
    for number in range(1, _HIDDEN + 1):
        name = f"hidden{number}"
        kernel = fan_in_normal(math.sqrt(2), seeds)
        x = layers.Dense(width, kernel_initializer=kernel, dtype=policy, name=name)(x)
        x = layers.ReLU(dtype=policy, name=f"{name}_relu")(x)
    shape = (data.resolution, data.resolution, data.channels)
    kernel = fan_in_normal(1.0, seeds)
    x = layers.Dense(math.prod(shape), kernel_initializer=kernel, dtype=policy, name="pixels")(x)
    x = layers.Reshape(shape, dtype=policy)(x)
    # float32: a half-precision tanh has 8 bits around +-1, and the pictures have 8 bits as well.
    image = layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model(inputs(latent, condition), image, name="generator")


def _discriminator(
    data: DataConfig, model: ModelConfig, width: int, policy: Any, seeds: Iterator[int], condition_size: int
) -> keras.Model:
    image = keras.Input((data.resolution, data.resolution, data.channels), name="image")
    condition = condition_input(condition_size)
    x = layers.Flatten(dtype=policy)(image)
    for number in range(1, _HIDDEN + 1):
        name = f"hidden{number}"
        kernel = fan_in_normal(math.sqrt(2 / (1 + LEAK * LEAK)), seeds)
        x = spectral(layers.Dense(width, kernel_initializer=kernel, dtype=policy, name=name), model, seeds)(x)
        x = layers.LeakyReLU(LEAK, dtype=policy, name=f"{name}_leaky")(x)
        if model.dropout:
            x = Dropout(model.dropout, seed=next(seeds), dtype=policy, name=f"{name}_dropout")(x)
    linear = layers.Dense(1, kernel_initializer=fan_in_normal(1.0, seeds), dtype="float32", name="logit")
    logit = projected(spectral(linear, model, seeds)(x), x, condition, 1 / math.sqrt(width), model, seeds)
    return keras.Model(inputs(image, condition), logit, name="discriminator")
