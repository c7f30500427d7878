"""Trainings over several devices or workers, in a process of their own. Run by test_distribution.py.

Usage: python -m tests.gan_core.worker_process DEVICES RUN_DIR DATASET [MOMENT] [section.key=value]...

DEVICES is the number of virtual CPU devices; `TF_CONFIG` in the environment says which of several workers this is.
MOMENT is "terminate N" or "kill N": this process gets that signal before its device call number N; or "spoil N": a
weight of its discriminator is infinite then, once.
Prints what the error says, and ends with the exit code that the command line would.
"""

from __future__ import annotations

import functools
import math
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf

from gan_core.config import load_config
from gan_core.errors import FaceloomError
from gan_core.gan import Gan
from gan_core.handoff import DatasetManifest
from gan_core.training import train

SETTINGS = (
    "data.kind=folder",
    "data.resolution=32",
    "model.name=mlp",
    "model.base_channels=4",
    "model.latent_size=8",
    "model.dropout=0.2",
    "train.batch_size=8",
    "train.total_kimg=0.08",
    "train.log_every_kimg=0.016",
    "train.snapshot_every_kimg=0.04",
    "train.checkpoint_every_kimg=0.04",
    "train.steps_per_execution=2",
    "eval.snapshot_score_count=16",
)


def at_call(number: int, act: Callable[[Gan], None]) -> None:
    """Do something before device call `number` of this process."""
    build, calls = Gan.__init__, 0

    @functools.wraps(build)
    def hooked(gan: Gan, *args: Any) -> None:
        build(gan, *args)
        run_steps = gan.train_steps

        def train_steps(*arguments: Any) -> None:
            nonlocal calls
            calls += 1
            if calls == number:
                act(gan)
            run_steps(*arguments)

        gan.train_steps = train_steps

    Gan.__init__ = hooked  # type: ignore[method-assign]


def spoil(gan: Gan) -> None:
    """Make a weight infinite."""
    weight = gan.discriminator.trainable_variables[-1]
    weight.assign(tf.fill(weight.shape, math.inf))


MOMENTS: dict[str, Callable[[Gan], None]] = {
    "terminate": lambda _: os.kill(os.getpid(), signal.SIGTERM),
    "kill": lambda _: os.kill(os.getpid(), signal.SIGKILL),
    "spoil": spoil,
}


def main() -> int:
    """Train, and return the exit code."""
    devices, run_dir, dataset, *others = sys.argv[1:]
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * int(devices))
    settings = [text for text in others if "=" in text]
    for moment in others:
        if "=" not in moment:
            what, number = moment.split()
            at_call(int(number), MOMENTS[what])
    try:
        train(load_config("smoke", [*SETTINGS, *settings]), DatasetManifest.load(Path(dataset)), Path(run_dir))
    except FaceloomError as error:
        sys.stdout.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.exit(code)
