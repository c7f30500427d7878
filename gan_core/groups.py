"""Pictures by their condition, so that each measure can be taken class by class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gan_core.conditions import Condition, Values
from gan_core.sections import LABEL

Indices = npt.NDArray[np.int64]


def groups(condition: Condition, values: Values) -> dict[str, Indices]:
    """Return the positions of the pictures of each class, or of each combination of attributes.

    Every row of the condition has a group, in the condition's order, empty where no picture is of it. Pictures of
    unknown class or attribute are in none, nor are those of a row that training had no picture of.

    Args:
        condition: of the run.
        values: int [N, k], what each picture is: `Pictures.values` of real ones, `rows_of` of generated ones.

    Returns:
        name -> int64 [n], ascending: "dog", or "Smiling=1,Male=0".

    Raises:
        ValueError: `values` has another number of columns than the condition's rows.
    """
    columns = 1 if condition.kind == LABEL else condition.size
    if values.ndim != 2 or values.shape[1] != columns:
        raise ValueError(f"values must be [N, {columns}] for this condition, got {list(values.shape)}")
    return {
        condition.name_of(row): np.flatnonzero((values == np.array(row)).all(axis=1)).astype(np.int64)
        for row in condition.rows
    }


def rows_of(kind: str, conditions: npt.NDArray[np.float32]) -> Values:
    """Return what `Condition.array` was made of: the inverse, for the conditions of generated pictures.

    Args:
        kind: of the condition, "label" or "attributes".
        conditions: float32 [N, size], one-hot classes or 0-1 attributes.

    Returns:
        int32 [N, 1] classes, or int32 [N, size] values of attributes.
    """
    if kind == LABEL:
        return np.asarray(conditions.argmax(axis=1, keepdims=True), np.int32)
    return np.asarray(conditions, np.int32)
