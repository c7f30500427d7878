from __future__ import annotations

import numpy as np
import pytest

from gan_core.conditions import Condition
from gan_core.groups import groups, rows_of

CLASSES = Condition("label", ("cat", "dog", "frog"), ((0,), (2,)), (3, 1))
FACES = Condition("attributes", ("Smiling", "Male"), ((0, 1), (1, 0), (1, 1)), (2, 1, 1))


def listed(found: dict[str, np.ndarray]) -> dict[str, list[int]]:
    """Return groups with lists in place of arrays."""
    return {name: indices.tolist() for name, indices in found.items()}


def test_classes() -> None:
    """Each class that training had pictures of has its positions; unknown classes and others are in no group."""
    found = groups(CLASSES, np.array([[2], [0], [-1], [0], [1]], np.int32))
    assert listed(found) == {"cat": [1, 3], "frog": [0]}
    assert list(found) == ["cat", "frog"]
    assert {indices.dtype for indices in found.values()} == {np.dtype(np.int64)}


def test_combinations_of_attributes() -> None:
    """Combinations are named as the command line takes them, in the condition's order, empty ones too."""
    found = groups(FACES, np.array([[1, 0], [0, 1], [0, 0], [1, -1], [1, 0]], np.int32))
    assert listed(found) == {"Smiling=0,Male=1": [1], "Smiling=1,Male=0": [0, 4], "Smiling=1,Male=1": []}
    assert list(found) == ["Smiling=0,Male=1", "Smiling=1,Male=0", "Smiling=1,Male=1"]


@pytest.mark.parametrize("condition", [CLASSES, FACES])
def test_conditions_of_generated_pictures(condition: Condition) -> None:
    """What the networks see goes back into rows, and every drawn picture is in the group of its row."""
    conditions = condition.drawn(range(sum(condition.counts)))
    found = groups(condition, rows_of(condition.kind, conditions))
    assert tuple(len(indices) for indices in found.values()) == condition.counts
    for indices, row in zip(found.values(), condition.rows, strict=True):
        assert np.array_equal(conditions[indices], condition.array([row] * len(indices)))


def test_another_width() -> None:
    """Values of other attributes than the condition's are refused, not compared with some of its columns."""
    with pytest.raises(ValueError, match=r"must be \[N, 2\] for this condition, got \[4, 1\]"):
        groups(FACES, np.zeros((4, 1), np.int32))
