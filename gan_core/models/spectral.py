"""Spectral normalisation of a layer's kernel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from gan_core.config import ModelConfig

Tensor = Any


def largest_singular_value(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Estimate the largest singular value of `matrix` by one power iteration from `u`.

    matrix: float32 [rows, columns]; u: float32 [columns], any but 0. Returns the estimate, a float32 scalar that is
    never above the true value, and the unit vector to go on from. The gradient of the estimate with respect to
    `matrix` is v u^T, with both vectors held constant, as in Miyato et al. 2018 (arXiv:1802.05957), appendix A.
    """
    constant = tf.stop_gradient(matrix)
    v = tf.math.l2_normalize(tf.linalg.matvec(constant, u))
    u = tf.math.l2_normalize(tf.linalg.matvec(constant, v, transpose_a=True))
    return tf.tensordot(v, tf.linalg.matvec(matrix, u), 1), u


class SpectralNormalization(keras.layers.Wrapper):  # type: ignore[misc]  # Keras is untyped
    """A Dense or Conv2D layer that computes with kernel / sigma, sigma being the kernel's largest singular value.

    After Miyato et al. 2018 (arXiv:1802.05957), algorithm 1: a kernel [..., inputs, outputs] is seen as the matrix
    [everything else, outputs]; each call makes one power iteration from a stored vector; calls in training store its
    result, in a non-trainable variable of the discriminator, which checkpoints therefore hold; not where the layer is
    frozen: it shall compute the same all the time. Sigma is computed in
    float32 from the float32 kernel, whatever the layer's precision.

    keras.layers.SpectralNormalization is another thing: it assigns the normalised kernel to the weight itself, which
    makes the optimizer's moments fit a weight that is gone, leaves sigma's part out of the gradient, and starts from
    a vector that no seed of ours decides.
    """

    def __init__(self, layer: keras.layers.Layer, seed: int) -> None:
        # No autocast: this wrapper reads the kernel in float32; the layer casts inputs and kernel as its policy says.
        super().__init__(layer, dtype="float32", autocast=False, name=f"{layer.name}_spectral")
        self._seed = seed

    def build(self, input_shape: Any) -> None:
        """Build the layer, and the vector: float32 [outputs], N(0, 1) to begin with."""
        super().build(input_shape)
        self.u = self.add_weight(
            shape=self.layer.kernel.shape[-1:],
            initializer=keras.initializers.RandomNormal(0.0, 1.0, seed=self._seed),
            trainable=False,
            # It follows from the weights alone: each replica of a distributed step computes it for its own copy.
            aggregation="none",
            name="u",
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """Apply the layer with its kernel divided by sigma."""
        kernel = self.layer.kernel
        sigma, u = largest_singular_value(tf.reshape(kernel.value, [-1, kernel.shape[-1]]), self.u.value)
        if training and self.trainable:
            self.u.assign(u)
        with keras.StatelessScope([(kernel, kernel.value / sigma)]):
            return self.layer(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the layer's output shape."""
        return self.layer.compute_output_shape(input_shape)


def spectral(layer: keras.layers.Layer, model: ModelConfig, seeds: Iterator[int]) -> keras.layers.Layer:
    """Return `layer`, spectrally normalised if `model.spectral_norm` says so."""
    return SpectralNormalization(layer, next(seeds)) if model.spectral_norm else layer
