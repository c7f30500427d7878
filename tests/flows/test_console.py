from __future__ import annotations

import io

import pytest

from flows.console import Bars, Lines, Pace, duration
from flows.stages import StageResult
from gan_core.errors import StageFailed
from gan_core.progress import Progress

RESULT = StageResult(stage="train", outcome="done", path="/runs/r/checkpoints/1", run_dir="/runs/r")
AGAIN = StageResult(stage="train", outcome="already done", path="/runs/r/checkpoints/1", run_dir="/runs/r")


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_the_pace_of_a_resumed_stage_counts_from_where_it_began() -> None:
    """Rate and time left follow from the positions that were seen, not from zero."""
    clock = Clock()
    pace = Pace(clock)
    assert pace.after(Progress("train", 5000, 10_000)) == ""
    clock.now = 10.0
    figures = {"loss_g": 1.23456, "images_per_second": 999.0}
    assert pace.after(Progress("train", 6000, 10_000, "images", figures)) == "100 images/s  40.0 s left  loss_g 1.235"


def test_lines_come_at_a_modest_rate() -> None:
    """Between a stage's first and last line there is one each ten seconds."""
    clock, stream = Clock(), io.StringIO()
    lines = Lines(stream, clock)
    lines.started("train", "/runs/r", 2)
    for second in range(25):
        clock.now = float(second)
        lines.progress(Progress("train", 100 * second, 10_000))
    lines.finished(RESULT, 24.0)
    lines.finished(AGAIN, 0.1)
    lines.failed("train", StageFailed("killed"))
    assert stream.getvalue().splitlines() == [
        "train    /runs/r (attempt 2)",
        "train    1,000 of 10,000 images (10%)  100 images/s  1 min 30 s left",
        "train    2,000 of 10,000 images (20%)  100 images/s  1 min 20 s left",
        "train    done in 24.0 s: /runs/r/checkpoints/1",
        "train    already done: /runs/r/checkpoints/1",
        "train    failed: killed",
    ]


def test_bars_leave_the_same_lines_behind() -> None:
    """On a terminal the bar goes when the stage ends; what stays are the lines of its begin and end."""
    stream = io.StringIO()
    bars = Bars(stream)
    bars.started("train", "/runs/r", 1)
    bars.progress(Progress("train", 1, 2, "images", {"loss_g": 0.5}))
    bars.finished(RESULT, 2.0)
    bars.close()
    assert "train    /runs/r\n" in stream.getvalue()
    assert stream.getvalue().rstrip().endswith("train    done in 2.0 s: /runs/r/checkpoints/1")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(8.12, "8.1 s"), (59.96, "1 min 00 s"), (750.0, "12 min 30 s"), (11_100.0, "3 h 05 min")],
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    """Seconds become what a person would say."""
    assert duration(seconds) == text
