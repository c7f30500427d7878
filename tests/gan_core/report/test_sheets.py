from pathlib import Path

import pytest

from gan_core import artifacts, grids
from gan_core.artifacts import Manifest
from gan_core.report import sheets
from tests.datasets import smooth_pictures
from tests.report_runs import publish


def _published(folder: Path, kind: str, fields: dict[str, object], rows: int, columns: int) -> Manifest:
    sheet = grids.grid(smooth_pictures(rows * columns, 32, 3), columns)
    publish(folder, kind, fields, {"sheet.png": sheet})
    return artifacts.read_manifest(folder, kind)


def test_neighbours_are_cut_into_rows(tmp_path: Path) -> None:
    """Each row is a picture of its own with a caption for each of its pictures; at most eight are shown."""
    distances = [[0.25, 0.5, None]] * 10
    facts = {"file": "sheet.png", "rows": 10, "columns": 4, "distances": distances}
    sheet = sheets.neighbours(_published(tmp_path / "scores", "scores", {"neighbours": facts}, 10, 4))
    assert sheet is not None
    assert [(strip.picture.width, strip.picture.height) for strip in sheet.strips] == [(134, 32)] * 8
    assert sheet.strips[0].captions == ("sample", "0.25", "0.5", "\N{EN DASH}")
    assert sheet.left_out == 2


def test_rows_of_classes_have_their_names(tmp_path: Path) -> None:
    """A row stands for each name, in their order."""
    facts = {"file": "sheet.png", "names": ["cat", 7], "columns": 8}
    sheet = sheets.classes(_published(tmp_path / "samples", "samples", {"classes": facts}, 2, 8))
    assert sheet is not None
    assert [strip.title for strip in sheet.strips] == ["cat", "7"]


@pytest.mark.parametrize(
    "facts",
    [
        None,
        [],
        {},
        {"file": "../config.json", "rows": 2},
        {"file": "sheet.png", "rows": 0},
        {"file": "sheet.png", "rows": 9999},
    ],
)
def test_what_is_no_sheet_is_left_out(tmp_path: Path, facts: object) -> None:
    """A missing field, a file that the manifest does not list and impossible rows are no sheet."""
    found = _published(tmp_path / "samples", "samples", {"interpolations": facts}, 2, 4)
    assert sheets.interpolations(found) is None
    assert sheets.interpolations(None) is None
    assert sheets.extremes(None) == {}


def test_best_and_worst_are_whole_sheets(tmp_path: Path) -> None:
    """Of both, what is there is shown, with what it was judged by."""
    facts = {"best": {"file": "sheet.png"}, "worst": {"file": "none.png"}, "by": "realism"}
    found = sheets.extremes(_published(tmp_path / "scores", "scores", {"extremes": facts}, 2, 8))
    assert (list(found), found["by"], found["best"].width) == (["best", "by"], "realism", 270)
