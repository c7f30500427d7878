"""A comparison of runs as a table for the terminal, with citations below it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from flows.comparison import Cell, Comparison, Row
from gan_core.citations import Citation
from gan_core.significance import LEVEL

_DIRECTIONS = {"lower": "less is better", "higher": "more is better", "near floor": "near the floor is better"}
_MOST_DECIMALS = 8


def measured(value: float | None, error: float | None) -> str:
    """Return `21.70 ± 0.31`: the error with two digits, the value as exact as it."""
    if value is None:
        return "-"
    if error is None or error <= 0:
        return f"{value:,.4g}"
    decimals = min(_MOST_DECIMALS, max(0, 1 - math.floor(math.log10(error))))
    return f"{value:,.{decimals}f} ± {error:.{decimals}f}"


def table(comparison: Comparison) -> str:
    """Return the table and what is to be said of it."""
    names = [f"{run.name}{' (baseline)' if index == 0 else ''}" for index, run in enumerate(comparison.runs)]
    lines = [("measure", "direction", *names, "floor"), *map(_line, comparison.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join([*text, "", *_notes(comparison)])


def cited(citations: Sequence[Citation]) -> str:
    """Return published results as a list of their own; they are no part of the comparison."""
    if not citations:
        return "published: nothing is listed for this data set at this resolution"
    text = ["published, by other protocols: not to be compared with the figures above"]
    for citation in citations:
        number = f"{citation.value:g}{f' ± {citation.error:g}' if citation.error else ''}"
        where = f"{citation.dataset_title} {citation.resolution}x{citation.resolution}"
        arxiv = f", arXiv:{citation.arxiv}" if citation.arxiv and citation.arxiv not in citation.paper else ""
        text += [
            f"  {citation.title} {number}: {citation.model}, {where}",
            f"    protocol   {citation.protocol}",
            f"    not known  {citation.unknown}",
            f"    source     {citation.paper}{arxiv}; {citation.table}",
        ]
    return "\n".join(text)


def _line(row: Row) -> tuple[str, ...]:
    floors = list(dict.fromkeys(measured(cell.floor, cell.floor_error) for cell in row.cells))
    title = f"{row.title} [{row.unit}]" if row.unit and row.unit not in row.title else row.title
    mark = " (unlike)" if row.differences else ""
    direction = _DIRECTIONS.get(row.better, row.better)
    return f"{title}{mark}", direction, *map(_cell, row.cells), " / ".join(floors)


def _cell(cell: Cell) -> str:
    words = [cell.verdict or (f"no verdict: {cell.why_none}" if cell.why_none else ""), "best" * cell.is_best]
    verdict = ", ".join(word for word in words if word)
    return f"{measured(cell.value, cell.error)}{f'  {verdict}' if verdict else ''}"


def _notes(comparison: Comparison) -> list[str]:
    notes = ["± is one standard error over the sampling of generated pictures, not over training seeds."]
    if comparison.is_judged:
        tests = sum(cell.p_value is not None for row in comparison.rows for cell in row.cells)
        notes += [
            f"Verdicts are against {comparison.runs[0].name}: difference over its standard error, two-sided, "
            f"{1 - LEVEL:.0%}, Holm's correction over {tests} test{'s' * (tests != 1)}.",
        ]
        if any(cell.why_none == "no standard error" for row in comparison.rows for cell in row.cells):
            notes.append("Where a standard error is missing, noise cannot be told from a difference.")
    else:
        notes.append("Nothing is judged, for protocols differ:")
        notes += [f"  {row.measure}: {difference}" for row in comparison.rows for difference in row.differences]
    for key, names in comparison.only_some.items():
        notes.append(f"Only {' and '.join(names)} {'has' if len(names) == 1 else 'have'} {key}.")
    return notes
