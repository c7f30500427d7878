"""When something is due in a training, in steps: options count thousand images, which steps need not divide."""

from __future__ import annotations

from gan_core.config import TrainConfig


def steps_of(kimg: float, train: TrainConfig) -> int:
    """Return how many steps show so many thousand images, at least one."""
    return max(1, round(kimg * 1000 / train.batch_size))


def is_due(step: int, kimg: float, train: TrainConfig) -> bool:
    """Return whether what happens every so many thousand images happens after `step` steps; at the end all does."""
    return step % steps_of(kimg, train) == 0 or step == train.total_steps


def next_stop(step: int, count: int, train: TrainConfig) -> int:
    """Return the step to stop after: `count` more, or where a log line, a snapshot, a checkpoint or the end is due."""
    stop = min(step + count, train.total_steps)
    for kimg in (train.log_every_kimg, train.snapshot_every_kimg, train.checkpoint_every_kimg):
        every = steps_of(kimg, train)
        stop = min(stop, (step // every + 1) * every)
    return stop
