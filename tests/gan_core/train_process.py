"""Trainings in processes of their own, which can be told where to die. Run by test_training.py.

Usage: python -m tests.gan_core.train_process RUN_DIR DATASET MOMENT[,section.key=value]...

Each MOMENT is one process, forked from this one so that TensorFlow is imported once; nothing of it runs before the
fork. Prints a JSON list of [exit code, text], one for each process.
"""

from __future__ import annotations

import errno
import functools
import json
import logging
import math
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from gan_core import artifacts, average, pace, runlog, snapshots
from gan_core.config import load_config
from gan_core.errors import FaceloomError
from gan_core.gan import Gan
from gan_core.handoff import DatasetManifest
from gan_core.training import train

SETTINGS = (
    "data.kind=folder",
    "data.resolution=32",
    "model.base_channels=4",
    "model.latent_size=8",
    "model.dropout=0.2",
    "train.batch_size=8",
    "train.total_kimg=0.24",  # 30 steps
    "train.log_every_kimg=0.032",
    "train.snapshot_every_kimg=0.08",
    "train.checkpoint_every_kimg=0.048",
    "train.label_smoothing=0.1",
    "eval.snapshot_score_count=16",
)


def signal_self(number: int) -> None:
    """Send a signal to this process: SIGKILL does not return, SIGTERM is taken note of."""
    os.kill(os.getpid(), number)


def in_execution(number: int) -> None:
    """Die inside the compiled step, its number `number` in this process: after both updates, before the average."""
    move, count = average.move, 0

    def die() -> None:
        nonlocal count
        count += 1
        if count == number:
            kill()

    def hooked(*arguments: Any) -> None:
        tf.py_function(die, [], [])
        move(*arguments)

    average.move = hooked


def at_call(owner: Any, name: str, call: int, act: Callable[..., None]) -> None:
    """Replace `owner.name` so that its call number `call` first runs `act` with the call's arguments."""
    original, count = getattr(owner, name), 0

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == call:
            act(*args, **kwargs)
        return original(*args, **kwargs)

    setattr(owner, name, wrapped)


def half_written_state(stream: Any, **_: Any) -> None:
    """Leave half an archive, then die."""
    stream.write(b"PK\x03\x04 half an archive")
    stream.flush()
    signal_self(signal.SIGKILL)


def half_written_line(log: Any, path: Path, _: Any) -> None:
    """Leave half a line of metrics, then die."""
    with path.open("a") as stream:
        stream.write('{"kimg": 0.0')
    signal_self(signal.SIGKILL)


def full_disk(stream: Any, **_: Any) -> None:
    """Write what still fits, and be refused the rest."""
    stream.write(b"PK\x03\x04 half an archive")
    raise OSError(errno.ENOSPC, "No space left on device")


def kill(*_: Any, **__: Any) -> None:
    """Die at once."""
    signal_self(signal.SIGKILL)


def terminate(*_: Any, **__: Any) -> None:
    """Ask to stop, as a scheduler does."""
    signal_self(signal.SIGTERM)


MOMENTS: dict[str, Callable[[], None]] = {
    "never": lambda: None,
    **{f"in step {n}": functools.partial(in_execution, n) for n in range(1, 10)},
    **{f"in checkpoint write {n}": functools.partial(at_call, np, "savez", n, half_written_state) for n in (1, 2)},
    **{f"in snapshot {n}": functools.partial(at_call, Image.Image, "save", n, kill) for n in (1, 2)},
    "on a full disk": lambda: at_call(np, "savez", 2, full_disk),
    "terminated in a snapshot": lambda: at_call(snapshots, "render", 3, terminate),
    "before the checkpoint's rename": lambda: at_call(artifacts, "discard", 3, kill),
    "in a line of metrics": lambda: at_call(runlog.RunLog, "_append", 3, half_written_line),
    "terminated": lambda: at_call(StepHook, "call", 3, terminate),
    "interrupted": lambda: at_call(StepHook, "call", 2, lambda: signal_self(signal.SIGINT)),
}


class StepHook:
    """Called before every device call."""

    @staticmethod
    def call() -> None:
        """Do nothing, unless a moment says so."""


def train_until(moment: str, run_dir: Path, dataset: Path, settings: list[str]) -> int:
    """Train, and return the exit code that the command line would."""
    # stdout is ours alone: TensorFlow's C++ writes to stderr before anyone can ask it not to.
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    pace.CALL_SECONDS = math.inf  # how many steps a call has shall not depend on this machine
    MOMENTS[moment]()
    build = Gan.__init__

    def hooked(gan: Gan, *args: Any) -> None:
        build(gan, *args)
        run_steps = gan.train_steps

        def train_steps(*arguments: Any) -> None:
            StepHook.call()
            run_steps(*arguments)

        gan.train_steps = train_steps

    Gan.__init__ = hooked  # type: ignore[method-assign]
    try:
        train(load_config("smoke", [*SETTINGS, *settings]), DatasetManifest.load(dataset), run_dir)
    except FaceloomError as error:
        sys.stdout.write(f"{error}\n")
        return error.exit_code
    return 0


def in_a_fork(run: Callable[[], int]) -> tuple[int, str]:
    """Return exit code (negative: the signal) and standard output of `run` in a forked process."""
    with tempfile.TemporaryFile("w+") as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), sys.stdout.fileno())
            code = 1
            try:
                code = run()
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read()


def main() -> None:
    """Train once for each moment, in the same run folder."""
    run_dir, dataset = Path(sys.argv[1]), Path(sys.argv[2])
    results = []
    for argument in sys.argv[3:]:
        moment, *settings = argument.split(",")
        results.append(in_a_fork(functools.partial(train_until, moment, run_dir, dataset, settings)))
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    main()
