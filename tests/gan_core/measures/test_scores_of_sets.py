"""Kernel distance and Inception Score: what they do beside being equal to other tools' (test_golden.py)."""

from __future__ import annotations

import numpy as np
import pytest

from gan_core.errors import DataError
from gan_core.measures.inception_score import inception_score
from gan_core.measures.kernel import kernel_distance


def drawn(count: int, seed: int, shift: float = 0.0) -> np.ndarray:
    """Return independent normal features [count, 8]."""
    return np.random.default_rng(seed).standard_normal((count, 8)) + shift


def test_kernel_distance_by_definition() -> None:
    """With the whole sets as the only subset it is the unbiased estimate, pair by pair."""
    real, fake = drawn(12, 1), drawn(12, 2, 0.5)

    def kernel(a: np.ndarray, b: np.ndarray) -> float:
        return (float(a @ b) / 8 + 1) ** 3

    among = [
        np.mean([kernel(a, b) for i, a in enumerate(each) for j, b in enumerate(each) if i != j])
        for each in (real, fake)
    ]
    across = np.mean([kernel(a, b) for a in real for b in fake])
    found = kernel_distance(real, fake)
    assert found.value == pytest.approx(sum(among) - 2 * across, rel=1e-12)
    assert (found.deviation, found.subset_size, found.subsets) == (0.0, 12, 100)


def test_kernel_distance_has_no_bias_at_small_sizes() -> None:
    """Over many pairs of sets of 20 from one distribution the mean is 0 by its own error, as often below as above."""
    values = [kernel_distance(drawn(20, 2 * i), drawn(20, 2 * i + 1), subsets=1).value for i in range(200)]
    assert abs(np.mean(values)) < 2 * np.std(values) / 200**0.5
    assert 60 < sum(value > 0 for value in values) < 140


def test_subsets_are_no_larger_than_the_smaller_set() -> None:
    """A smaller set limits the subsets, and the result says so; the order of progress is known."""
    seen: list[tuple[int, int]] = []
    found = kernel_distance(drawn(50, 1), drawn(30, 2), subsets=3, tick=lambda *step: seen.append(step))
    assert found.subset_size == 30
    assert found.deviation > 0
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_few_vectors_have_a_kernel_distance(count: int) -> None:
    """Two vectors are enough for a number and an error, also of identical rows."""
    for fake in (drawn(count, 2), np.ones((count, 8))):
        assert np.isfinite(kernel_distance(drawn(count, 1), fake)).all()


def test_inception_score_of_sure_and_of_unsure_classifiers() -> None:
    """As many classes as there are where each picture is sure of its own, and 1 where all look alike."""
    sure = np.tile(np.eye(5) * 1000.0, (20, 1))
    assert inception_score(sure, splits=1).value == pytest.approx(5.0, rel=1e-12)
    assert inception_score(np.ones((40, 5), np.float32)) == pytest.approx((1.0, 0.0, 0.0, 10), abs=1e-12)


def test_logits_of_any_size_have_an_inception_score() -> None:
    """No overflow, no logarithm of 0: logits of a million, and shares that float64 rounds to 0."""
    wild = np.random.default_rng(0).standard_normal((50, 9)) * 1e6
    found = inception_score(wild)
    assert 1.0 <= found.value <= 9.0 and np.isfinite(found).all()
    assert inception_score(wild[:3]).splits == 3


def test_logits_that_are_not_finite_are_refused() -> None:
    """The row is named."""
    with pytest.raises(DataError) as caught:
        inception_score(np.array([[0.0, 1.0], [np.inf, 0.0]]))
    assert str(caught.value).startswith("logits must be finite, but row 1 of 2 is not")


def test_float32_is_enough_for_products() -> None:
    """Features in float32 have the kernel distance of the same values in float64, to a thousandth of its error."""
    real, fake = (drawn(400, seed, shift).astype(np.float32) for seed, shift in ((1, 0.0), (2, 0.1)))
    precise = kernel_distance(real.astype(np.float64), fake.astype(np.float64), subsets=1)
    found = kernel_distance(real, fake, subsets=1)
    assert found.value == pytest.approx(precise.value, abs=precise.error / 1000)
