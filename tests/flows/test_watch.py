"""`faceloom runs watch`: what is said of a run, from its files alone."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flows import runs_command, terminal, watch_display, watching
from flows.cli import cli
from flows.runs_command import follow
from flows.watching import Watch, find_run
from gan_core import artifacts, lineage
from gan_core.artifacts import locked
from gan_core.config import load_config
from gan_core.errors import ConfigError

ROOT = Path(__file__).parents[2]
CONFIG = load_config("smoke")  # 63 steps of 32: 2,016 images; a line every 256


def metrics(images: int, rate: float = 100.0) -> dict[str, float]:
    """Return a line of metrics.jsonl."""
    return {
        "kimg": images / 1000,
        "images": images,
        "loss_g": 0.75,
        "loss_d": 1.25,
        "accuracy_real": 0.5,
        "accuracy_fake": 1.0,
        "gradient_norm_g": 2.5,
        "gradient_norm_d": 0.125,
        "images_per_second": rate,
        "learning_rate_g": 0.0002,
        "learning_rate_d": 0.0002,
        "memory_mib": 1536.0,
        "memory_peak_mib": 2048.0,
        "seconds": 1.0,
    }


def append(path: Path, *lines: dict[str, Any]) -> None:
    """Append lines to a log."""
    with path.open("a") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


def stage(run_dir: Path, name: str, outcome: str) -> None:
    """Note how a stage ended."""
    append(run_dir / "stages.jsonl", {"stage": name, "outcome": outcome, "started": "2026-01-01T00:00:00+00:00"})


def checkpoint(run_dir: Path, images: int) -> None:
    """Publish a checkpoint without weights."""
    with artifacts.publishing(run_dir / "checkpoints" / f"{images:012d}") as draft:
        artifacts.write_manifest(draft, "checkpoint", "0" * 64, {"images_seen": images, "config": {}, "progress": {}})


def make_run(data_root: Path, name: str = "smoke-0123456789ab") -> Path:
    """Make a run as it is before its training."""
    run_dir = data_root / "runs" / name
    lineage.start_run(run_dir, CONFIG, "1" * 64, "2" * 64, data_root / "datasets" / "d")
    return run_dir


def age(run_dir: Path, seconds: float) -> None:
    """Make all files of a run older."""
    for path in run_dir.rglob("*"):
        os.utime(path, (time.time() - seconds,) * 2)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """A run in training: two lines, two snapshots, three scores, the first of networks that learned nothing yet."""
    run_dir = make_run(tmp_path)
    (run_dir / ".training.lock").touch()
    artifacts.write_json(
        run_dir / "training.json", {"device": "H200", "precision": "float32", "host": "node7", "pid": 1}
    )
    append(run_dir / "metrics.jsonl", metrics(256, 50.0), metrics(512, 150.0))
    for images, swd in ((0, 30.0), (256, 40.0), (512, 45.0)):
        append(
            run_dir / "snapshot_scores.jsonl",
            {"kimg": images / 1000, "images": images, "swd": swd, "swd_floor": 4.0, "n": 32},
        )
    (run_dir / "snapshots").mkdir()
    for images in (0, 512):
        (run_dir / "snapshots" / f"{images:012d}.png").touch()
    return run_dir


def look(run_dir: Path) -> watching.State:
    """Return how a run stands now."""
    watched = Watch(run_dir)
    watched.read()
    return watched.state()


def test_the_state_is_what_the_files_say(run_dir: Path) -> None:
    """Position, rate (the mean over the time), time left, last and best score, newest snapshot; an exact account."""
    with locked(run_dir / ".training.lock"):
        state = look(run_dir)
    assert (state.name, state.preset, state.device) == ("smoke-0123456789ab", "smoke", "H200, float32, on node7")
    assert (state.state, state.detail, state.images, state.images_total) == ("training", "", 512, 2016)
    assert state.images_per_second == pytest.approx(75.0)  # 512 images in 256/50 + 256/150 seconds
    assert state.seconds_left == pytest.approx((2016 - 512) / 75)
    assert state.figures == metrics(512, 150.0)
    expected = {"last": 45.0, "last_kimg": 0.512, "best": 40.0, "best_kimg": 0.256, "floor": 4.0}
    assert state.scores == {"swd": expected}
    assert state.snapshot == str(run_dir / "snapshots" / "000000000512.png")


def test_the_table_shows_all_of_it(run_dir: Path) -> None:
    """A row for each thing, none longer than 80 columns but for paths."""
    with locked(run_dir / ".training.lock"):
        table = dict(watch_display.rows(look(run_dir)))
    assert table.pop("state").startswith("training, last line 0.")
    assert table == {
        "run": str(run_dir),
        "preset": "smoke",
        "device": "H200, float32, on node7",
        "progress": "████████" + "░" * 22 + "  0.512 of 2.016 kimg (25%)",
        "speed": "75 images/s, 20.1 s left",
        "losses": "G 0.75 D 1.25",
        "D right on": "real 50% fake 100%",
        "gradients": "G 2.5 D 0.125",
        "rates": "0.0002",
        "memory": "1.5 GiB",
        "swd": "45 at 0.512 kimg, best 40 at 0.256 kimg, floor 4",
        "snapshot": str(run_dir / "snapshots" / "000000000512.png"),
    }


CONTINUES = "the same command continues"
WHY = f"the command that started it says why, and {CONTINUES}"
NO_LINE = "its log has had no line for 500 s"
STATES: list[tuple[str, Callable[[Path], None], bool, str]] = [
    ("training", lambda run: None, True, ""),
    ("silent", lambda run: age(run, 500), True, f"the training process is there, but {NO_LINE}"),
    ("stopped", lambda run: age(run, 500), False, f"no process trains this run, and {NO_LINE}: it was killed"),
    ("training", lambda run: None, False, ""),
    ("waiting", lambda run: (run / "metrics.jsonl").unlink(), False, "the training has not begun"),
    ("training", lambda run: (run / "metrics.jsonl").unlink(), True, "no line yet: the first step takes longest"),
    ("failed", lambda run: stage(run, "train", "failed"), False, f"train failed; {WHY}"),
    ("failed", lambda run: stage(run, "prepare", "failed"), False, f"prepare failed; {WHY}"),
    ("interrupted", lambda run: stage(run, "train", "interrupted"), False, f"train was interrupted; {CONTINUES}"),
    ("training", lambda run: stage(run, "train", "failed"), True, ""),
    ("finished", lambda run: checkpoint(run, 2016), False, "the training is finished"),
    ("training", lambda run: checkpoint(run, 512), False, ""),
]


@pytest.mark.parametrize(("state", "happen", "held", "detail"), STATES)
def test_what_a_training_is_doing(
    run_dir: Path, state: str, happen: Callable[[Path], None], held: bool, detail: str
) -> None:
    """The lock, the last outcome, the checkpoint of the end and the age of the log, in this order, tell the state."""
    happen(run_dir)
    if held:
        with locked(run_dir / ".training.lock"):
            found = look(run_dir)
    else:
        found = look(run_dir)
    assert (found.state, found.detail) == (state, detail)


def test_looking_locks_nobody_out(run_dir: Path) -> None:
    """While a watch looks, a training can take the lock at any moment."""
    path = run_dir / ".training.lock"
    assert not watching.is_training(run_dir)
    with locked(path, wait=False):
        assert watching.is_training(run_dir)
    assert not watching.is_training(run_dir)


def test_a_slow_log_has_more_patience(run_dir: Path) -> None:
    """A line is due every 256 images: at 2 images/s, 500 s are no silence; ten lines' time, 1,280 s, are."""
    append(run_dir / "metrics.jsonl", *(metrics(512 + 256 * index, 2.0) for index in range(1, 12)))
    with locked(run_dir / ".training.lock"):
        age(run_dir, 500)
        assert look(run_dir).state == "training"
        age(run_dir, 1300)
        assert look(run_dir).state == "silent"


