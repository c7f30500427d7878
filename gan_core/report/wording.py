"""How values are shown to a reader: numbers, scores, times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

DASH = "\N{EN DASH}"  # where there is no number


def show(value: Any) -> str:
    """Return a value as a reader wants it: 2048 -> 2,048, lists with commas, a digest's first twelve."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(show, value))
    text = "none" if value is None or value == "" else str(value)
    return text[:12] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def show_option(value: Any) -> str:
    """Return a value of the config as `--set` takes it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "(empty)"
    return str(value).lower() if isinstance(value, bool) else str(value) or "(empty)"


def show_score(value: Any) -> str:
    """Return a measured number with three digits, also where they are zeros; a dash where there is none."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    is_small = isinstance(value, float) and 0.001 < abs(value) < 1000
    return f"{value:#.3g}".removesuffix(".") if is_small else show(value)


def show_within(value: float, error: float) -> str:
    """Return a measured number with its standard error, both to the error's second digit: "21.4 ± 0.32"."""
    if not math.isfinite(value):
        return DASH
    if not math.isfinite(error):
        return show_score(value)
    if error <= 0:
        return f"{show_score(value)} ± 0"
    decimals = max(0, min(8, 1 - math.floor(math.log10(error))))
    return f"{value:,.{decimals}f} ± {error:,.{decimals}f}"


def sortable(value: Any) -> str:
    """Return what a column is sorted by: a number as it is, and nothing where there is none."""
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return repr(value) if is_number else ""


def duration(seconds: float) -> str:
    """Return 8.1 -> "8.1 s", 750 -> "12 min 30 s", 11100 -> "3 h 05 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def when(stamp: str) -> str:
    """Return an ISO 8601 time as "22 November 2026, 02:10 UTC"; other texts as they are."""
    try:
        time = datetime.fromisoformat(stamp).astimezone(UTC)
    except ValueError:
        return stamp
    return f"{time.day} {time:%B %Y, %H:%M} UTC"
