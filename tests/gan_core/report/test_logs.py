import math
from pathlib import Path

from gan_core.report import logs
from gan_core.report.logs import Log


def test_a_cut_off_line_is_counted_and_its_neighbours_survive(tmp_path: Path) -> None:
    """A cut-off line, one without position and one that is no object are counted; the others are read."""
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kimg": 1, "loss_g": 2}\n\n{"kimg": NaN}\n[3]\n{"kimg": 2, "loss_g": 1}\n{"kimg": 3, "lo')
    assert logs.read_log(path) == Log(({"kimg": 1, "loss_g": 2}, {"kimg": 2, "loss_g": 1}), damaged=3)


def test_missing_and_empty_logs_are_empty(tmp_path: Path) -> None:
    """A log that is not there and one without lines read alike."""
    (tmp_path / "empty.jsonl").write_text("")
    assert logs.read_log(tmp_path / "empty.jsonl") == logs.read_log(tmp_path / "no.jsonl") == Log()


def test_a_resumed_run_supersedes_what_it_repeats(tmp_path: Path) -> None:
    """Lines at or after the position of a later line give way to it."""
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(f'{{"kimg": {kimg}}}\n' for kimg in (1, 2, 3, 2, 2.5)))
    assert [line["kimg"] for line in logs.read_log(path).lines] == [1, 2, 2.5]


def test_only_finite_numbers_are_numbers() -> None:
    """NaN, infinity, texts, truth values and absence all become NaN."""
    line = {"a": math.inf, "b": "1", "c": True, "d": None, "e": 2}
    assert [math.isnan(logs.number(line, key)) for key in "abcdf"] == [True] * 5
    assert logs.number(line, "e") == 2.0
