"""The logs of a run as Vega-Lite descriptions: each is drawn still and, with JavaScript, live."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_core.report.logs import Log, number
from gan_core.report.moments import Moment

_WIDTH, _HEIGHT = 360, 170  # pixels: text stays legible when a phone shows it without shrinking
_MAX_POINTS = 200  # more than a curve of this width can show, and the page stays small
_DOTTED_POINTS = 24  # up to here each point gets a dot
_TABLE_ROWS = 12
_NOT_A_MEASURE = {"kimg", "images", "n", "seconds", "collapsed"}
_SUFFIXES = ("_error", "_floor", "_floor_error")  # of what stands beside a measure
_KIMG = "thousand real images shown (kimg)"


@dataclass(frozen=True)
class Curve:
    """One line of a chart: `y[i]` at the chart's `kimg[i]`, NaN where nothing was logged.

    `colour` is a CSS variable of the page. `error`, one standard error for each point, is drawn as a band.
    """

    label: str
    colour: str
    y: Sequence[float]
    dashed: bool = False
    error: Sequence[float] = ()


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
        len(kimg) > _MAX_POINTS,
        description(title, kimg, shown),
        ("kimg", *(curve.label for curve in shown)),
        tuple(table[::-step][::-1]),  # from the end: the last line is the one that counts
        _spec(kimg, shown, moments, top),
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


def _spec(
    kimg: Sequence[float], curves: Sequence[Curve], moments: Sequence[Moment], top: float | None
) -> dict[str, Any]:
    """Return the description of a chart; a curve's values are the fields c0, c1, ..., their band c0l to c0h."""
    values = _values(kimg, curves)
    ends = [y for row in values for key, y in row.items() if key != "kimg" and y is not None]
    low, high = min(0.0, min(ends)), max(top or max(ends), max(ends))
    x = {
        "field": "kimg",
        "type": "quantitative",
        "title": _KIMG,
        "scale": {"domain": [0, max(kimg) or 1.0], "nice": False},
        "axis": {"tickCount": 6, "grid": False},
    }
    scale = {"domain": [low * 1.05, (high or 1.0) * (1.05 + 0.08 * len(moments))], "nice": False}
    layers: list[dict[str, Any]] = []
    for index, curve in enumerate(curves):
        has_band = any(f"c{index}l" in row for row in values)
        layers += _curve_layers(curve, f"c{index}", scale, has_band=has_band, has_dots=len(kimg) <= _DOTTED_POINTS)
    layers.append(_hover(curves))
    marked = [{"kimg": moment.kimg, "name": moment.name} for moment in moments if 0 <= moment.kimg <= max(kimg)]
    if marked:
        layers += _moment_layers(marked, max(kimg))
    return {
        "width": _WIDTH,
        "height": _HEIGHT,
        "autosize": {"type": "fit", "contains": "padding"},
        "padding": {"left": 2, "right": 8, "top": 6, "bottom": 2},
        "background": None,
        "data": {"values": values},
        "encoding": {"x": x},
        "layer": layers,
        "config": _CONFIG,
    }


