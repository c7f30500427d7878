"""What Prefect costs a command: the start of the server, a run with nothing to do, and what a run adds to its stages.

PYTHONPATH=. python -m benchmarks.flows.overhead --folder overhead
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def server_starts(folder: Path) -> dict[str, float]:
    """Return seconds until a server answers: with a new database, with one that is there, and shared."""
    from flows.settings import set_up_prefect

    os.environ.pop("PREFECT_API_URL", None)
    os.environ["FACELOOM_SERVER_LINGER_SECONDS"] = "0"
    set_up_prefect(folder)
    found = {name: _ready(folder) for name in ("new database", "database there")}
    os.environ["FACELOOM_SERVER_LINGER_SECONDS"] = "20"
    return {**found, "shared, first": _ready(folder), "shared, next": _ready(folder)}


def _ready(folder: Path) -> float:
    from flows.server import temporary_server

    start = time.monotonic()
    with temporary_server(folder) as server:
        server.until_ready()
        return time.monotonic() - start


def run(folder: Path, *more: str) -> dict[str, Any]:
    """Run the preset smoke; return its JSON, and the seconds of the whole process."""
    start = time.monotonic()
    command = [sys.executable, "-m", "flows.cli", "run", "smoke", "--json", "-q", "--data-root", str(folder), *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return {**document, "process_seconds": time.monotonic() - start}


ALONE = ("prepare", "train", "sample", "evaluate", "report")


def alone(folder: Path) -> float:
    """Return the seconds of the same work by the commands for single stages, one process after another."""
    start = time.monotonic()
    for stage in ALONE:
        command = [sys.executable, "-m", "flows.cli", stage, "smoke", "-q", "--data-root", str(folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - start


def in_tasks(url: str) -> float:
    """Return the sum of the seconds of all task runs that a server knows: stages with the start of their processes."""
    import httpx

    found = httpx.post(f"{url}/task_runs/filter", json={"limit": 200}, timeout=60).json()
    return sum(float(task["total_run_time"]) for task in found)


def with_server(folder: Path, url: str) -> dict[str, float]:
    """Return what one run costs, what its tasks and the same work by single commands, and a run with nothing to do."""
    before = in_tasks(url)
    seconds = run(folder)["process_seconds"]
    time.sleep(10)  # states of tasks reach the server by events
    tasks = in_tasks(url) - before
    return {
        "run": seconds,
        "sum of its task runs": tasks,
        "added to them": seconds - tasks,
        "the same by commands for single stages": alone(folder.with_name(f"{folder.name}-alone")),
        "nothing to do": run(folder)["process_seconds"],
    }


def main() -> None:
    """Measure and write result.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("overhead"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    folder = given.folder.absolute()
    folder.mkdir(parents=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's second command does not compile faceloom again
    result: dict[str, Any] = {"server starts, seconds": server_starts(folder)}
    from flows.server import own_server

    with own_server(folder, full=True) as server:
        server.until_ready()
        os.environ["PREFECT_API_URL"] = server.url
        rounds = [with_server(folder / f"round-{number}", server.url) for number in range(given.rounds + 1)]
    result["with a running server, seconds"] = rounds[1:]  # the first compiles and fills caches of files
    result["medians"] = {name: statistics.median(round[name] for round in rounds[1:]) for name in rounds[0]}
    (folder / "result.json").write_text(json.dumps(result, indent=1))
    sys.stdout.write(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
