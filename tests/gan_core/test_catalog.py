from pathlib import Path

from gan_core import catalog
from tests import datasets, report_runs


def test_a_run_is_described_from_its_files(tmp_path: Path) -> None:
    """Progress, state, scores and date come from manifests and logs; a score without a value stays without."""
    dataset = report_runs.data_set(tmp_path)
    pictures = datasets.smooth_pictures(64, 32, 3)
    values = {"swd": {"value": 9.0}, "recall": {"value": None}}
    run_dir = report_runs.full_run(tmp_path, dataset, pictures, pictures, values=values)
    found = catalog.describe(run_dir)
    assert (found["images_seen"], found["images_total"], found["state"]) == (24_000, 24_000, "trained")
    assert (found["scores"], found["date"]) == ({"swd": 9.0, "recall": None}, "2026-11-22T02:10:00+00:00")
    assert (found["problem"], found["report"]) == ("", "")


def test_damaged_runs_say_what_is_wrong(tmp_path: Path) -> None:
    """A folder without a config and one with a damaged manifest are described, not raised over."""
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert catalog.describe(tmp_path / "runs" / "a")["problem"] == "config.json is missing or damaged"
    run_dir = report_runs.bare_run(tmp_path, report_runs.data_set(tmp_path))
    (run_dir / "scores").mkdir()
    found = catalog.describe(run_dir)
    assert (found["state"], "manifest.json is missing" in found["problem"]) == ("damaged", True)


def test_drafts_and_files_are_no_runs(tmp_path: Path) -> None:
    """Hidden folders and the page over all runs are passed over; without runs there are none."""
    assert catalog.run_folders(tmp_path) == []
    for name in ("b", "a", ".draft"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    (tmp_path / "runs" / "index.html").write_text("")
    assert [path.name for path in catalog.run_folders(tmp_path)] == ["a", "b"]
