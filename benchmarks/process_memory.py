"""The memory of a command and of all processes that it starts, over time (Linux).

RSS counts pages that several processes share in each of them; PSS divides them up, so its sum is what a machine needs
(man 5 proc, smaps_rollup).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PERIOD_SECONDS = 0.5
_MIB = 1024  # kB, as the kernel gives it
_PROC = Path("/proc")


@dataclass
class Curve:
    """One process: RSS and PSS in MiB at `seconds` since the command began; `peak_mib` is the kernel's own for RSS."""

    role: str
    seconds: list[float] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)
    pss_mib: list[float] = field(default_factory=list)
    peak_mib: float = 0.0


class Sampler:
    """Looks at a process and its descendants twice a second; one look at three processes takes some milliseconds."""

    def __init__(self, root: int) -> None:
        self.curves: dict[int, Curve] = {}
        self.cost_seconds = 0.0
        self._root, self._start = root, time.perf_counter()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Sample while the block runs."""
        self._thread.start()
        try:
            yield
        finally:
            self._done.set()
            self._thread.join()

    def _watch(self) -> None:
        while not self._done.is_set():
            before = time.perf_counter()
            for pid in _family(self._root):
                with contextlib.suppress(OSError, ValueError, KeyError):  # it has just ended
                    self._look_at(pid)
            self.cost_seconds += time.perf_counter() - before
            self._done.wait(PERIOD_SECONDS)

    def _look_at(self, pid: int) -> None:
        rollup = _fields(_PROC / f"{pid}/smaps_rollup")
        peak = _fields(_PROC / f"{pid}/status")["VmHWM"]
        if pid not in self.curves:
            self.curves[pid] = Curve(_role(pid, pid == self._root))
        curve = self.curves[pid]
        curve.seconds.append(round(time.perf_counter() - self._start, 2))
        curve.rss_mib.append(round(rollup["Rss"] / _MIB, 1))
        curve.pss_mib.append(round(rollup["Pss"] / _MIB, 1))
        curve.peak_mib = round(peak / _MIB, 1)


def _family(root: int) -> list[int]:
    """Return the process and its descendants that live now."""
    family = [root]
    for pid in family:
        for children in _PROC.glob(f"{pid}/task/*/children"):
            with contextlib.suppress(OSError):
                family += map(int, children.read_text().split())
    return family


def _fields(path: Path) -> dict[str, int]:
    """Return name -> kB of the lines of smaps_rollup or status that have a size."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0].removesuffix(":"): int(row[1]) for row in rows if row[-1] == "kB" and len(row) == 3}


def _role(pid: int, is_root: bool) -> str:
    if is_root:
        return "launcher"
    command = (_PROC / f"{pid}/cmdline").read_bytes()
    if b"resource_tracker" in command:
        return "resource tracker"
    return "worker"