def _values(kimg: Sequence[float], curves: Sequence[Curve]) -> list[dict[str, float | None]]:
    """Return one row a point, at most `_MAX_POINTS`; more are the means of neighbours, between their extremes."""
    width = -(-len(kimg) // _MAX_POINTS) or 1
    rows: list[dict[str, float | None]] = []
    for start in range(0, len(kimg), width):
        run = slice(start, start + width)
        row: dict[str, float | None] = {"kimg": _short(_mean(kimg[run]))}
        for index, curve in enumerate(curves):
            found = [y for y in curve.y[run] if math.isfinite(y)]
            row[f"c{index}"] = _short(_mean(found)) if found else None
            errors = [error for error in curve.error[run] if math.isfinite(error)]
            if found and errors:
                middle, error = _mean(found), _mean(errors)
                row |= {f"c{index}l": _short(middle - error), f"c{index}h": _short(middle + error)}
            elif found and width > 1 and not curve.dashed:
                row |= {f"c{index}l": _short(min(found)), f"c{index}h": _short(max(found))}
        rows.append(row)
    return rows


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _curve_layers(
    curve: Curve, field: str, scale: Mapping[str, Any], *, has_band: bool, has_dots: bool
) -> list[dict[str, Any]]:
    colour = f"var(--{curve.colour})"
    axis = {"tickCount": 5, "title": None, "format": ",.4~r"}

    def y(name: str) -> dict[str, Any]:
        return {"field": name, "type": "quantitative", "scale": scale, "axis": axis}

    line: dict[str, Any] = {"type": "line", "stroke": colour, "strokeWidth": 1.8, "clip": True}
    if curve.dashed:
        line |= {"strokeDash": [4, 3], "strokeWidth": 1.2}
    elif has_dots:
        line["point"] = {"fill": colour, "stroke": None, "size": 22}
    layers: list[dict[str, Any]] = [{"mark": line, "encoding": {"y": y(field)}}]
    if has_band:
        band = {"type": "area", "fill": colour, "fillOpacity": 0.18, "clip": True}
        layers.insert(0, {"mark": band, "encoding": {"y": y(f"{field}l"), "y2": {"field": f"{field}h"}}})
    return layers


def _hover(curves: Sequence[Curve]) -> dict[str, Any]:
    """Return the line at the point nearest to the pointer, with its values; Ctrl and the wheel, or a pinch, zoom."""
    tooltip = [{"field": "kimg", "type": "quantitative", "title": "kimg", "format": ".4~g"}]
    tooltip += [
        {"field": f"c{index}", "type": "quantitative", "title": curve.label, "format": ".4~g"}
        for index, curve in enumerate(curves)
    ]
    nearest = {"type": "point", "on": "pointerover", "clear": "pointerout", "nearest": True, "encodings": ["x"]}
    zoom = {
        "type": "interval",
        "encodings": ["x"],
        "zoom": "wheel![event.ctrlKey || event.metaKey]",
        "translate": "[pointerdown[event.pointerType === 'mouse'], window:pointerup] > window:pointermove!",
    }
    return {
        "params": [
            {"name": "hover", "select": nearest},
            {"name": "zoom", "select": zoom, "bind": "scales"},
        ],
        "mark": {"type": "rule", "stroke": "var(--muted)", "clip": True},
        "encoding": {
            "opacity": {"condition": {"param": "hover", "empty": False, "value": 0.8}, "value": 0},
            "tooltip": tooltip,
        },
    }


def _moment_layers(marked: Sequence[Mapping[str, Any]], last: float) -> list[dict[str, Any]]:
    """Return a line and a name for the best, last and blessed checkpoints; names on the right end to the left."""
    rule = {"type": "rule", "stroke": "var(--ink)", "strokeDash": [1, 3], "strokeWidth": 1, "clip": True}
    layers: list[dict[str, Any]] = [{"data": {"values": marked}, "mark": rule}]
    for index, row in enumerate(marked):  # one below the other: moments may be close
        side = {"align": "right", "dx": -4} if row["kimg"] > last / 2 else {"align": "left", "dx": 4}
        text = {"type": "text", "fill": "var(--ink)", "fontSize": 10, "baseline": "top", "y": 11 * index, "clip": True}
        encoding = {"text": {"field": "name", "type": "nominal"}}
        layers.append({"data": {"values": [row]}, "mark": text | side, "encoding": encoding})
    return layers


_CONFIG = {
    "aria": False,  # the page says it in words and has the values as a table
    "font": "Liberation Sans",  # measured here, and shown in the page's own
    "view": {"stroke": None},
    "axis": {
        "domainColor": "var(--rule)",
        "gridColor": "var(--rule)",
        "tickColor": "var(--rule)",
        "labelColor": "var(--muted)",
        "titleColor": "var(--muted)",
        "labelFontSize": 10.5,
        "titleFontSize": 10.5,
        "titleFontWeight": "normal",
    },
    "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
}
