"""The DCGAN of Radford et al. 2016."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from gan_core.config import DataConfig, ModelConfig
from gan_core.models.conditional import ConditionalScale, condition_input, inputs, projected
from gan_core.models.layers import LEAK, BatchNormalization, Dropout, Pair, normal, pyramid, seeds_of
from gan_core.models.spectral import spectral

_INIT_STDDEV = 0.02  # Radford et al. 2016, section 4


def dcgan(data: DataConfig, model: ModelConfig, precision: str, seed: int, condition_size: int = 0) -> Pair:
    """Build the DCGAN of Radford et al. 2016 (arXiv:1511.06434) for a side of 28 or a power of two from 32 to 256.

    Each side's layer halves or doubles the picture with a 4x4 kernel and stride 2; channels double with every halving,
    from `base_channels` up to `max_channels`. Two departures, both common since: LeakyReLU with dropout and no batch
    normalisation in the discriminator, so that real and generated pictures may share one batch.

    With `spectral_norm`, every kernel of the discriminator is divided by its largest singular value, as in Miyato et
    al. 2018 (arXiv:1802.05957); nothing else changes.

    With a condition the generator's batch normalisation is conditional, and the discriminator's logit has a projection
    of the features that it is made from (see conditional.py): all positions of the last layer, which are not added up
    first, as Miyato and Koyama do, because the logit itself weighs them one by one.
    """
    sides, widths = pyramid(data.resolution // 2, model)
    seeds = seeds_of(seed)
    policy = keras.DTypePolicy(precision)
    return (
        _generator(data, model, sides[-1], widths, policy, seeds, condition_size),
        _discriminator(data, model, widths, policy, seeds, condition_size),
    )


def _generator(
    data: DataConfig,
    model: ModelConfig,
    first_side: int,
    widths: list[int],
    policy: Any,
    seeds: Iterator[int],
    condition_size: int,
) -> keras.Model:
    latent = keras.Input((model.latent_size,), name="latent")
    condition = condition_input(condition_size)
    x = layers.Dense(
        first_side * first_side * widths[-1],
        use_bias=False,
        kernel_initializer=_normal(seeds),
        dtype=policy,
        name="project",
    )(latent)
    x = layers.Reshape((first_side, first_side, widths[-1]), dtype=policy)(x)
    x = _normalized_relu(x, policy, seeds, "project", condition)
    for width in reversed(widths[:-1]):
        name = f"up{x.shape[1] * 2}"
        x = layers.Conv2DTranspose(
            width, 4, 2, "same", use_bias=False, kernel_initializer=_normal(seeds), dtype=policy, name=name
        )(x)
        x = _normalized_relu(x, policy, seeds, name, condition)
    x = layers.Conv2DTranspose(
        data.channels,
        4,
        2,
        "same",
        kernel_initializer=_normal(seeds),
        dtype=policy,
        name=f"up{data.resolution}",
    )(x)
    # float32: a half-precision tanh has 8 bits around +-1, and the pictures have 8 bits as well.
    image = layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model(inputs(latent, condition), image, name="generator")


def _discriminator(
    data: DataConfig, model: ModelConfig, widths: list[int], policy: Any, seeds: Iterator[int], condition_size: int
) -> keras.Model:
    image = keras.Input((data.resolution, data.resolution, data.channels), name="image")
    condition = condition_input(condition_size)
    x = image
    for width in widths:
        name = f"down{x.shape[1] // 2}"
        down = layers.Conv2D(width, 4, 2, "same", kernel_initializer=_normal(seeds), dtype=policy, name=name)
        x = spectral(down, model, seeds)(x)
        x = layers.LeakyReLU(LEAK, dtype=policy, name=f"{name}_leaky")(x)
        if model.dropout:
            x = Dropout(model.dropout, seed=next(seeds), dtype=policy, name=f"{name}_dropout")(x)
    x = layers.Flatten(dtype=policy)(x)
    linear = layers.Dense(1, kernel_initializer=_normal(seeds), dtype="float32", name="logit")
    logit = projected(spectral(linear, model, seeds)(x), x, condition, _INIT_STDDEV, model, seeds)
    return keras.Model(inputs(image, condition), logit, name="discriminator")


def _normalized_relu(x: Any, policy: Any, seeds: Iterator[int], name: str, condition: Any) -> Any:
    gamma = keras.initializers.RandomNormal(1.0, _INIT_STDDEV, seed=next(seeds))
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, dtype=policy, name=f"{name}_norm")(x)
    if condition is not None:
        x = ConditionalScale(dtype=policy, name=f"{name}_condition")([x, condition])
    return layers.ReLU(dtype=policy, name=f"{name}_relu")(x)


def _normal(seeds: Iterator[int]) -> Any:
    return normal(_INIT_STDDEV, seeds)
