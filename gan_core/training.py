"""train(): the loop around `Gan`: resume, logs, snapshots, checkpoints, and leaving cleanly when told to."""

from __future__ import annotations

import contextlib
import logging
import math
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_core import artifacts, vitals
from gan_core.checkpoints import (
    finished_checkpoint,
    latest_checkpoint,
    load_manifest,
    load_state,
    save_checkpoint,
)
from gan_core.conditions import Array, Condition, names_of
from gan_core.config import RunConfig, TrainConfig
from gan_core.dataset import Images, load_images, open_pictures, shown_indices
from gan_core.errors import Diverged, Interrupted
from gan_core.events import histograms_of
from gan_core.gan import Gan
from gan_core.grids import grid
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.metrics import SnapshotScorer
from gan_core.normalization import Normalization
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.runlog import RunLog
from gan_core.sampling import GRID_COLUMNS, GRID_COUNT, latents, render
from gan_core.transfer import transfer

_LOG = logging.getLogger(__name__)


def train(
    config: RunConfig, dataset: DatasetManifest, run_dir: Path, report_progress: ReportProgress = silent
) -> Checkpoint:
    """Train until `train.total_kimg` images were shown, going on from the newest checkpoint of `run_dir`.

    With `train.deterministic` on a CPU, the weights at the end do not depend on interruptions, bit for bit.

    Raises:
        Diverged: a loss or a weight left the finite numbers.
        Interrupted: SIGTERM or Ctrl-C; the state is saved.
        DataError: the data set has no training pictures.
        ConfigError: it has not the classes or attributes of `model.condition`, or not of every training picture;
            `train.transfer` names no checkpoint, or one where nothing matches; `train.freeze_d` is too large.
        ArtifactError: another process trains this run.
    """
    finished = finished_checkpoint(run_dir, config)
    if finished is not None:
        return finished
    artifacts.make_folder(run_dir)
    with artifacts.locked(run_dir / ".training.lock", wait=False), _termination() as signals:
        return Training(config, dataset, run_dir).run(signals, report_progress)


