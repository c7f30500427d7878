from pathlib import Path
from typing import Any

from gan_core.artifacts import Manifest
from gan_core.report import moments
from gan_core.report.logs import Log
from tests.report_runs import bless

SCORES = Log(({"kimg": 1.0, "images": 1000, "swd": 9.0, "swd_error": 0.5, "swd_floor": 4.0, "diversity": 0.75},))


def _checkpoint(**fields: Any) -> Manifest:
    return Manifest(Path("checkpoint"), "checkpoint", "0" * 64, fields, {})


def test_best_last_and_blessed_are_in_the_order_of_the_training(tmp_path: Path) -> None:
    """Each has what was measured of its snapshot; what is at one moment shares a mark."""
    run_dir = tmp_path / "runs" / "one"
    checkpoint = _checkpoint(images_seen=3000, progress={"best": {"images": 1000, "swd": 9.0, "n": 8}})
    bless(tmp_path, run_dir, 3000)
    best, last = moments.moments(run_dir, checkpoint, SCORES)
    assert (best.name, best.kimg, best.swd, best.swd_error, best.diversity) == ("best", 1.0, 9.0, 0.5, 0.75)
    assert (last.name, last.images) == ("last, blessed", 3000)


def test_without_checkpoints_there_are_no_marks(tmp_path: Path) -> None:
    """No checkpoint, a damaged registry and progress without a best score give none."""
    pointer = tmp_path / "registry" / "model" / "blessed.json"
    pointer.parent.mkdir(parents=True)
    pointer.write_text('{"run": ')
    run_dir = tmp_path / "runs" / "one"
    assert moments.moments(run_dir, None, SCORES) == []
    assert [moment.name for moment in moments.moments(run_dir, _checkpoint(images_seen=5, progress=3), SCORES)] == [
        "last"
    ]
    pointer.write_text('{"version": 1, "run": "one", "images_seen": true}')
    assert moments.blessed_images(run_dir) is None
