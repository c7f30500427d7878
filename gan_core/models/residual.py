"""Layers of the residual pair: grouped convolution, resampling, and the two ends at the smallest side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gan_core.models.layers import fan_in_normal, normal

Tensor = Any

_TAPS = (1 / 8, 3 / 8, 3 / 8, 1 / 8)  # [1, 2, 1] convolved with [1, 1]: bilinear, antialiased


def grouped_conv2d(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolve each group of channels with its own kernels, zeros beyond the edge.

    x: [batch, H, W, groups * inputs]; kernel: [kH, kW, inputs, groups * outputs] -> [batch, H, W, groups * outputs].

    One convolution a group: TensorFlow 2.21's own grouped convolution has gradients on a CPU with oneDNN only, and not
    in float16; where it has them it is no faster. Keras goes round that by XLA, which was 60 times slower (forward and
    backward, batch 64, 64 channels of 64x64).
    """
    groups = x.shape[-1] // kernel.shape[2]
    if groups == 1:
        return tf.nn.conv2d(x, kernel, 1, "SAME")
    parts = zip(tf.split(x, groups, -1), tf.split(kernel, groups, -1), strict=True)
    return tf.concat([tf.nn.conv2d(part, weights, 1, "SAME") for part, weights in parts], -1)


def downsample(x: Tensor) -> Tensor:
    """Halve both sides, [batch, H, W, C] -> [batch, H/2, W/2, C]: taps (1, 3, 3, 1) / 8, zeros beyond the edge."""
    return tf.nn.depthwise_conv2d(x, _taps(x), [1, 2, 2, 1], "SAME")


def upsample(x: Tensor) -> Tensor:
    """Double both sides, [batch, H, W, C] -> [batch, 2H, 2W, C]: 4 times the adjoint of `downsample`.

    Each new pixel is 9/16 of the nearest old one, 3/16 of the two next to it and 1/16 of the fourth, and zeros stand
    beyond the edge.
    """
    size = [tf.shape(x)[0], 2 * x.shape[1], 2 * x.shape[2], x.shape[3]]
    return tf.nn.depthwise_conv2d_backprop_input(size, 4 * _taps(x), x, [1, 2, 2, 1], "SAME")


def _taps(x: Tensor) -> Tensor:
    """Return `_TAPS` by `_TAPS` for every channel of `x`: [4, 4, C, 1], exact in every float type."""
    return tf.constant(np.tile(np.outer(_TAPS, _TAPS)[:, :, None, None], (1, 1, x.shape[-1], 1)), x.dtype)


@keras.saving.register_keras_serializable("faceloom")
class GroupedConv2D(layers.Conv2D):  # type: ignore[misc]  # Keras is untyped
    """Conv2D with groups, stride 1 and "same" edges that also trains on a CPU."""

    def convolution_op(self, inputs: Tensor, kernel: Tensor) -> Tensor:
        """Convolve by `grouped_conv2d`."""
        return grouped_conv2d(inputs, tf.convert_to_tensor(kernel))


@keras.saving.register_keras_serializable("faceloom")
class Upsample(layers.Layer):  # type: ignore[misc]
    """`upsample` as a layer."""

    def get_config(self) -> dict[str, Any]:
        """Return what a Keras file needs to make it again; Keras guesses it only where no policy was given."""
        return dict(super().get_config())

    def call(self, inputs: Tensor) -> Tensor:
        """Double both sides."""
        return upsample(inputs)


class Downsample(layers.Layer):  # type: ignore[misc]
    """`downsample` as a layer."""

    def call(self, inputs: Tensor) -> Tensor:
        """Halve both sides."""
        return downsample(inputs)


@keras.saving.register_keras_serializable("faceloom")
class Basis(layers.Layer):  # type: ignore[misc]
    """A learned picture whose channels the latent scales: [batch, latent] -> [batch, side, side, width].

    The picture starts as N(0, 1), the linear map from latent to scales as N(0, 1 / latent).
    """

    def __init__(self, side: int, width: int, picture: Any, linear: Any, **common: Any) -> None:
        super().__init__(**common)
        self._shape = (side, side, width)
        self._initializers = keras.initializers.get(picture), keras.initializers.get(linear)

    @classmethod
    def drawn(cls, side: int, width: int, seeds: Iterator[int], dtype: Any, name: str) -> Basis:
        """Return one whose weights start as these seeds have it."""
        return cls(side, width, normal(1.0, seeds), fan_in_normal(1.0, seeds), dtype=dtype, name=name)

    def get_config(self) -> dict[str, Any]:
        """Return what a Keras file needs to make it again."""
        picture, linear = map(keras.initializers.serialize, self._initializers)
        side, _, width = self._shape
        return {**super().get_config(), "side": side, "width": width, "picture": picture, "linear": linear}

    def build(self, input_shape: Any) -> None:
        """Create the picture and the map."""
        picture, linear = self._initializers
        self.basis = self.add_weight(shape=self._shape, initializer=picture, name="basis")
        self.kernel = self.add_weight(shape=(input_shape[-1], self._shape[-1]), initializer=linear, name="kernel")

    def call(self, inputs: Tensor) -> Tensor:
        """Scale the picture."""
        return tf.matmul(inputs, self.kernel)[:, None, None, :] * self.basis


class Readout(layers.Layer):  # type: ignore[misc]
    """A depthwise convolution as large as the picture: [batch, side, side, width] -> [batch, width].

    Its kernel starts as N(0, 1 / side^2).
    """

    def __init__(self, seeds: Iterator[int], dtype: Any, name: str) -> None:
        super().__init__(dtype=dtype, name=name)
        self._seed = next(seeds)

    def build(self, input_shape: Any) -> None:
        """Create the kernel, float32 [side, side, width]."""
        start = keras.initializers.RandomNormal(0.0, 1 / input_shape[1], seed=self._seed)
        self.kernel = self.add_weight(shape=input_shape[1:], initializer=start, name="kernel")

    def call(self, inputs: Tensor) -> Tensor:
        """Weigh and add up the positions of each channel."""
        return tf.reduce_sum(inputs * self.kernel, [1, 2])
