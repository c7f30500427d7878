"""A week in minutes: scheduled runs on one server and two workers, with processes killed at random.

    PYTHONPATH=. python -m benchmarks.flows.week --runs 504 --seconds 3000 --folder week

Schedules, server, workers, flow processes, children, GPU slot, heart-beats, janitor and cleaning are the real ones; the
stages are of a moment, and leases as short as they may be. Every scheduled run must end in a terminal state, and no
finished stage be executed twice. Ended runs are deleted after five minutes, so what became of each is noted meanwhile.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
POOL = "week"
PRESETS = 6
KILL_EVERY_SECONDS = 45.0
PORT = 4711
VICTIMS = ["flow", "flow", "worker 1", "worker 2", "server"]
TERMINAL = {"COMPLETED", "SUPERSEDED", "FAILED", "CRASHED", "CANCELLED"}


def say(line: str) -> None:
    """Write a line of progress."""
    sys.stderr.write(f"{line}\n")


class Process:
    """A server or a worker that is started again after it was killed."""

    def __init__(self, name: str, arguments: list[str], folder: Path) -> None:
        self.name, self._arguments = name, arguments
        self._log = (folder / f"{name}.log").open("ab")
        self.start()

    def start(self) -> None:
        """Start it, in a session of its own."""
        self.child = subprocess.Popen(self._arguments, stdout=self._log, stderr=self._log, start_new_session=True)

    def kill(self) -> None:
        """Kill it, and it alone: what it started lives on."""
        self.child.kill()
        self.child.wait()

    def stop(self) -> None:
        """End it, and all that is in its session."""
        self.child.terminate()
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()


def rss_megabytes(pid: int) -> float:
    """Return the resident memory of a process, 0 where it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")), 0.0)


def flow_processes(folder: Path) -> list[int]:
    """Return the processes of flow runs, and no children of stages, by what their environment says."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"PREFECT_HOME={folder}/home".encode() in (entry / "environ").read_bytes():
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                if b"flow_engine" in command or b"prefect.engine" in command or b"flow-run" in command:
                    found.append(int(entry.name))
        except OSError:
            continue
    return found


@contextmanager
def processes(folder: Path) -> Iterator[dict[str, Process]]:
    """Yield a server and two workers."""
    from flows.server import Server

    server = [sys.executable, "-m", "benchmarks.flows.week_server", str(PORT)]
    running = {"server": Process("server", server, folder)}
    try:
        Server(os.environ["PREFECT_API_URL"], alive=lambda: True).until_ready()
        from flows.deployments import ensure_pool

        ensure_pool(POOL, "process")
        command = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process"]
        for name in ("worker 1", "worker 2"):
            running[name] = Process(name, [*command, "--name", name, "--limit", "2"], folder)
        yield running
    finally:
        for pid in flow_processes(folder):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        for process in reversed(list(running.values())):
            process.stop()


def deploy(folder: Path, runs: int, seconds: float) -> None:
    """Create the deployments, each with a schedule that ends, and with at most one run at a time."""
    from prefect import flow
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy

    source: Any = flow.from_source(str(ROOT), "benchmarks/flows/week_flow.py:week")
    (folder / "data").mkdir()
    every = max(1, round(PRESETS * seconds / runs))
    start = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=20)
    for number in range(PRESETS):
        shifted = start + datetime.timedelta(seconds=number * every / PRESETS)
        rule = f"DTSTART:{shifted:%Y%m%dT%H%M%SZ}\nRRULE:FREQ=SECONDLY;INTERVAL={every};COUNT={runs // PRESETS}"
        source.to_deployment(
            f"preset-{number}",
            work_pool_name=POOL,
            rrule=rule,
            concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
            parameters={"preset": f"preset-{number}", "data_root": str(folder / "data")},
        ).apply()


SEEN: dict[str, dict[str, Any]] = {}


def all_runs() -> dict[str, dict[str, Any]]:
    """Return every flow run that the server knew at some time, and whose time has come, as it was seen last."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.sorting import FlowRunSort

    found: list[Any] = []
    with get_client(sync_client=True) as client:
        while True:
            page = client.read_flow_runs(sort=FlowRunSort.ID_DESC, limit=200, offset=len(found))
            found += page
            if len(page) < 200:
                break
    now = datetime.datetime.now(datetime.UTC)
    for run in found:
        if run.expected_start_time is None or run.expected_start_time <= now or str(run.id) in SEEN:
            is_superseded = (run.state.message or "").startswith("nothing to do")
            SEEN[str(run.id)] = {
                "state": "SUPERSEDED" if is_superseded else run.state.type.value,
                "run_count": run.run_count,
            }
    return SEEN


