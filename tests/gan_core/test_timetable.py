"""When logs, snapshots and checkpoints are due."""

from __future__ import annotations

import pytest

from gan_core.config import TrainConfig
from gan_core.timetable import is_due, next_stop, steps_of

TRAIN = TrainConfig(
    batch_size=64, total_kimg=1.28, log_every_kimg=0.192, snapshot_every_kimg=0.32, checkpoint_every_kimg=0.64
)  # 20 steps; every 3, 5 and 10


@pytest.mark.parametrize(("kimg", "steps"), [(0.192, 3), (0.32, 5), (0.1, 2), (0.09, 1), (0.001, 1), (10.0, 156)])
def test_kimg_become_whole_steps(kimg: float, steps: int) -> None:
    """The nearest number of steps of 64 pictures, and never none."""
    assert steps_of(kimg, TRAIN) == steps


def test_every_step_at_which_something_is_due_is_stopped_at() -> None:
    """However many steps a call may make; at the end, step 20, everything is due."""
    for count in (1, 2, 7, 100):
        stops, step = [], 0
        while step < TRAIN.total_steps:
            stops.append(step := next_stop(step, count, TRAIN))
        assert {3, 5, 6, 9, 10, 12, 15, 18, 20} <= set(stops), count
        assert stops[-1] == 20
        if count == 100:
            assert stops == [3, 5, 6, 9, 10, 12, 15, 18, 20]
    due = {kimg: [step for step in range(1, 21) if is_due(step, kimg, TRAIN)] for kimg in (0.192, 0.32, 0.64)}
    assert due == {0.192: [3, 6, 9, 12, 15, 18, 20], 0.32: [5, 10, 15, 20], 0.64: [10, 20]}
