"""What the runs amount to: medians, ratios of runs that followed each other, lines through sizes. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.measure import Run


@dataclass(frozen=True)
class Results:
    """One experiment: where it ran, what it found besides, and its runs."""

    machine: Mapping[str, Any]
    found: Mapping[str, Any]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Line:
    """y = start + each * n."""

    start: float
    each: float


@dataclass(frozen=True)
class Ratio:
    """The median, and the lowest and highest, of as many ratios as there were rounds."""

    middle: float
    low: float
    high: float


def load(folder: Path) -> dict[str, Results]:
    """Return experiment -> its results, of those that `folder` has."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        saved = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = Results(saved["machine"], saved["found"], tuple(map(Run.from_json, saved["runs"])))
    return found


def of(runs: Sequence[Run], contender: str, pictures: int | None = None) -> list[Run]:
    """Return the runs of a contender, all or those with so many pictures."""
    return [run for run in runs if run.contender == contender and pictures in (None, run.pictures)]


def sizes(runs: Sequence[Run]) -> list[int]:
    """Return the numbers of pictures, each once, ascending."""
    return sorted({run.pictures for run in runs})


def middle_seconds(runs: Sequence[Run], contender: str, pictures: int) -> float | None:
    """Return the median wall time of a contender's whole commands, None where there are none."""
    seconds = [run.seconds for run in of(runs, contender, pictures)]
    return median(seconds) if seconds else None


def ratio(runs: Sequence[Run], contender: str, other: str, pictures: int) -> Ratio | None:
    """Return how many times as fast as `other` the contender was, from runs of the same round; None without any."""
    theirs = {run.number: run.seconds for run in of(runs, other, pictures)}
    ratios = [theirs[run.number] / run.seconds for run in of(runs, contender, pictures) if run.number in theirs]
    return Ratio(median(ratios), min(ratios), max(ratios)) if ratios else None


def marginal(runs: Sequence[Run], contender: str, small: int, large: int, what: str = "seconds") -> float | None:
    """Return the seconds of one more picture, from the medians at two sizes; None where a size was not run.

    Args:
        runs: of one input.
        contender: whose.
        small: pictures.
        large: pictures.
        what: `seconds` or `cpu_seconds`.
    """
    values = [[getattr(run, what) for run in of(runs, contender, pictures)] for pictures in (small, large)]
    if not all(values):
        return None
    return float(median(values[1]) - median(values[0])) / (large - small)


def fit(points: Sequence[tuple[int, float]]) -> Line:
    """Return the line through (n, y) with the smallest sum of squared relative deviations; y > 0.

    Relative, because a second more or less is much at 2,000 pictures and nothing at 200,000.
    """
    counts, values = np.array(points, float).T
    each, start = np.polyfit(counts, values, 1, w=1 / values)
    return Line(float(start), float(each))


def deviations(points: Sequence[tuple[int, float]], line: Line) -> dict[int, float]:
    """Return n -> how much its cost apart from the start, (y - start) / n, differs from the line's: 0.1 is 10 %."""
    return {count: (value - line.start) / count / line.each - 1 for count, value in points}


def points(runs: Sequence[Run], contender: str = "faceloom") -> list[tuple[int, float]]:
    """Return (pictures, median seconds) for each size."""
    found = ((count, middle_seconds(runs, contender, count)) for count in sizes(runs))
    return [(count, seconds) for count, seconds in found if seconds is not None]


def peaks_mib(runs: Sequence[Run], pictures: int) -> dict[str, float]:
    """Return role -> largest RSS of any such process, and `all` -> largest sum of PSS, over the runs of one size."""
    found: dict[str, float] = {}
    for run in of(runs, "faceloom", pictures):
        for curve in run.memory:
            found[curve.role] = max(found.get(curve.role, 0.0), curve.peak_mib)
        found["all"] = max(found.get("all", 0.0), max(total_pss(run)[1], default=0.0))
    return found


def total_pss(run: Run) -> tuple[list[float], list[float]]:
    """Return (seconds, MiB of all processes together): one point for each time that the launcher was looked at."""
    launcher = next((curve for curve in run.memory if curve.role == "launcher"), None)
    if launcher is None:
        return [], []
    totals = list(launcher.pss_mib)
    for curve in run.memory:
        if curve is not launcher:
            for second, pss_mib in zip(curve.seconds, curve.pss_mib, strict=True):
                # Processes are looked at one after the other: a worker belongs to the launcher's look just before it.
                index = int(np.searchsorted(launcher.seconds, second, side="right")) - 1
                totals[max(0, index)] += pss_mib
    return list(launcher.seconds), totals