def states(runs: dict[str, dict[str, Any]]) -> Counter[str]:
    """Return how many runs are in which type of state; those that a newer one superseded are a type of their own."""
    return Counter(run["state"] for run in runs.values())


def unfinished() -> Counter[str]:
    """Return how many runs are in which state that is not terminal."""
    return Counter({name: count for name, count in states(all_runs()).items() if name not in TERMINAL})


def database_megabytes(folder: Path) -> float:
    """Return the size of the database with its journal."""
    return sum(path.stat().st_size for path in (folder / "home").glob("prefect.db*")) / 1e6


def simulate(folder: Path, runs: int, seconds: float, victims: list[str], seed: int) -> dict[str, Any]:
    """Run it all and return the figures."""
    from flows.server import Server

    random_numbers = random.Random(seed)
    kills: Counter[str] = Counter()
    samples: list[dict[str, Any]] = []
    with processes(folder) as running:
        deploy(folder, runs, seconds)
        start = time.monotonic()
        next_kill = start + KILL_EVERY_SECONDS
        while time.monotonic() < start + seconds:
            time.sleep(5)
            if time.monotonic() > next_kill:
                next_kill += KILL_EVERY_SECONDS
                victim = random_numbers.choice(victims)
                kills[victim] += kill(victim, running, folder, random_numbers)
            samples.append(sample(start, running, folder))
            (folder / "samples.json").write_text(json.dumps(samples))
        last = time.monotonic()
        # The server is not killed any more, so from here on a call that fails is a finding.
        Server(os.environ["PREFECT_API_URL"], alive=lambda: True).until_ready()
        while (left := unfinished()) and time.monotonic() < last + 600:
            say(f"still open: {left}")
            time.sleep(10)
        samples.append(sample(start, running, folder))
        found = all_runs()
        open_runs = dict(unfinished())
    return {
        "scheduled": len(found),
        "states": dict(states(found)),
        "open": open_runs,
        "started again": sum(run["run_count"] > 1 for run in found.values()),
        "kills": dict(kills),
        "executed twice": [
            path.name for path in (folder / "data").glob("*.executions") if len(path.read_text().splitlines()) > 1
        ],
        "stages executed": len(list((folder / "data").glob("*.executions"))),
        "seconds": time.monotonic() - start,
        "seconds to drain": time.monotonic() - last,
        "samples": samples,
    }


def kill(victim: str, running: dict[str, Process], folder: Path, random_numbers: random.Random) -> int:
    """Kill -9; start servers and workers again after five seconds. Returns 1 where something was killed."""
    say(f"kill -9 {victim}")
    if victim == "flow":
        if not (pids := flow_processes(folder)):
            return 0
        os.kill(random_numbers.choice(pids), signal.SIGKILL)
        return 1
    running[victim].kill()
    time.sleep(5)
    running[victim].start()
    return 1


def sample(start: float, running: dict[str, Process], folder: Path) -> dict[str, Any]:
    """Return memory and sizes now; counts where the server answers."""
    import httpx
    from prefect.exceptions import PrefectException

    try:
        counts = dict(states(all_runs()))
    except (httpx.HTTPError, PrefectException):
        counts = {}
    figures = {
        "seconds": round(time.monotonic() - start),
        "server_megabytes": round(rss_megabytes(running["server"].child.pid), 1),
        "worker_megabytes": [round(rss_megabytes(running[f"worker {n}"].child.pid), 1) for n in (1, 2)],
        "database_megabytes": round(database_megabytes(folder), 2),
        **counts,
    }
    say(json.dumps(figures))
    return figures


def main() -> None:
    """Read the command line, simulate, and write result.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=1300.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--spare", nargs="*", choices=VICTIMS, default=[], help="do not kill these")
    parser.add_argument("--folder", type=Path, default=Path("week"))
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    (folder / "home").mkdir(parents=True)
    from flows.settings import DEFAULTS

    os.environ.update(
        {
            **DEFAULTS,
            "FACELOOM_GPU_LEASE_SECONDS": "60",
            "PREFECT_SERVER_CONCURRENCY_INITIAL_DEPLOYMENT_LEASE_DURATION": "60",
            "PREFECT_HOME": str(folder / "home"),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        }
    )
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{PORT}/api"
    victims = [name for name in VICTIMS if name not in asked.spare]
    result = simulate(folder, asked.runs, asked.seconds, victims, asked.seed)
    (folder / "result.json").write_text(json.dumps(result, indent=1))
    say(str({name: value for name, value in result.items() if name != "samples"}))


if __name__ == "__main__":
    main()
