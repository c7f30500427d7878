from __future__ import annotations

import numpy as np
import pytest

from gan_core.errors import DataError
from gan_core.measures import pairs
from gan_core.measures.neighbours import Manifold, compare

NAMES = ("precision", "recall", "density", "coverage", "authenticity")


def drawn(count: int, seed: int, shift: float = 0.0, dimensions: int = 12) -> np.ndarray:
    """Return independent normal features."""
    return np.random.default_rng(seed).standard_normal((count, dimensions)) + shift


def by_definition(real: np.ndarray, fake: np.ndarray) -> tuple[dict[str, float], np.ndarray]:
    """Return the measures, and the realism of each generated vector, from whole matrices of distances."""

    def apart(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.sqrt(np.square(a[:, None].astype(np.float64) - b).sum(axis=2))

    across = apart(real, fake)
    own_real, own_fake = np.sort(apart(real, real), axis=1), np.sort(apart(fake, fake), axis=1)
    inside = across < own_real[:, 5:6]
    small = own_real[:, 3] <= np.median(own_real[:, 3])
    with np.errstate(divide="ignore"):
        realism = (own_real[small, 3][:, None] / across[small]).max(axis=0)
    return {
        "precision": (across <= own_real[:, 3:4]).any(axis=0).mean(),
        "recall": (across <= own_fake[:, 3]).any(axis=1).mean(),
        "density": inside.sum(axis=0).mean() / 5,
        "coverage": inside.any(axis=1).mean(),
        "authenticity": (own_real[across.argmin(axis=0), 1] < across.min(axis=0)).mean(),
    }, realism


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_equals_the_definitions(dtype: type, shift: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """All measures, in blocks of any size, are those of whole matrices."""
    real, fake = drawn(130, 1).astype(dtype), drawn(90, 2, shift).astype(dtype)
    expected, realism = by_definition(real, fake)
    for rows, columns in ((4096, 2048), (32, 25)):
        monkeypatch.setattr(pairs, "ROWS", rows)
        monkeypatch.setattr(pairs, "COLUMNS", columns)
        found = compare(Manifold(real), fake, nearest_k=3)
        assert {name: getattr(found, name).value for name in NAMES} == pytest.approx(expected, rel=1e-12)
        np.testing.assert_allclose(found.realism, realism, rtol=1e-5)
        assert found.nearest.indices.shape == (90, 3)


def test_copies_of_the_training_pictures_are_found() -> None:
    """A generator that repeats real pictures is precise, and not authentic at all."""
    real = drawn(60, 1).astype(np.float32)
    manifold = Manifold(real)
    found = compare(manifold, real[:30].copy())
    assert (found.precision.value, found.authenticity.value) == (1.0, 0.0)
    assert found.nearest.distances[:, 0].max() == 0.0
    assert found.nearest.indices[:, 0].tolist() == list(range(30))
    radii = manifold.squared_radii(3)
    assert np.isinf(found.realism).tolist() == (radii <= np.median(radii))[:30].tolist()


def test_surfaces_of_balls() -> None:
    """On a surface is inside for precision and recall, and outside for density and coverage."""
    real = np.array([[0.0], [1.0], [2.0], [3.0]])  # the third neighbours of the ends are 3 away
    fake = np.array([[-3.0], [6.0]])
    found = compare(Manifold(real), fake, repeats=0)
    assert found.precision.value == 1.0
    assert found.density.value == found.coverage.value == 0.0
    assert found.recall.value == 1.0  # both balls have a radius of 9


def test_an_outlier_far_away_does_not_hurt() -> None:
    """One generated vector a million times as far as all others changes no more than its own part."""
    real, fake = drawn(100, 1), drawn(80, 2)
    far = np.concatenate([fake, fake[:1] * 1e6])
    expected, _ = by_definition(real, far)
    found = compare(Manifold(real), far)
    assert {name: getattr(found, name).value for name in NAMES} == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (drawn(2, 1), drawn(2, 2)),
        (np.zeros((40, 3)), np.zeros((30, 3))),
        (np.zeros((40, 3)), np.ones((30, 3))),
        (drawn(40, 1) * 1e15, drawn(30, 2)),
        (drawn(40, 1) * 1e-15, drawn(30, 2)),
    ],
)
def test_poor_sets_have_finite_measures(real: np.ndarray, fake: np.ndarray) -> None:
    """Two vectors, identical rows and wild scales give numbers in their ranges, without a warning."""
    found = compare(Manifold(real), fake)
    for name in NAMES:
        value, error = getattr(found, name)
        assert 0.0 <= value <= (np.inf if name == "density" else 1.0)
        assert np.isfinite([value, error]).all()
    assert not np.isnan(found.realism).any()


def test_errors_of_means_are_exact() -> None:
    """The errors of precision, density and authenticity are those of means; recall's and coverage's can be left out."""
    real, fake = drawn(130, 1), drawn(90, 2, 0.5)
    found = compare(Manifold(real), fake, repeats=0)
    for value, error in (found.precision, found.authenticity):
        assert error == pytest.approx((value * (1 - value) / 89) ** 0.5, rel=1e-12)
    assert found.recall.error == found.coverage.error == 0.0


def test_other_features_are_refused() -> None:
    """What cannot be compared is named."""
    with pytest.raises(DataError) as caught:
        compare(Manifold(drawn(9, 1)), drawn(9, 1, dimensions=3))
    expected = "real features and generated features must come from one extractor, got vectors of 12 and 3"
    assert str(caught.value) == expected
