import math
import re
from pathlib import Path

import pytest

from gan_core import charts
from gan_core.charts import Chart, Curve, Log


def training_log(count: int = 3) -> Log:
    """Return `count` lines, one a kimg, without throughput."""
    lines = [
        {"kimg": float(i), "loss_g": 2.0, "loss_d": 1.0 / i, "accuracy_real": 0.9, "accuracy_fake": 0.8}
        for i in range(1, count + 1)
    ]
    return Log(tuple(lines))


@pytest.fixture(scope="module")
def drawn() -> list[Chart]:
    """The charts of `training_log()`, drawn once."""
    return charts.training_charts(training_log())


def test_a_cut_off_line_is_counted_and_its_neighbours_survive(tmp_path: Path) -> None:
    """A cut-off line, one without position and one that is no object are counted; the others are read."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kimg": 1, "loss_g": 2}\n\n{"kimg": NaN}\n[3]\n{"kimg": 2, "loss_g": 1}\n{"kimg": 3, "lo')
    log = charts.read_log(path)
    assert log == Log(({"kimg": 1, "loss_g": 2}, {"kimg": 2, "loss_g": 1}), damaged=3)


def test_missing_and_empty_logs_are_empty(tmp_path: Path) -> None:
    """A log that is not there and one without lines read alike, and draw nothing."""
    (tmp_path / "empty.jsonl").write_text("")
    assert charts.read_log(tmp_path / "empty.jsonl") == charts.read_log(tmp_path / "no.jsonl") == Log()
    assert charts.training_charts(Log()) == []
    assert charts.score_charts(Log()) == []


def test_a_resumed_run_supersedes_what_it_repeats(tmp_path: Path) -> None:
    """Lines at or after the position of a later line give way to it."""
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"kimg": {kimg}}}\n' for kimg in (1, 2, 3, 2, 2.5)))
    assert [line["kimg"] for line in charts.read_log(path).lines] == [1, 2, 2.5]


def test_only_finite_numbers_are_numbers() -> None:
    """NaN, infinity, texts, truth values and absence all become NaN."""
    line = {"a": math.inf, "b": "1", "c": True, "d": None, "e": 2}
    assert [math.isnan(charts.number(line, key)) for key in "abcdf"] == [True] * 5
    assert charts.number(line, "e") == 2.0


def test_training_charts_show_what_was_logged(drawn: list[Chart]) -> None:
    """Each logged quantity has its curve; what was not logged, here the throughput, has no chart."""
    assert [chart.title for chart in drawn] == ["Losses", "Discriminator accuracy"]
    assert [curve.label for curve in drawn[0].curves] == ["generator", "discriminator"]
    assert drawn[0].curves[1].y == [1.0, 0.5, 1 / 3]
    assert drawn[1].curves[2] == Curve("a coin toss", "muted", [1.0, 3.0], [0.5, 0.5], dashed=True)


def test_losses_that_are_not_finite_leave_gaps() -> None:
    """A chart with NaN and infinity among its values is drawn from the others; without others, not at all."""
    lines = [
        {"kimg": 1.0, "loss_g": math.nan},
        {"kimg": 2.0, "loss_g": math.inf},
        {"kimg": 3.0, "loss_g": 1.5},
    ]
    (chart,) = charts.training_charts(Log(tuple(lines)))
    assert 'aria-label="Losses: generator from 1.5 at 3 kimg to 1.5 at 3 kimg."' in chart.svg
    assert charts.training_charts(Log(tuple(lines[:2]))) == []


def test_scores_of_any_measure_are_drawn_with_their_floor() -> None:
    """Every key that is no position, count or floor is a measure; the floor is its dashed companion."""
    log = Log(({"kimg": 4.0, "images": 4000, "n": 512, "swd": 31.0, "swd_floor": 9.5, "new_one": 1},))
    swd, other = charts.score_charts(log)
    assert (swd.title, swd.note) == ("SWD", "From 512 pictures a point.")
    assert [(curve.y, curve.dashed) for curve in swd.curves] == [([31.0], False), ([9.5], True)]
    assert (other.title, len(other.curves)) == ("NEW-ONE", 1)


def test_long_logs_are_binned() -> None:
    """More lines than a chart can show are drawn as means with a band, and the chart stays small."""
    (losses, _) = charts.training_charts(training_log(5000))
    assert losses.binned
    assert len(losses.svg) < 40_000
    assert not charts.training_charts(training_log(240))[0].binned


def test_equal_logs_give_equal_bytes(drawn: list[Chart]) -> None:
    """A drawing holds neither dates nor random names."""
    assert charts.training_charts(training_log()) == drawn


def test_drawings_share_a_page(drawn: list[Chart]) -> None:
    """No two drawings share an id, every reference meets an id of its own, and no style rule leaks out."""
    ids = [re.findall(r'\bid="([^"]+)"', chart.svg) for chart in drawn]
    assert len(ids[0]) == len(set(ids[0])) > 0
    assert set(ids[0]) & set(ids[1]) == set()
    for chart, own in zip(drawn, ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', chart.svg)) <= set(own)
        assert "<style" not in chart.svg


def test_colours_and_font_are_the_page_s(drawn: list[Chart]) -> None:
    """A drawing names CSS variables, so it follows light and dark; it brings no colour or font family."""
    svg = drawn[0].svg
    assert set(re.findall(r"var\(--(\w+)\)", svg)) == {"rule", "muted", "generated", "discriminator"}
    assert "#0" not in svg
    assert "DejaVu" not in svg
    assert "http" not in svg
