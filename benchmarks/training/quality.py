"""Trains every contender for the same minutes, and scores what it then draws; see README.md.

Each result is one line of `OUT/quality.jsonl`, so a long series can be stopped and goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import warn_if_busy
from benchmarks.training import contenders, results
from benchmarks.training.contenders import Contender
from benchmarks.training.faces import data_set
from benchmarks.training.pace import SAMPLES
from benchmarks.training.scores import FaceNetwork, Scorer
from gan_core.grids import grid

RESULTS = "quality.jsonl"
_GRID_COUNT, _GRID_COLUMNS = 64, 8


def main() -> None:
    """Run what is missing, one seed of all contenders after the other."""
    given = _arguments()
    out: Path = given.out.resolve()
    entered = contenders.for_quality(contenders.sources(given), data_set(out).path, given.recipes)
    names = contenders.chosen(entered, given.only)
    network = FaceNetwork(given.face_python, given.face_model.resolve())
    scorer = Scorer(out, given.samples, network)
    warn_if_busy()
    for seed in given.seeds:
        for name in names:
            asked = {
                "name": name,
                "settings": list(entered[name].settings),
                "seed": seed,
                "minutes": given.minutes,
                "samples": given.samples,
                "trial": given.trial,
            }
            if not _is_known(asked, out):
                _one(entered[name], asked, out, scorer)
    sys.stdout.write(results.quality(results.read(out / RESULTS)) + "\n")


def _is_known(asked: dict[str, Any], out: Path) -> bool:
    """Return whether there is such a result of this kind of machine: others' times say nothing here."""
    here = results.kind(contenders.machine())
    lines = [line for line in results.read(out / RESULTS) if results.kind(line["machine"]) == here]
    return any(all(line[key] == value for key, value in asked.items()) for line in lines)


def _one(contender: Contender, asked: dict[str, Any], out: Path, scorer: Scorer) -> None:
    facts = contenders.machine()
    label = f"{asked['name']}-{asked['minutes']:g}m-{asked['seed']}"
    told = ["--seconds", str(60 * asked["minutes"]), "--seed", str(asked["seed"]), "--samples", str(asked["samples"])]
    folder = out / "quality" / label
    sys.stderr.write(f"{label}: training\n")
    report = contenders.run(contender, out / "faces" / "train.npy", folder, told)
    found = scorer.score(folder)
    first = np.load(folder / SAMPLES)["images"][:_GRID_COUNT]
    grid(first, _GRID_COLUMNS).save(folder / "grid.png")
    line = {**asked, "family": contender.family, "about": contender.about, **report, **found}
    line |= {"grid": f"quality/{label}/grid.png", "machine": facts}
    with (out / RESULTS).open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
    shown = ", ".join(f"{key} {found[key]['value']:.3f} (floor {found[key]['floor']:.3f})" for key in found)
    sys.stderr.write(f"{label}: {report['images']:,} images in {report['seconds']:.0f} s; {shown}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.quality", description=__doc__)
    contenders.add_sources(parser)
    parser.add_argument("--minutes", type=float, default=12.0, help="of each, imports included (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--samples", type=int, default=2500, help="(default: %(default)s)")
    parser.add_argument("--recipes", type=Path, help="a TOML file of faceloom's variants: each is a contender")
    parser.add_argument("--only", nargs="+", help="these contenders alone")
    parser.add_argument("--face-python", default=sys.executable, help="a Python with dlib, NumPy and Pillow")
    parser.add_argument("--face-model", type=Path, required=True, help="dlib_face_recognition_resnet_model_v1.dat")
    parser.add_argument("--trial", action="store_true", help="mark the numbers: they say only that it works")
    return parser.parse_args()


if __name__ == "__main__":
    main()
