from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gan_core.records import read_records
from gan_core.runlog import RunLog


def picture(grey: int) -> Image.Image:
    """Return a grid of 8x4 grey pixels."""
    return Image.new("RGB", (8, 4), (grey, grey, grey))


def log_until(log: RunLog, first: int, last: int) -> None:
    """Log a line, a score and a snapshot every 100 images, from `first` to `last` inclusive."""
    for images in range(first, last + 1, 100):
        log.metrics({"images": images, "loss_g": images / 1000 + 0.5})
        log.score({"images": images, "kid": images / 1000})
        log.snapshot(images, picture(images // 100))


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a .jsonl file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(run_dir: Path) -> list[tuple[int, str, Any]]:
    """Return (step, tag, value) of all that TensorBoard shows, sorted; of a picture, its first grey value."""
    shown: list[tuple[int, str, Any]] = []
    for path in (run_dir / "tensorboard").iterdir():
        for _, data in read_records(path):
            event = tf.compat.v1.Event.FromString(data)
            for value in event.summary.value:
                array = tf.make_ndarray(value.tensor)
                if value.tag == "fixed latents":
                    width, height, png = array
                    assert (width, height) == (b"8", b"4")
                    shown.append((event.step, value.tag, int(tf.io.decode_png(png)[0, 0, 0])))
                else:
                    shown.append((event.step, value.tag, float(array)))
    return sorted(shown)


def expected_events(*hundreds: int) -> list[tuple[int, str, Any]]:
    """Return what TensorBoard shows after `log_until` for these hundreds of images."""
    return [
        event
        for n in hundreds
        for event in (
            (n * 100, "fixed latents", n),
            (n * 100, "kid", float(np.float32(n / 10))),
            (n * 100, "loss_g", float(np.float32(n / 10 + 0.5))),
        )
    ]


def snapshots(run_dir: Path) -> list[str]:
    """Return the names in snapshots/."""
    return sorted(path.name for path in (run_dir / "snapshots").iterdir())


def test_logs_are_lines_files_and_events(tmp_path: Path) -> None:
    """Every figure is a line with its kimg, every snapshot a PNG, and both are shown by TensorBoard."""
    log_until(RunLog(tmp_path, 0), 100, 200)
    assert lines(tmp_path / "metrics.jsonl") == [
        {"kimg": 0.1, "images": 100, "loss_g": 0.6},
        {"kimg": 0.2, "images": 200, "loss_g": 0.7},
    ]
    assert lines(tmp_path / "snapshot_scores.jsonl") == [
        {"kimg": 0.1, "images": 100, "kid": 0.1},
        {"kimg": 0.2, "images": 200, "kid": 0.2},
    ]
    assert snapshots(tmp_path) == ["000000000100.png", "000000000200.png"]
    with Image.open(tmp_path / "snapshots" / "000000000200.png") as saved:
        assert (saved.size, saved.getpixel((0, 0))) == ((8, 4), (2, 2, 2))
    assert events(tmp_path) == expected_events(1, 2)


def test_resume_cuts_off_what_lies_past_the_checkpoint(tmp_path: Path) -> None:
    """A run that was killed at 500 and resumes at 300 logs 400 and 500 once."""
    log_until(RunLog(tmp_path, 0), 100, 500)
    log = RunLog(tmp_path, 300)
    for name in ("metrics.jsonl", "snapshot_scores.jsonl"):
        assert [line["images"] for line in lines(tmp_path / name)] == [100, 200, 300]
    assert snapshots(tmp_path) == [f"000000000{n}00.png" for n in (1, 2, 3)]
    assert events(tmp_path) == expected_events(1, 2, 3)
    log_until(log, 400, 600)
    for name in ("metrics.jsonl", "snapshot_scores.jsonl"):
        assert [line["images"] for line in lines(tmp_path / name)] == [100, 200, 300, 400, 500, 600]
    assert events(tmp_path) == expected_events(1, 2, 3, 4, 5, 6)


def test_interrupted_and_uninterrupted_runs_leave_the_same_files(tmp_path: Path) -> None:
    """After a resume, the files are those of a run that was never killed, byte for byte."""
    log_until(RunLog(tmp_path / "whole", 0), 100, 500)
    log_until(RunLog(tmp_path / "killed", 0), 100, 400)
    log_until(RunLog(tmp_path / "killed", 200), 300, 500)
    for name in (
        "metrics.jsonl",
        "snapshot_scores.jsonl",
        *(f"snapshots/000000000{n}00.png" for n in range(1, 6)),
    ):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert events(tmp_path / "killed") == events(tmp_path / "whole")


def test_start_over_logs_the_beginning_once(tmp_path: Path) -> None:
    """A run that was killed before its first checkpoint starts at 0 again, where it had logged already."""
    log_until(RunLog(tmp_path, 0), 0, 200)
    log = RunLog(tmp_path, 0)
    assert (lines(tmp_path / "metrics.jsonl"), snapshots(tmp_path), events(tmp_path)) == ([], [], [])
    log_until(log, 0, 0)
    assert [line["images"] for line in lines(tmp_path / "snapshot_scores.jsonl")] == [0]
    assert events(tmp_path) == expected_events(0)


@pytest.mark.parametrize("rest", ['{"kimg": 0.3, "ima', '{"kimg": 0.3, "images": 300', "\x00\x00\x00"])
def test_line_that_a_kill_cut_short_is_dropped(tmp_path: Path, rest: str) -> None:
    """A last line that is not whole goes, and the next one does not stick to it."""
    log_until(RunLog(tmp_path, 0), 100, 200)
    with (tmp_path / "metrics.jsonl").open("a") as stream:
        stream.write(rest)
    log_until(RunLog(tmp_path, 300), 400, 400)
    assert [line["images"] for line in lines(tmp_path / "metrics.jsonl")] == [100, 200, 400]


def test_figures_that_are_not_finite_survive_a_resume(tmp_path: Path) -> None:
    """A score may be undefined; that is no reason to lose the lines after it."""
    log = RunLog(tmp_path, 0)
    log.score({"images": 100, "kid": float("nan")})
    log.score({"images": 200, "kid": 0.5})
    RunLog(tmp_path, 200)
    first, second = lines(tmp_path / "snapshot_scores.jsonl")
    assert (np.isnan(first["kid"]), second["kid"]) == (True, 0.5)


def test_grey_snapshots_are_shown_too(tmp_path: Path) -> None:
    """A grid of one channel is a grey PNG, and TensorBoard shows it."""
    log = RunLog(tmp_path, 0)
    log.snapshot(100, Image.new("L", (8, 4), 9))
    with Image.open(tmp_path / "snapshots" / "000000000100.png") as saved:
        assert saved.mode == "L"
    assert events(tmp_path) == [(100, "fixed latents", 9)]


def tags(run_dir: Path) -> set[str]:
    """Return the tags of all events."""
    found = set()
    for path in (run_dir / "tensorboard").iterdir():
        for _, data in read_records(path):
            found |= {value.tag for value in tf.compat.v1.Event.FromString(data).summary.value}
    return found


def frames(run_dir: Path) -> list[int]:
    """Return the grey level of each frame of the film."""
    with Image.open(run_dir / "training.gif") as film:
        levels = []
        for index in range(getattr(film, "n_frames", 1)):
            film.seek(index)
            levels.append(int(np.asarray(film.convert("L"))[0, 0]))
    return levels


def test_real_pictures_are_shown_once(tmp_path: Path) -> None:
    """They stand at step 0 and survive a resume; a new start and an old run without them ask for them again."""
    log = RunLog(tmp_path, 0)
    assert not log.shows_real
    log.real(picture(7))
    log_until(log, 0, 200)
    assert log.shows_real
    assert RunLog(tmp_path, 100).shows_real
    assert not RunLog(tmp_path, 0).shows_real


def test_histograms_of_before_a_resume_stay(tmp_path: Path) -> None:
    """They are in no other log, so TensorBoard's files are cut and not written again; those past it go."""
    log = RunLog(tmp_path, 0)
    log.snapshot(100, picture(1), {"weights/kept": np.arange(3.0)})
    log.snapshot(200, picture(2), {"weights/gone": np.arange(3.0)})
    RunLog(tmp_path, 100)
    assert tags(tmp_path) == {"fixed latents", "weights/kept"}


def test_without_its_folder_tensorboard_is_filled_from_the_logs(tmp_path: Path) -> None:
    """A folder that was deleted has every number and grid again after a resume."""
    log_until(RunLog(tmp_path, 0), 100, 300)
    shutil.rmtree(tmp_path / "tensorboard")
    RunLog(tmp_path, 300)
    assert events(tmp_path) == expected_events(1, 2, 3)


def test_the_film_follows_the_snapshots(tmp_path: Path) -> None:
    """A frame a snapshot; a resume takes out those past it, and a new start the film."""
    log = RunLog(tmp_path, 0)
    for images in (100, 200, 300):
        log.snapshot(images, picture(images // 100 * 40))
    assert frames(tmp_path) == [40, 80, 120]
    RunLog(tmp_path, 200)
    assert frames(tmp_path) == [40, 80]
    RunLog(tmp_path, 0)
    assert not (tmp_path / "training.gif").exists()
