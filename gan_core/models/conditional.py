"""Where a condition enters the networks: by scale and shift or beside the latent in G, by projection in D."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf
from keras import layers

from gan_core.config import ModelConfig
from gan_core.models.layers import fan_in_normal, normal
from gan_core.models.spectral import spectral

Tensor = Any


def condition_input(size: int) -> Any:
    """Return the input of float32 [batch, size]; None, which leaves a network unconditional, where `size` is 0."""
    return keras.Input((size,), name="condition") if size else None


def inputs(x: Tensor, condition: Tensor | None) -> Any:
    """Return what a network is built with and called with: `x`, or both."""
    return x if condition is None else [x, condition]


@keras.saving.register_keras_serializable("faceloom")
class ConditionalScale(layers.Layer):  # type: ignore[misc]  # Keras is untyped
    """Scales and shifts channels by the condition: [batch, H, W, C], [batch, size] -> [batch, H, W, C].

    Behind a batch normalisation with scale and shift of its own this is conditional batch normalisation (de Vries et
    al. 2017, arXiv:1707.00683; Miyato and Koyama 2018, arXiv:1802.05637): y (1 + c G) + c B makes both of them
    linear functions of the condition c. G and B, [size, C], start at 0, as in de Vries et al., where it is the plain
    one.
    """

    def get_config(self) -> dict[str, Any]:
        """Return what a Keras file needs to make it again; Keras guesses it only where no policy was given."""
        return dict(super().get_config())

    def build(self, input_shape: Any) -> None:
        """Create G and B."""
        (*_, width), (_, size) = input_shape
        self.gamma = self.add_weight(shape=(size, width), initializer="zeros", name="gamma")
        self.beta = self.add_weight(shape=(size, width), initializer="zeros", name="beta")

    def call(self, inputs: Any) -> Tensor:
        """Scale and shift."""
        x, condition = inputs
        scale, shift = tf.matmul(condition, self.gamma), tf.matmul(condition, self.beta)
        return x * (1.0 + scale)[:, None, None, :] + shift[:, None, None, :]


class Projection(layers.Layer):  # type: ignore[misc]
    """The dot product of each row: [batch, C], [batch, C] -> [batch, 1]."""

    def call(self, inputs: Any) -> Tensor:
        """Multiply and add up."""
        features, embedded = inputs
        return tf.reduce_sum(features * embedded, 1, keepdims=True)


def beside_latent(latent: Any, condition: Any, policy: Any, seeds: Iterator[int]) -> Any:
    """Append an embedding of the condition, as long as the latent: [batch, latent] -> [batch, 2 latent].

    As R3GAN does (Huang et al. 2024, github.com/brownvc/R3GAN); its weights start as N(0, 1 / size). Without a
    condition the latent comes back alone.
    """
    if condition is None:
        return latent
    kernel = fan_in_normal(1.0, seeds)
    embedding = layers.Dense(latent.shape[-1], use_bias=False, kernel_initializer=kernel, dtype=policy, name="embed")
    return layers.Concatenate(dtype=policy)([latent, embedding(condition)])


def projected(
    logit: Any, features: Any, condition: Any, stddev: float, model: ModelConfig, seeds: Iterator[int]
) -> Any:
    """Add <embed(condition), features> to the logit: [batch, 1], the logit as it is without a condition.

    The projection discriminator of Miyato and Koyama 2018 (arXiv:1802.05637), equation 4. The embedding is linear and
    without bias, begins as N(0, stddev^2), is normalised where `model.spectral_norm` says so, and computed in float32.
    """
    if condition is None:
        return logit
    embedding = layers.Dense(
        features.shape[-1], use_bias=False, kernel_initializer=normal(stddev, seeds), dtype="float32", name="embed"
    )
    embedded = spectral(embedding, model, seeds)(condition)
    projection = Projection(dtype="float32", name="projection")([features, embedded])
    return layers.Add(dtype="float32", name="conditional_logit")([logit, projection])