class Script:
    """A sleep that lets the next thing happen, at each look."""

    def __init__(self, *acts: Callable[[], None]) -> None:
        self._acts = list(acts)

    def __call__(self, seconds: float) -> None:
        """Do the next thing."""
        self._acts.pop(0)()


def test_a_pipe_gets_a_line_per_log_line(run_dir: Path) -> None:
    """Followed through a kill and a resume at 256 to the end: each line once, and the cut is said."""

    def resume() -> None:
        for name in ("metrics.jsonl", "snapshot_scores.jsonl"):
            text = (run_dir / name).read_text().splitlines(keepends=True)
            artifacts.replace_file(run_dir / name, "".join(text[: 1 if name[0] == "m" else 2]).encode())
        append(run_dir / "metrics.jsonl", metrics(512, 160.0))
        with (run_dir / "metrics.jsonl").open("a") as stream:
            stream.write('{"kimg": 0.7')

    def end() -> None:
        with (run_dir / "metrics.jsonl").open("a") as stream:
            stream.write('68, "images": 768, "loss_g": 0.5}\n')
        checkpoint(run_dir, 2016)

    stream = io.StringIO()
    assert follow(Watch(run_dir), watch_display.PlainLines(stream), Script(lambda: None, resume, end)) == 0
    figures = "loss G 0.75 D 1.25  real 50% fake 100%  grad G 2.5 D 0.125  lr 0.0002  1.5 GiB"
    assert stream.getvalue().splitlines() == [
        f"run      {run_dir}",
        "preset   smoke",
        "device   H200, float32, on node7",
        "score at 0 kimg: swd 30  swd_floor 4  n 32",
        f"0.256 of 2.016 kimg (13%)  50 images/s  23.5 s left  {figures}",
        "score at 0.256 kimg: swd 40  swd_floor 4  n 32",
        f"0.512 of 2.016 kimg (25%)  150 images/s  20.1 s left  {figures}",
        "score at 0.512 kimg: swd 45  swd_floor 4  n 32",
        "resumed: the training goes on from 0.256 kimg; lines past it are void",
        f"0.512 of 2.016 kimg (25%)  160 images/s  19.7 s left  {figures}",
        "0.768 of 2.016 kimg (38%)  16.4 s left  loss G 0.5",
        "finished: the training is finished",
        f"newest snapshot: {run_dir / 'snapshots' / '000000000512.png'}",
    ]


