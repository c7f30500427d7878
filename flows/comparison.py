"""Runs side by side: which of their scores compare, by how much they differ, and what of that is more than noise."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flows.scored_runs import ScoredRun
from gan_core import protocol, significance
from gan_core.errors import ConfigError
from gan_core.options import suggestion

BETTER, WORSE, NOISE = "better", "worse", "within noise"


@dataclass
class Cell:
    """A measure of one run.

    `verdict` and `p_value`, after correction, are against the baseline; where there are none, `why_none` says why.
    """

    value: float | None
    error: float | None
    floor: float | None
    floor_error: float | None
    verdict: str = ""
    why_none: str = ""
    p_value: float | None = None
    is_best: bool = False


@dataclass
class Row:
    """A measure of all runs, in their order. `differences` is empty where they were measured alike."""

    measure: str
    title: str
    unit: str
    better: str
    fingerprint: str
    cells: list[Cell]
    differences: list[str] = field(default_factory=list)


@dataclass
class Comparison:
    """Runs side by side; the first is the baseline. `only_some`: measure -> the runs that have it."""

    runs: list[ScoredRun]
    rows: list[Row]
    only_some: dict[str, list[str]]
    is_judged: bool


def compare(runs: Sequence[ScoredRun], measures: Sequence[str] = (), show_unlike: bool = False) -> Comparison:
    """Compare each run with the first.

    Args:
        runs: two or more.
        measures: keys of those to compare; empty is all that every run has.
        show_unlike: where a measure's protocols differ, name the differences and judge nothing, instead of refusing.

    Raises:
        ConfigError: fewer than two runs, one named twice, a measure that a run lacks, none in common, or unlike
            protocols.
    """
    _check(runs)
    every = list(dict.fromkeys(key for run in runs for key in run.values))
    shared = [key for key in every if all(key in run.values for run in runs)]
    for key in measures:
        if key not in shared:
            raise ConfigError(_lacking(key, runs, every, shared))
    if not shared:
        has = "; ".join(f"{run.name} has {', '.join(run.values) or 'none'}" for run in runs)
        raise ConfigError(f"these runs have no measure in common: {has}; evaluate them by the same ones")
    rows = [_row(key, runs) for key in (dict.fromkeys(measures) if measures else shared)]
    unlike = [row for row in rows if row.differences]
    if unlike and not show_unlike:
        raise ConfigError(_refusal(unlike, runs))
    if not unlike:
        _judge(rows)
    partial = [] if measures else [key for key in every if key not in shared]
    only_some = {key: [run.name for run in runs if key in run.values] for key in partial}
    return Comparison(list(runs), rows, only_some, is_judged=not unlike)


def _check(runs: Sequence[ScoredRun]) -> None:
    if len(runs) < 2:
        raise ConfigError("a comparison takes two runs or more, for example: faceloom runs compare celeba64 r3gan64")
    places = [run.path.resolve() for run in runs]
    for index, place in enumerate(places):
        if place in places[:index]:
            raise ConfigError(f"{runs[index].path} is named twice; name another run, or more of its name")


def _lacking(key: str, runs: Sequence[ScoredRun], every: Sequence[str], shared: Sequence[str]) -> str:
    without = [run.name for run in runs if key not in run.values]
    who = "no run" if len(without) == len(runs) else f"{' and '.join(without)} lacks it: not every run"
    return f"{who} has the measure '{key}'{suggestion(key, every)}; in all of them: {', '.join(shared) or 'none'}"


def _row(key: str, runs: Sequence[ScoredRun]) -> Row:
    first = runs[0].values[key]
    cells = [_cell(run.values[key]) for run in runs]
    found = []
    for run in runs[1:]:
        other = run.values[key]
        if other["fingerprint"] != first["fingerprint"]:
            unlike = protocol.differences(first["protocol"], other["protocol"])
            found.append(f"{run.name}: " + ", ".join(map(protocol.described, unlike)))
    return Row(
        measure=key,
        title=str(first.get("title", key)),
        unit=str(first.get("unit", "")),
        better=str(first.get("better", "lower")),
        fingerprint="" if found else str(first["fingerprint"]),
        cells=cells,
        differences=found,
    )


def _cell(facts: Mapping[str, Any]) -> Cell:
    value, error, floor, floor_error = (_number(facts.get(name)) for name in ("value", "error", "floor", "floor_error"))
    return Cell(value, error, floor, floor_error)


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if is_number else None


def _refusal(unlike: Sequence[Row], runs: Sequence[ScoredRun]) -> str:
    """Return each difference with the measures that it concerns, and what would make the runs alike."""
    measures: dict[str, list[str]] = {}
    for row in unlike:
        for difference in row.differences:
            measures.setdefault(difference, []).append(row.measure)
    named = "; ".join(f"{', '.join(keys)}: {difference}" for difference, keys in measures.items())
    first = runs[0]
    fixes = []
    for run in runs[1:]:
        pairs = [(first.values[row.measure]["protocol"], run.values[row.measure]["protocol"]) for row in unlike]
        fields = {name for a, b in pairs for name, _, _ in protocol.differences(a, b)}
        if fields:
            fixes.append(run.made_like(first, fields))
    return (
        f"unlike protocols, measured against {first.name}: {named}. "
        f"To compare, {'; '.join(dict.fromkeys(fixes))}. To see them side by side without a verdict: --show-unlike"
    )


def _judge(rows: Sequence[Row]) -> None:
    """Give every run but the first a verdict, and mark what is best beyond noise.

    The test: the difference against its standard error, two-sided, Holm's correction over all tests of the table. The
    best must pass it, and also be better than every other run that is not the baseline, by Bonferroni's correction
    over all pairs of runs and measures: which run is the best was chosen after looking.
    """
    tested: list[tuple[Cell, float]] = []
    raw: list[float] = []
    for row in rows:
        first = row.cells[0]
        for cell in row.cells[1:]:
            cell.why_none = _why_none(row, first, cell)
            if not cell.why_none:
                gain, error = _gain(row.better, cell, first)
                tested.append((cell, gain))
                raw.append(significance.p_value(gain, error))
    for (cell, gain), adjusted in zip(tested, significance.holm(raw), strict=True):
        cell.p_value = adjusted
        cell.verdict = NOISE if adjusted > significance.LEVEL else BETTER if gain > 0 else WORSE
    pairs = sum(math.comb(len(row.cells), 2) for row in rows)
    for row in rows:
        _mark_best(row, lambda p: p * pairs <= significance.LEVEL)


def _why_none(row: Row, *cells: Cell) -> str:
    if any(cell.value is None for cell in cells):
        return "no value"
    if any(cell.error is None for cell in cells):
        return "no standard error"
    return "no floor" if row.better == "near floor" and any(cell.floor is None for cell in cells) else ""


def _gain(better: str, cell: Cell, other: Cell) -> tuple[float, float]:
    """Return by how much `cell` is better than `other`, and the standard error of that.

    Near the floor, the distances from it are compared. Both runs have the same floor: its error cancels where both
    values are on one side of it, and counts twice where it lies between them.
    """
    values = [(one.value or 0.0, one.floor or 0.0) for one in (cell, other)]
    error = math.hypot(cell.error or 0.0, other.error or 0.0)
    if better != "near floor":
        difference = values[0][0] - values[1][0]
        return (difference if better == "higher" else -difference), error
    sides = [value - floor for value, floor in values]
    if sides[0] * sides[1] < 0:
        error = math.hypot(error, 2 * (cell.floor_error or 0.0))
    return abs(sides[1]) - abs(sides[0]), error


def _mark_best(row: Row, is_significant: Callable[[float], bool]) -> None:
    first, *others = row.cells
    if any(_why_none(row, cell) for cell in row.cells):
        return
    for cell in row.cells:
        rivals = [other for other in others if other is not cell]
        if cell is first:
            cell.is_best = all(other.verdict == WORSE for other in others)
        elif cell.verdict == BETTER:
            gains = [_gain(row.better, cell, rival) for rival in rivals]
            cell.is_best = all(gain > 0 and is_significant(significance.p_value(gain, error)) for gain, error in gains)


def document(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON types."""
    names = [run.name for run in comparison.runs]
    return {
        "runs": [{"name": run.name, "path": str(run.path), "images_seen": run.images_seen} for run in comparison.runs],
        "baseline": names[0],
        "judged": comparison.is_judged,
        "level": significance.LEVEL,
        "measures": [_measure(row, names) for row in comparison.rows],
        "only_some": comparison.only_some,
    }


def _measure(row: Row, names: Sequence[str]) -> Mapping[str, Any]:
    best = list(itertools.compress(names, (cell.is_best for cell in row.cells)))
    return {
        "measure": row.measure,
        "title": row.title,
        "unit": row.unit,
        "better": row.better,
        "fingerprint": row.fingerprint or None,
        "differences": row.differences,
        "best": best[0] if best else None,
        "runs": [
            {
                "name": name,
                "value": cell.value,
                "error": cell.error,
                "floor": cell.floor,
                "floor_error": cell.floor_error,
                "verdict": cell.verdict or None,
                "why_none": cell.why_none or None,
                "p_value": cell.p_value,
            }
            for name, cell in zip(names, row.cells, strict=True)
        ],
    }
