from __future__ import annotations

import numpy as np
import pytest

from gan_core.errors import DataError
from gan_core.measures.frechet import FrechetReference, frechet_distance, frechet_infinity, subset_sizes
from gan_core.measures.moments import Moments, MomentSums, moments_of


def gaussian(count: int, dimensions: int = 16, seed: int = 0, scale: float = 1.0) -> np.ndarray:
    """Return independent normal features with deviations that fall from 1 to 1 / sqrt(D)."""
    spectrum = np.arange(1, dimensions + 1) ** -0.5
    return np.random.default_rng(seed).standard_normal((count, dimensions)) * spectrum * scale


def test_diagonal_gaussians_have_the_distance_of_their_deviations() -> None:
    """|step|^2 plus the squared differences of the standard deviations: 4 + 1 + 9."""
    a = Moments(100, np.array([0.0, 0.0]), np.diag([1.0, 4.0]))
    b = Moments(100, np.array([2.0, 0.0]), np.diag([4.0, 25.0]))
    assert frechet_distance(a, b) == pytest.approx(14.0, rel=1e-12)


def test_parts_give_the_moments_of_the_whole() -> None:
    """Features that come in parts of any size have NumPy's mean and covariance, far from 0 too."""
    features = (gaussian(300) + 1e4).astype(np.float32)
    sums = MomentSums(16)
    for part in (features[:1], features[1:120], features[120:120], features[120:]):
        sums.add(part)
    found = sums.moments()
    precise = features.astype(np.float64)
    assert found.count == 300
    np.testing.assert_allclose(found.mean, precise.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(precise, rowvar=False), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("real", "fake"), [(300, 200), (300, 9), (7, 200), (7, 9), (2, 2)])
def test_kept_reference_estimate_and_sums_agree(real: int, fake: int) -> None:
    """The distance is the same from arrays, from sums of parts without their vectors, and from the estimate."""
    a, b = gaussian(real, seed=1), gaussian(fake, seed=2, scale=1.2)
    expected = frechet_distance(moments_of(a), moments_of(b))
    sums = MomentSums(16)
    sums.add(b)
    assert FrechetReference(moments_of(a)).distance(sums.moments()) == pytest.approx(expected, rel=1e-9)
    estimate = FrechetReference(moments_of(a)).estimate(b)
    assert estimate.value == pytest.approx(expected, rel=1e-9)
    assert np.isfinite(estimate.error)
    assert frechet_distance(moments_of(b), moments_of(a)) == pytest.approx(expected, rel=1e-9)


def test_sets_without_any_spread_have_the_distance_of_their_means() -> None:
    """Identical rows and constant columns give no imaginary part, no NaN and no warning."""
    ones, twos = np.ones((5, 4), np.float32), np.full((900, 4), 2.0)
    assert FrechetReference(moments_of(ones)).estimate(twos) == pytest.approx((4.0, 0.0), abs=1e-12)
    assert frechet_distance(moments_of(twos), moments_of(twos)) == 0.0
    half = gaussian(50) * (np.arange(16) < 3)
    other = gaussian(50, seed=1) * (np.arange(16) < 3)
    expected = frechet_distance(moments_of(half[:, :3]), moments_of(other[:, :3]))
    assert frechet_distance(moments_of(half), moments_of(other)) == pytest.approx(expected, rel=1e-9)


def test_a_set_is_at_distance_0_from_itself() -> None:
    """Up to rounding, and never below."""
    for count in (10, 500):
        features = gaussian(count)
        assert 0.0 <= frechet_distance(moments_of(features), moments_of(features.copy())) < 1e-12


def test_infinity_takes_the_bias_away() -> None:
    """400 vectors of the reference's distribution are at 0.1 by their number alone, and their limit is near 0."""
    reference = FrechetReference(Moments(10**9, np.zeros(16), np.diag(1.0 / np.arange(1, 17))))
    found = frechet_infinity(reference, gaussian(400), seed=3)
    at_once = reference.distance(moments_of(gaussian(400)))
    assert found.sizes == tuple(subset_sizes(400, 16)) and len(found.sizes) == 15
    assert found.distances[-1] == at_once > 0.02
    assert abs(found.value) < at_once / 4
    assert 0.0 < found.fit_error == found.error < at_once / 4
    assert frechet_infinity(reference, gaussian(400), seed=3, error=1.0).error == pytest.approx(1.0, rel=1e-3)


def test_infinity_lies_on_the_line() -> None:
    """The limit is the intercept of NumPy's fit through the same points, with its standard error."""
    found = frechet_infinity(FrechetReference(moments_of(gaussian(80, seed=1))), gaussian(60, seed=2))
    fit, covariance = np.polyfit(1 / np.array(found.sizes), found.distances, 1, cov=True)
    assert found.value == pytest.approx(fit[1], rel=1e-9)
    assert found.fit_error == pytest.approx(covariance[1, 1] ** 0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("count", "dimensions", "first"), [(50_000, 2048, 5000), (10_000, 2048, 4096), (2000, 2048, 1000), (2000, 64, 200)]
)
def test_sizes_of_the_line(count: int, dimensions: int, first: int) -> None:
    """From N / 10 as published, later where vectors of D dimensions would bend the line, to N."""
    sizes = subset_sizes(count, dimensions)
    assert (len(sizes), sizes[0], sizes[-1]) == (15, first, count)


def test_small_sets_have_a_limit() -> None:
    """Four vectors are enough for a line."""
    found = frechet_infinity(FrechetReference(moments_of(gaussian(4))), gaussian(4, seed=1))
    assert np.isfinite([found.value, found.error]).all()


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((4, 3, 2)), "features must be float32 or float64 [N, D], got float64 (4, 3, 2)"),
        (np.zeros((4, 3), np.int64), "features must be float32 or float64 [N, D], got int64 (4, 3)"),
        (np.zeros((1, 3)), "features must have at least 2 rows, got 1: measure more pictures"),
        (
            np.array([[0.0, 1.0], [np.nan, 0.0], [0.0, np.inf]]),
            "features must be finite, but row 1 of 3 is not: the extractor overflowed, or the generator has diverged",
        ),
    ],
)
def test_other_features_are_refused(features: np.ndarray, message: str) -> None:
    """What has no moments is named in the message."""
    with pytest.raises(DataError) as caught:
        moments_of(features)
    assert str(caught.value) == message


def test_features_of_two_extractors_are_refused() -> None:
    """Vectors of different lengths have no distance."""
    with pytest.raises(DataError) as caught:
        frechet_distance(moments_of(gaussian(5, 3)), moments_of(gaussian(5, 4)))
    assert str(caught.value) == "a Frechet distance needs features of one extractor, got vectors of 3 and 4"
