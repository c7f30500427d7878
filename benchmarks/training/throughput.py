"""Measures images/s of a training step of one architecture, faceloom's and the peers'; see README.md."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, warn_if_busy
from benchmarks.training import contenders, results
from benchmarks.training.faces import data_set

BATCH = 128


def main() -> None:
    """Measure in alternating rounds, each contender in a process of its own, and write `OUT/throughput.json`."""
    given = _arguments()
    out: Path = given.out.resolve()
    where = contenders.sources(given)
    entered = contenders.for_throughput(where, data_set(out).path)
    names = contenders.chosen(entered, given.only)
    facts: dict[str, Any] = {
        "machine": contenders.machine(),
        "batch": BATCH,
        "steps": given.steps,
        "trial": given.trial,
        "flops_per_picture": {updates: flops_per_picture(updates) for updates in contenders.UPDATES},
    }
    warn_if_busy()
    matrix, runs = [], []
    for number in range(given.rounds):
        matrix.append(_matrix_rates())
        # Each round begins with another one: who comes first may find a cooler processor.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            told = ["--steps", str(given.steps), "--batch", str(BATCH)]
            report = contenders.run(entered[name], out / "faces" / "train.npy", out / "throughput" / name, told)
            runs.append({"name": name, "round": number, **report})
            sys.stderr.write(f"round {number + 1}: {name} {report['images_per_second']:.1f} images/s\n")
        about = {
            name: {"family": one.family, "about": one.about, "precision": one.precision, "updates": one.updates}
            for name, one in entered.items()
        }
        found = {**facts, "contenders": about, "matrix": matrix, "runs": runs}
        (out / "throughput.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    sys.stdout.write(results.throughput(found) + "\n")


def flops_per_picture(updates: str) -> int:
    """Return what a step needs for one real picture, with the networks of architecture.py: see flops.py."""
    from benchmarks.training import architecture, flops
    from gan_core import models
    from gan_core.config import load_config

    config = load_config(architecture.PRESET, architecture.NETWORKS)
    generator, discriminator = models.build(config.data, config.model, "float32")
    layers = flops.forward(generator.layers), flops.forward(discriminator.layers)
    return flops.step(*layers, simultaneous=updates == contenders.SIMULTANEOUS)


def _matrix_rates() -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.training.matrix_rate"]
    printed = subprocess.run(command, check=True, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    rates: dict[str, float] = json.loads(printed)
    return rates


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.throughput", description=__doc__)
    contenders.add_sources(parser)
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="timed in each, after as many others (%(default)s)")
    parser.add_argument("--only", nargs="+", help="these contenders alone")
    parser.add_argument("--trial", action="store_true", help="mark the numbers: they say only that it works")
    return parser.parse_args()


if __name__ == "__main__":
    main()
