"""The networks: shapes, ranges, initial weights."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import RESOLUTIONS, DataConfig, ModelConfig
from gan_core.models import MODELS, build
from gan_core.normalization import Normalization


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_shapes_and_range(name: str, resolution: int, channels: int) -> None:
    """Every model makes pictures in [-1, 1] of every side and channel count, and one logit a picture."""
    data = DataConfig(resolution=resolution, channels=channels)
    generator, discriminator = build(data, ModelConfig(name=name, base_channels=4, latent_size=7))
    latent = np.random.default_rng(0).standard_normal((2, 7)).astype(np.float32)
    images = generator(latent).numpy()
    assert images.shape == (2, resolution, resolution, channels)
    assert images.dtype == np.float32
    assert np.abs(images).max() <= 1.0
    logits = discriminator(images).numpy()
    assert logits.shape == (2, 1)
    assert logits.dtype == np.float32


@pytest.mark.parametrize("name", MODELS)
def test_a_normalization_moves_the_range_and_no_weight(name: str) -> None:
    """Under another normalization the networks have the same weights; pictures are what training sees of the pixels."""
    data, model = DataConfig(resolution=32), ModelConfig(name=name, base_channels=4)
    form = Normalization((1 / 255, 0.02, 1.0), (0.0, -2.5, -7.0))
    (plain, judge), (moved, other_judge) = build(data, model), build(data, model, normalization=form)
    for one, other in ((plain, moved), (judge, other_judge)):
        assert [variable.name for variable in one.variables] == [variable.name for variable in other.variables]
        assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))
    latent = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    levels = (plain(latent).numpy() + 1) * 127.5
    np.testing.assert_allclose(moved(latent).numpy(), levels * form.scale + form.offset, rtol=1e-5, atol=1e-4)


def test_dcgan_has_the_published_size() -> None:
    """At 64x64 with 64 channels and 100 latents, the networks have the parameters that the paper's layers add up to."""
    generator, discriminator = build(DataConfig(), ModelConfig())
    trained = sum(int(np.prod(variable.shape)) for variable in generator.trainable_variables)
    kernels = 100 * 4 * 4 * 512 + 16 * (512 * 256 + 256 * 128 + 128 * 64 + 64 * 3)
    normalisation = 2 * (512 + 256 + 128 + 64)
    assert trained == kernels + normalisation + 3
    trained = sum(int(np.prod(variable.shape)) for variable in discriminator.trainable_variables)
    kernels = 16 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512) + 4 * 4 * 512
    assert trained == kernels + (64 + 128 + 256 + 512) + 1


def test_weights_start_as_in_the_paper() -> None:
    """Kernels start as N(0, 0.02), the scale of batch normalisation as N(1, 0.02), biases as 0."""
    for network in build(DataConfig(), ModelConfig()):
        for variable in network.trainable_variables:
            values = variable.numpy()
            if "kernel" in variable.path and values.size > 10_000:
                assert abs(float(values.mean())) < 1e-3
                assert abs(float(values.std()) - 0.02) < 5e-4
            elif "gamma" in variable.path:
                assert abs(float(values.mean()) - 1.0) < 0.01
            elif "bias" in variable.path or "beta" in variable.path:
                assert not values.any()


def test_dcgan_starts_as_it_always_did() -> None:
    """Names, order and first values of the variables are pinned: equal configs make equal runs in later versions."""
    generator, discriminator = build(DataConfig(resolution=32), ModelConfig(base_channels=4), seed=3)
    norm = ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [v.name for v in generator.variables] == [*["kernel", *norm] * 3, "kernel", "bias"]
    assert [v.name for v in discriminator.variables] == [
        *["kernel", "bias", "seed_generator_state"] * 3,
        "kernel",
        "bias",
    ]
    first = [v.numpy().flat[0] for v in generator.variables if v.name in ("kernel", "gamma")]
    expected = [-0.0098398, 0.967391, 0.0003426, 1.0044127, 0.0008456, 0.996018, -0.0264385]
    np.testing.assert_allclose(first, expected, atol=1e-6)
    first = [v.numpy().flat[0] for v in discriminator.variables if v.name == "kernel"]
    np.testing.assert_allclose(first, [0.0210172, -0.0106463, 0.0000466, -0.0114127], atol=1e-6)
    states = [v.numpy().flat[0] for v in discriminator.variables if v.name == "seed_generator_state"]
    assert states == [1814323242, 1207819408, 356624384]


