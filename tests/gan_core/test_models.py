"""The networks: shapes, ranges, initial weights."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_the_seed_decides_the_weights() -> None:
    """Equal seeds give equal initial weights, other seeds others, whatever was built before."""
    data, model = DataConfig(resolution=32), ModelConfig(base_channels=4)
    first = build(data, model, seed=3)[0].get_weights()
    other = build(data, model, seed=4)[0].get_weights()
    again = build(data, model, seed=3)[0].get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_no_layer_is_wider_than_max_channels() -> None:
    """`model.max_channels` bounds the width of every convolution."""
    generator, discriminator = build(DataConfig(resolution=128), ModelConfig(base_channels=8, max_channels=16))
    widths = [
        layer.filters for network in (generator, discriminator) for layer in network.layers if hasattr(layer, "filters")
    ]
    assert widths == [16, 16, 16, 8, 3, 8, 16, 16, 16, 16]


def test_dropout_is_an_option() -> None:
    """`model.dropout` puts a dropout layer behind every convolution of the discriminator; 0 puts none."""
    data = DataConfig(resolution=32)
    for dropout, expected in ((0.0, 0), (0.3, 3)):
        _, discriminator = build(data, ModelConfig(base_channels=4, dropout=dropout))
        assert sum("dropout" in layer.name for layer in discriminator.layers) == expected


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision_keeps_float32_weights_and_results(precision: str) -> None:
    """In mixed precision, weights, pictures and logits stay float32."""
    generator, discriminator = build(DataConfig(resolution=32), ModelConfig(base_channels=4), precision)
    images = generator(np.zeros((1, 100), np.float32))
    assert images.dtype.name == "float32"
    assert discriminator(images).dtype.name == "float32"
    assert {variable.dtype for variable in generator.trainable_variables} == {"float32"}
