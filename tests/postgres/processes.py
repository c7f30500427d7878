"""Processes of this machine: those that the test starts, and those that come of them, found by their environment."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_MULTIPROCESSING = b"multiprocessing"


@dataclass
class Service:
    """A server or a worker, in a session of its own; it can be killed and started again."""

    name: str
    command: list[str]
    environment: Mapping[str, str] = field(repr=False)
    log: Path
    _process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return its number. Raises RuntimeError where it does not run."""
        if self._process is None:
            raise RuntimeError(f"{self.name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Start it; its output is added to its log."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, env=dict(self.environment), stdout=log, stderr=log, start_new_session=True
            )

    def kill(self) -> None:
        """Kill -9: it, and it alone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it as a user would, with whatever else is in its session."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(60)
            self.kill()


def in_own_namespace() -> list[str]:
    """Return what to put before a command, so that it sees no process of ours, as in a container; only for root.

    It dies with the process that it is put before.
    """
    return ["unshare", "--pid", "--fork", "--kill-child", "--"] if os.geteuid() == 0 else []


def with_variable(name: str, value: str) -> list[int]:
    """Return the processes, zombies aside, that have a variable of this value."""
    return [pid for pid in _all() if f"{name}={value}".encode() in _read(pid, "environ").split(b"\0")]


def processes_of(run: str) -> list[int]:
    """Return all processes of a flow run: its own, and those of its stages."""
    return with_variable("PREFECT__FLOW_RUN_ID", run)


def flow_processes_of(run: str) -> list[int]:
    """Return the processes of a flow run that are no stage's."""
    return [pid for pid in processes_of(run) if _MULTIPROCESSING not in _read(pid, "cmdline")]


def named(folder: Path) -> dict[int, str]:
    """Return the processes whose command line or environment names a folder, with their command lines; not this one."""
    text = str(folder).encode()
    found = {pid: _read(pid, "cmdline") for pid in _all() if pid != os.getpid()}
    return {
        pid: line.replace(b"\0", b" ").decode(errors="replace")
        for pid, line in found.items()
        if text in line or text in _read(pid, "environ")
    }


def kill(pids: list[int]) -> None:
    """Kill -9 those that are still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _all() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _read(pid: int, name: str) -> bytes:
    """Return a file of /proc; empty for a zombie, and where the process is gone or somebody else's."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
