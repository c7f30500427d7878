"""Spectral normalisation of the discriminator's kernels."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import DataConfig, ModelConfig
from gan_core.models import build
from gan_core.models.spectral import SpectralNormalization, largest_singular_value

RANDOM = np.random.default_rng(0)
DATA = DataConfig(resolution=32)


def discriminator(name: str = "dcgan", precision: str = "float32") -> keras.Model:
    """Return a small discriminator with spectral normalisation."""
    return build(DATA, ModelConfig(name=name, base_channels=4, spectral_norm=True, dropout=0.0), precision)[1]


def normalized(network: keras.Model) -> list[SpectralNormalization]:
    """Return the wrappers in `network`."""
    return [layer for layer in network.layers if isinstance(layer, SpectralNormalization)]


def matrix(kernel: Any) -> np.ndarray:
    """Return a kernel as float64 [everything else, outputs]."""
    return np.asarray(kernel, np.float64).reshape(-1, kernel.shape[-1])


def used_kernel(wrapper: SpectralNormalization) -> np.ndarray:
    """Return the kernel that a Conv2D or Dense behind `wrapper` computes with, read off its answers to unit pulses."""
    kernel, bias = wrapper.layer.kernel, wrapper.layer.bias.numpy()
    if len(kernel.shape) == 2:
        return np.asarray(wrapper(np.eye(kernel.shape[0], dtype=np.float32)).numpy() - bias)
    size, inputs = kernel.shape[0], kernel.shape[2]
    pulses = np.eye(size * size * inputs, dtype=np.float32).reshape(-1, size, size, inputs)
    # "same" with stride 2 pads a 4x4 picture by one: the middle of 8x8 holds one whole window.
    padded = np.pad(pulses, ((0, 0), (1, 3), (1, 3), (0, 0)))
    return np.asarray(wrapper(padded).numpy()[:, 1, 1] - bias)


def test_one_iteration_by_hand() -> None:
    """From u = (1, 1), the matrix diag(3, 1) gives v = (3, 1) / sqrt(10), u' = (9, 1) / sqrt(82), sigma = sqrt(8.2)."""
    sigma, u = largest_singular_value(tf.constant([[3.0, 0.0], [0.0, 1.0]]), tf.constant([1.0, 1.0]))
    np.testing.assert_allclose(u, np.array([9, 1]) / np.sqrt(82), rtol=1e-6)
    np.testing.assert_allclose(sigma, np.sqrt(8.2), rtol=1e-6)


def test_the_gradient_holds_the_vectors_constant() -> None:
    """The gradient of W / sigma is that of Miyato et al. 2018, equation 12: (G - <G, W / sigma> v u^T) / sigma."""
    weights, upstream = RANDOM.standard_normal((2, 6, 4)).astype(np.float32)
    u = RANDOM.standard_normal(4).astype(np.float32)
    kernel = tf.constant(weights)
    with tf.GradientTape() as tape:
        tape.watch(kernel)
        sigma, next_u = largest_singular_value(kernel, u)
        scalar = tf.reduce_sum(upstream * kernel / sigma)
    v = weights @ u / np.linalg.norm(weights @ u)
    expected = (upstream - np.sum(upstream * weights) / sigma * np.outer(v, next_u)) / sigma
    np.testing.assert_allclose(tape.gradient(scalar, kernel), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["dcgan", "mlp"])
def test_the_largest_singular_value_becomes_one(name: str) -> None:
    """After some calls in training, each kernel in use is the weight divided by its largest singular value."""
    network = discriminator(name)
    kernels = [variable for variable in network.trainable_variables if variable.name == "kernel"]
    assert len(normalized(network)) == len(kernels) == {"dcgan": 4, "mlp": 3}[name]
    call = tf.function(lambda: network(tf.zeros([1, 32, 32, 3]), training=True))
    for _ in range(1000):
        call()
    for wrapper in normalized(network):
        used, weight = used_kernel(wrapper), matrix(wrapper.layer.kernel)
        sigma = np.linalg.svd(weight, compute_uv=False)[0]
        np.testing.assert_allclose(used, weight / sigma, rtol=2e-3, atol=1e-5)
        np.testing.assert_allclose(np.linalg.svd(used, compute_uv=False)[0], 1.0, atol=1e-3)


def test_calls_change_the_vectors_in_training_only() -> None:
    """A call in training changes every stored vector and no weight; another call changes nothing."""
    network = discriminator()
    images = RANDOM.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    before = network.get_weights()
    network(images)
    assert all(np.array_equal(a, b) for a, b in zip(before, network.get_weights(), strict=True))
    network(images, training=True)
    changed = {
        variable.name
        for variable, old in zip(network.variables, before, strict=True)
        if not np.array_equal(variable.numpy(), old)
    }
    assert changed == {"u"}
    assert [variable.name for variable in network.non_trainable_variables] == ["u"] * 4


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_a_copy_of_the_variables_goes_on_bit_for_bit(precision: str) -> None:
    """Two networks with equal variables give equal logits and go on to equal vectors, which are float32."""
    images = RANDOM.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    first, second = discriminator(precision=precision), discriminator(precision=precision)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
    for _ in range(3):
        first(images, training=True)
    second.set_weights(first.get_weights())
    assert np.array_equal(first(images, training=True), second(images, training=True))
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), second.get_weights(), strict=True))
    assert {variable.dtype for variable in first.variables} == {"float32"}


def test_the_logit_ignores_the_scale_of_the_kernels() -> None:
    """Kernels 5 times as large, biases being 0, give the same logits."""
    network = discriminator()
    images = RANDOM.uniform(-1, 1, (2, 32, 32, 3)).astype(np.float32)
    logits = network(images).numpy()
    for variable in network.trainable_variables:
        variable.assign(variable.value * 5.0)
    np.testing.assert_allclose(network(images), logits, rtol=1e-5)
