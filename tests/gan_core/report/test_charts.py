import math
import re
from typing import Any

import pytest

from gan_core.report import charts, drawing
from gan_core.report.chart_specs import Curve
from gan_core.report.charts import Chart
from gan_core.report.logs import Log
from gan_core.report.moments import Moment

MOMENTS = [Moment("best", 1000, 1.0, 0.1, 0.5, 1.0), Moment("last", 3000, 1.0, 0.1, 0.5, 1.0)]


def training_log(count: int = 3) -> Log:
    """Return `count` lines, one a kimg, without throughput."""
    lines = [
        {"kimg": float(i), "loss_g": 2.0, "loss_d": 1.0 / i, "accuracy_real": 0.9, "accuracy_fake": 0.8}
        for i in range(1, count + 1)
    ]
    return Log(tuple(lines))


@pytest.fixture(scope="module")
def drawn() -> dict[str, Chart]:
    """The charts of `training_log()` with marks."""
    return charts.training_charts(training_log(), MOMENTS)


@pytest.fixture(scope="module")
def stills(drawn: dict[str, Chart]) -> list[str]:
    """Their pictures."""
    return [drawing.still(chart.spec, chart.name, chart.text) for chart in drawn.values()]


def _marks(chart: Chart, kind: str) -> list[dict[str, Any]]:
    return [layer for layer in chart.spec["layer"] if layer["mark"]["type"] == kind]


def test_training_charts_show_what_was_logged(drawn: dict[str, Chart]) -> None:
    """Each logged quantity has its curve; what was not logged, here throughput and memory, has no chart."""
    assert list(drawn) == ["losses", "accuracy"]
    assert [curve.label for curve in drawn["losses"].curves] == ["generator", "discriminator"]
    assert drawn["losses"].curves[1].y == [1.0, 0.5, 1 / 3]
    assert drawn["accuracy"].curves[2] == Curve("a coin toss", "muted", [0.5] * 3, dashed=True)
    assert charts.training_charts(Log()) == {}
    assert charts.score_charts(Log()) == []


def test_marks_stand_where_the_checkpoints_are(drawn: dict[str, Chart]) -> None:
    """Best and last are a dotted line and a name each; without moments there is neither."""
    names = _marks(drawn["losses"], "text")
    assert [layer["data"]["values"] for layer in names] == [
        [{"kimg": 1.0, "name": "best"}],
        [{"kimg": 3.0, "name": "last"}],
    ]
    assert _marks(charts.training_charts(training_log())["losses"], "text") == []


def test_losses_that_are_not_finite_leave_gaps() -> None:
    """A chart with NaN and infinity among its values is drawn from the others; without others, not at all."""
    lines = [
        {"kimg": 1.0, "loss_g": math.nan},
        {"kimg": 2.0, "loss_g": math.inf},
        {"kimg": 3.0, "loss_g": 1.5},
    ]
    chart = charts.training_charts(Log(tuple(lines)))["losses"]
    assert chart.text == "Losses: generator from 1.5 at 3 kimg to 1.5 at 3 kimg."
    assert [row["c0"] for row in chart.spec["data"]["values"]] == [None, None, 1.5]
    assert charts.training_charts(Log(tuple(lines[:2]))) == {}


def test_scores_of_any_measure_are_drawn_with_error_and_floor() -> None:
    """Every key that is no position, count, error or floor is a measure; its error is a band, its floor dashed."""
    line = {"kimg": 4.0, "images": 4000, "n": 512, "swd": 31.0, "swd_error": 0.5, "swd_floor": 9.5, "new_one": 1}
    swd, other = charts.score_charts(Log((line,)))
    assert (swd.title, swd.note) == ("SWD", "From 512 pictures a point. Band: one standard error to either side.")
    assert [(curve.y, curve.dashed) for curve in swd.curves] == [([31.0], False), ([9.5], True)]
    assert swd.spec["data"]["values"] == [{"kimg": 4.0, "c0": 31.0, "c0l": 30.5, "c0h": 31.5, "c1": 9.5}]
    assert (swd.columns, swd.rows) == (
        ("kimg", "generated against real", "floor: real against real"),
        ((4.0, 31.0, 9.5),),
    )
    assert (other.title, len(other.curves)) == ("NEW-ONE", 1)


def test_long_logs_are_binned() -> None:
    """More lines than a chart can show are means with a band from smallest to largest; the table stays short."""
    chart = charts.training_charts(training_log(5000))["losses"]
    values = chart.spec["data"]["values"]
    assert (chart.binned, len(values), len(chart.rows)) == (True, 200, 12)
    assert (values[0]["c1l"], values[0]["c1h"]) == (0.04, 1.0)
    assert chart.rows[-1][0] == 5000.0
    assert not charts.training_charts(training_log(200))["losses"].binned


def test_equal_logs_give_equal_bytes(drawn: dict[str, Chart], stills: list[str]) -> None:
    """A drawing holds neither dates nor random names."""
    again = charts.training_charts(training_log(), MOMENTS)
    assert [drawing.still(chart.spec, chart.name, chart.text) for chart in again.values()] == stills


def test_drawings_share_a_page(stills: list[str]) -> None:
    """No two drawings share an id, every reference meets an id of its own, and no style rule leaks out."""
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in stills]
    assert len(ids[0]) == len(set(ids[0])) > 0
    assert set(ids[0]) & set(ids[1]) == set()
    for svg, own in zip(stills, ids, strict=True):
        assert set(re.findall(r'(?:url\(|href=")#([^")]+)', svg)) <= set(own)
        assert "<style" not in svg


def test_colours_and_font_are_the_page_s(stills: list[str]) -> None:
    """A drawing names CSS variables, so it follows light and dark; it brings no colour or font family."""
    svg = stills[0]
    assert set(re.findall(r"var\(--(\w+)\)", svg)) == {"ink", "rule", "muted", "generated", "discriminator"}
    assert re.findall(r"#[0-9a-f]{3,6}\b", svg) == []
    assert "font-family" not in svg
    assert "http" not in svg
    assert 'aria-label="Losses: generator from 2 at 1 kimg to 2 at 3 kimg; discriminator from 1 at 1 kimg' in svg


def test_the_bundle_may_stand_inside_a_script_element() -> None:
    """Nothing in Vega's script ends the element or begins a comment, and it gives the page its one function."""
    script = drawing.bundle()
    assert re.findall(r"</script|<!--", script) == []
    assert "faceloomEmbed" in script
    assert 500_000 < len(script) < 1_000_000


def test_json_in_a_script_element_cannot_end_it() -> None:
    """Text of the data stays data."""
    assert drawing.embedded_json({"a": "</script><b>"}) == '{"a":"\\u003c/script>\\u003cb>"}'
