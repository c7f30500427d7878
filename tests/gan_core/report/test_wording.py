import math
from typing import Any

import pytest

from gan_core.report import wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2048, "2,048"),
        (True, "yes"),
        (0.28, "0.28"),
        (36.0, "36"),
        (12345.6, "12,346"),
        (float("nan"), "not finite"),
        (None, "none"),
        ({"train": 300, "test": 2}, "train 300, test 2"),
        ([64, 32], "64, 32"),
        ("ab" * 32, "abababababab"),
        ("celeba-148", "celeba-148"),
    ],
)
def test_values_are_shown_for_reading(value: Any, shown: str) -> None:
    """Numbers have separators, collections commas, digests twelve digits."""
    assert wording.show(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (9.0, "9.00"),
        (168.77, "169"),
        (1234.5, "1,234"),
        (0.0, "0"),
        (None, "\N{EN DASH}"),
        (float("nan"), "\N{EN DASH}"),
    ],
)
def test_scores_have_three_digits(value: Any, shown: str) -> None:
    """A score shows three digits, also where they are zeros."""
    assert wording.show_score(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(8.12, "8.1 s"), (59.99, "1 min 00 s"), (750, "12 min 30 s"), (11100, "3 h 05 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    """A duration has the two units that matter."""
    assert wording.duration(seconds) == shown


def test_times_are_utc() -> None:
    """A time with an offset is shown in UTC; a text that is no time stays as it is."""
    assert wording.when("2026-11-22T02:10:00+02:00") == "22 November 2026, 00:10 UTC"
    assert wording.when("yesterday") == "yesterday"


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [
        (21.437, 0.324, "21.44 \u00b1 0.32"),
        (1234.5, 12.0, "1,234 \u00b1 12"),
        (0.00125, 0.00015, "0.00125 \u00b1 0.00015"),
        (21.437, math.nan, "21.4"),
        (math.nan, 0.3, "\N{EN DASH}"),
        (3.0, 0.0, "3.00 \u00b1 0"),
    ],
)
def test_errors_have_two_digits_and_set_those_of_the_value(value: float, error: float, shown: str) -> None:
    """A value is shown as exactly as its standard error allows; without an error, with three digits."""
    assert wording.show_within(value, error) == shown


def test_columns_sort_by_the_number_itself() -> None:
    """What is sorted by has all digits; what is no number sorts as nothing."""
    assert [wording.sortable(value) for value in (0.1 + 0.2, 3, math.nan, None, "x")] == [
        "0.30000000000000004",
        "3",
        "",
        "",
        "",
    ]
