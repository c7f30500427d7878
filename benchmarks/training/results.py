"""Tables and pictures of what was measured.

    python -m benchmarks.training.results --out ~/training --page benchmarks/training/RESULTS.md

fills the page, and draws `OUT/sheet-*.png`: real faces and the samples of every contender side by side. Trials are left
out of both.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.markdown import fill, number, table
from benchmarks.training.contenders import FACELOOM
from benchmarks.training.pace import SAMPLES
from benchmarks.training.scores import DISTANCES
from gan_core.grids import grid

Line = Mapping[str, Any]
Key = TypeVar("Key")
_SHEET_COUNT, _SHEET_COLUMNS, _LABEL_PIXELS = 36, 6, 14


def main() -> None:
    """Fill the page from the results that there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--page", type=Path, required=True)
    given = parser.parse_args()
    texts = {}
    measured = given.out / "throughput.json"
    if measured.exists() and not (found := json.loads(measured.read_text(encoding="utf-8")))["trial"]:
        texts["throughput"] = throughput(found)
    lines = [line for line in read(given.out / "quality.jsonl") if not line["trial"]]
    if lines:
        texts |= {"quality": quality(lines), "recipes": recipes(lines)}
        _sheets(lines, given.out)
    page: Path = given.page
    page.write_text(fill(page.read_text(encoding="utf-8"), texts), encoding="utf-8")
    sys.stdout.write("\n\n".join(texts.values()) + "\n")


