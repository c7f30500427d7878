"""A small residual pair after the R3GAN of Huang et al. 2024."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from gan_core.config import DataConfig, ModelConfig
from gan_core.models.conditional import beside_latent, condition_input, inputs, projected
from gan_core.models.layers import LEAK, Pair, fan_in_normal, pyramid, seeds_of
from gan_core.models.residual import Basis, Downsample, GroupedConv2D, Readout, Upsample

_BLOCKS = 1  # residual blocks at each side
_EXPANSION = 2  # channels inside a block for each outside
_GROUP = 16  # channels of a group
_GAIN = math.sqrt(2 / (1 + LEAK * LEAK))  # keeps the variance through LeakyReLU


def r3(data: DataConfig, model: ModelConfig, precision: str, seed: int, condition_size: int = 0) -> Pair:
    """Build a residual pair after R3GAN, Huang et al. 2024 (arXiv:2501.05441) and github.com/brownvc/R3GAN.

    No normalisation in either network. At each side there is one residual block, 1x1, grouped 3x3, 1x1 convolution
    with LeakyReLU between, twice as wide inside, in groups of 16 channels (or of the largest power of two that
    divides). The last kernel of each block starts at 0, so that both networks start as linear ones; the others as
    N(0, gain^2 / fan_in), scaled by blocks^(-1/4) as in Zhang et al. 2019 (Fixup, arXiv:1901.09321). Between sides:
    bilinear resampling, and a 1x1 convolution where the width changes. The generator begins with a learned 4x4 (7x7
    for 28) picture, each channel scaled by a linear function of the latent; the discriminator ends with a depthwise
    convolution of that size and a linear map to the logit.

    Blocks at the picture's own side have `base_channels`; each halving doubles them, up to `max_channels`. The paper's
    networks for 256x256 have 96 and 768, for CIFAR-10 768 throughout.

    Departures: one block a side where the paper has two, for speed on a processor without a GPU; tanh at the end, so
    that pictures stay in [-1, 1], where the reference is linear; clipping would do that too, but passes no gradient
    where it clips. There is no dropout, as in the reference: `model.dropout` has no effect.
    A condition enters the generator beside the latent, as in the reference; the discriminator's logit is the linear one
    plus the projection (see conditional.py), where the reference has the projection alone.
    A kernel that starts at 0 has no largest singular value to divide by: no spectral normalisation.
    """
    sides, widths = pyramid(data.resolution, model)
    seeds = seeds_of(seed)
    policy = keras.DTypePolicy(precision)
    return (
        _generator(data, model, sides, widths, policy, seeds, condition_size),
        _discriminator(data, model, sides, widths, policy, seeds, condition_size),
    )


def _generator(
    data: DataConfig,
    model: ModelConfig,
    sides: list[int],
    widths: list[int],
    policy: Any,
    seeds: Iterator[int],
    condition_size: int,
) -> keras.Model:
    latent = keras.Input((model.latent_size,), name="latent")
    condition = condition_input(condition_size)
    x = beside_latent(latent, condition, policy, seeds)
    x = Basis.drawn(sides[-1], widths[-1], seeds, policy, "basis")(x)
    for side, width in reversed(list(zip(sides, widths, strict=True))):
        if side > sides[-1]:
            x = _widen(x, width, policy, seeds, f"widen{side}")
            x = Upsample(dtype=policy, name=f"up{side}")(x)
        x = _blocks(x, len(sides), policy, seeds)
    x = _pointwise(data.channels, 1.0, policy, seeds, "pixels")(x)
    # float32: a half-precision tanh has 8 bits around +-1, and the pictures have 8 bits as well.
    image = layers.Activation("tanh", dtype="float32", name="image")(x)
    return keras.Model(inputs(latent, condition), image, name="generator")


def _discriminator(
    data: DataConfig,
    model: ModelConfig,
    sides: list[int],
    widths: list[int],
    policy: Any,
    seeds: Iterator[int],
    condition_size: int,
) -> keras.Model:
    image = keras.Input((data.resolution, data.resolution, data.channels), name="image")
    condition = condition_input(condition_size)
    x = _pointwise(widths[0], 1.0, policy, seeds, "pixels")(image)
    for side, width in zip(sides, widths, strict=True):
        if side < sides[0]:
            x = Downsample(dtype=policy, name=f"down{side}")(x)
            x = _widen(x, width, policy, seeds, f"widen{side}")
        x = _blocks(x, len(sides), policy, seeds)
    x = Readout(seeds, "float32", "readout")(x)
    linear = fan_in_normal(1.0, seeds)
    logit = layers.Dense(1, use_bias=False, kernel_initializer=linear, dtype="float32", name="logit")(x)
    logit = projected(logit, x, condition, 1 / math.sqrt(widths[-1]), model, seeds)
    return keras.Model(inputs(image, condition), logit, name="discriminator")


def _blocks(x: Any, sides: int, policy: Any, seeds: Iterator[int]) -> Any:
    """Append the residual blocks of one of `sides` sides."""
    gain = _GAIN * (_BLOCKS * sides) ** -0.25
    width = x.shape[-1] * _EXPANSION
    for number in range(1, _BLOCKS + 1):
        name = f"side{x.shape[1]}_block{number}"
        y = _pointwise(width, gain, policy, seeds, f"{name}_expand", use_bias=True)(x)
        y = layers.LeakyReLU(LEAK, dtype=policy, name=f"{name}_expand_leaky")(y)
        y = GroupedConv2D(
            width,
            3,
            padding="same",
            groups=width // math.gcd(width, _GROUP),
            kernel_initializer=fan_in_normal(gain, seeds),
            dtype=policy,
            name=f"{name}_grouped",
        )(y)
        y = layers.LeakyReLU(LEAK, dtype=policy, name=f"{name}_grouped_leaky")(y)
        y = layers.Conv2D(
            x.shape[-1], 1, use_bias=False, kernel_initializer="zeros", dtype=policy, name=f"{name}_project"
        )(y)
        x = layers.Add(dtype=policy, name=name)([x, y])
    return x


def _widen(x: Any, width: int, policy: Any, seeds: Iterator[int], name: str) -> Any:
    """Change the width, where it is another one."""
    return x if x.shape[-1] == width else _pointwise(width, 1.0, policy, seeds, name)(x)


def _pointwise(
    width: int, gain: float, policy: Any, seeds: Iterator[int], name: str, use_bias: bool = False
) -> layers.Layer:
    kernel = fan_in_normal(gain, seeds)
    return layers.Conv2D(width, 1, use_bias=use_bias, kernel_initializer=kernel, dtype=policy, name=name)
