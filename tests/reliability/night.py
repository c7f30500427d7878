"""One bad night: real servers, workers and commands in one folder, and everything that a test may do to them.

All processes of a night carry its name in their environment, and so does whatever they start: that is how the stages'
children are found, and what is left over at the end.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from flows.server import free_port
from flows.settings import prefect_environment

ROOT = Path(__file__).parents[2]
MARK = "FACELOOM_TEST_NIGHT"
PATIENCE_SECONDS = 240.0
TERMINAL = {"COMPLETED", "FAILED", "CANCELLED"}


@dataclass
class Night:
    """Processes that share a folder, a data root and perhaps a server.

    Attributes:
        folder: where logs and Prefect's home lie.
        data_root: where faceloom works.
        more: environment variables for every process.
    """

    folder: Path
    data_root: Path
    more: Mapping[str, str] = field(default_factory=dict)
    url: str = ""
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What every process of this night is told."""
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "FACELOOM_"))
        }
        own = {
            MARK: str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PREFECT_HOME": str(self.folder / "prefect"),
            "FACELOOM_DATA_ROOT": str(self.data_root),
            "FACELOOM_SERVER_LINGER_SECONDS": "0",
            "FACELOOM_GPU_LEASE_SECONDS": "60",
            "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "1",
            **({"PREFECT_API_URL": self.url} if self.url else {}),
            **self.more,
        }
        return {**inherited, **own, **prefect_environment(self.data_root, own)}

    def start(self, name: str, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """Start `python -m words...` in a session of its own; its output goes to `name`.log.

        It is deaf to SIGINT, as what a script starts in the background: SIGTERM alone must be enough.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words],
                env={**self.environment, **more},
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_ignore_sigint,
            )
        self.started.append(process)
        return process

    def command(self, *words: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a `faceloom` command."""
        return self.start("faceloom", "flows.cli", *words, **more)

    def succeeds(self, *words: str, **more: str) -> None:
        """Run a `faceloom` command that must end well."""
        code = self.command(*words, **more).wait(PATIENCE_SECONDS)
        assert code == 0, f"faceloom {' '.join(words)} ended with {code}: {self.said()}"

    def said(self, name: str = "faceloom") -> str:
        """Return what the commands wrote, its end."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-4000:]

    def server(self, port: int = 0) -> subprocess.Popen[bytes]:
        """Start the server with UI, schedules and automations that `faceloom serve` starts, and wait for it."""
        port = port or (int(self.url.rsplit(":", 1)[1].partition("/")[0]) if self.url else free_port())
        self.url = f"http://127.0.0.1:{port}/api"
        process = self.start("server", "flows.server_process", "127.0.0.1", str(port), "--full")
        self.until("the server answers", self.server_answers)
        return process

    def server_answers(self) -> bool:
        """Whether the server is there."""
        try:
            return httpx.get(f"{self.url}/health", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def worker(self, name: str = "worker", pool: str = "night") -> subprocess.Popen[bytes]:
        """Start a worker of a pool."""
        words = ("worker", "start", "--pool", pool, "--type", "process", "--name", name, "--limit", "1")
        return self.start(name, "prefect", *words)

    def post(self, path: str, **body: Any) -> Any:
        """Ask the server."""
        answer = httpx.post(f"{self.url}/{path}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def start_run(self, deployment: str) -> str:
        """Start a run of a deployment, `flow/name`, now; return its id."""
        found = httpx.get(f"{self.url}/deployments/name/{deployment}", timeout=60).json()["id"]
        return str(self.post(f"deployments/{found}/create_flow_run", state={"type": "SCHEDULED"})["id"])

    def run(self, run_id: str) -> dict[str, Any]:
        """Return a flow run, as the server knows it."""
        found: dict[str, Any] = httpx.get(f"{self.url}/flow_runs/{run_id}", timeout=60).json()
        return found

    def run_states(self) -> dict[str, str]:
        """Return every flow run whose time has come, with the type of its state."""
        runs = self.post("flow_runs/filter", limit=200)
        return {run["id"]: run["state"]["type"] for run in runs if run["state"]["type"] != "SCHEDULED"}

    def task_states(self, run_id: str) -> list[str]:
        """Return the types of the states of the task runs of a flow run."""
        asked = {"flow_runs": {"id": {"any_": [run_id]}}}
        return [task["state"]["type"] for task in self.post("task_runs/filter", **asked)]

    def slots_taken(self) -> int:
        """Return how many slots of the GPU are taken."""
        return int(httpx.get(f"{self.url}/v2/concurrency_limits/gpu", timeout=60).json()["active_slots"])

    def ends(self, run_id: str, seconds: float = PATIENCE_SECONDS) -> str:
        """Wait until a flow run is in a state that it stays in; return the state's type. The janitor ends Crashed."""

        def ended() -> bool:
            return self.server_answers() and self.run(run_id)["state"]["type"] in TERMINAL

        self.until("the run ends", ended, seconds)
        return str(self.run(run_id)["state"]["type"])

    def until(self, what: str, condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        """Wait for it."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not within {seconds:g} s; processes: {self.processes()}"
            time.sleep(0.05)

    def processes(self) -> dict[int, str]:
        """Return every living process of this night with its command line; zombies are none."""
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if not entry.name.isdigit() or f"{MARK}={self.folder}".encode() not in (
                    (entry / "environ").read_bytes().split(b"\0")
                ):
                    continue
                if (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
        return found

    def logs(self, stage: str) -> list[Path]:
        """Return the logs of the children of a stage that were seen so far or are open now."""
        return sorted((self.data_root / ".faceloom" / "logs").glob(f"*-{stage}.log"))

    def child(self, stage: str, before: int = 0) -> int:
        """Wait until a child works on a stage, and return it: the process that has the stage's log open.

        Args:
            stage: its name.
            before: a process that is not meant, because it was killed.
        """
        found: list[int] = []

        def there() -> bool:
            found[:] = [pid for pid in self.writing(stage) if pid != before]
            return bool(found)

        self.until(f"a child works on {stage}", there)
        return min(found)

    def writing(self, stage: str) -> list[int]:
        """Return the processes that write into the log of a stage: its child, and what that one started."""
        pids = []
        for pid in self.processes():
            try:
                target = (Path("/proc") / str(pid) / "fd" / "1").readlink().name
            except OSError:
                continue
            if target.endswith(f"-{stage}.log"):
                pids.append(pid)
        return pids

    def flow_process(self) -> int:
        """Return the process of the flow run that a worker or a runner started."""
        found: list[int] = []

        def there() -> bool:
            commands = self.processes().items()
            found[:] = [pid for pid, words in commands if "flow_engine" in words or "prefect.engine" in words]
            return bool(found)

        self.until("a flow run has its process", there)
        return min(found)

    def nothing_left(self, *besides: subprocess.Popen[bytes]) -> None:
        """Wait until no process of this night lives, but these."""
        allowed = {process.pid for process in besides}
        self.until("no process is left", lambda: not self.processes().keys() - allowed, 90)

    def end(self) -> None:
        """End everything: called in any case, so that a failed test leaves nothing."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.processes():
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    continue
            deadline = time.monotonic() + 10
            while self.processes() and time.monotonic() < deadline:
                time.sleep(0.1)
        for process in self.started:
            process.wait()


def _ignore_sigint() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def kill(pid: int) -> None:
    """Kill -9."""
    os.kill(pid, signal.SIGKILL)
