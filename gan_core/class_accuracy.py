"""Whether generated pictures show the class or the attributes that they were asked to show.

Ravuri and Vinyals 2019, "Classification Accuracy Score", turned round: here a classifier of real pictures judges
generated ones. It sees whether the condition is obeyed, and neither quality nor diversity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gan_core.conditions import Values
from gan_core.groups import rows_of
from gan_core.sections import LABEL

Images = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

NOTE = (
    "share of generated pictures in which a classifier trained on real ones finds what was asked for; the floor is its "
    "share on real pictures that it has not seen. Above the floor is possible: samples may be more typical than real "
    "pictures. It says nothing of quality or diversity"
)


class Judge(Protocol):
    """What a classifier has to offer; `classifier.Classifier` does."""

    kind: str
    names: tuple[str, ...]
    held_out: Mapping[str, Any]

    def predict(self, images: Images) -> Array:
        """Return probabilities, float32 [N, k], of uint8 [N, S, S, C]."""


def class_accuracy(classifier: Judge, images: Images, conditions: Array) -> dict[str, Any]:
    """Return the share of generated pictures whose condition the classifier recognises.

    A class is recognised where it is the most probable one, an attribute's value where the probability is on its side
    of a half. Of several attributes, `value` is the mean.

    Args:
        classifier: of the same classes or attributes, in the same order.
        images: uint8 [N, S, S, C] in [0, 255], generated.
        conditions: float32 [N, k], what they were asked to show; see `Condition.array`.

    Returns:
        JSON types: `value`, `error`, `floor`, `floor_error`, `chance` (the floor of the best constant answer),
        `unit`, `better`, `note`, and `parts`: class or attribute -> value, error, count, floor, floor_error.
        Numbers are shares in [0, 1], or None where there was no picture; errors are standard errors.
    """
    found = accuracies(
        classifier.kind, classifier.names, classifier.predict(images), rows_of(classifier.kind, conditions)
    )
    real = classifier.held_out
    return {
        "value": found["accuracy"],
        "error": found["error"],
        "floor": real["accuracy"],
        "floor_error": real["error"],
        "chance": real["chance"],
        "unit": "share",
        "better": "higher",
        "note": NOTE,
        "parts": {
            name: {
                "value": part["accuracy"],
                "error": part["error"],
                "count": part["count"],
                "floor": real["parts"][name]["accuracy"],
                "floor_error": real["parts"][name]["error"],
            }
            for name, part in found["parts"].items()
        },
    }


def accuracies(kind: str, names: Sequence[str], probabilities: npt.NDArray[Any], values: Values) -> dict[str, Any]:
    """Return how often a classifier is right.

    A standard error is that of a share of n independent pictures, sqrt(p (1 - p) / n), and of the mean of several
    attributes that of the pictures' own means, as attributes of a picture go together. It is 0 where all are right,
    or all wrong: n right ones then still allow 3 / n wrong ones.

    Args:
        kind: "label" or "attributes".
        names: of the k classes or attributes.
        probabilities: [N, k], N > 0; of classes the largest counts, of attributes those of a half or more.
        values: int [N, 1] classes, or int [N, k] of 0 and 1.

    Returns:
        `accuracy`, `error`, `count`, `chance` (the accuracy of always giving the commonest answer), and `parts`:
        name -> accuracy, error and count of the pictures of a class, or of an attribute in all pictures.
    """
    if kind == LABEL:
        truth = values[:, 0]
        right = (probabilities.argmax(axis=1) == truth)[:, np.newaxis]
        chance = np.bincount(truth).max() / len(truth)
        by_part = {name: right[truth == index, 0] for index, name in enumerate(names)}
    else:
        right = (probabilities >= 0.5) == (values == 1)
        ones = values.mean(axis=0)
        chance = np.maximum(ones, 1 - ones).mean()
        by_part = {name: right[:, index] for index, name in enumerate(names)}
    return {
        **_share(right.mean(axis=1)),
        "chance": float(chance),
        "parts": {name: _share(part) for name, part in by_part.items()},
    }


def _share(right: npt.NDArray[Any]) -> dict[str, Any]:
    if len(right) == 0:
        return {"accuracy": None, "error": None, "count": 0}
    return {
        "accuracy": float(right.mean()),
        "error": float(right.std() / np.sqrt(len(right))),
        "count": len(right),
    }
