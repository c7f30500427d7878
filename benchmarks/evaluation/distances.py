"""Covariance and distances of features by faceloom, torch-fidelity and prdc: time, memory, and the values.

    python -m benchmarks.evaluation.distances --torch-python ~/peers/bin/python --out ~/results/distances.jsonl

Each measure of each tool is a process of its own, on the same random features; those of one size follow each other, and
each round begins with another tool. The time is that of the formula alone, without start and features. Prints a table
in Markdown with the medians over the rounds. About an hour at 50,000 on two cores; `--sizes 1000 --dimensions 256` is a
trial of a minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.markdown import number, table

ROOT = Path(__file__).parents[2]
TASKS = {
    "covariance": ("faceloom", "torch-fidelity"),
    "frechet": ("faceloom", "torch-fidelity"),
    "frechet with error": ("faceloom",),
    "kernel": ("faceloom", "torch-fidelity"),
    "neighbours": ("faceloom", "torch-fidelity", "prdc"),
    "neighbours with errors": ("faceloom",),
}


def main() -> None:
    """Run every measure of every tool, write each result as a line, and print the table."""
    given = _arguments()
    results = []
    for count in given.sizes:
        for turn in range(given.rounds):
            for task, tool in _pairs(given.tasks, turn):
                found = _run(given, tool, task, count)
                results.append(found)
                sys.stderr.write(f"{json.dumps(found)}\n")
                if given.out:
                    with given.out.open("a", encoding="utf-8") as stream:
                        stream.write(json.dumps(found) + "\n")
    sys.stdout.write(text(results) + "\n")


def text(results: list[dict[str, Any]]) -> str:
    """Return the table of medians; what failed says why. Memory is what the measure took beyond the features."""
    rows = []
    for key in dict.fromkeys((each["count"], each["dimensions"], each["task"]) for each in results):
        same = [each for each in results if (each["count"], each["dimensions"], each["task"]) == key]
        ours = _median(same, "faceloom", "seconds")
        for tool in dict.fromkeys(each["tool"] for each in same):
            seconds = _median(same, tool, "seconds")
            first = [f"{key[2]}, {key[0]:,} x {key[1]}", tool]
            if seconds is None:
                rows.append([*first, next(each["failed"] for each in same if each["tool"] == tool), "", "", ""])
                continue
            memory = (_median(same, tool, "peak_mib") or 0.0) - (_median(same, tool, "before_mib") or 0.0)
            value = _median(same, tool, "value")
            ratio = "" if ours is None or tool == "faceloom" else number(seconds / ours, 2)
            rows.append([*first, number(seconds, 2), ratio, number(memory, 0), "" if value is None else f"{value:.7g}"])
    return table(["features", "tool", "seconds", "times faceloom's", "MiB beside the features", "value"], rows)


def _median(results: list[dict[str, Any]], tool: str, key: str) -> float | None:
    found = [each[key] for each in results if each["tool"] == tool and each.get(key) is not None]
    return statistics.median(found) if found else None


def _pairs(tasks: list[str], turn: int) -> Iterator[tuple[str, str]]:
    for task in tasks:
        tools = TASKS[task]
        for place in range(len(tools)):
            yield task, tools[(place + turn) % len(tools)]


def _run(given: argparse.Namespace, tool: str, task: str, count: int) -> dict[str, Any]:
    asked = {"tool": tool, "task": task, "count": count, "dimensions": given.dimensions}
    python = sys.executable if tool == "faceloom" else str(given.torch_python)
    command = [python, "-m", "benchmarks.evaluation.distances_worker", tool, task]
    command += [str(count), str(given.dimensions), str(given.memory_gib)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    try:
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=given.limit_s
        )
    except subprocess.TimeoutExpired:
        return {**asked, "failed": f"over {given.limit_s} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        over = "Memory" in last or "memory" in last or "allocate" in last or done.returncode < 0
        return {**asked, "failed": f"over {given.memory_gib:g} GiB" if over else last}
    return {**asked, **json.loads(done.stdout.strip().splitlines()[-1])}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch-python", type=Path, required=True, help="a Python with torch-fidelity and prdc")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 10_000, 50_000], help="vectors of each set")
    parser.add_argument("--dimensions", type=int, default=2048)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--memory-gib", type=float, default=16.0, help="of one process; more is a failure")
    parser.add_argument("--limit-s", type=int, default=3600, help="of one process")
    parser.add_argument("--out", type=Path, help="a file that results are added to, one JSON object a line")
    return parser.parse_args()


if __name__ == "__main__":
    main()
