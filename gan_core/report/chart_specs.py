"""Curves as Vega-Lite, in the page's colours: one description, drawn still and, with JavaScript, live."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_core.report.moments import Moment

_WIDTH, _HEIGHT = 360, 170  # pixels: text stays legible when a phone shows it without shrinking
MAX_POINTS = 200  # more than a curve of this width can show, and the page stays small
_DOTTED_POINTS = 24  # up to here each point gets a dot
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


def chart_spec(
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
    """Return one row a point, at most `MAX_POINTS`; more are the means of neighbours, between their extremes."""
    width = -(-len(kimg) // MAX_POINTS) or 1
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
