"""The results as Markdown tables, for the terminal and the docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median

from benchmarks import scale
from benchmarks.markdown import number, table
from benchmarks.measure import Run
from benchmarks.summary import (
    Ratio,
    Results,
    deviations,
    fit,
    marginal,
    middle_seconds,
    of,
    peaks_mib,
    points,
    ratio,
    sizes,
)
from gan_core.storage import STORAGES

AllResults = Mapping[str, Results]
_ORDER = ("dataset_tool", "loop", "limit", "limit-scaled", "faceloom")
_NAMES = {
    "dataset_tool": "StyleGAN3's `dataset_tool.py`",
    "loop": "Pillow loop, one process",
    "limit": "Pillow loop, a process a core (the limit)",
    "limit-scaled": "the same, decoding at a fraction of the size",
    "faceloom": "`faceloom prepare`",
}


def compared(results: Results) -> str:
    """Return, for each input, seconds and pictures/s of all contenders, then the ratios."""
    parts = []
    for name in dict.fromkeys(run.input for run in results.runs):
        runs = [run for run in results.runs if run.input == name]
        size = results.found.get(name, {}).get("mean_bytes")
        parts.append(f"{name}, {number(size / 1000, 1)} kB each, to {runs[0].side}x{runs[0].side}:")
        parts += [_seconds(runs), _ratios(runs)]
    return "\n\n".join(parts)


def _seconds(runs: Sequence[Run]) -> str:
    counts, slope = sizes(runs), _slope_sizes(runs)
    header = ["whole command", *(f"{count:,} pictures" for count in counts), "each further picture"]
    rows = []
    for name in _present(runs):
        row = [_NAMES[name]]
        for count in counts:
            seconds = middle_seconds(runs, name, count)
            row.append("" if seconds is None else f"{number(seconds, 1)} s, {count / seconds:,.0f}/s")
        each = marginal(runs, name, *slope)
        row.append("" if each is None or each <= 0 else f"{each * 1000:.2f} ms, {1 / each:,.0f}/s")
        rows.append(row)
    return table(header, rows)


def _ratios(runs: Sequence[Run]) -> str:
    counts, slope = sizes(runs), _slope_sizes(runs)
    header = ["faceloom's speed as a multiple of", *(f"{count:,} pictures" for count in counts), "each further picture"]
    ours = marginal(runs, "faceloom", *slope)
    rows = []
    for name in _present(runs):
        theirs = marginal(runs, name, *slope)
        if name != "faceloom":
            cells = [_ratio(ratio(runs, "faceloom", name, count)) for count in counts]
            rows.append(
                [_NAMES[name], *cells, f"{theirs / ours:.2f}" if ours and theirs and min(ours, theirs) > 0 else ""]
            )
    return table(header, rows)


def _ratio(found: Ratio | None) -> str:
    if found is None:
        return ""
    return f"{found.middle:.2f}" + (f" ({found.low:.2f} to {found.high:.2f})" if found.low != found.high else "")


def _present(runs: Sequence[Run]) -> list[str]:
    return [name for name in _ORDER if of(runs, name)]


def _slope_sizes(runs: Sequence[Run]) -> tuple[int, int]:
    """Return the smallest and the largest size that every contender did."""
    shared = [count for count in sizes(runs) if all(of(runs, name, count) for name in _present(runs))]
    return shared[0], shared[-1]


def growth(results: Results) -> str:
    """Return seconds, cost a picture and memory of faceloom by the number of pictures, and the line through them."""
    found = points(results.runs)
    line = fit(found)
    away = deviations(found, line)
    header = ["pictures", "seconds", "pictures/s", "ms a picture after the start", "off the line"]
    header += ["launcher, MiB", "largest worker, MiB", "all together, MiB"]
    rows = []
    for count, seconds in found:
        peaks = peaks_mib(results.runs, count)
        row = [f"{count:,}", number(seconds, 1), f"{count / seconds:,.0f}"]
        row += [f"{(seconds - line.start) / count * 1000:.3f}", f"{away[count]:+.1%}"]
        rows.append([*row, *(f"{peaks[role]:,.0f}" if role in peaks else "" for role in ("launcher", "worker", "all"))])
    sampling = max(run.sampling_seconds / run.seconds for run in results.runs)
    return (
        f"The line is {line.start:.2f} s + {line.each * 1000:.3f} ms a picture.\n\n"
        f"{table(header, rows)}\n\n"
        f"Memory: the largest RSS of a process, and the largest sum of all PSS. Looking took {sampling:.1%} of a run "
        "at most."
    )


def small(results: Results) -> str:
    """Return how long a small job takes."""
    seconds = sorted(run.seconds for run in results.runs)
    return (
        f"{results.runs[0].pictures} pictures: {median(seconds):.2f} s, the median of {len(seconds)} commands "
        f"({seconds[0]:.2f} to {seconds[-1]:.2f} s)."
    )


def storage(results: Results) -> str:
    """Return megabytes of 1,000 pictures for each storage and side."""
    size_mb = {
        (run.side, form): run.result_bytes / run.made / 1000
        for run in results.runs
        for form in STORAGES
        if f"data.storage={form}" in run.options
    }
    sides = sorted({side for side, _ in size_mb})
    rows = [[f"`{form}`", *(number(size_mb[side, form], 1) for side in sides)] for form in STORAGES]
    return table(["MB for 1,000 pictures", *(f"{side}x{side}" for side in sides)], rows)


def names(results: Results) -> str:
    """Return what the launcher does with names, a name."""
    header = ["names", "list", "assign", "write", "bytes written", "launcher's memory"]
    rows = []
    for found in results.found.values():
        steps = [f"{found[f'{step}_seconds'] / found['names'] * 1e6:.0f} µs" for step in scale.NAME_STEPS]
        memory = f"{found['memory_mib'] * 1024 / found['names']:.2f} KiB"
        rows.append([f"{found['names']:,}", *steps, f"{found['line_bytes'] / found['names']:.0f}", memory])
    return "Each name costs:\n\n" + table(header, rows)


def machine(all_results: AllResults) -> str:
    """Return where and when all of it was measured."""
    facts = next(iter(all_results.values())).machine
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    dates = sorted({results.machine["date"] for results in all_results.values()})
    return (
        f"Measured on {' and '.join(dates)}: {facts['cores']} cores ({facts['processor']}), {facts['memory_gib']} GiB, "
        f"{facts['system']}, Python {facts['python']}, {versions}; files in the page cache."
    )


_ONE: dict[str, tuple[str, Callable[[Results], str]]] = {
    "compare": ("compare", compared),
    "large": ("large", compared),
    "growth": ("growth", growth),
    "small": ("small", small),
    "storage": ("storage", storage),
    "names": ("names", names),
}


def tables(all_results: AllResults) -> dict[str, str]:
    """Return name -> Markdown of every table that the results suffice for."""
    found = {name: make(all_results[given]) for name, (given, make) in _ONE.items() if given in all_results}
    if all_results:
        found["machine"] = machine(all_results)
    if scale.NEEDED.issubset(all_results):
        found["scale"] = scale.costs(all_results)
        found["rates"] = scale.rates_table(all_results)
    return found
