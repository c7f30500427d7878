"""Measures `faceloom prepare` against a Pillow loop and StyleGAN3's dataset_tool.py; see benchmarks/README.md."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import pages
from benchmarks.contenders import DatasetTool, contenders
from benchmarks.experiments import EXPERIMENTS, FULL, TINY, Bench
from benchmarks.measure import machine, warn_if_busy


def main() -> None:
    """Run the experiments that are asked for, write their results, then all tables and plots."""
    given = _arguments()
    out: Path = given.out
    out.mkdir(parents=True, exist_ok=True)
    wanted = list(EXPERIMENTS) if given.all else given.only
    if given.inputs or wanted:
        bench = _bench(given)
        if given.inputs or given.all:
            bench.make_inputs()
        warn_if_busy()
        for name in wanted:
            _experiment(name, bench, out)
    sys.stdout.write(pages.write(out, given.docs))


def _experiment(name: str, bench: Bench, out: Path) -> None:
    sys.stderr.write(f"-- {name}\n")
    facts, start = machine(), time.perf_counter()
    bench.runs.clear()
    found = EXPERIMENTS[name](bench)
    sys.stderr.write(f"-- {name} took {time.perf_counter() - start:.0f} s\n")
    results: dict[str, Any] = {"machine": facts, "found": found, "runs": [run.to_json() for run in bench.runs]}
    # One file an experiment, so that one can be repeated alone.
    (out / f"{name}.json").write_text(pages.compact_json(results), encoding="utf-8")


def _bench(given: argparse.Namespace) -> Bench:
    missing = [f"--{name}" for name in ("scratch", "celeba", "portraits") if getattr(given, name) is None]
    if missing:
        raise SystemExit(f"measuring needs {', '.join(missing)}; see --help")
    tool = (
        DatasetTool(given.dataset_tool.resolve(), given.dataset_tool_python.absolute()) if given.dataset_tool else None
    )
    scratch: Path = given.scratch.resolve()
    scratch.mkdir(parents=True, exist_ok=True)
    plan = TINY if given.tiny else FULL
    return Bench(plan, scratch, given.celeba.resolve(), given.portraits.resolve(), contenders(tool))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.preprocess",
        description=__doc__,
        epilog="Without --all, --only and --inputs, tables and plots are made again from the results that --out has.",
    )
    parser.add_argument("--all", action="store_true", help="every experiment, about 25 minutes on two quiet cores")
    parser.add_argument("--only", nargs="+", default=[], choices=EXPERIMENTS, help="these experiments alone")
    parser.add_argument("--inputs", action="store_true", help="make all pictures: some minutes, the first time")
    parser.add_argument(
        "--tiny", action="store_true", help="a few hundred pictures: does it work? The numbers say nothing"
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="results (default: %(default)s)")
    parser.add_argument("--docs", type=Path, help="a folder whose *.md have marked tables to fill; plots go to images/")
    parser.add_argument(
        "--scratch", type=Path, help="a folder for pictures and what is made of them, 5 GB; pictures stay"
    )
    parser.add_argument(
        "--celeba", type=Path, help="a folder with img_align_celeba.zip or img_align_celeba/, and lists"
    )
    parser.add_argument("--portraits", type=Path, help="a zip of JPEG portraits with sides of 300 pixels and more")
    parser.add_argument("--dataset-tool", type=Path, help="StyleGAN3's dataset_tool.py; without, it is left out")
    parser.add_argument(
        "--dataset-tool-python", type=Path, default=Path(sys.executable), help="a Python that has what it imports"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