class Training:
    """One process's share of a run: from the newest checkpoint to the end, or to a signal."""

    def __init__(self, config: RunConfig, dataset: DatasetManifest, run_dir: Path) -> None:
        self.config, self.dataset, self.run_dir = config, dataset, run_dir
        self.train = config.train
        asked = config.model.condition
        names_of(asked, dataset)
        self.device = _configure_runtime(self.train)
        self.pictures = open_pictures(dataset, "train", self.train.placement, asked)
        self.condition = Condition.of(asked, dataset, self.pictures.values) if asked else None
        self.gan = Gan(config, Normalization.from_json(dataset.normalization), self.condition)
        self.step, self.steps_since_log, self.seconds_before = 0, 0, 0.0
        self.transferred: dict[str, str] = {}
        self._resume()
        self.log = RunLog(run_dir, self.images_seen)
        vitals.note_process(run_dir, self.device, self.train.precision)
        self.scorer = self._scorer()
        self.started = self.rate_started = time.monotonic()
        self.rate_step = self.step

    def run(self, signals: list[int], report_progress: ReportProgress) -> Checkpoint:
        """Train to the end; `signals` fills up when the process is told to stop."""
        checkpoint = None
        if self.step == 0:
            self._snapshot()
        while self.step < self.train.total_steps:
            self._advance()
            if self._due(self.train.log_every_kimg):
                self._write_log(report_progress)
            if self._due(self.train.snapshot_every_kimg):
                self._snapshot()
            if signals or self._due(self.train.checkpoint_every_kimg):
                checkpoint = self._save()
            if checkpoint is not None and signals and self.step < self.train.total_steps:
                name = signal.Signals(signals[0]).name
                raise Interrupted(
                    f"{name} at {checkpoint.images_seen / 1000:g} kimg; the state is saved in {checkpoint.path} "
                    "and the same command continues there"
                )
        return checkpoint or self._save()

    def _resume(self) -> None:
        checkpoint = latest_checkpoint(self.run_dir)
        if checkpoint is None:
            if self.train.transfer:
                digest, taken = transfer(self.gan.networks, Path(self.train.transfer))
                self.transferred = {"checkpoint": digest, **{name: str(what) for name, what in taken.items()}}
            return
        self.gan.restore(load_state(checkpoint))
        progress = load_manifest(checkpoint).fields["progress"]
        self.step = checkpoint.images_seen // self.train.batch_size
        self.steps_since_log, self.seconds_before = progress["steps_since_log"], progress["seconds"]
        self.transferred = progress.get("transferred", {})
        _LOG.info("resuming at %g kimg from %s", checkpoint.images_seen / 1000, checkpoint.path)

    def _advance(self) -> None:
        """Run up to `steps_per_execution` steps, stopping where something is due."""
        intervals = (
            self.train.log_every_kimg,
            self.train.snapshot_every_kimg,
            self.train.checkpoint_every_kimg,
        )
        stop = min(self.step + self.train.steps_per_execution, self.train.total_steps)
        for kimg in intervals:
            every = self._steps(kimg)
            stop = min(stop, (self.step // every + 1) * every)
        count, batch = stop - self.step, self.train.batch_size
        indices = shown_indices(self.step * batch, count * batch, len(self.pictures), self.train.seed)
        images = self.pictures.read(indices)
        arguments = [images.reshape(count, batch, *images.shape[1:]), tf.constant(self.step, tf.int64)]
        if self.condition:
            arguments.append(self.condition.array(self.pictures.values[indices]).reshape(count, batch, -1))
        self.gan.train_steps(*arguments)
        self.step = stop
        self.steps_since_log += count

    def _due(self, kimg: float) -> bool:
        return self.step % self._steps(kimg) == 0 or self.step == self.train.total_steps

    def _steps(self, kimg: float) -> int:
        return max(1, round(kimg * 1000 / self.train.batch_size))

    @property
    def seconds(self) -> float:
        """Seconds of training so far, those of earlier processes included."""
        return self.seconds_before + time.monotonic() - self.started

    @property
    def images_seen(self) -> int:
        """Real images shown so far."""
        return self.step * self.train.batch_size

    def _write_log(self, report_progress: ReportProgress) -> None:
        figures = self.gan.measured(self.steps_since_log)
        self.steps_since_log = 0
        bad = [name for name, value in figures.items() if not math.isfinite(value)]
        if bad:
            raise Diverged(
                f"{' and '.join(bad)} is not finite at {self.images_seen / 1000:g} kimg; the last good checkpoint is "
                f"kept in {self.run_dir / 'checkpoints'}. Try a lower train.learning_rate_g and train.learning_rate_d "
                f"(now {self.train.learning_rate_g:g} and {self.train.learning_rate_d:g})"
            )
        now, steps = time.monotonic(), self.step - self.rate_step
        figures["images_per_second"] = steps * self.train.batch_size / (now - self.rate_started)
        if self.gan.is_adaptive:
            figures["augment_strength"] = float(self.gan.strength.numpy())
        figures |= vitals.of_optimizer("g", self.gan.optimizer_g) | vitals.of_optimizer("d", self.gan.optimizer_d)
        figures |= vitals.memory()
        self.rate_started, self.rate_step = now, self.step
        self.log.metrics({"images": self.images_seen, **figures, "seconds": self.seconds})
        total = self.train.total_steps * self.train.batch_size
        report_progress(Progress("train", self.images_seen, total, "images", figures))

    def _snapshot(self) -> None:
        """Write the fixed-latent grid and, unless it is off, the score on the way."""
        self.gan.settle_average()
        if not self.log.shows_real:
            self.log.real(grid(load_images(self.dataset, "train", GRID_COUNT), GRID_COLUMNS))
        columns, conditions = (self.condition and self.condition.grid()) or (GRID_COLUMNS, None)
        count = GRID_COUNT if conditions is None else len(conditions)
        picture = grid(self._generated(range(count), conditions), columns)
        self.log.snapshot(self.images_seen, picture, histograms_of(self.gan))
        if self.scorer is not None:
            seeds = range(self.config.eval.seed, self.config.eval.seed + self.config.eval.snapshot_score_count)
            self.log.score({"images": self.images_seen, **self.scorer.score(self._generated(seeds))})

    def _generated(self, seeds: range, conditions: Array | None = None) -> Images:
        latent = latents(seeds, self.config.model.latent_size)
        if self.condition and conditions is None:
            conditions = self.condition.drawn(seeds)
        return render(self.gan.averaged, latent, self.gan.normalization, conditions)

    def _scorer(self) -> SnapshotScorer | None:
        count = self.config.eval.snapshot_score_count
        return SnapshotScorer(load_images(self.dataset, "train", 2 * count)) if count else None

    def _save(self) -> Checkpoint:
        self.gan.settle_average()
        state = self.gan.state()
        bad = [name for name, array in state.items() if not np.isfinite(array).all()]
        if bad:
            raise Diverged(
                f"{bad[0]} is not finite at {self.images_seen / 1000:g} kimg; nothing was saved over the last good "
                f"checkpoint in {self.run_dir / 'checkpoints'}. Try a lower train.learning_rate_g and "
                f"train.learning_rate_d (now {self.train.learning_rate_g:g} and {self.train.learning_rate_d:g})"
            )
        progress: dict[str, Any] = {
            "steps_since_log": self.steps_since_log,
            "seconds": self.seconds,
            "device": self.device,
        }
        if self.transferred:
            progress["transferred"] = self.transferred
        return save_checkpoint(
            self.run_dir, self.config, self.images_seen, state, progress, self.gan.normalization, self.condition
        )


def _configure_runtime(train: TrainConfig) -> str:
    """Set TensorFlow up for one training, and return the name of the device that it will run on."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # raised when the device is in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    device = str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else "CPU"
    keras.utils.set_random_seed(train.seed)
    if train.deterministic:
        tf.config.experimental.enable_op_determinism()
    _LOG.info(
        "training on %s, %s%s%s",
        device,
        train.precision,
        ", XLA" if train.xla else "",
        ", deterministic kernels" if train.deterministic else "",
    )
    return device


@contextlib.contextmanager
def _termination() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them: the loop looks between device calls."""
    received: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        received.append(number)

    try:
        before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever owns it decides
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
