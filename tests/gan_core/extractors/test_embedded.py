from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from beam_jobs.sources.portraits import draw_portrait
from benchmarks.evaluation.degradations import blurred, change, noisy, shuffled
from gan_core.config import RESOLUTIONS
from gan_core.distances import Images
from gan_core.errors import DataError
from gan_core.extractors.base import Features
from gan_core.extractors.embedded import DIMENSIONS, Embedded
from gan_core.measures.frechet import FrechetReference
from gan_core.measures.kernel import kernel_distance
from gan_core.measures.moments import moments_of


@cache
def portraits(first: int, count: int) -> Images:
    """Return drawn portraits at 32x32. uint8 [count, 32, 32, 3]."""
    drawn = (Image.fromarray(draw_portrait(5, index).pixels) for index in range(first, first + count))
    return np.stack([np.asarray(portrait.resize((32, 32), Image.Resampling.BOX)) for portrait in drawn])


def features(images: Images) -> Features:
    """Return what the embedded extractor makes of pictures."""
    return Embedded().extract(images).features


def tiles(side: int, channels: int) -> Images:
    """Return three pictures without symmetry: uint8 [3, side, side, channels]."""
    y, x, channel = np.mgrid[:side, :side, :channels]
    return np.stack([(x * 9 + y * (5 + k) + (x * y) // 3 + 60 * channel) % 256 for k in range(3)]).astype(np.uint8)


def wave(side: int, period: float, angle: float) -> Images:
    """Return one grating: uint8 [1, side, side, 1], 100 grey levels high."""
    y, x = np.mgrid[:side, :side]
    phase = 2 * np.pi / period * (np.cos(angle) * x + np.sin(angle) * y)
    return np.round(128 + 100 * np.sin(phase)).astype(np.uint8)[None, :, :, None]


def structure(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the first order of a picture's features: octave, orientation, cells."""
    return vector[96:480].reshape(6, 4, 4, 4)


@pytest.mark.parametrize("side", RESOLUTIONS)
def test_a_picture_has_its_features_in_any_company(side: int) -> None:
    """At every resolution, features are 560 finite numbers of the picture alone; grey is grey in three channels."""
    pictures = tiles(side, 3)
    together = features(pictures)
    assert (together.shape, together.dtype) == ((3, DIMENSIONS), np.float32)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(features(pictures[1:2]), together[1:2], rtol=0, atol=1e-4)
    grey = tiles(side, 1)
    np.testing.assert_allclose(features(grey), features(np.repeat(grey, 3, axis=3)), rtol=0, atol=1e-4)


def test_exact_features_of_one_picture() -> None:
    """Every machine says the same, to the rounding of float32."""
    found = features(tiles(64, 3))[0, [0, 63, 64, 95, 96, 200, 351, 480, 500, 543]]
    expected = [-0.410, -0.011, 0.139, 0.162, 0.631, 0.210, 0.018, 0.186, 0.160, 0.0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=6e-4)


def test_a_constant_picture_has_brightness_and_nothing_else() -> None:
    """Wavelets do not see a constant, nor do colour differences see grey."""
    vector = features(np.full((1, 64, 64, 1), 192, np.uint8))[0]
    np.testing.assert_allclose(vector[:64], 1.0, rtol=0, atol=1e-5)
    np.testing.assert_allclose(vector[64:], 0.0, rtol=0, atol=1e-3)


@pytest.mark.parametrize(("period", "octave"), [(3.3, 0), (6.6, 1), (13.2, 2)])
@pytest.mark.parametrize("orientation", range(4))
def test_a_grating_is_found_at_its_octave_and_orientation(period: float, octave: int, orientation: int) -> None:
    """The strongest structure of a grating is where its frequency and its angle are."""
    strength = structure(features(wave(64, period, np.pi * orientation / 4))[0]).mean(axis=(2, 3))
    assert np.unravel_index(strength.argmax(), strength.shape) == (octave, orientation)


def test_octaves_that_a_picture_lacks_are_zero() -> None:
    """64 pixels have four octaves down to 8, 256 have six."""
    for side, octaves in ((32, 3), (64, 4), (256, 6)):
        used = structure(features(tiles(side, 1))[0]).any(axis=(1, 2, 3))
        assert used.tolist() == [octave < octaves for octave in range(6)]


def test_pictures_of_another_kind_are_refused() -> None:
    """Only uint8 squares of a known side are measured."""
    with pytest.raises(DataError, match=r"got uint8 \(1, 48, 48, 3\)"):
        features(np.zeros((1, 48, 48, 3), np.uint8))


def test_distances_rank_drawn_portraits() -> None:
    """Others of the same painter < blurred < noisy < shuffled, and each kind rises with its strength.

    From one kind to the next the change of a pixel more than doubles.
    """
    reference, others = portraits(0, 150), portraits(150, 150)
    chain = [blurred(others, 0.5), noisy(others, 24), shuffled(others, 4)]
    changes = [change(others, worse) for worse in chain]
    assert all(more > 2 * less for less, more in pairwise(changes))
    blurs = [blurred(others, sigma) for sigma in (0.5, 1.0, 2.0)]
    noises = [noisy(others, deviation) for deviation in (12, 24, 48)]
    shuffles = [shuffled(others, patches) for patches in (2, 4, 8)]
    real = features(reference)
    frechet = FrechetReference(moments_of(real))
    for kinds in (chain, blurs, noises, shuffles):
        made = [features(images) for images in (others, *kinds)]
        for values in (
            [frechet.distance(moments_of(each)) for each in made],
            [kernel_distance(real, each).value for each in made],
        ):
            assert values == sorted(set(values)), values
