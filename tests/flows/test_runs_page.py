import json
from pathlib import Path

import pytest

from flows import terminal
from flows.cli import cli
from tests import datasets, report_runs


def test_the_page_over_all_runs_is_written_on_demand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`faceloom runs page` writes runs/index.html and says where; --json has its path."""
    report_runs.bare_run(tmp_path, report_runs.data_set(tmp_path))
    assert terminal.run(cli, ["runs", "page", "--data-root", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == {"path": str(tmp_path / "runs" / "index.html")}
    assert "smoke-" in Path(found["path"]).read_text(encoding="utf-8")


def test_the_data_root_may_stand_before_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`faceloom runs --data-root X page` is the same; an empty root has a page too."""
    assert terminal.run(cli, ["runs", "--data-root", str(tmp_path), "page"]) == 0
    assert capsys.readouterr().out.strip().endswith("index.html")
    assert (tmp_path / "runs" / "index.html").is_file()


def test_scores_without_a_value_are_left_out_of_the_list(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`faceloom runs` lists what was measured."""
    pictures = datasets.smooth_pictures(64, 32, 3)
    values = {"swd": {"value": 9.0}, "recall": {"value": None}}
    report_runs.full_run(tmp_path, report_runs.data_set(tmp_path), pictures, pictures, values=values)
    assert terminal.run(cli, ["runs", "--data-root", str(tmp_path)]) == 0
    listed = capsys.readouterr().out
    assert "swd=9" in listed and "recall" not in listed
