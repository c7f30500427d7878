from __future__ import annotations

import io

import pytest

from flows.console import Bars, Lines, Pace, duration
from flows.figures import figures_text
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
    assert pace.after(Progress("train", 6000, 10_000, "images", figures)) == "100 images/s  40.0 s left"


FIGURES = {
    "loss_g": 0.9123,
    "loss_d": 1.24,
    "accuracy_real": 0.812,
    "accuracy_fake": 0.774,
    "gradient_norm_g": 1.234,
    "gradient_norm_d": 0.8123,
    "images_per_second": 412.0,
    "augment_strength": 0.125,
    "learning_rate_g": 0.0002,
    "learning_rate_d": 0.0004,
    "loss_scale_g": 32768.0,
    "loss_scale_d": 32768.0,
    "memory_mib": 1331.2,
    "memory_peak_mib": 1500.0,
}


def test_figures_of_a_training_in_few_words() -> None:
    """Both networks' numbers stand together, equal ones once; others keep their names."""
    assert figures_text(FIGURES) == (
        "loss G 0.912 D 1.24  real 81% fake 77%  grad G 1.23 D 0.812  lr G 0.0002 D 0.0004  1.3 GiB  augment 0.12  "
        "scale 3.28e+04"
    )
    plain = {**FIGURES, "learning_rate_d": 0.0002}
    for name in ("augment_strength", "loss_scale_g", "loss_scale_d"):
        del plain[name]
    assert len(figures_text(plain)) <= 80
    assert figures_text({"loss_g": 0.5}) == "loss G 0.5"
    assert figures_text({"swd": 12.3456}) == "swd 12.35"
    assert figures_text({}) == ""


def test_on_eighty_columns_the_bar_and_the_figures_have_a_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures do not push the bar aside: two lines, none longer than the terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    bars = Bars(io.StringIO())
    bars.started("train", "/runs/r", 1)
    bars.progress(Progress("train", 500, 2000, "images", FIGURES))
    with bars._console.capture() as capture:
        bars._console.print(bars._bars.get_renderable())
    bars.close()
    first, second = capture.get().splitlines()
    assert (first.split()[0], "25%" in first) == ("train", True)
    assert second == "loss G 0.912 D 1.24  real 81% fake 77%  grad G 1.23 D 0.812  lr G 0.0002 D 0.00…"
    assert len(second) == 80


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
