"""The inside of a stage's child process: its own process group, its output in a log, its answer in a file."""

from __future__ import annotations

import atexit
import json
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from flows.output import quiet_libraries, redirected
from flows.stages import Order, Stage
from gan_core.errors import FaceloomError
from gan_core.progress import Progress

PROGRESS_FILE = "progress.json"
ANSWER_FILE = "answer.json"
_PROGRESS_EVERY_SECONDS = 0.2


def run_stage(name: str, stage: Stage, order: Order, scratch: Path, log: Path | None, grace_seconds: float) -> None:
    """Run the stage and leave its result or its error in `scratch`; this is called in the child."""
    detach(grace_seconds)
    quiet_libraries()
    with redirected(log):
        try:
            answer: dict[str, Any] = {"result": stage(order, _reporter(scratch)).to_json()}
        except FaceloomError as error:
            answer = {"error": {"type": type(error).__name__, "message": str(error)}}
        except Exception as error:
            traceback.print_exc()
            where = f"; the traceback is in {log}" if log else ""
            reason = str(error).strip().partition("\n")[0]
            message = f"{name} failed: {type(error).__name__}: {reason}{where}"
            answer = {"error": {"type": "StageFailed", "message": message}}
    write_atomically(scratch / ANSWER_FILE, answer)
    if _is_orphan():  # nobody else takes these away
        shutil.rmtree(scratch, ignore_errors=True)
        os.killpg(0, signal.SIGKILL)
    _leave()


def _leave() -> None:
    """End this process at once: for TensorFlow's objects alone the interpreter would clean up for a second."""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _is_orphan() -> bool:
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


def detach(grace_seconds: float) -> None:
    """Make this process the leader of its own group, deaf to Ctrl-C, and mortal with its parent.

    Ctrl-C on a terminal reaches the whole foreground group; only the parent shall hear it, and tell this
    process once, by SIGTERM. When the parent dies without a word, this process sends that SIGTERM to itself where a
    training would save its state at it, and ends itself and all that it started `grace_seconds` later, or at once.
    """
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_follow, args=(grace_seconds,), name="parent-watch", daemon=True).start()


def _follow(grace_seconds: float) -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this process was started by multiprocessing"
    # A pipe that only the parent holds open. Not Linux's PR_SET_PDEATHSIG: that one is sent once for every thread
    # of a dying parent.
    parent.join()
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(grace_seconds)
    os.killpg(0, signal.SIGKILL)


def _reporter(scratch: Path) -> Callable[[Progress], None]:
    last = 0.0

    def report(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PROGRESS_EVERY_SECONDS or progress.done >= progress.total:
            last = now
            figures = {name: float(value) for name, value in progress.figures.items()}
            write_atomically(scratch / PROGRESS_FILE, {**asdict(progress), "figures": figures})

    return report


def write_atomically(path: Path, value: Any) -> None:
    """Write JSON by rename. No fsync: both ends are alive, and progress comes five times a second."""
    draft = path.with_name(f".{path.name}.{threading.get_ident()}")
    draft.write_text(json.dumps(value), encoding="utf-8")
    draft.replace(path)
