"""train(): the loop around `Gan`: resume, logs, snapshots, checkpoints, going back, and leaving when told to."""

from __future__ import annotations

import contextlib
import gc
import logging
import signal
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from gan_core import artifacts, distribution, guards, start_up, timetable, vitals
from gan_core.checkpoints import (
    checkpoint_folder,
    finished_checkpoint,
    is_whole,
    latest_checkpoint,
    load_manifest,
    load_state,
    save_checkpoint,
)
from gan_core.conditions import Condition, names_of
from gan_core.config import RunConfig
from gan_core.errors import ConfigError, Interrupted
from gan_core.events import histograms_of
from gan_core.feed import Feed
from gan_core.gan import Gan
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.models.description import write_networks
from gan_core.normalization import Normalization
from gan_core.pace import Pace
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.recovery import Recovery
from gan_core.runlog import RunLog, forget_snapshot
from gan_core.snapshots import Snapshots
from gan_core.team import Team
from gan_core.termination import collected_signals, refused_writes
from gan_core.transfer import transfer
from gan_core.watch import Watch
from gan_core.workers import this_worker

_LOG = logging.getLogger(__name__)


class _NotFinite(Exception):
    """A loss or a weight left the finite numbers. The argument is its name."""


class _OutOfMemory(Exception):
    """A step did not fit into the device's memory. The argument is the first line of what TensorFlow says."""


def train(
    config: RunConfig, dataset: DatasetManifest, run_dir: Path, report_progress: ReportProgress = silent
) -> Checkpoint:
    """Train until `train.total_kimg` images were shown, going on from the newest checkpoint of `run_dir`.

    With several workers (`TF_CONFIG`, see `workers.this_worker`) each calls this, with the same config and data set
    and a `run_dir` that all of them see; only the chief writes.

    With `train.deterministic` on a CPU, the weights at the end do not depend on interruptions, bit for bit.

    Raises:
        Diverged: a loss or a weight left the finite numbers, at an eighth of the learning rates too.
        Interrupted: SIGTERM or Ctrl-C; the state is saved.
        ConfigError: the memory that is free does not suffice for the training, or for `train.placement`.
        DataError: the data set has no training pictures.
        ConfigError: it has not the classes or attributes of `model.condition`, or not of every training picture;
            `train.transfer` names no checkpoint, or one where nothing matches; `train.freeze_d` is too large; the
            batch cannot be divided by the number of devices.
        StageFailed: another worker is gone.
        ArtifactError: another process trains this run, all its checkpoints are damaged, or the disk is full.
    """
    finished = finished_checkpoint(run_dir, config)
    if finished is not None:
        return finished
    artifacts.make_folder(run_dir)
    with contextlib.ExitStack() as stack:
        if this_worker().is_chief:
            stack.enter_context(artifacts.locked(run_dir / ".training.lock", wait=False))
        stack.enter_context(refused_writes(run_dir))
        signals = stack.enter_context(collected_signals())
        return Training(config, dataset, run_dir, signals).run(report_progress)


