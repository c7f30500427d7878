"""The network of a classifier: a small residual one, of a cost that hardly depends on the size of the pictures.

He et al. 2016, "Deep Residual Learning for Image Recognition", with a block a stage; pictures above 64x64 are averaged
down to that first, and convolutions run at 32x32 at most: a classifier of classes that a GAN is told has to be good and
quick, and need not be the best.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from gan_core.models.layers import BatchNormalization

Images = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

STAGES = 3
_LARGEST_SEEN, _LARGEST_CONVOLVED = 64, 32  # side, pixels
_BATCH_SIZE = 256


def build(resolution: int, channels: int, outputs: int, width: int, seed: int) -> keras.Model:
    """Return float32 [N, S, S, C] in [-1, 1] -> (logits [N, outputs], features [N, 8 * width]), S = resolution."""
    seeds = iter(range(seed * 1000, seed * 1000 + 1000))

    def convolved(x: Any, width: int, stride: int, activation: str | None = "relu") -> Any:
        kernel = keras.initializers.HeNormal(next(seeds))
        x = layers.Conv2D(width, 3, stride, "same", use_bias=False, kernel_initializer=kernel)(x)
        x = BatchNormalization(momentum=0.9)(x)
        return layers.Activation(activation)(x) if activation else x

    picture = x = keras.Input((resolution, resolution, channels), dtype="float32")
    if resolution > _LARGEST_SEEN:
        x = layers.AveragePooling2D(resolution // _LARGEST_SEEN)(x)
    x = convolved(x, width, 2 if resolution > _LARGEST_CONVOLVED else 1)
    for stage in range(1, STAGES + 1):
        x = convolved(x, width * 2**stage, 2)
        x = layers.Activation("relu")(layers.Add()([x, convolved(x, width * 2**stage, 1, None)]))
    features = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(outputs, kernel_initializer=keras.initializers.GlorotUniform(next(seeds)))(features)
    return keras.Model(picture, [logits, features])


def as_inputs(images: Any) -> Any:
    """Return uint8 [N, S, S, C] as what the network takes: float32 in [-1, 1]."""
    return tf.cast(images, tf.float32) / 127.5 - 1.0


class Forward:
    """The network in use, at one batch size: one trace, bounded memory, and no picture changes another's result."""

    def __init__(self, network: keras.Model) -> None:
        self.network = network
        shape = [_BATCH_SIZE, *network.inputs[0].shape[1:]]
        signature = [tf.TensorSpec(shape, tf.uint8)]
        self._forward = tf.function(lambda x: network(as_inputs(x), training=False), input_signature=signature)

    def __call__(self, images: Images) -> tuple[Array, Array]:
        """Return logits, float32 [N, k], and features, float32 [N, d], of uint8 [N, S, S, C] in [0, 255]."""
        logits, features = (np.empty((len(images), output.shape[1]), np.float32) for output in self.network.outputs)
        for start in range(0, len(images), _BATCH_SIZE):
            some = images[start : start + _BATCH_SIZE]
            padded = np.concatenate([some, np.zeros((_BATCH_SIZE - len(some), *some.shape[1:]), np.uint8)])
            for target, found in zip((logits, features), self._forward(padded), strict=True):
                target[start : start + len(some)] = found.numpy()[: len(some)]
        return logits, features
