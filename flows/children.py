"""Running a stage in a child process, so that its GPU memory and its crashes end with it.

The child is started with `spawn`. Progress and answer come through files in a scratch folder: they survive a
child that is killed, and cost nothing while nobody looks.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import tempfile
import time
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from flows.child import ANSWER_FILE, PROGRESS_FILE, run_stage
from flows.stages import Order, Stage, StageResult
from gan_core import errors
from gan_core.errors import FaceloomError, StageFailed
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.spawning import lean_start

GRACE_SECONDS = 60.0  # what a training gets to save its state after SIGTERM
_POLL_SECONDS = 0.2
_HINTS = {
    signal.SIGKILL: " (out of memory? the kernel's log says: dmesg)",
    signal.SIGSEGV: " (a crash in native code)",
}


def run_in_child(
    name: str,
    stage: Stage,
    order: Order,
    report_progress: ReportProgress = silent,
    *,
    log: Path | None = None,
    stall_seconds: float | None = None,
    limit_seconds: float | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> StageResult:
    """Run `stage` in a child process and return what it returns.

    Whatever ends this call early (Ctrl-C, a timeout's exception, SIGTERM turned into one) ends the child too:
    SIGTERM, then SIGKILL to it and all that it started once `grace_seconds` have passed, or at another Ctrl-C.

    Args:
        name: what messages call the stage.
        stage: a function that the child can import by name.
        order: what the stage is told.
        report_progress: called in this process, at most five times a second.
        log: where the child's own output goes; None leaves it on stderr.
        stall_seconds: kill a child that reports no progress for so long; None waits for ever.
        limit_seconds: kill a child that works for so long; None is no limit.
        grace_seconds: see above.

    Raises:
        FaceloomError: the stage's own, of the same type.
        StageFailed: the child was killed, stalled, took too long, or ended without an answer.
    """
    with tempfile.TemporaryDirectory(prefix="faceloom-") as folder:
        scratch = Path(folder)
        context = multiprocessing.get_context("spawn")
        arguments = (name, stage, order, scratch, log, grace_seconds)
        child = context.Process(target=run_stage, args=arguments, name=f"faceloom-{name}")
        with lean_start():
            child.start()
        try:
            _watch(name, child, scratch / PROGRESS_FILE, report_progress, stall_seconds, limit_seconds)
        finally:
            _end(child, grace_seconds)
        return _answer(name, child, scratch / ANSWER_FILE, log)


def _watch(
    name: str,
    child: SpawnProcess,
    path: Path,
    report_progress: ReportProgress,
    stall_seconds: float | None,
    limit_seconds: float | None,
) -> None:
    seen: dict[str, Any] | None = None
    started = moved = time.monotonic()
    ended = False
    while not ended:
        ended = bool(wait([child.sentinel], timeout=_POLL_SECONDS))
        progress = _read(path)
        if progress is not None and progress != seen:
            seen, moved = progress, time.monotonic()
            report_progress(Progress(**progress))
        elif stall_seconds is not None and not ended and time.monotonic() - moved > stall_seconds:
            raise StageFailed(f"{name} was stopped: it made no progress for {stall_seconds:g} s")
        if limit_seconds is not None and not ended and time.monotonic() - started > limit_seconds:
            raise StageFailed(f"{name} was stopped: it took longer than {limit_seconds:g} s")


def _end(child: SpawnProcess, grace_seconds: float) -> None:
    """Leave nothing of the child behind, neither itself nor what it started."""
    try:
        if not wait([child.sentinel], timeout=0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(_pid(child), signal.SIGTERM)
            wait([child.sentinel], timeout=grace_seconds)
    finally:
        # Before `join` reaps it, nobody else can have its number. In its first moments it has no group yet.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(_pid(child), signal.SIGKILL)
        if not wait([child.sentinel], timeout=0):
            child.kill()
        child.join()


def _pid(child: SpawnProcess) -> int:
    assert child.pid is not None, "the child was started"
    return child.pid


def _answer(name: str, child: SpawnProcess, path: Path, log: Path | None) -> StageResult:
    answer = _read(path)
    if answer is not None and "result" in answer:
        return StageResult(**answer["result"])
    if answer is not None:
        raise _typed(answer["error"])
    code = child.exitcode or 0
    where = f"; its output is in {log}" if log and log.exists() else ""
    if code >= 0:
        raise StageFailed(f"{name} ended with exit code {code} and no answer{where}")
    number = signal.Signals(-code)
    raise StageFailed(f"{name} was killed by {number.name}{_HINTS.get(number, '')}{where}")


def _typed(error: dict[str, str]) -> FaceloomError:
    kind = getattr(errors, error["type"], StageFailed)
    assert issubclass(kind, FaceloomError)
    return kind(error["message"])


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return value if isinstance(value, dict) else None
