from pathlib import Path

import pytest

from gan_core.report import rejects
from tests import report_runs


def test_examples_that_can_be_seen_come_first(tmp_path: Path) -> None:
    """The most frequent reason first; within one, those with a tile on the sheet of rejects."""
    found = rejects.examples(report_runs.data_set(tmp_path))
    assert list(found) == ["undecodable", "too-small"]
    assert [(one.key, one.detail, one.thumbnail is not None) for one in found["too-small"]] == [
        ("b.jpg", "20 x 20", True),
        ("a.jpg", "", False),
    ]
    assert [one.key for one in found["undecodable"]] == [report_runs.EVIL]


@pytest.mark.parametrize("text", ["", "[]", '{"tiles": 3, "tile_pixels": 32}', '{"tiles": [], "tile_pixels": 100000}'])
def test_a_damaged_sheet_costs_the_thumbnails_only(tmp_path: Path, text: str) -> None:
    """Names and reasons are shown without it."""
    dataset = report_runs.data_set(tmp_path)
    (dataset.path / "rejects_sheet.json").write_text(text)
    found = rejects.examples(dataset)
    assert [(one.key, one.thumbnail) for one in found["too-small"]] == [("a.jpg", None), ("b.jpg", None)]
