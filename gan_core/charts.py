"""The logs of a run as curves: inline SVG in the page's own colours and font, equal bytes for equal logs."""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_SIZE_INCHES = (5.0, 2.6)  # at 72 px an inch, so that 9 pt text stays legible when a phone shrinks it
_MAX_POINTS = 240  # more than a curve of this width can show, and the page stays small
_MARKED_POINTS = 24  # up to here each point gets a dot
_NOT_A_MEASURE = {"kimg", "images", "n", "seconds", "collapsed"}

# Matplotlib wants colours, the page wants variables that follow light and dark: these stand in for them.
_COLOURS = {
    "ink": "#010100",
    "muted": "#010101",
    "rule": "#010102",
    "generated": "#010103",
    "real": "#010104",
    "discriminator": "#010105",
    "score": "#010106",
}
_STYLE = {
    "axes.edgecolor": _COLOURS["rule"],
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.spines.left": False,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9,
    "grid.color": _COLOURS["rule"],
    "grid.linewidth": 0.8,
    "svg.fonttype": "none",
    "text.color": _COLOURS["ink"],
    "xtick.color": _COLOURS["rule"],
    "xtick.labelcolor": _COLOURS["muted"],
    "ytick.labelcolor": _COLOURS["muted"],
    "ytick.major.size": 0,
}


@dataclass(frozen=True)
class Log:
    """Lines of a JSONL file. `damaged` counts the unusable, such as a cut-off last one."""

    lines: tuple[Mapping[str, Any], ...] = ()
    damaged: int = 0


@dataclass(frozen=True)
class Curve:
    """One line of a chart: points (x[i], y[i]), y may hold NaN. `colour` is a CSS variable of the page."""

    label: str
    colour: str
    x: Sequence[float]
    y: Sequence[float]
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """A drawing and what stands around it. `binned` says that a point is the mean of several log lines."""

    title: str
    note: str
    svg: str
    curves: tuple[Curve, ...]
    binned: bool


def read_log(path: Path) -> Log:
    """Read a JSONL file; a missing one is an empty log.

    A resumed run may repeat what came after its checkpoint. As in the run itself, the later line wins: it
    takes the place of all lines before it whose `kimg` is not smaller.
    """
    if not path.is_file():
        return Log()
    kept: list[Mapping[str, Any]] = []
    damaged = 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or ("kimg" in line and math.isnan(number(line, "kimg"))):
            damaged += 1
            continue
        while kept and number(kept[-1], "kimg") >= number(line, "kimg"):
            kept.pop()
        kept.append(line)
    return Log(tuple(kept), damaged)


def number(line: Mapping[str, Any], key: str) -> float:
    """Return `line[key]` as a float, and NaN for everything that is not a finite number."""
    value = line.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(value)


def training_charts(log: Log) -> list[Chart]:
    """Return losses, discriminator accuracy and throughput over kimg, as far as they were logged."""
    kimg = [number(line, "kimg") for line in log.lines]

    def curve(label: str, colour: str, key: str) -> Curve:
        return Curve(label, colour, kimg, [number(line, key) for line in log.lines])

    chance = Curve("a coin toss", "muted", [kimg[0], kimg[-1]] if kimg else [], [0.5, 0.5], dashed=True)
    losses = [curve("generator", "generated", "loss_g"), curve("discriminator", "discriminator", "loss_d")]
    accuracies = [
        curve("on real", "real", "accuracy_real"),
        curve("on generated", "generated", "accuracy_fake"),
    ]
    speed = [curve("images per second", "score", "images_per_second")]
    loss_note = "A GAN's losses measure a balance, not quality: neither has to fall."
    accuracy_note = "Near 1 for long, the discriminator wins and the generator learns little."
    charts = [
        _chart("losses", "Losses", loss_note, losses),
        _chart("accuracy", "Discriminator accuracy", accuracy_note, accuracies, (chance,), top=1.0),
        _chart("throughput", "Throughput, images per second", "Real images shown, per second of training.", speed),
    ]
    return [chart for chart in charts if chart is not None]


def measures(log: Log) -> list[str]:
    """Return the names of the measures in a snapshot score log, in order of appearance."""
    keys = dict.fromkeys(key for line in log.lines for key in line)
    return [key for key in keys if key not in _NOT_A_MEASURE and not key.endswith("_floor")]


