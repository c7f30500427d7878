from __future__ import annotations

import numpy as np
import pytest

from gan_core.errors import DataError
from gan_core.measures import pairs
from gan_core.measures.nearest import nearest


def by_definition(queries: np.ndarray, base: np.ndarray, k: int, *, itself: bool = False) -> tuple:
    """Return indices and distances of the k nearest, one difference after the other."""
    indices, distances = [], []
    for i, query in enumerate(queries):
        found = np.sqrt(np.square(query.astype(np.float64) - base).sum(axis=1))
        found[i : i + 1] = np.inf if itself else found[i : i + 1]
        indices.append(np.argsort(found, kind="stable")[:k])
        distances.append(found[indices[-1]])
    return np.array(indices), np.array(distances)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_equals_the_definition(dtype: type, offset: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of any size, far from the origin and with copies: exact indices and distances, ties by index."""
    random = np.random.default_rng(0)
    queries, base = ((random.standard_normal((n, 40)) + offset).astype(dtype) for n in (70, 90))
    base[9] = base[40] = base[5]
    base[7] = queries[3]
    for rows, columns in ((4096, 2048), (16, 11)):
        monkeypatch.setattr(pairs, "ROWS", rows)
        monkeypatch.setattr(pairs, "COLUMNS", columns)
        for k in (1, 5, 90):
            indices, distances = by_definition(queries, base, k)
            found = nearest(queries, base, k)
            assert found.indices.tolist() == indices.tolist()
            np.testing.assert_allclose(found.distances, distances, rtol=1e-12, atol=1e-11)
        assert nearest(queries, base).distances[3].tolist() == [0.0]
        indices, distances = by_definition(base, base, 3, itself=True)
        found = nearest(base, base, 3, itself=True)
        assert found.indices.tolist() == indices.tolist()
        assert found.indices[[5, 9, 40], :2].tolist() == [[9, 40], [5, 40], [5, 9]]


def test_a_collapsed_set_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors a millionth as far from each other as from the rest, too near for float32, are ordered all the same."""
    random = np.random.default_rng(1)
    base = np.concatenate([random.standard_normal((300, 16)) * 1e-6 + 5.0, random.standard_normal((300, 16))])
    indices, distances = by_definition(base, base, 4, itself=True)
    found = nearest(base, base, 4, itself=True)
    assert found.indices.tolist() == indices.tolist()
    np.testing.assert_allclose(found.distances, distances, rtol=1e-12)
    monkeypatch.setattr(pairs, "_DENSE", 0)  # too many of them: float64 decides
    found = nearest(base, base, 4, itself=True)
    assert found.indices[300:].tolist() == indices[300:].tolist()
    np.testing.assert_allclose(found.distances, distances, atol=1e-6)


def test_copies_of_one_vector_are_at_distance_0() -> None:
    """Where all are equal, each is nobody's nearest but by its number."""
    base = np.full((50, 7), 0.1, np.float32)
    found = nearest(base, base, 2, itself=True)
    assert found.distances.max() == 0.0
    assert found.indices[:3].tolist() == [[1, 2], [0, 2], [0, 1]]


def test_size_of_the_features_does_not_matter() -> None:
    """Features of 1e-15 and 1e15 have the neighbours of features of 1."""
    random = np.random.default_rng(2)
    queries, base = random.standard_normal((20, 8)), random.standard_normal((30, 8))
    expected = nearest(queries, base, 3)
    for scale in (1e-15, 1e15):
        found = nearest(queries * scale, base * scale, 3)
        assert found.indices.tolist() == expected.indices.tolist()
        np.testing.assert_allclose(found.distances, expected.distances * scale, rtol=1e-12)


def test_progress_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each block is one step of a number that is known from the start."""
    monkeypatch.setattr(pairs, "ROWS", 4)
    monkeypatch.setattr(pairs, "COLUMNS", 5)
    seen: list[tuple[int, int]] = []
    nearest(np.zeros((6, 2)), np.zeros((11, 2)), tick=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


@pytest.mark.parametrize(("k", "itself", "available"), [(0, False, 5), (6, False, 5), (5, True, 4)])
def test_more_neighbours_than_there_are(k: int, itself: bool, available: int) -> None:
    """The message says how many there are to choose from."""
    with pytest.raises(DataError) as caught:
        nearest(np.zeros((5, 2)), np.zeros((5, 2)), k, itself=itself)
    assert str(caught.value) == f"{k} nearest neighbours were asked for, and there are {available}"
