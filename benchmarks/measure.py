"""One command, run and measured: wall time, processor time, memory; and the machine that it ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from PIL import features

from benchmarks.contenders import Contender, Outcome, Task, cores
from benchmarks.process_memory import Curve, Sampler

ROOT = Path(__file__).parents[1]
_LAST_LINES = 15
_LIBRARIES = ("faceloom", "apache-beam", "numpy", "pillow")
_NATIVE = ("libjpeg_turbo", "zlib_ng")


@dataclass(frozen=True)
class Run:
    """One whole command.

    Attributes:
        contender: a name of `contenders.contenders`.
        input: kind of the pictures.
        pictures: how many it was given.
        side: of the result, pixels.
        number: counts the repetitions from 1; runs of one number followed each other.
        seconds: from start to end.
        cpu_seconds: user and system time of all its processes.
        made: how many pictures are in its result.
        result_bytes: of the records or pictures.
        memory: curves of its processes, where they were wanted.
        sampling_seconds: what looking at them took.
        options: of faceloom, besides those that all share.
    """

    contender: str
    input: str
    pictures: int
    side: int
    number: int
    seconds: float
    cpu_seconds: float
    made: int
    result_bytes: int
    memory: tuple[Curve, ...] = ()
    sampling_seconds: float = 0.0
    options: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `from_json` is the inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Run:
        """Read it back."""
        memory = tuple(Curve(**curve) for curve in saved["memory"])
        return cls(**{**saved, "memory": memory, "options": tuple(saved["options"])})


def run(name: str, contender: Contender, task: Task, scratch: Path, number: int, *, watch_memory: bool = False) -> Run:
    """Run a contender's command on an empty folder of `scratch`, measure, check and remove what it made.

    Raises:
        SystemExit: it failed, or made other than the pictures asked for; the message has its last lines.
    """
    out, log = scratch / "result", scratch / "log.txt"
    shutil.rmtree(out, ignore_errors=True)
    command = contender.command(task, out)
    with log.open("wb") as stream:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=stream, stderr=subprocess.STDOUT, cwd=ROOT, env=_environment())
        sampler = Sampler(process.pid) if watch_memory else None
        usage = _wait(process, sampler)
        seconds = time.perf_counter() - start
    if process.returncode:
        raise SystemExit(f"{name} ended with {process.returncode}:\n{_tail(log)}")
    outcome = contender.outcome(out)
    _check(name, task, outcome, log)
    shutil.rmtree(out)
    os.sync()  # the next command shall not pay for writing this one's result to the disk
    return Run(
        contender=name,
        input=task.pictures.name,
        pictures=task.pictures.pictures,
        side=task.side,
        number=number,
        seconds=round(seconds, 3),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 3),
        made=outcome.pictures,
        result_bytes=outcome.size_bytes,
        memory=tuple(sampler.curves.values()) if sampler else (),
        sampling_seconds=round(sampler.cost_seconds, 3) if sampler else 0.0,
        options=tuple(task.options),
    )


def _environment() -> dict[str, str]:
    """Return what most shells have: Python keeps its bytecode, which some containers turn off."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _wait(process: subprocess.Popen[bytes], sampler: Sampler | None) -> Any:
    """Wait for the end, and return what the process and its children used (getrusage)."""
    if sampler is None:
        _, status, usage = os.wait4(process.pid, 0)
    else:
        with sampler.watching():
            _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _check(name: str, task: Task, outcome: Outcome, log: Path) -> None:
    if outcome.pictures != task.pictures.pictures:
        raise SystemExit(f"{name} made {outcome.pictures} of {task.pictures.pictures} pictures:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LAST_LINES:])


def machine() -> dict[str, Any]:
    """Return what the numbers depend on: processor, cores, memory, versions, and how busy the machine was before."""
    versions = {name: importlib.metadata.version(name) for name in _LIBRARIES}
    versions |= {name: str(version) for name in _NATIVE if (version := features.version(name))}
    return {
        "processor": _processor(),
        "cores": cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "versions": versions,
        "load_before": round(os.getloadavg()[0], 2),
        "date": time.strftime("%Y-%m-%d"),
    }


def warn_if_busy() -> None:
    """Say so on stderr when other processes want the cores."""
    load = os.getloadavg()[0]
    if load > 0.3 * cores():
        sys.stderr.write(f"the machine is busy (load {load:.1f} on {cores()} cores): do not trust these numbers\n")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
