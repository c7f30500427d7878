"""The standard errors against the real spread: many independent sets of one generator, from fixed seeds."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from gan_core.errors import DataError
from gan_core.measures.frechet import FrechetReference, frechet_infinity
from gan_core.measures.inception_score import inception_score
from gan_core.measures.kernel import kernel_distance
from gan_core.measures.moments import moments_of
from gan_core.measures.neighbours import Manifold, compare
from gan_core.measures.resampling import extrapolated, parts, standard_error

COUNT, DIMENSIONS, SETS = 300, 24, 60
BALLS = ("precision", "recall", "density", "coverage", "authenticity")


@cache
def measured() -> dict[str, list[tuple[float, float]]]:
    """Return measure -> (value, error) of each of SETS generated sets against one real set."""
    random = np.random.default_rng(11)
    spectrum = np.arange(1, DIMENSIONS + 1) ** -0.5
    real = random.standard_normal((COUNT, DIMENSIONS)) * spectrum
    classifier = random.standard_normal((DIMENSIONS, 10)) * 2
    manifold, reference = Manifold(real), FrechetReference(moments_of(real))
    found: dict[str, list[tuple[float, float]]] = {}
    for number in range(SETS):
        fake = (random.standard_normal((COUNT, DIMENSIONS)) * 0.8 + 0.5) * spectrum
        balls = compare(manifold, fake, repeats=10, seed=number)
        frechet = reference.estimate(fake)
        limit = frechet_infinity(reference, fake, seed=number, error=frechet.error)
        kernel, score = kernel_distance(real, fake), inception_score(fake @ classifier)
        values = {name: getattr(balls, name) for name in BALLS}
        for name, each in (values | {"frechet": frechet, "limit": limit, "kernel": kernel, "score": score}).items():
            found.setdefault(name, []).append(each[:2])
    return found


@pytest.mark.parametrize("name", [*BALLS, "frechet", "limit", "kernel", "score"])
def test_errors_are_the_spread_of_independent_sets(name: str) -> None:
    """The mean reported error is within 25 % of the deviation over 60 sets, itself known to 9 %."""
    values, errors = np.array(measured()[name]).T
    assert np.sqrt(np.square(errors).mean()) == pytest.approx(values.std(ddof=1), rel=0.25)


def test_error_of_a_mean() -> None:
    """For a mean the error by parts is about the deviation over the root of N."""
    numbers = np.random.default_rng(0).standard_normal(4000)
    found = standard_error(lambda chosen: float(numbers[chosen].mean()), 4000, repeats=1000)
    assert found == pytest.approx(4000**-0.5, rel=0.1)


def test_parts_are_disjoint_and_of_one_size() -> None:
    """Every vector is in one part, and parts differ by one vector at most; the seed decides which."""
    found = parts(30, 4, 3, seed=1)
    assert [np.bincount(row).tolist() for row in found] == [[8, 7, 8, 7]] * 3
    assert found.tolist() == parts(30, 4, 3, seed=1).tolist() != parts(30, 4, 3, seed=2).tolist()


@pytest.mark.parametrize("power", [1, 2])
def test_variances_that_fall_by_a_power_are_extrapolated_exactly(power: int) -> None:
    """1/N for means and 1/N^2 for distances of nearly 0, from two and from three sizes of parts."""
    values = {n: np.array([[1.0, -1.0] + [0.0] * (n - 2)]) * ((n - 1) * n**power / 2) ** 0.5 for n in (2, 4, 8)}
    assert extrapolated(values) == pytest.approx(1.0, rel=1e-12)
    assert extrapolated({n: values[n] for n in (2, 4)}) == pytest.approx(1.0, rel=1e-12)


def test_parts_that_do_not_differ() -> None:
    """No variance is an error of 0, and none of small parts falls back on that of a mean."""
    still = np.zeros((3, 4))
    assert extrapolated({2: still[:, :2], 4: still}) == 0.0
    assert extrapolated({2: np.array([[0.0, 2.0]]), 4: still}) == pytest.approx(1.0)


def test_too_few_for_parts() -> None:
    """Quarters need two vectors each."""
    with pytest.raises(DataError) as caught:
        standard_error(lambda chosen: 0.0, 7)
    assert str(caught.value) == "a standard error by parts needs at least 8 generated pictures, got 7"
