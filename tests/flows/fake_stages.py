"""Stages for tests of flows, run in spawned children: they count their calls and misbehave on demand."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flows.stages import Order, Stage, StageResult
from gan_core import errors
from gan_core.progress import Progress, ReportProgress

if TYPE_CHECKING:
    import pytest

NAMES = ("ingest", "prepare", "train", "sample", "evaluate", "report")
GATE_NAMES = ("judge", "promote")


def behave(root: Path, stage: str, *behaviours: str) -> None:
    """Let the coming attempts of a stage do these things, one each; afterwards it works."""
    root.mkdir(exist_ok=True)
    (root / f"{stage}.behaviours").write_text("\n".join(behaviours))


def calls(root: Path) -> list[str]:
    """Return every attempt so far, as `stage attempt outcome`."""
    path = root / "calls.txt"
    return path.read_text().splitlines() if path.exists() else []


def act(name: str, order: Order, report_progress: ReportProgress) -> StageResult:
    """Be the stage `name`: done once, already done from then on; half of its work survives a kill."""
    root = order.data_root
    done, half = root / f"{name}.done", root / f"{name}.half"
    _note(root, f"{name} {order.attempt} {'resumes' if half.exists() else 'starts'}")
    report_progress(Progress(name, 5 if half.exists() else 1, 10, "images", {"loss_g": 0.5}))
    half.touch()
    _misbehave(root, name)
    outcome = "already done" if done.exists() else "done"
    done.touch()
    half.unlink()
    report_progress(Progress(name, 10, 10))
    _note(root, f"{name} {order.attempt} {outcome}")
    return StageResult(
        stage=name,
        outcome=outcome,
        path=str(done),
        run_dir=str(root / "runs" / "smoke-fake"),
        summary=_SUMMARIES.get(name, {}),
    )


FAKES: dict[str, Stage] = {name: partial(act, name) for name in NAMES}
GATE_FAKES: dict[str, Stage] = {name: partial(act, name) for name in GATE_NAMES}


def use(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put all of them under the real tasks, whose retries do not wait."""
    from flows import gate_stages, stages, tasks  # not in the children: Prefect takes a second

    for name in NAMES:
        monkeypatch.setitem(stages.STAGES, name, FAKES[name])
    for name in GATE_NAMES:
        monkeypatch.setitem(gate_stages.GATE_STAGES, name, GATE_FAKES[name])
    for name in (*NAMES, *GATE_NAMES):
        monkeypatch.setattr(tasks, name, getattr(tasks, name).with_options(retry_delay_seconds=0))


_SOURCE = {
    "kind": "folder",
    "name": "faces",
    "location": "faces",
    "fingerprint": "f" * 64,
    "counts": {"train": 9},
    "notes": [],
}
_SCORE = {
    "value": 2.5,
    "error": 0.25,
    "floor": 0.5,
    "floor_error": 0.125,
    "unit": "SWD x1000",
    "better": "lower",
    "fingerprint": "0123456789ab",
}
_DECISION = {
    "promote": True,
    "summary": "promoted: better",
    "reasons": [{"check": "better", "passed": True, "text": "2.5 against 3.5"}],
}
_SUMMARIES = {
    "ingest": _SOURCE,
    "prepare": {"digest": "d" * 64, "images": {"train": 9}, "rejects": {"undecodable": 1}},
    "evaluate": {"scores": {"swd": _SCORE}},
    "promote": {"model": "smoke", "version": 2, "decision": _DECISION},
}


def _note(root: Path, line: str) -> None:
    with (root / "calls.txt").open("a") as stream:
        stream.write(line + "\n")


def _misbehave(root: Path, name: str) -> None:
    path = root / f"{name}.behaviours"
    coming = path.read_text().split("\n") if path.exists() else []
    if not coming:
        return
    behaviour, *later = coming
    path.write_text("\n".join(later)) if later else path.unlink()
    (root / f"{name}.pid").write_text(str(os.getpid()))
    match behaviour:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "bug":
            raise ValueError("no such thing\nsecond line")
        case "hang":
            _hang(root, name)
        case "hang deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            _hang(root, name)
        case "wait":
            (root / f"{name}.ready").touch()
            while not (root / f"{name}.go").exists():
                time.sleep(0.02)
        case "save at SIGTERM":
            _save_at_sigterm(root, name)
        case kind:
            raise getattr(errors, kind)(f"{name} says {kind}")


def _hang(root: Path, name: str) -> None:
    """Hang, together with a process that this one started."""
    grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    (root / f"{name}.grandchild").write_text(str(grandchild.pid))
    time.sleep(600)


def _save_at_sigterm(root: Path, name: str) -> None:
    """Do what training does: note the signal, finish the step, save, raise Interrupted."""
    heard: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: heard.append(number))
    (root / f"{name}.ready").touch()
    while not heard:
        time.sleep(0.02)
    time.sleep(0.3)
    _note(root, f"{name} saved after {len(heard)} SIGTERM")
    raise errors.Interrupted(f"{name} stopped by SIGTERM; the state is saved")