class Training:
    """One process's share of a run: from the newest checkpoint to the end, or to a signal.

    `signals` fills up when the process is told to stop. Of several workers, each goes through the same steps, snapshots
    and checkpoints: what they do next follows from numbers that all of them have, or that the chief tells the others.
    """

    gan: Gan
    recovery: Recovery
    watch: Watch
    checkpoint: Checkpoint | None
    step: int
    steps_since_log: int
    seconds_before: float
    snapshot_due: bool
    unsaved: bool

    def __init__(self, config: RunConfig, dataset: DatasetManifest, run_dir: Path, signals: list[int]) -> None:
        self.config, self.dataset, self.run_dir = config, dataset, run_dir
        self.received = self.signals = signals
        self.train = config.train
        asked = config.model.condition
        names_of(asked, dataset)
        self.device = start_up.configure_runtime(self.train)
        worker = this_worker()
        self.strategy = distribution.strategy_for(self.train, worker.count)
        self.team = Team(worker, self.strategy)
        in_parts = Recovery.load(run_dir, {}).applied(config)  # after running out of memory, smaller ones
        replicas = self.strategy.num_replicas_in_sync if self.strategy else 1
        pictures = start_up.placed_pictures(in_parts, dataset, replicas)
        self.condition = Condition.of(asked, dataset, pictures.values) if asked else None
        self.feed = Feed(config, pictures, self.condition)
        self.snapshots = Snapshots(config, dataset, self.condition) if self.team.is_chief else None
        with self.team.together():
            self.team.require_same(artifacts.digest_of([config.to_json()["model"], config.to_json()["train"]]))
            self._start()

    def run(self, report_progress: ReportProgress) -> Checkpoint:
        """Train to the end, going back to the newest checkpoint with what `Recovery` changes where that is needed."""
        with self.team.together():
            return self._run(report_progress)

    def _run(self, report_progress: ReportProgress) -> Checkpoint:
        while True:
            try:
                with self.feed.reading(self.step):
                    return self._to_the_end(report_progress)
            except _NotFinite as error:
                self.recovery = self.recovery.after_divergence(self.images_seen, str(error), self.train, self.run_dir)
            except _OutOfMemory as error:
                if not self.team.is_alone:
                    raise ConfigError(
                        f"out of memory at {self.images_seen / 1000:g} kimg on {self.team.worker} ({error}); set "
                        "train.micro_batch in the command of every worker"
                    ) from None
                replicas = self.strategy.num_replicas_in_sync if self.strategy else 1
                self.recovery = self.recovery.with_smaller_parts(self.images_seen, str(error), self.train, replicas)
            if self.team.is_chief:
                self.recovery.write(self.run_dir)
            if self.signals:
                raise self._interrupted()
            del self.gan  # before the next one takes its memory
            gc.collect()
            self._start()

    def _to_the_end(self, report_progress: ReportProgress) -> Checkpoint:
        while True:
            self._agree()
            if self.snapshot_due and not self.signals:
                self._snapshot()
                self._follow_chief()
            is_over = not self.snapshot_due and (self.watch.stopped_early or self.step == self.train.total_steps)
            is_due = self._due(self.train.checkpoint_every_kimg) or self.watch.is_best(self.images_seen)
            if self.unsaved and (is_due or is_over or self.signals):
                self.checkpoint, self.unsaved = self._save(), False
            if is_over and self.checkpoint is not None:
                return self.checkpoint
            if self.signals:
                raise self._interrupted()
            if not self._advance():
                continue
            if self._due(self.train.log_every_kimg):
                self._write_log(report_progress)
            self.snapshot_due = self._due(self.train.snapshot_every_kimg)

    def _start(self) -> None:
        """Build the networks and go to the newest checkpoint, or to the start where there is none."""
        keras.utils.set_random_seed(self.train.seed)
        self.checkpoint = self._newest_checkpoint()
        progress = load_manifest(self.checkpoint).fields["progress"] if self.checkpoint else {}
        recovery = Recovery.load(self.run_dir, progress)
        self.recovery = Recovery.from_json(self.team.from_chief(recovery.to_json()))
        normalization = Normalization.from_json(self.dataset.normalization)
        with distribution.scope(self.strategy):
            self.gan = Gan(self.recovery.applied(self.config), normalization, self.condition, self.feed.table)
        self.step, self.unsaved = 0, False
        self.transferred: dict[str, str] = progress.get("transferred", {})
        if self.checkpoint is None and self.train.transfer:
            digest, taken = transfer(self.gan.networks, Path(self.train.transfer))
            self.transferred = {"checkpoint": digest, **{name: str(what) for name, what in taken.items()}}
        if self.checkpoint is not None:
            self.step = self.checkpoint.images_seen // self.train.batch_size
            self.gan.restore(load_state(self.checkpoint))
            if self.recovery.divergences:
                self.gan.reset_learning_rates()
            _LOG.info("resuming at %g kimg from %s", self.images_seen / 1000, self.checkpoint.path)
        self.steps_since_log = progress.get("steps_since_log", 0)
        self.seconds_before = progress.get("seconds", 0.0)
        self.snapshot_due = self.step == 0 or progress.get("snapshot_due", False)
        self.watch = Watch.from_json(self.train, progress)
        if self.watch.best is not None and not is_whole(self.run_dir, self.watch.best.images):
            _LOG.warning("the best checkpoint is missing or damaged; the next snapshot takes its place")
            self.watch.best = None
        self._follow_chief()
        if self.team.is_chief:
            if self.step and self.snapshot_due:
                forget_snapshot(self.run_dir, self.images_seen)
            vitals.note_process(self.run_dir, self.device, self.train.precision)
            write_networks(self.run_dir, (self.gan.generator, self.gan.discriminator))
        self.log = RunLog(self.run_dir, self.images_seen) if self.team.is_chief else None
        self.pace = Pace(self.train.steps_per_execution)
        self.started = self.rate_started = time.monotonic()
        self.rate_step = self.step

    def _newest_checkpoint(self) -> Checkpoint | None:
        newest = latest_checkpoint(self.run_dir) if self.team.is_chief else None
        images = self.team.from_chief(newest and newest.images_seen)
        if self.team.is_chief or images is None:
            return newest
        return Checkpoint(self.run_dir, images, checkpoint_folder(self.run_dir, images))

    def _agree(self) -> None:
        """Stop when any worker is told to, and make as many steps a call as the slowest of them."""
        if not self.team.is_alone:
            heard, steps = zip(*self.team.exchange([self.received[:1], self.pace.steps]), strict=True)
            self.signals, self.pace.steps = [number for one in heard for number in one], min(steps)

    def _follow_chief(self) -> None:
        """Take over what the chief made of a snapshot, or of the files that it found."""
        if not self.team.is_alone:
            own = [self.snapshot_due, self.unsaved, self.watch.to_json()]
            self.snapshot_due, self.unsaved, watch = self.team.from_chief(own)
            self.watch = Watch.from_json(self.train, watch)

    def _interrupted(self) -> Interrupted:
        name = signal.Signals(self.signals[0]).name
        if self.checkpoint is None:
            return Interrupted(f"{name} before the first checkpoint; the same command starts again")
        return Interrupted(
            f"{name} at {self.checkpoint.images_seen / 1000:g} kimg; the state is saved in {self.checkpoint.path} and "
            "the same command continues there"
        )

    def _advance(self) -> bool:
        """Run up to `steps_per_execution` steps, stopping where something is due.

        Returns:
            False when nothing was done, because a signal came while pixels were waited for.
        """
        stop = timetable.next_stop(self.step, self.pace.steps, self.train)
        count = stop - self.step
        arguments = self.feed.of(self.step, count, self.signals)
        if not arguments:
            return False
        start = time.monotonic()
        try:
            self.gan.train_steps(*arguments)
            if self.train.steps_per_execution > 1:
                self.gan.sums.numpy()  # waits for the device, so that the pace is measured
        except tf.errors.ResourceExhaustedError as error:
            raise _OutOfMemory(str(error.message).strip().partition("\n")[0]) from None
        self.pace.took(count, time.monotonic() - start)
        self.step, self.unsaved = stop, True
        self.steps_since_log += count
        return True

    def _due(self, kimg: float) -> bool:
        return timetable.is_due(self.step, kimg, self.train)

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
        _check_finite(figures)
        self._check_weights()
        images_before = self.images_seen - self.steps_since_log * self.train.batch_size
        self.steps_since_log = 0
        now, steps = time.monotonic(), self.step - self.rate_step
        figures["images_per_second"] = steps * self.train.batch_size / (now - self.rate_started)
        figures |= vitals.of_gan(self.gan) | vitals.memory()
        self.rate_started, self.rate_step = now, self.step
        warned = self.watch.logged(figures["loss_d"], images_before, self.images_seen)
        if self.log is not None:
            self.log.metrics({"images": self.images_seen, **figures, **warned, "seconds": self.seconds})
        total = self.train.total_steps * self.train.batch_size
        report_progress(Progress("train", self.images_seen, total, "images", figures))

    def _snapshot(self) -> None:
        """Write the fixed-latent grid and, unless it is off, the score; at a signal nothing, and it stays due."""
        self._check_weights()
        if self.log is None or self.snapshots is None:
            return
        self.gan.settle_average()
        taken = self.snapshots.take(self.gan, self.signals)
        if taken is None:
            return
        picture, score = taken
        if not self.log.shows_real:
            self.log.real(self.snapshots.real())
        self.log.snapshot(self.images_seen, picture, histograms_of(self.gan))
        if score:
            self.log.score({"images": self.images_seen, **score, **self.watch.scored(self.images_seen, score)})
        self.snapshot_due, self.unsaved = False, self.step > 0

    def _check_weights(self) -> None:
        # A loss need not show them: on a CPU, ReLU makes 0 of NaN.
        if not self.gan.is_finite():
            _check_finite(self.gan.state())

    def _save(self) -> Checkpoint:
        self.gan.settle_average()
        state = self.gan.state()
        _check_finite(state)
        progress: dict[str, Any] = {
            "steps_since_log": self.steps_since_log,
            "seconds": self.seconds,
            "device": self.device,
            "snapshot_due": self.snapshot_due,
            "recovery": self.recovery.to_json(),
            **self.watch.to_json(),
        }
        if self.transferred:
            progress["transferred"] = self.transferred
        if self.team.is_chief:
            about = progress, self.gan.normalization, self.condition
            save_checkpoint(self.run_dir, self.config, self.images_seen, state, *about)
        self.team.wait()
        return Checkpoint(self.run_dir, self.images_seen, checkpoint_folder(self.run_dir, self.images_seen))


def _check_finite(figures: Any) -> None:
    what = guards.first_not_finite(figures)
    if what is not None:
        raise _NotFinite(what)
