from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from gan_core.normalization import NORMALIZATIONS, Normalization

STATISTICS = [
    ((127.5, 127.5, 127.5), (73.9, 73.9, 73.9)),
    ((131.07, 106.423, 94.9001), (77.31, 68.0, 66.66)),
    ((0.001,), (0.0316,)),
    ((254.9,), (1e-3,)),
    ((33.3,), (127.5,)),
    ((12.0, 13.0, 14.0), (0.0, 5.0, 0.0)),
]


def every_level(channels: int) -> npt.NDArray[np.uint8]:
    """Return uint8 [256, channels]."""
    return np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], channels, axis=1)


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize(("mean", "deviation"), STATISTICS)
def test_every_level_comes_back(name: str, mean: tuple[float, ...], deviation: tuple[float, ...]) -> None:
    """All 256 values of each channel are inverted exactly, from float32 and from float64."""
    normalization = NORMALIZATIONS[name](mean, deviation)
    levels = every_level(len(mean))
    seen = normalization.apply(levels)
    assert seen.dtype == np.float32
    assert np.array_equal(normalization.invert(seen), levels)
    assert np.array_equal(normalization.invert(seen.astype(np.float64)), levels)


def test_fixed_ranges() -> None:
    """The ends of the range are exact, and do not depend on the pictures."""
    for statistics in STATISTICS:
        ends = np.array([[0], [255]], np.uint8).repeat(len(statistics[0]), axis=1)
        assert NORMALIZATIONS["[-1,1]"](*statistics).apply(ends)[:, 0].tolist() == [-1.0, 1.0]
        assert NORMALIZATIONS["[0,1]"](*statistics).apply(ends)[:, 0].tolist() == [0.0, 1.0]


def test_mean_and_deviation() -> None:
    """Each channel becomes (pixel - mean) / deviation of its own numbers."""
    normalization = NORMALIZATIONS["mean-deviation"]((100.0, 50.0), (50.0, 25.0))
    pixels = np.array([[[100, 50], [150, 0]]], np.uint8)
    assert normalization.apply(pixels).tolist() == [[[0.0, 0.0], [1.0, -2.0]]]
    assert (normalization.scale, normalization.offset) == ((0.02, 0.04), (-2.0, -2.0))


def test_a_channel_without_variation_is_only_shifted() -> None:
    """A deviation of 0 divides by nothing."""
    normalization = NORMALIZATIONS["mean-deviation"]((12.0,), (0.0,))
    assert normalization.apply(np.array([[12], [13]], np.uint8)).ravel().tolist() == [0.0, 1.0]


def test_inverse_rounds_and_clips() -> None:
    """What a generator draws between and beyond the levels becomes the nearest one; the shape stays."""
    normalization = NORMALIZATIONS["[-1,1]"]((0.0,), (1.0,))
    values = np.array([-1.3, -1.0, 0.0, 1 / 255, 1.0, 1.7], np.float32).reshape(1, 6, 1)
    assert normalization.invert(values).tolist() == [[[0], [0], [128], [128], [255], [255]]]
    assert normalization.invert(values).dtype == np.uint8


def test_json_form() -> None:
    """What a manifest holds makes the same normalization."""
    normalization = NORMALIZATIONS["mean-deviation"]((131.07, 106.4, 94.9), (77.3, 68.0, 66.6))
    saved = normalization.to_json()
    assert saved["scale"] == [1 / 77.3, 1 / 68.0, 1 / 66.6]
    assert Normalization.from_json(saved) == normalization
