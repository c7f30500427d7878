"""MODELS: pairs of generator and discriminator.

Each entry maps (DataConfig, ModelConfig, precision, seed, length of the condition) to two Keras models:
generator: float32 [batch, latent_size], N(0, 1) -> float32 [batch, side, side, channels] in [-1, 1];
discriminator: float32 images [batch, side, side, channels] -> float32 logits [batch, 1].
With a condition both take a list of two: the above, and float32 conditions [batch, length].
`build` makes the generator's pictures what training sees of real ones, whatever their normalization is.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from gan_core.config import DataConfig, ModelConfig
from gan_core.models.dcgan import dcgan
from gan_core.models.layers import Pair
from gan_core.models.mlp import mlp
from gan_core.models.r3 import r3
from gan_core.normalization import NORMALIZATIONS, Normalization

MODELS: dict[str, Callable[[DataConfig, ModelConfig, str, int, int], Pair]] = {"dcgan": dcgan, "mlp": mlp, "r3": r3}


def build(
    data: DataConfig,
    model: ModelConfig,
    precision: str = "float32",
    seed: int = 0,
    normalization: Normalization | None = None,
    condition_size: int = 0,
) -> Pair:
    """Build the networks that `model.name` names; equal arguments give equal initial weights.

    The generator's range is exactly that of normalized pixels, channel by channel: -1 becomes what the pixel 0 is to
    training, 1 what 255 is. None stands for `tanh_normalization`. A `condition_size` of 0 is unconditional.
    """
    generator, discriminator = MODELS[model.name](data, model, precision, seed, condition_size)
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
