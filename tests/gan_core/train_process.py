"""A training in a process of its own, which can be told where to die. Run by test_training.py.

Usage: python -m tests.gan_core.train_process RUN_DIR DATASET MOMENT [section.key=value]...
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_core import artifacts, runlog
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


def kill(*_: Any, **__: Any) -> None:
    """Die at once."""
    signal_self(signal.SIGKILL)


def terminate(*_: Any, **__: Any) -> None:
    """Ask to stop, as a scheduler does."""
    signal_self(signal.SIGTERM)


MOMENTS: dict[str, Callable[[], None]] = {
    "never": lambda: None,
    "in a step": lambda: at_call(StepHook, "call", 4, kill),
    "in a checkpoint write": lambda: at_call(np, "savez", 2, half_written_state),
    "before the checkpoint's rename": lambda: at_call(artifacts, "discard", 3, kill),
    "in a snapshot": lambda: at_call(Image.Image, "save", 2, kill),
    "in a line of metrics": lambda: at_call(runlog.RunLog, "_append", 3, half_written_line),
    "terminated": lambda: at_call(StepHook, "call", 3, terminate),
    "interrupted": lambda: at_call(StepHook, "call", 2, lambda: signal_self(signal.SIGINT)),
}


class StepHook:
    """Called before every device call."""

    @staticmethod
    def call() -> None:
        """Do nothing, unless a moment says so."""


def main() -> int:
    """Train, and return the exit code that the command line would."""
    run_dir, dataset, moment, *settings = sys.argv[1:]
    MOMENTS[moment]()
    build = Gan.__init__

    def hooked(gan: Gan, config: Any) -> None:
        build(gan, config)
        run_steps = gan.train_steps

        def train_steps(images: Any, first_step: Any) -> None:
            StepHook.call()
            run_steps(images, first_step)

        gan.train_steps = train_steps

    Gan.__init__ = hooked  # type: ignore[method-assign]
    try:
        train(load_config("smoke", [*SETTINGS, *settings]), DatasetManifest.load(Path(dataset)), Path(run_dir))
    except FaceloomError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
