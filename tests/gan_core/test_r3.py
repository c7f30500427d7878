"""The residual pair: its layers against plain NumPy, its start, its widths."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import DataConfig, ModelConfig
from gan_core.errors import ConfigError
from gan_core.models import build
from gan_core.models.residual import GroupedConv2D, downsample, grouped_conv2d, upsample

RANDOM = np.random.default_rng(0)


def taps(side: int) -> np.ndarray:
    """Return the matrix [side / 2, side] of the taps (1, 3, 3, 1) / 8 at every second pixel."""
    matrix = np.zeros((side // 2, side))
    for row in range(side // 2):
        for column, weight in zip(range(2 * row - 1, 2 * row + 3), (1, 3, 3, 1), strict=True):
            if 0 <= column < side:
                matrix[row, column] = weight / 8
    return matrix


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
def test_resampling_is_by_the_reference_taps(dtype: tf.DType) -> None:
    """Downsampling applies (1, 3, 3, 1) / 8 along both axes, upsampling 4 times the transpose."""
    large = RANDOM.integers(-4, 5, (2, 8, 6, 3)).astype(np.float32)
    small = RANDOM.integers(-4, 5, (2, 4, 3, 3)).astype(np.float32)
    down = np.einsum("ih,jw,bhwc->bijc", taps(8), taps(6), large)
    up = 4 * np.einsum("ih,jw,bijc->bhwc", taps(8), taps(6), small)
    tolerance = 1e-6 if dtype == tf.float32 else 0.02
    for result, expected in ((downsample(tf.cast(large, dtype)), down), (upsample(tf.cast(small, dtype)), up)):
        assert result.dtype == dtype
        np.testing.assert_allclose(tf.cast(result, tf.float32), expected, rtol=tolerance, atol=tolerance)


def test_resampling_keeps_a_plain_picture() -> None:
    """Away from the edges, a constant picture stays constant both ways."""
    ones = tf.ones([1, 8, 8, 1])
    np.testing.assert_allclose(downsample(ones)[0, 1:-1, 1:-1, 0], np.ones((2, 2)), rtol=1e-6)
    np.testing.assert_allclose(upsample(ones)[0, 1:-1, 1:-1, 0], np.ones((14, 14)), rtol=1e-6)


def test_each_group_sees_its_own_channels() -> None:
    """A grouped convolution is a full one whose kernel is 0 between groups."""
    images = RANDOM.standard_normal((2, 5, 5, 6)).astype(np.float32)
    kernel = RANDOM.standard_normal((3, 3, 2, 9)).astype(np.float32)
    full = np.zeros((3, 3, 6, 9), np.float32)
    for group in range(3):
        full[:, :, 2 * group : 2 * group + 2, 3 * group : 3 * group + 3] = kernel[..., 3 * group : 3 * group + 3]
    np.testing.assert_allclose(grouped_conv2d(images, kernel), tf.nn.conv2d(images, full, 1, "SAME"), atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_the_pair_trains_in_every_precision(precision: str) -> None:
    """Compiled, all gradients of both networks are finite, those of a penalty on the picture's gradient included."""
    pair = build(DataConfig(resolution=32), ModelConfig(name="r3", base_channels=16, max_channels=32), precision)
    generator, discriminator = pair
    weights = generator.trainable_variables + discriminator.trainable_variables
    for weight in weights:
        if weight.path.endswith("project/kernel"):
            weight.assign(RANDOM.normal(0, 0.05, weight.shape))

    @tf.function
    def gradients() -> list[object]:
        with tf.GradientTape() as outer:
            images = generator(tf.ones([2, 100]) / 10, training=True)
            with tf.GradientTape() as inner:
                inner.watch(images)
                logits = discriminator(images, training=True)
            slopes = inner.gradient(logits, images)
            total = tf.reduce_sum(logits) + tf.reduce_sum(slopes * slopes)
        return list(outer.gradient(total, weights))

    values = [np.asarray(gradient) for gradient in gradients()]
    assert all(np.isfinite(value).all() and value.any() for value in values)


def test_both_networks_start_linear() -> None:
    """All blocks start as the identity: the logit is linear in the picture, the picture odd in the latent."""
    generator, discriminator = build(DataConfig(resolution=32), ModelConfig(name="r3", base_channels=8))
    one, other = RANDOM.uniform(-1, 1, (2, 4, 32, 32, 3)).astype(np.float32)
    logits = [discriminator(images).numpy() for images in (one, other, one - 2 * other)]
    np.testing.assert_allclose(logits[2], logits[0] - 2 * logits[1], rtol=1e-4, atol=1e-5)
    latents = RANDOM.standard_normal((4, 100)).astype(np.float32)
    np.testing.assert_allclose(generator(-latents), -generator(latents).numpy(), atol=1e-5)


@pytest.mark.parametrize("network", [0, 1])
def test_kernels_start_scaled_by_depth(network: int) -> None:
    """In blocks, N(0, gain^2 / fan_in) times blocks^(-1/2), and 0 at their ends; outside N(0, 1 / fan_in)."""
    model = ModelConfig(name="r3", base_channels=32, max_channels=256, latent_size=128)
    seen = set()
    for variable in build(DataConfig(), model)[network].trainable_variables:
        values, part = variable.numpy(), variable.path.rsplit("_", 1)[-1]
        if "bias" in part or part == "project/kernel":
            assert not values.any()
            continue
        variance = {
            "basis/basis": 1.0,
            "basis/kernel": 1 / 128,
            "readout/kernel": 1 / 16,
            "expand/kernel": 2 / 1.04 / math.sqrt(5) / math.prod(values.shape[:-1]),
            "grouped/kernel": 2 / 1.04 / math.sqrt(5) / (9 * 16),
        }.get(part, 1 / math.prod(values.shape[:-1]))
        error = 4 / math.sqrt(values.size)  # four standard errors
        assert abs(values.mean()) < error * math.sqrt(variance)
        assert abs(values.var() / variance - 1) < error * math.sqrt(2)
        seen.add(part.split("/")[0].rstrip("0123456789"))
    ends = {"basis"} if network == 0 else {"readout", "logit"}
    assert seen == {"expand", "grouped", "widen", "pixels"} | ends


def test_widths_and_groups() -> None:
    """Blocks have `base_channels` at the picture's side, twice as many at each half, and groups of 16 inside."""
    for base, most, widths, groups in (
        (8, 1024, [8, 16, 32, 64], [1, 2, 4, 8]),
        (24, 40, [24, 40, 40, 40], [3, 5, 5, 5]),
        (5, 4096, [5, 10, 20, 40], [5, 5, 5, 5]),
    ):
        model = ModelConfig(name="r3", base_channels=base, max_channels=most)
        generator, discriminator = build(DataConfig(resolution=32), model)
        for network, order in ((generator, -1), (discriminator, 1)):
            inside = [layer for layer in network.layers if isinstance(layer, GroupedConv2D)]
            assert [layer.filters for layer in inside] == [2 * width for width in widths[::order]]
            assert [layer.groups for layer in inside] == groups[::order]


def test_spectral_norm_is_refused() -> None:
    """Kernels that start at 0 cannot be divided by their largest singular value."""
    with pytest.raises(ConfigError, match=r"model\.spectral_norm is for dcgan and mlp, got model\.name=r3"):
        ModelConfig(name="r3", spectral_norm=True)
