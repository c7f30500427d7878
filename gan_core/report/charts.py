"""The logs of a run as charts: which there are, and what stands around each."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_core.report.chart_specs import MAX_POINTS, Curve, chart_spec
from gan_core.report.logs import Log, number
from gan_core.report.moments import Moment

_TABLE_ROWS = 12
_NOT_A_MEASURE = {"kimg", "images", "n", "seconds", "collapsed"}
_SUFFIXES = ("_error", "_floor", "_floor_error")  # of what stands beside a measure


@dataclass(frozen=True)
class Chart:
    """A drawing and what stands around it.

    Attributes:
        name: unique on the page.
        note: what the reader should know; one or two sentences.
        binned: a point is the mean of several log lines, and a band goes from the smallest to the largest.
        text: the chart in words, for those who do not see it.
        columns, rows: some of its values as a table; kimg comes first.
        spec: Vega-Lite, in the page's colours.
    """

    name: str
    title: str
    note: str
    curves: tuple[Curve, ...]
    binned: bool
    text: str
    columns: tuple[str, ...]
    rows: tuple[tuple[float, ...], ...]
    spec: Mapping[str, Any]


def training_charts(log: Log, moments: Sequence[Moment] = ()) -> dict[str, Chart]:
    """Return the charts of the training log over kimg, as far as it has them: losses, accuracy, throughput, memory."""
    kimg = [number(line, "kimg") for line in log.lines]

    def curve(label: str, colour: str, key: str) -> Curve:
        return Curve(label, colour, [number(line, key) for line in log.lines])

    chance = Curve("a coin toss", "muted", [0.5] * len(kimg), dashed=True)
    charts = [
        _chart(
            "losses",
            "Losses",
            "A GAN's losses measure a balance, not quality: neither has to fall.",
            kimg,
            [curve("generator", "generated", "loss_g"), curve("discriminator", "discriminator", "loss_d")],
            moments=moments,
        ),
        _chart(
            "accuracy",
            "Discriminator accuracy",
            "Near 1 for long, the discriminator wins and the generator learns little.",
            kimg,
            [curve("on real", "real", "accuracy_real"), curve("on generated", "generated", "accuracy_fake")],
            [chance],
            moments=moments,
            top=1.0,
        ),
        _chart(
            "throughput",
            "Throughput, images per second",
            "Real images shown, per second of training.",
            kimg,
            [curve("images per second", "score", "images_per_second")],
        ),
        _chart(
            "memory",
            "Memory, MiB",
            "Of the fullest GPU; without one, of the training's process.",
            kimg,
            [curve("now", "score", "memory_mib"), curve("peak", "muted", "memory_peak_mib")],
        ),
    ]
    return {chart.name: chart for chart in charts if chart is not None}


def measures(log: Log) -> list[str]:
    """Return the names of the measures in a snapshot score log, in order of appearance."""
    keys = dict.fromkeys(key for line in log.lines for key in line)
    return [key for key in keys if key not in _NOT_A_MEASURE and not key.endswith(_SUFFIXES)]


def score_charts(log: Log, moments: Sequence[Moment] = ()) -> list[Chart]:
    """Return one chart for each measure of a snapshot score log: its error as a band, its floor dashed."""
    kimg = [number(line, "kimg") for line in log.lines]
    counts = sorted({int(number(line, "n")) for line in log.lines if math.isfinite(number(line, "n"))})
    note = f"From {' or '.join(f'{count:,}' for count in counts)} pictures a point." if counts else ""
    charts: list[Chart | None] = []
    for measure in measures(log):
        values, errors, floors, floor_errors = (
            [number(line, measure + suffix) for line in log.lines] for suffix in ("", *_SUFFIXES)
        )
        label = "spread of generated over that of real" if measure == "diversity" else "generated against real"
        score = Curve(label, "score", values, error=errors)
        floor = Curve("floor: real against real", "muted", floors, dashed=True, error=floor_errors)
        if measure == "diversity":
            floor = Curve("as varied as real pictures", "muted", [1.0] * len(kimg), dashed=True)
        has_floor = any(map(math.isfinite, floor.y))
        has_error = any(map(math.isfinite, errors))
        title = "Diversity" if measure == "diversity" else measure.replace("_", "-").upper()
        said = f"{note} Band: one standard error to either side." if has_error else note
        name = f"score-{len(charts)}"
        charts.append(_chart(name, title, said.strip(), kimg, [score], [floor] if has_floor else [], moments=moments))
    return [chart for chart in charts if chart is not None]


def _chart(
    name: str,
    title: str,
    note: str,
    kimg: Sequence[float],
    curves: Iterable[Curve],
    references: Sequence[Curve] = (),
    *,
    moments: Sequence[Moment] = (),
    top: float | None = None,
) -> Chart | None:
    drawn = [curve for curve in curves if any(map(math.isfinite, curve.y))]
    if not drawn:
        return None
    shown = (*drawn, *references)
    table = [(x, *(curve.y[index] for curve in shown)) for index, x in enumerate(kimg)]
    step = max(1, -(-len(table) // _TABLE_ROWS))
    return Chart(
        name,
        title,
        note,
        shown,
        len(kimg) > MAX_POINTS,
        description(title, kimg, shown),
        ("kimg", *(curve.label for curve in shown)),
        tuple(table[::-step][::-1]),  # from the end: the last line is the one that counts
        chart_spec(kimg, shown, moments, top),
    )


def description(title: str, kimg: Sequence[float], curves: Iterable[Curve]) -> str:
    """Return the chart in words, for those who do not see it: where each curve starts and ends."""
    parts = []
    for curve in curves:
        points = [(x, y) for x, y in zip(kimg, curve.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
        if points:
            (x0, y0), (x1, y1) = points[0], points[-1]
            parts.append(f"{curve.label} from {y0:.3g} at {x0:g} kimg to {y1:.3g} at {x1:g} kimg")
    return f"{title}: {'; '.join(parts)}."
