from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from gan_core.class_accuracy import accuracies, class_accuracy
from gan_core.conditions import Condition

Array = npt.NDArray[np.float32]


class Told:
    """A classifier that says what it was told to."""

    def __init__(self, kind: str, names: tuple[str, ...], probabilities: Array, held_out: Mapping[str, Any]) -> None:
        self.kind, self.names, self.held_out, self.probabilities = kind, names, held_out, probabilities

    def predict(self, images: npt.NDArray[np.uint8]) -> Array:
        """Return what was told, of so many pictures."""
        assert len(images) == len(self.probabilities)
        return self.probabilities


def test_classes() -> None:
    """The share of the right class, over all and class by class, with binomial errors; no pictures is no number."""
    said = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.4, 0.5, 0.1], [0.1, 0.8, 0.1]], np.float32)
    found = accuracies("label", ("cat", "dog", "frog"), said, np.array([[0], [0], [1], [1]], np.int32))
    assert found == {
        "accuracy": 0.75,
        "error": math.sqrt(0.75 * 0.25 / 4),
        "count": 4,
        "chance": 0.5,
        "parts": {
            "cat": {"accuracy": 0.5, "error": pytest.approx(math.sqrt(0.25 / 2)), "count": 2},
            "dog": {"accuracy": 1.0, "error": 0.0, "count": 2},
            "frog": {"accuracy": None, "error": None, "count": 0},
        },
    }


def test_attributes() -> None:
    """The mean over the attributes; its error is that of the pictures' means, as attributes go together."""
    said = np.array([[0.9, 0.8], [0.7, 0.6], [0.1, 0.2], [0.4, 0.5]], np.float32)
    found = accuracies("attributes", ("Smiling", "Male"), said, np.array([[1, 1], [0, 0], [0, 0], [0, 0]], np.int32))
    assert found["accuracy"] == 0.625  # right: both, none, both, the first
    assert found["error"] == pytest.approx(math.sqrt(((1 - 0.625) ** 2 * 2 + 0.625**2 + 0.125**2) / 4 / 4), abs=1e-12)
    assert found["chance"] == 0.75
    assert found["parts"]["Smiling"] == {"accuracy": 0.75, "error": math.sqrt(0.75 * 0.25 / 4), "count": 4}
    assert found["parts"]["Male"] == {"accuracy": 0.5, "error": 0.25, "count": 4}


def test_a_score_stands_beside_that_of_real_pictures() -> None:
    """Generated pictures are judged by what they were asked to show, and the floor is the held-out accuracy."""
    condition = Condition("label", ("cat", "dog"), ((0,), (1,)), (1, 1))
    said = np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], np.float32)
    real = accuracies("label", condition.names, said, np.array([[0], [1], [1], [1]], np.int32))
    judge = Told("label", condition.names, said, {"split": "test", **real})
    asked = condition.array([(0,), (0,), (1,), (1,)])
    score = class_accuracy(judge, np.zeros((4, 8, 8, 3), np.uint8), asked)
    assert (score["value"], score["error"], score["better"]) == (1.0, 0.0, "higher")
    assert (score["floor"], score["floor_error"]) == (0.75, math.sqrt(0.75 * 0.25 / 4))
    assert "Above the floor is possible" in score["note"]
    assert score["parts"]["dog"] == {
        "value": 1.0,
        "error": 0.0,
        "count": 2,
        "floor": 2 / 3,
        "floor_error": pytest.approx(math.sqrt(2 / 9 / 3)),
    }