def read(path: Path) -> list[Line]:
    """Return the lines of a file of results; none where it is not there."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def throughput(found: Line) -> str:
    """Return the table of images/s, and the ratio to the best peer, each in the form that it does best."""
    rates: dict[str, list[float]] = {}
    for run in found["runs"]:
        rates.setdefault(run["name"], []).append(run["images_per_second"])
    matrix = {key: statistics.median(one[key] for one in found["matrix"]) for key in found["matrix"][0]}
    rows = []
    for name, values in rates.items():
        one = found["contenders"][name]
        share = statistics.median(values) * found["flops_per_picture"][one["updates"]] / matrix[one["precision"]]
        rows.append([f"`{name}`", one["about"], _spread(values, 1), f"{share:.0%}"])
    text = table(["contender", "what", "images/s", "share of the matrix rate"], rows)
    machine = found["machine"]
    rate = " and ".join(f"{value / 1e9:,.0f} GFLOP/s in {key.removeprefix('mixed_')}" for key, value in matrix.items())
    rounds = max(map(len, rates.values()))
    needed = ", ".join(f"{count / 1e9:.2f} GFLOP {updates}" for updates, count in found["flops_per_picture"].items())
    text += f"\n\nMedian, lowest and highest of {rounds} rounds of {found['steps']} steps of {found['batch']}, "
    text += f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, instructions for bfloat16: "
    text += (
        f"{', '.join(machine['bfloat16']) or 'none'}; load before {machine['load_before']}. Square matrices: {rate}; "
    )
    text += f"a step needs for a picture (`flops.py`): {needed}."
    best = {key: _best(rates, found, key == FACELOOM) for key in (FACELOOM, "peer")}
    if best[FACELOOM] and best["peer"]:
        ours, theirs = best[FACELOOM], best["peer"]
        ratios = [mine / other for mine, other in zip(rates[ours], rates[theirs], strict=True)]
        text += f" `{ours}` to `{theirs}`, round by round: **{_spread(ratios, 2)}**."
    return text


def _best(rates: Mapping[str, Sequence[float]], found: Line, is_ours: bool) -> str:
    """Return the fastest contender of ours or of the peers; "" where there is none."""
    names = [name for name in rates if (found["contenders"][name]["family"] == FACELOOM) == is_ours]
    return max(names, key=lambda name: statistics.median(rates[name]), default="")


def quality(lines: Sequence[Line]) -> str:
    """Return a table for each length of training and kind of machine: distances above the floor, ratios of means.

    Where nobody else was measured, there is nothing to compare: `recipes` has those.
    """
    texts = []
    for chosen in _grouped(lines, lambda line: (line["minutes"], line["samples"], *kind(line["machine"]))).values():
        if all(line["family"] == FACELOOM for line in chosen):
            continue
        groups = _grouped(chosen, lambda line: (line["name"], *line["settings"]))
        best = {key: _best_peer(groups, key) for key in DISTANCES}
        rows = []
        for (name, *_), group in groups.items():
            cells = [f"`{name}`", str(len(group)), number(statistics.mean(line["images"] for line in group), 0)]
            for key in DISTANCES:
                values = [above(line, key) for line in group]
                peer = best[key]
                cells += [_spread(values, 3), f"{statistics.mean(values) / peer:.2f}" if peer else ""]
            cells.append(f"{statistics.mean(line['ms_ssim']['value'] for line in group):.3f}")
            rows.append(cells)
        first, machine = chosen[0], chosen[0]["machine"]
        heads = [text for key in DISTANCES for text in (f"{key} above floor", "of the best peer's")]
        text = table(["contender", "seeds", "images shown", *heads, "MS-SSIM"], rows)
        floors = ", ".join(f"{key} {first[key]['floor']:.3f}" for key in DISTANCES)
        dates = sorted({line["machine"]["date"] for line in chosen})
        text += (
            f"\n\n{first['minutes']:g} minutes each, {first['samples']:,} samples; floors: {floors}; MS-SSIM of real "
        )
        text += f"faces {first['ms_ssim']['floor']:.3f}. Distances: median, lowest and highest of the seeds; ratios of "
        text += f"means. {dates[0]} to {dates[-1]}, {machine['processor']}, {machine['cores']} cores, instructions for "
        text += f"bfloat16: {', '.join(machine['bfloat16']) or 'none'}."
        texts.append(text)
    return "\n\n".join(texts)


def recipes(lines: Sequence[Line]) -> str:
    """Return what was tried of faceloom and what it gave, one row a run, the best by the mean rank of both first."""
    chosen = [line for line in lines if line["family"] == FACELOOM]
    ranks = [sorted(above(line, key) for line in chosen) for key in DISTANCES]

    def rank(line: Line) -> int:
        return sum(ordered.index(above(line, key)) for ordered, key in zip(ranks, DISTANCES, strict=True))

    rows = []
    for line in sorted(chosen, key=rank):
        distances = [f"{above(line, key):.3f}" for key in DISTANCES]
        ends = [number(line["images"], 0), *distances, f"{line['ms_ssim']['value']:.3f}"]
        rows.append([f"`{line['name']}`", line["about"], f"{line['minutes']:g}", str(line["seed"]), *ends])
    heads = [f"{key} above floor" for key in DISTANCES]
    return table(["recipe", "what", "minutes", "seed", "images shown", *heads, "MS-SSIM"], rows)


def kind(machine: Line) -> tuple[Any, ...]:
    """Return what two machines must share for their results to stand in one table."""
    return machine["processor"], machine["cores"], *machine["bfloat16"]


def above(line: Line, key: str) -> float:
    """Return a distance above its floor."""
    return float(line[key]["value"] - line[key]["floor"])


def _best_peer(groups: Mapping[Any, Sequence[Line]], key: str) -> float | None:
    """Return the smallest mean distance above the floor of those who are not faceloom; None where there are none."""
    peers = [group for group in groups.values() if group[0]["family"] != FACELOOM]
    return min((statistics.mean(above(line, key) for line in group) for group in peers), default=None)


def _grouped(lines: Sequence[Line], key: Callable[[Line], Key]) -> dict[Key, list[Line]]:
    groups: dict[Key, list[Line]] = {}
    for line in lines:
        groups.setdefault(key(line), []).append(line)
    return groups


def _spread(values: Sequence[float], digits: int) -> str:
    middle = number(statistics.median(values), digits)
    return f"{middle} ({number(min(values), digits)} to {number(max(values), digits)})"


def _sheets(lines: Sequence[Line], out: Path) -> None:
    for key, group in _grouped(lines, lambda line: f"{line['minutes']:g}m-seed{line['seed']}").items():
        shown = {"real, held out": np.load(out / "faces" / "held_out.npy")[:_SHEET_COUNT]}
        for line in group:
            samples = out / Path(line["grid"]).parent / SAMPLES
            if samples.exists():
                shown[line["name"]] = np.load(samples)["images"][:_SHEET_COUNT]
        sheet(shown).save(out / f"sheet-{key}.png")


def sheet(shown: Mapping[str, Any]) -> Image.Image:
    """Return grids of uint8 [N, S, S, 3] side by side in rows of three, each under its name."""
    grids = [(name, grid(images, _SHEET_COLUMNS)) for name, images in shown.items()]
    width, height = grids[0][1].size
    columns, gap = min(3, len(grids)), 8
    rows = -(-len(grids) // columns)
    page = Image.new("RGB", (columns * (width + gap), rows * (height + _LABEL_PIXELS + gap)), "white")
    draw = ImageDraw.Draw(page)
    for index, (name, picture) in enumerate(grids):
        left, top = index % columns * (width + gap), index // columns * (height + _LABEL_PIXELS + gap)
        draw.text((left, top), name, "black")
        page.paste(picture, (left, top + _LABEL_PIXELS))
    return page


if __name__ == "__main__":
    main()
