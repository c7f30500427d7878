"""The plots of the docs: speed, cost a picture, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.measure import Run
from benchmarks.summary import Results, deviations, fit, middle_seconds, of, peaks_mib, points, sizes, total_pss

_DPI = 110
_OURS, _OTHERS, _LIMIT = "#b5432e", "#8a8f98", "#4a5a78"
_ORDER = ("dataset_tool", "loop", "limit", "limit-scaled", "faceloom")
_LABELS = {
    "dataset_tool": "dataset_tool.py",
    "loop": "Pillow loop",
    "limit": "Pillow loop,\na process a core",
    "limit-scaled": "the same,\nscaled decode",
    "faceloom": "faceloom",
}
_STYLE: dict[Any, Any] = {
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "font.size": 9,
    "legend.frameon": False,
}


def draw(results: Mapping[str, Results], folder: Path) -> None:
    """Write preprocess-speed.png, -large.png, -growth.png, -memory.png, as far as there are results."""
    with matplotlib.rc_context(_STYLE):
        if "compare" in results:
            _save(_speed(results["compare"].runs), folder / "preprocess-speed.png")
        if "large" in results:
            _save(_speed(results["large"].runs), folder / "preprocess-large.png")
        if "growth" in results:
            _save(_growth(results["growth"].runs), folder / "preprocess-growth.png")
            _save(_memory(results["growth"].runs), folder / "preprocess-memory.png")


def _save(figure: Figure, path: Path) -> None:
    # Without the date and the version of matplotlib: equal results give equal files.
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _speed(runs: Sequence[Run]) -> Figure:
    """Return bars of pictures a second, whole commands at the largest size that all did; a panel for each input."""
    inputs = list(dict.fromkeys(run.input for run in runs))
    figure = Figure(figsize=(4.4 * max(1.5, len(inputs)), 3.2), layout="constrained")
    for axes, name in zip(figure.subplots(1, len(inputs), squeeze=False)[0], inputs, strict=True):
        chosen = [run for run in runs if run.input == name]
        names = [contender for contender in _ORDER if of(chosen, contender)]
        count = max(count for count in sizes(chosen) if all(of(chosen, contender, count) for contender in names))
        rates = [count / (middle_seconds(chosen, contender, count) or 1) for contender in names]
        colours = {"faceloom": _OURS, "limit": _LIMIT, "limit-scaled": _LIMIT}
        bars = axes.barh([_LABELS[one] for one in names], rates, color=[colours.get(one, _OTHERS) for one in names])
        axes.bar_label(bars, [f" {rate:,.0f}" for rate in rates])
        axes.set_title(f"{count:,} x {name} to {chosen[0].side}x{chosen[0].side}")
        axes.set_xlabel("pictures a second, whole command")
        axes.margins(x=0.15)
    return figure


def _growth(runs: Sequence[Run]) -> Figure:
    """Return the time of a picture by the number of pictures, with and without the start."""
    found = points(runs)
    line = fit(found)
    counts = [count for count, _ in found]
    figure = Figure(figsize=(6.6, 3.2), layout="constrained")
    axes = figure.subplots()
    each = line.each * 1000
    axes.axhspan(each * 0.9, each * 1.1, color=_LIMIT, alpha=0.15, lw=0, label="10% around the line's slope")
    axes.plot(counts, [seconds / count * 1000 for count, seconds in found], "o-", color=_OTHERS, label="whole command")
    away = deviations(found, line)
    axes.plot(counts, [each * (1 + away[count]) for count in counts], "o-", color=_OURS, label="without the start")
    for run in runs:
        axes.plot(run.pictures, (run.seconds - line.start) / run.pictures * 1000, ".", color=_OURS, alpha=0.4, ms=4)
    axes.set_xscale("log")
    _ticks(axes, counts)
    axes.set_ylim(0, None)
    axes.set_title(f"{line.start:.1f} s + {each:.2f} ms a picture")
    axes.set_xlabel("pictures of 178x218")
    axes.set_ylabel("ms a picture")
    axes.legend()
    return figure


def _memory(runs: Sequence[Run]) -> Figure:
    """Return the memory of each process over time in the largest run, and the peaks by the number of pictures."""
    figure = Figure(figsize=(8.8, 3.4), layout="constrained")
    over_time, by_size = figure.subplots(1, 2, width_ratios=(3, 2))
    largest = of(runs, "faceloom", max(sizes(runs)))[0]
    workers = 0
    for curve in largest.memory:
        if curve.role == "launcher":
            over_time.plot(curve.seconds, curve.rss_mib, color=_OURS, label="launcher")
        elif curve.role == "worker":
            over_time.plot(curve.seconds, curve.rss_mib, color=_LIMIT, lw=1, label="" if workers else "workers")
            workers += 1
    over_time.plot(*total_pss(largest), color=_OTHERS, ls="--", label="all together (PSS)")
    over_time.set_title(f"{largest.pictures:,} pictures")
    over_time.set_xlabel("seconds")
    counts = sizes(runs)
    for role, colour, style in (("launcher", _OURS, "o-"), ("worker", _LIMIT, "o-"), ("all", _OTHERS, "o--")):
        known = [(count, peaks[role]) for count in counts if role in (peaks := peaks_mib(runs, count))]
        by_size.plot(*zip(*known, strict=True), style, color=colour)
    by_size.set_title("peak")
    by_size.set_xscale("log")
    by_size.set_xlabel("pictures")
    _ticks(by_size, counts)
    for axes in (over_time, by_size):
        axes.set_ylim(0, 1.1 * max(1024, axes.get_ylim()[1]))
        axes.axhline(1024, color=_OTHERS, lw=0.8, ls=":", label="1 GiB")
    over_time.set_ylabel("MiB")
    over_time.legend(loc="upper left", bbox_to_anchor=(0, 0.9))
    return figure


def _ticks(axes: Axes, counts: Sequence[int]) -> None:
    axes.set_xticks(counts, minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.tick_params(axis="x", labelrotation=30)