def test_mlp_has_the_published_size() -> None:
    """With 75 base channels and at most 1200, on MNIST, the networks are 100-1200-1200-784 and 784-1200-1200-1."""
    data = DataConfig(resolution=28, channels=1)
    model = ModelConfig(name="mlp", base_channels=75, max_channels=1200)
    for network, units in zip(build(data, model), ([100, 1200, 1200, 784], [784, 1200, 1200, 1]), strict=True):
        kernels = [tuple(v.shape) for v in network.trainable_variables if v.name == "kernel"]
        assert kernels == list(itertools.pairwise(units))
        biases = [tuple(v.shape) for v in network.trainable_variables if v.name == "bias"]
        assert biases == [(width,) for width in units[1:]]


def test_mlp_starts_with_the_variance_of_its_activations_kept() -> None:
    """Kernels start as N(0, gain^2 / fan_in), gain^2 being 2 before ReLU, 2 / 1.04 before LeakyReLU, 1 at the end."""
    networks = build(DataConfig(resolution=28, channels=1), ModelConfig(name="mlp"))
    for network, gains in zip(networks, ([2, 2, 1], [2 / 1.04, 2 / 1.04, 1]), strict=True):
        kernels = [variable.numpy() for variable in network.trainable_variables if variable.name == "kernel"]
        for kernel, gain in zip(kernels, gains, strict=True):
            error = 4 / math.sqrt(kernel.size)  # four standard errors
            assert abs(kernel.mean()) < error * math.sqrt(gain / len(kernel))
            assert abs(kernel.var() * len(kernel) / gain - 1) < error * math.sqrt(2)
        assert not any(v.numpy().any() for v in network.trainable_variables if v.name == "bias")


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_every_weight(name: str) -> None:
    """Every weight has a gradient; it is 0 only before kernels that start at 0, and there for one step only."""
    data, model = DataConfig(resolution=32), ModelConfig(name=name, base_channels=4, latent_size=8)
    generator, discriminator = build(data, model)
    weights = generator.trainable_variables + discriminator.trainable_variables
    latents = np.random.default_rng(0).standard_normal((4, 8)).astype(np.float32)
    for zeros in ({"expand", "grouped"} if name == "r3" else set(), set[str]()):
        with tf.GradientTape() as tape:
            logits = discriminator(generator(latents, training=True), training=True)
            loss = tf.reduce_sum(logits * tf.constant([[1.0], [-2.0], [3.0], [-4.0]]))
        gradients = tape.gradient(loss, weights)
        still = {
            weight.path.split("/")[-2].rsplit("_", 1)[-1]
            for weight, gradient in zip(weights, gradients, strict=True)
            if not np.asarray(gradient).any()
        }
        assert still == zeros
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.assign_sub(0.01 * gradient)


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights(name: str) -> None:
    """Equal seeds give equal initial weights, other seeds others, whatever was built before."""
    data, model = DataConfig(resolution=32), ModelConfig(name=name, base_channels=4)
    first, other, again = ([net.get_weights() for net in build(data, model, seed=seed)] for seed in (3, 4, 3))
    for network in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(first[network], again[network], strict=True))
        random = [(a, b) for a, b in zip(first[network], other[network], strict=True) if np.ptp(a)]
        assert random
        assert not any(np.array_equal(a, b) for a, b in random)


def test_no_layer_is_wider_than_max_channels() -> None:
    """`model.max_channels` bounds the width of every convolution."""
    generator, discriminator = build(DataConfig(resolution=128), ModelConfig(base_channels=8, max_channels=16))
    widths = [
        layer.filters for network in (generator, discriminator) for layer in network.layers if hasattr(layer, "filters")
    ]
    assert widths == [16, 16, 16, 8, 3, 8, 16, 16, 16, 16]


@pytest.mark.parametrize(("name", "layers"), [("dcgan", 3), ("mlp", 2), ("r3", 0)])
def test_dropout_is_an_option(name: str, layers: int) -> None:
    """`model.dropout` puts a dropout layer behind each hidden layer of dcgan's and mlp's discriminator; 0 none."""
    data = DataConfig(resolution=32)
    for dropout, expected in ((0.0, 0), (0.3, layers)):
        _, discriminator = build(data, ModelConfig(name=name, base_channels=4, dropout=dropout))
        assert sum("dropout" in layer.name for layer in discriminator.layers) == expected


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_float32_weights_and_results(precision: str, name: str) -> None:
    """In mixed precision, weights, pictures and logits stay float32, and the layers between compute in half."""
    generator, discriminator = build(DataConfig(resolution=32), ModelConfig(name=name, base_channels=4), precision)
    images = generator(np.zeros((1, 100), np.float32))
    assert images.dtype.name == "float32"
    assert discriminator(images).dtype.name == "float32"
    for network in (generator, discriminator):
        assert {variable.dtype for variable in network.trainable_variables} == {"float32"}
        assert precision.removeprefix("mixed_") in {layer.compute_dtype for layer in network.layers}