def test_json_lines_are_the_log_with_events(run_dir: Path) -> None:
    """Each line is one object with its event; the last is the state, and a failed training ends with 6."""
    stream = io.StringIO()
    fail = Script(lambda: stage(run_dir, "train", "failed"))
    assert follow(Watch(run_dir), watch_display.JsonLines(stream), fail) == 6
    lines = [json.loads(text) for text in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "run",
        "score",
        "metrics",
        "score",
        "metrics",
        "score",
        "state",
        "state",
    ]
    assert lines[0]["images_total"] == 2016
    assert lines[2] == {"event": "metrics", **metrics(256, 50.0)}
    assert [(line["state"], line["images"]) for line in lines[-2:]] == [("training", 512), ("failed", 512)]


def test_the_table_stays_when_the_run_ends(run_dir: Path) -> None:
    """On a terminal the last state is left standing, with every row."""
    stream = io.StringIO()
    checkpoint(run_dir, 2016)
    view = watch_display.Table(stream)
    assert follow(Watch(run_dir), view) == 0
    view.close()
    last = stream.getvalue().splitlines()[-12:]
    assert [line.split()[0] for line in last if line[:1].strip()][-2:] == ["snapshot", "state"]
    assert last[-1].split(maxsplit=1)[1].strip() == "finished: the training is finished"


def test_once_says_the_state_and_leaves(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--once` prints the table, with --json one document, in any place of --data-root."""
    root = str(run_dir.parents[1])
    assert terminal.run(cli, ["runs", "watch", "--once", "--data-root", root]) == 0
    assert "losses       G 0.75 D 1.25\n" in capsys.readouterr().out
    assert terminal.run(cli, ["--json", "runs", "--data-root", root, "watch", "smoke", "--once"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["name"], document["scores"]["swd"]["best"]) == ("smoke-0123456789ab", 40.0)


def test_ctrl_c_leaves_without_a_word(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Leaving is no error of the training: exit code 130, and nothing on stderr."""

    def leave(*_: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs_command, "follow", leave)
    assert terminal.run(cli, ["runs", "watch", "--data-root", str(run_dir.parents[1])]) == 130
    assert capsys.readouterr().err == ""


def test_which_run_is_meant(tmp_path: Path) -> None:
    """None is the newest, a beginning the newest of those, a name or a folder itself; others are named."""
    with pytest.raises(ConfigError, match=f"no runs below {tmp_path}; make one with: faceloom run smoke"):
        find_run(tmp_path, None)
    old, new, other = (make_run(tmp_path, name) for name in ("smoke-aa", "smoke-ab", "mnist-aa"))
    for run, seconds in ((old, 300), (new, 200), (other, 100)):
        age(run, seconds)
    assert find_run(tmp_path, None) == other
    assert find_run(tmp_path, "smoke") == new
    assert find_run(tmp_path, "smoke-aa") == old
    assert find_run(tmp_path, str(old)) == old
    (old / "metrics.jsonl").touch()
    assert find_run(tmp_path, "smoke") == old
    with pytest.raises(ConfigError, match="no run begins with 'cifar'; known: mnist-aa, smoke-aa, smoke-ab"):
        find_run(tmp_path, "cifar")


def test_watching_imports_nothing_heavy(run_dir: Path) -> None:
    """Neither TensorFlow nor, without a terminal, rich: the watch starts at once and costs the training nothing."""
    code = (
        "import sys\nfrom flows import terminal\nfrom flows.cli import cli\n"
        f"code = terminal.run(cli, ['runs', 'watch', '--data-root', {str(run_dir.parents[1])!r}])\n"
        "print(code, [name for name in ('tensorflow', 'keras', 'rich', 'matplotlib') if name in sys.modules])"
    )
    stage(run_dir, "train", "interrupted")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.splitlines()[-1] == "6 []"
