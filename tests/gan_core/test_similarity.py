import itertools

import numpy as np
import numpy.typing as npt
import pytest

from gan_core.config import RESOLUTIONS
from gan_core.distances import Images
from gan_core.errors import DataError
from gan_core.similarity import ms_ssim, ms_ssim_diversity, scale_weights


def noise(count: int, side: int, channels: int = 3, seed: int = 0) -> Images:
    """Return pictures of independent uniform pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def clouds(count: int, side: int, channels: int = 3, seed: int = 0) -> Images:
    """Return pictures of 7x7 or 8x8 random colours, enlarged, with a little noise: alike, but not equal."""
    random, cells = np.random.default_rng(seed), 7 if side == 28 else 8
    coarse = random.integers(60, 200, (count, cells, cells, channels))
    large = coarse.repeat(side // cells, 1).repeat(side // cells, 2) // 3 + 80
    return (large + random.integers(0, 30, large.shape)).astype(np.uint8)


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (64, 1), (64, 3), (128, 3), (256, 1)])
def test_equals_tensorflow(side: int, channels: int) -> None:
    """With the same weights, TensorFlow's own MS-SSIM is the same to 1e-4, at every resolution."""
    tf = pytest.importorskip("tensorflow")
    a, b = clouds(3, side, channels, seed=1), clouds(3, side, channels, seed=2)
    b[0] = a[0] // 2 + b[0] // 2
    reference = tf.image.ssim_multiscale(a, b, 255, power_factors=scale_weights(side)).numpy()
    assert ms_ssim(a, b) == pytest.approx(reference, abs=1e-4)
    assert ms_ssim(a, b)[0] > 0.3


@pytest.mark.parametrize("side", RESOLUTIONS)
def test_equal_pictures_give_1(side: int) -> None:
    """A picture is exactly as similar to itself as can be, whatever its content."""
    assert ms_ssim(noise(1, side), noise(1, side)).tolist() == [1.0]
    assert ms_ssim_diversity(np.repeat(clouds(1, side), 3, 0)) == (1.0, 0.0)
    assert ms_ssim_diversity(np.full((2, side, side, 1), 7, np.uint8)) == (1.0, 0.0)


def test_independent_noise_is_near_0() -> None:
    """Pictures without anything in common are hardly similar."""
    assert 0 <= ms_ssim_diversity(noise(16, 64)).mean < 0.05


def test_an_inverted_picture_gives_0() -> None:
    """A negative correlation counts as none."""
    picture = noise(1, 64)
    assert ms_ssim(picture, 255 - picture).tolist() == [0.0]


def test_fewer_modes_are_less_diverse() -> None:
    """The value rises from all-different pictures over four modes to one."""
    images = clouds(32, 32)
    values = [ms_ssim_diversity(images[np.arange(32) % modes]).mean for modes in (32, 4, 1)]
    assert values == sorted(values)
    assert values[2] == 1.0
    assert values[1] - values[0] > 0.1


@pytest.mark.parametrize("count", [2, 3, 6, 7])
def test_few_pictures_are_compared_each_with_each(count: int) -> None:
    """Where all pairs are wanted, the mean is over every pair once."""
    images = clouds(count, 28)
    pairs = list(itertools.combinations(range(count), 2))
    expected = np.mean([ms_ssim(images[[i]], images[[j]])[0] for i, j in pairs])
    assert ms_ssim_diversity(images).mean == pytest.approx(expected, rel=1e-6)


def test_random_pairs_join_different_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many pictures, as many different pairs are drawn as asked for, by the seed, and none with itself."""
    images = np.zeros((40, 28, 28, 1), np.uint8)
    images[:, 0, 0, 0] = np.arange(40)
    seen: list[frozenset[int]] = []

    def look(a: Images, b: Images) -> npt.NDArray[np.float64]:
        seen.extend(frozenset({int(x), int(y)}) for x, y in zip(a[:, 0, 0, 0], b[:, 0, 0, 0], strict=True))
        return np.zeros(len(a))

    monkeypatch.setattr("gan_core.similarity.ms_ssim", look)
    for seed in (1, 1, 2):
        ms_ssim_diversity(images, pairs=100, seed=seed)
    first, again, other = seen[:100], seen[100:200], seen[200:]
    assert len(set(first)) == 100
    assert {len(pair) for pair in first} == {2}
    assert first == again != other


def test_error_counts_pairs_that_share_a_picture() -> None:
    """With every pair of a few pictures, the error is near the spread over other sets of the same kind."""
    found = [ms_ssim_diversity(clouds(16, 28, seed=seed)) for seed in range(24)]
    spread = np.std([one.mean for one in found], ddof=1)
    assert 0.67 < np.mean([one.error for one in found]) / spread < 1.5


def test_error_of_one_pair_is_that_of_its_deviation() -> None:
    """Two pictures make one pair, whose mean is itself: no spread is seen, and nothing is not a number."""
    assert ms_ssim_diversity(clouds(2, 28)).error == 0.0


def test_golden_value() -> None:
    """The number of a seeded set stays what it was: another value needs another SCORES_FORMAT."""
    assert ms_ssim_diversity(clouds(64, 32), pairs=100).mean == pytest.approx(0.16333605, rel=1e-5)


@pytest.mark.parametrize(("side", "scales"), [(28, 2), (32, 2), (64, 3), (128, 4), (256, 5)])
def test_weights_of_the_scales(side: int, scales: int) -> None:
    """As many scales are used as the 11x11 window fits in, with the proportions of the paper."""
    weights = scale_weights(side)
    assert len(weights) == scales
    assert sum(weights) == pytest.approx(1.0)
    assert weights[1] / weights[0] == pytest.approx(0.2856 / 0.0448)


def test_one_picture_is_refused() -> None:
    """A single picture has no diversity, and the message says how many are needed."""
    with pytest.raises(DataError) as caught:
        ms_ssim_diversity(noise(1, 32))
    assert str(caught.value) == "the diversity of pictures needs at least 2 of them, got 1"


def test_other_forms_are_refused() -> None:
    """Wrong types and different shapes are refused as for distances."""
    with pytest.raises(DataError, match="must be uint8"):
        ms_ssim_diversity(noise(2, 32).astype(np.float32))
    with pytest.raises(DataError, match="must have one shape"):
        ms_ssim(noise(2, 32), noise(2, 64))
