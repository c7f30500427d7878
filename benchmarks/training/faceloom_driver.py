"""Trains with `gan_core.training.train`: for so many seconds, or so many steps."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.training import pace
from gan_core.checkpoints import latest_checkpoint
from gan_core.config import RunConfig, load_config
from gan_core.errors import Interrupted
from gan_core.handoff import DatasetManifest
from gan_core.sampling import generate
from gan_core.training import train

_NEVER_KIMG = "100000"


def main() -> None:
    """Train as told, and leave report and samples; every sample comes from the saved checkpoint."""
    parser = pace.arguments(main.__doc__)
    parser.add_argument("--dataset", type=Path, required=True, help="the prepared data set that --faces was read from")
    parser.add_argument("--preset", default="celeba64")
    parser.add_argument("--set", action="append", default=[], dest="options", metavar="section.key=value")
    given = parser.parse_args()
    config, run_dir = _config(given), given.out / "run"
    dataset = DatasetManifest.load(given.dataset)
    figures: dict[str, Any]
    if given.steps is not None:
        train(config, dataset, run_dir)
        figures = _last_line(run_dir, given)
    else:
        figures = _for_seconds(config, dataset, run_dir, given.seconds)
    figures["version"] = f"faceloom on tensorflow {tf.__version__}"
    pace.leave(given, figures, None if given.steps else _samples(run_dir, given))


def _config(given: argparse.Namespace) -> RunConfig:
    """Return the preset with the options, without scores, and with one line of the log for each `--steps` steps."""
    quiet = [f"train.{name}_every_kimg={_NEVER_KIMG}" for name in ("snapshot", "checkpoint")]
    options = [*quiet, f"train.total_kimg={_NEVER_KIMG}", "eval.snapshot_score_count=0", f"train.seed={given.seed}"]
    if given.steps is None:
        options.append("train.steps_per_execution=8")  # as celeba64-cpu has it
    else:
        kimg = given.steps * given.batch / 1000
        options += [f"train.log_every_kimg={kimg}", f"train.total_kimg={2 * kimg}", f"train.batch_size={given.batch}"]
        options += [f"train.precision={given.precision}"]
    return load_config(given.preset, [*options, *given.options])


def _last_line(run_dir: Path, given: argparse.Namespace) -> dict[str, Any]:
    lines = (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rate = json.loads(lines[-1])["images_per_second"]
    images = given.steps * given.batch
    return {"images": images, "seconds": images / rate, "images_per_second": rate}


def _for_seconds(config: RunConfig, dataset: DatasetManifest, run_dir: Path, seconds: float) -> dict[str, Any]:
    """Train until SIGTERM, which this process sends itself when its time is over: the state is saved."""
    threading.Thread(target=_stop_after, args=(seconds, run_dir / "metrics.jsonl"), daemon=True).start()
    with contextlib.suppress(Interrupted):
        train(config, dataset, run_dir)
    checkpoint = latest_checkpoint(run_dir)
    if checkpoint is None:
        raise SystemExit(f"{run_dir} has no checkpoint after {seconds:g} s")
    return {"images": checkpoint.images_seen, "seconds": pace.process_seconds()}


def _stop_after(seconds: float, log: Path) -> None:
    time.sleep(max(0.0, seconds - pace.process_seconds()))
    # Nobody listens yet, and the signal would end the process; or there is no step yet that could be saved.
    while signal.getsignal(signal.SIGTERM) is signal.SIG_DFL or not log.exists():
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGTERM)


def _samples(run_dir: Path, given: argparse.Namespace) -> pace.Images:
    checkpoint = latest_checkpoint(run_dir)
    assert checkpoint is not None  # `_for_seconds` has seen it
    first = given.seed * given.samples
    return np.asarray(generate(checkpoint, range(first, first + given.samples)))


if __name__ == "__main__":
    main()
