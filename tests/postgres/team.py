"""A team as docs/deploy.md has it: PostgreSQL, one Prefect server with a login, two workers, one data root."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.postgres import processes
from tests.postgres.api import ENDED, Api
from tests.postgres.data_root import DataRoot
from tests.postgres.database import Database, free_port
from tests.postgres.processes import Service
from tests.postgres.waiting import wait_for

ROOT = Path(__file__).parents[2]
POOL = "faceloom"
# Long enough that there is a middle: about half a minute of two cores each.
TOTAL_IMAGES = 24_000
SETTINGS = (f"train.total_kimg={TOTAL_IMAGES / 1000}", "train.checkpoint_every_kimg=1", "train.snapshot_every_kimg=2")
# Two deployments, as one runs once at a time; of both flows; told apart by the training's seed.
DEPLOYMENTS = {0: ("pipeline", "faceloom/smoke"), 1: ("retrain", "retrain/smoke")}


@dataclass
class Team:
    """All that runs, and where its files lie.

    Attributes:
        login: user:password of the Prefect server.
    """

    folder: Path
    database: Database
    login: str = field(repr=False)
    server: Service
    workers: dict[str, Service]
    api: Api
    environment: Mapping[str, str] = field(repr=False)

    def command(self, *words: str) -> str:
        """Run a command of a user of the server; return what it printed. Raises RuntimeError when it fails."""
        done = subprocess.run(
            [sys.executable, "-m", *words], env=dict(self.environment), cwd=ROOT, capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(words[:3])} ended with status {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def deploy(self) -> None:
        """Deploy the preset `smoke` twice."""
        for seed, (flow, _) in DEPLOYMENTS.items():
            sets = [word for text in (*SETTINGS, f"train.seed={seed}") for word in ("--set", text)]
            self.command("flows.cli", "deploy", "smoke", "--flow", flow, "--pool", POOL, *sets)

    def begin(self, name: str) -> tuple[DataRoot, dict[int, str]]:
        """Start a run of each deployment in a data root of their own; return it, and seed -> id of the run."""
        root = self.folder / "data" / name
        runs = {seed: self.api.begin(name, {"data_root": str(root)}) for seed, (_, name) in DEPLOYMENTS.items()}
        return DataRoot(root), runs

    def worker_of(self, run: str) -> str:
        """Return the name of the worker whose flow process has a run; empty while there is none."""
        return next(
            (
                name
                for name in self.workers
                if set(processes.with_variable("PREFECT__WORKER_NAME", name)) & set(processes.processes_of(run))
            ),
            "",
        )

    def end(self, run: str) -> str:
        """Wait until a flow run has ended; return the type of its state."""
        return wait_for(f"the end of {run}", lambda: state if (state := self.api.state(run)) in ENDED else None)

    def start_server(self) -> None:
        """Start the server and wait until it answers."""
        self.server.start()
        wait_for("the server", self.api.is_ready)

    def children(self) -> dict[int, str]:
        """Return all processes but PostgreSQL's, the server and the workers, with their command lines."""
        known = {self.server.pid, *(worker.pid for worker in self.workers.values())}
        found = processes.named(self.folder)
        servers = ("bin/postgres", "flows.server_process")
        return {pid: line for pid, line in found.items() if pid not in known and not any(s in line for s in servers)}

    def leaks(self) -> list[str]:
        """Return where a password can be read: in a log or in the command line of a process."""
        words = (self.database.password, self.login.partition(":")[2])
        texts = {path.name: path.read_text(errors="replace") for path in self.folder.glob("*.log")}
        texts |= {f"process {pid}": line for pid, line in processes.named(self.folder).items()}
        return [name for name, text in texts.items() if any(word in text for word in words)]


@contextlib.contextmanager
def running_team(folder: Path, database: Database) -> Iterator[Team]:
    """Yield server and workers on a database; end them, and what came of them, with the block."""
    login = f"faceloom:{secrets.token_urlsafe(24)}"
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    # Nothing of the user's own Prefect may leak in.
    own = {name: text for name, text in os.environ.items() if not name.startswith(("PREFECT_", "FACELOOM_"))}
    own["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), own.get("PYTHONPATH", "")]))
    client = {**own, "PREFECT_API_URL": f"{address}/api", "PREFECT_API_AUTH_STRING": login}
    serving = {
        **own,
        "PREFECT_HOME": str(folder / "server"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database.url,
        "PREFECT_SERVER_API_AUTH_STRING": login,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    }
    working = {
        **client,
        "FACELOOM_DATA_ROOT": str(folder / "data"),
        "FACELOOM_GPU_LEASE_SECONDS": "60",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
        "PREFECT_CLIENT_MAX_RETRIES": "6",
        "PREFECT_WORKER_QUERY_SECONDS": "2",  # 10 are for calmer places than a test
    }
    # The janitor in the server is to know of workers what it would know of other machines: heart-beats.
    server = [
        *processes.in_own_namespace(),
        sys.executable,
        "-m",
        "flows.server_process",
        "127.0.0.1",
        str(port),
        "--full",
    ]
    worker = [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--type", "process", "--limit", "1"]
    workers = {
        name: Service(
            name,
            [*worker, "--name", name],
            {**working, "PREFECT_HOME": str(folder / name)},  # as if each were on a machine of its own
            folder / f"{name}.log",
        )
        for name in ("worker-1", "worker-2")
    }
    team = Team(
        folder=folder,
        database=database,
        login=login,
        server=Service("server", server, serving, folder / "server.log"),
        workers=workers,
        api=Api(address, login),
        environment={**client, "PREFECT_HOME": str(folder / "user")},
    )
    try:
        yield team
    finally:
        for service in (*workers.values(), team.server):
            service.stop()
