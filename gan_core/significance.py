"""Whether measured differences are more than noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

LEVEL = 0.05  # two-sided: 95 %


def p_value(difference: float, error: float) -> float:
    """Return how probable a difference at least so large is where there is none: two-sided, normal.

    Args:
        difference: of two independent estimates.
        error: its standard error, sqrt(e1^2 + e2^2); at 0 any difference is certain.
    """
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted for their number, in the same order: reject those not above LEVEL.

    The chance of one false rejection or more among all is at most LEVEL then (Holm 1979, A Simple Sequentially
    Rejective Multiple Test Procedure).
    """
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
