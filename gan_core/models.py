"""MODELS: pairs of generator and discriminator.

Each entry maps (DataConfig, ModelConfig, precision, seed) to two Keras models:
generator: float32 [batch, latent_size], N(0, 1) -> float32 [batch, side, side, channels] in [-1, 1];
discriminator: float32 images [batch, side, side, channels] -> float32 logits [batch, 1].
`build` makes the generator's pictures what training sees of real ones, whatever their normalization is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import layers

from gan_core.config import DataConfig, ModelConfig
from gan_core.normalization import NORMALIZATIONS, Normalization

Pair = tuple[keras.Model, keras.Model]

_INIT_STDDEV = 0.02  # Radford et al. 2016, section 4
_LEAK = 0.2


def dcgan(data: DataConfig, model: ModelConfig, precision: str, seed: int) -> Pair:
    """Build the DCGAN of Radford et al. 2016 (arXiv:1511.06434) for a side of 28 or a power of two from 32 to 256.

    Each side's layer halves or doubles the picture with a 4x4 kernel and stride 2; channels double with every halving,
    from `base_channels` up to `max_channels`. Two departures, both common since: LeakyReLU with dropout and no batch
    normalisation in the discriminator, so that real and generated pictures may share one batch.
    """
    sides, widths = _pyramid(data.resolution, model)
    seeds = _seeds(seed)
    policy = keras.DTypePolicy(precision)
    return (
        _dcgan_generator(data, model, sides[-1], widths, policy, seeds),
        _dcgan_discriminator(data, model, widths, policy, seeds),
    )


MODELS: dict[str, Callable[[DataConfig, ModelConfig, str, int], Pair]] = {"dcgan": dcgan}


def build(
    data: DataConfig,
    model: ModelConfig,
    precision: str = "float32",
    seed: int = 0,
    normalization: Normalization | None = None,
) -> Pair:
    """Build the networks that `model.name` names; equal arguments give equal initial weights.

    The generator's range is exactly that of normalized pixels, channel by channel: -1 becomes what the pixel 0 is to
    training, 1 what 255 is. None stands for `tanh_normalization`.
    """
    generator, discriminator = MODELS[model.name](data, model, precision, seed)
    if normalization is None or normalization == tanh_normalization(data.channels):
        return generator, discriminator
    half = [127.5 * scale for scale in normalization.scale]
    middle = [width + offset for width, offset in zip(half, normalization.offset, strict=True)]
    as_seen = layers.Rescaling(half, middle, dtype="float32", name="as_seen")
    return keras.Model(generator.input, as_seen(generator.output), name=generator.name), discriminator


def tanh_normalization(channels: int) -> Normalization:
    """Return the normalization to [-1, 1], the range of the networks in MODELS."""
    zeros = (0.0,) * channels
    return NORMALIZATIONS["[-1,1]"](zeros, zeros)


def _dcgan_generator(
    data: DataConfig,
    model: ModelConfig,
    first_side: int,
    widths: list[int],
    policy: Any,
    seeds: Iterator[int],
) -> keras.Model:
    latent = keras.Input((model.latent_size,), name="latent")
    x = layers.Dense(
        first_side * first_side * widths[-1],
        use_bias=False,
        kernel_initializer=_normal(seeds),
        dtype=policy,
        name="project",
    )(latent)
    x = layers.Reshape((first_side, first_side, widths[-1]), dtype=policy)(x)
    x = _normalized_relu(x, policy, seeds, "project")
    for width in reversed(widths[:-1]):
        name = f"up{x.shape[1] * 2}"
        x = layers.Conv2DTranspose(
            width, 4, 2, "same", use_bias=False, kernel_initializer=_normal(seeds), dtype=policy, name=name
        )(x)
        x = _normalized_relu(x, policy, seeds, name)
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
    return keras.Model(latent, image, name="generator")


def _dcgan_discriminator(
    data: DataConfig, model: ModelConfig, widths: list[int], policy: Any, seeds: Iterator[int]
) -> keras.Model:
    image = keras.Input((data.resolution, data.resolution, data.channels), name="image")
    x = image
    for width in widths:
        name = f"down{x.shape[1] // 2}"
        x = layers.Conv2D(width, 4, 2, "same", kernel_initializer=_normal(seeds), dtype=policy, name=name)(x)
        x = layers.LeakyReLU(_LEAK, dtype=policy, name=f"{name}_leaky")(x)
        if model.dropout:
            x = layers.Dropout(model.dropout, seed=next(seeds), dtype=policy, name=f"{name}_dropout")(x)
    x = layers.Flatten(dtype=policy)(x)
    logit = layers.Dense(1, kernel_initializer=_normal(seeds), dtype="float32", name="logit")(x)
    return keras.Model(image, logit, name="discriminator")


def _normalized_relu(x: Any, policy: Any, seeds: Iterator[int], name: str) -> Any:
    gamma = keras.initializers.RandomNormal(1.0, _INIT_STDDEV, seed=next(seeds))
    x = layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=gamma, dtype=policy, name=f"{name}_norm"
    )(x)
    return layers.ReLU(dtype=policy, name=f"{name}_relu")(x)


def _pyramid(resolution: int, model: ModelConfig) -> tuple[list[int], list[int]]:
    """Return the sides after each halving, largest first (28 -> 14, 7), and the channels at each."""
    smallest = 7 if resolution == 28 else 4
    sides, widths = [], []
    side, width = resolution // 2, model.base_channels
    while side >= smallest:
        sides.append(side)
        widths.append(min(width, model.max_channels))
        side, width = side // 2, width * 2
    return sides, widths


def _normal(seeds: Iterator[int]) -> Any:
    return keras.initializers.RandomNormal(0.0, _INIT_STDDEV, seed=next(seeds))


def _seeds(seed: int) -> Iterator[int]:
    """Yield independent seeds for initializers and dropout, the same ones for the same `seed`."""
    generator = np.random.default_rng([seed, 1])
    while True:
        yield int(generator.integers(2**31))