def score_charts(log: Log) -> list[Chart]:
    """Return one chart for each measure of a snapshot score log, with its floor dashed."""
    kimg = [number(line, "kimg") for line in log.lines]
    charts: list[Chart] = []
    for measure in measures(log):
        score = Curve("generated against real", "score", kimg, [number(line, measure) for line in log.lines])
        floor = Curve(
            "floor: real against real",
            "muted",
            kimg,
            [number(line, f"{measure}_floor") for line in log.lines],
            True,
        )
        has_floor = any(map(math.isfinite, floor.y))
        counts = sorted({int(number(line, "n")) for line in log.lines if math.isfinite(number(line, "n"))})
        note = f"From {' or '.join(f'{count:,}' for count in counts)} pictures a point." if counts else ""
        title = measure.replace("_", "-").upper()
        chart = _chart(f"score-{len(charts)}", title, note, [score], (floor,) if has_floor else ())
        charts += [chart] if chart else []
    return charts


def _chart(
    name: str,
    title: str,
    note: str,
    curves: Iterable[Curve],
    references: tuple[Curve, ...] = (),
    top: float | None = None,
) -> Chart | None:
    drawn = [curve for curve in curves if any(map(math.isfinite, curve.y))]
    if not drawn:
        return None
    all_curves = (*drawn, *references)
    svg = _inline(_draw(name, all_curves, top), name, description(title, all_curves))
    return Chart(title, note, svg, all_curves, any(len(curve.x) > _MAX_POINTS for curve in drawn))


def description(title: str, curves: Iterable[Curve]) -> str:
    """Return the chart in words, for those who do not see it: where each curve starts and ends."""
    parts = []
    for curve in curves:
        points = [(x, y) for x, y in zip(curve.x, curve.y, strict=True) if math.isfinite(x) and math.isfinite(y)]
        if points:
            (x0, y0), (x1, y1) = points[0], points[-1]
            parts.append(f"{curve.label} from {y0:.3g} at {x0:g} kimg to {y1:.3g} at {x1:g} kimg")
    return f"{title}: {'; '.join(parts)}."


def _draw(name: str, curves: Sequence[Curve], top: float | None) -> str:
    with matplotlib.style.context(["default", {**_STYLE, "svg.hashsalt": name}]):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        axes = figure.add_subplot()
        for curve in curves:
            _plot(axes, curve)
        highest = max(y for curve in curves for y in _means(curve) if math.isfinite(y))
        lowest = min(y for curve in curves for y in _means(curve) if math.isfinite(y))
        axes.set_ylim(min(0.0, lowest * 1.05), (max(top or highest, highest) or 1.0) * 1.05)
        axes.set_xlim(0, max(x for curve in curves for x in curve.x) * 1.02 or 1.0)
        axes.locator_params(axis="y", nbins=5)
        axes.locator_params(axis="x", nbins=7)
        axes.set_xlabel("thousand real images shown (kimg)", color=_COLOURS["muted"])
        stream = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(stream, format="svg", transparent=True, metadata=nothing)
    return stream.getvalue()


def _plot(axes: Axes, curve: Curve) -> None:
    colour = _COLOURS[curve.colour]
    x, means = _bins(curve.x, _mean), _means(curve)
    if curve.dashed:
        axes.plot(x, means, color=colour, linewidth=1.2, linestyle=(0, (4, 3)))
        return
    axes.plot(x, means, color=colour, linewidth=1.6, marker="o" if len(x) <= _MARKED_POINTS else "", markersize=3)
    if len(curve.x) > _MAX_POINTS:
        axes.fill_between(x, _bins(curve.y, min), _bins(curve.y, max), color=colour, alpha=0.15, linewidth=0)


def _means(curve: Curve) -> list[float]:
    return _bins(curve.y, _mean)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _bins(values: Sequence[float], reduce: Any) -> list[float]:
    """Reduce runs of neighbours to at most `_MAX_POINTS` values; a run of no finite number becomes NaN."""
    width = -(-len(values) // _MAX_POINTS) or 1
    runs = ([v for v in values[start : start + width] if math.isfinite(v)] for start in range(0, len(values), width))
    return [reduce(run) if run else math.nan for run in runs]


def _inline(svg: str, name: str, label: str) -> str:
    """Turn matplotlib's file into an element of a page with other drawings, a light face and a dark one."""
    view_box = re.search(r'viewBox="[^"]+"', svg)
    assert view_box is not None, "matplotlib writes a viewBox"
    body = svg[svg.index(">", svg.index("<svg")) + 1 :]
    # The style element holds a rule for `*`, which would reach the whole page.
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>|<defs>\s*<style.*?</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r'\bd="[^"]*"', lambda path: re.sub(r"(\.\d\d)\d+", r"\1", path[0]), body)
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", body).replace("xlink:href", "href")
    # Matplotlib before 3.11 writes `font: 9px 'A', ...`, later ones `font-size: 9px; font-family: 'A', ...`.
    body = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    for variable, colour in _COLOURS.items():
        body = body.replace(colour, f"var(--{variable})")
    body = re.sub(r"\s*\n\s*", "\n", body)
    return f'<svg {view_box[0]} role="img" aria-label="{escape(label)}">{body.strip()}'
