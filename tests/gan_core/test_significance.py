from __future__ import annotations

import pytest

from gan_core.significance import holm, p_value


@pytest.mark.parametrize(
    ("difference", "error", "expected"),
    [(0, 1, 1.0), (1.959963984540054, 1, 0.05), (-1.959963984540054, 1, 0.05), (6, 2, 0.0026997960632601866)],
)
def test_p_values_are_two_sided_and_normal(difference: float, error: float, expected: float) -> None:
    """1.96 standard errors are 5 %, whichever the sign; three are 0.27 %."""
    assert p_value(difference, error) == pytest.approx(expected, rel=1e-12)


def test_without_noise_any_difference_is_certain() -> None:
    """A standard error of 0 leaves equal or not."""
    assert (p_value(0.1, 0), p_value(0, 0)) == (0.0, 1.0)


def test_holm_multiplies_by_what_is_left_and_never_falls() -> None:
    """The smallest of four counts four times, the next thrice, and none is less than the one before it."""
    assert holm([0.03, 0.01, 0.02, 0.9]) == pytest.approx([0.06, 0.04, 0.06, 0.9])
    assert holm([0.9, 0.5]) == [1.0, 1.0]
    assert holm([0.04]) == [0.04]
    assert holm([]) == []
