from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from flows.children import run_in_child
from flows.stages import Order, StageResult
from gan_core import errors
from gan_core.config import load_config
from gan_core.errors import FaceloomError, StageFailed
from gan_core.progress import Progress
from tests.flows.fake_stages import FAKES, behave, calls

PATIENCE_SECONDS = 60.0


def run_train(root: Path, **options: object) -> StageResult:
    """Run the fake `train` in a child."""
    order = Order(config=load_config("smoke"), data_root=root)
    return run_in_child("train", FAKES["train"], order, **options)  # type: ignore[arg-type]


def until(condition: Callable[[], bool]) -> None:
    """Wait for it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def pid_in(path: Path) -> int:
    """Return the process that noted itself there."""
    return int(path.read_text())


def test_a_result_and_the_progress_come_back(tmp_path: Path) -> None:
    """The child's result and its last progress, with its figures, arrive in the parent."""
    seen: list[Progress] = []
    result = run_train(tmp_path, report_progress=seen.append)
    expected = {"stage": "train", "outcome": "done", "path": str(tmp_path / "train.done")}
    assert {key: value for key, value in result.to_json().items() if key in expected} == expected
    assert seen[-1] == Progress("train", 10, 10)


@pytest.mark.parametrize("kind", ["ConfigError", "DataError", "Diverged", "ArtifactError", "Interrupted"])
def test_an_error_keeps_its_type_and_message(kind: str, tmp_path: Path) -> None:
    """What the stage raises on purpose is raised in the parent, unchanged."""
    behave(tmp_path, "train", kind)
    with pytest.raises(FaceloomError) as caught:
        run_train(tmp_path)
    assert (type(caught.value), str(caught.value)) == (getattr(errors, kind), f"train says {kind}")


def test_a_bug_is_one_line_and_its_traceback_is_in_the_log(tmp_path: Path) -> None:
    """An unexpected exception becomes StageFailed in one line that names the log with the traceback."""
    behave(tmp_path, "train", "bug")
    log = tmp_path / "train.log"
    with pytest.raises(StageFailed) as caught:
        run_train(tmp_path, log=log)
    assert str(caught.value) == f"train failed: ValueError: no such thing; the traceback is in {log}"
    assert log.read_text().rstrip().endswith("ValueError: no such thing\nsecond line")


@pytest.mark.parametrize(
    ("behaviour", "message"),
    [
        ("kill", "train was killed by SIGKILL (out of memory? the kernel's log says: dmesg)"),
        ("exit", "train ended with exit code 3 and no answer"),
    ],
)
def test_a_child_without_an_answer_is_explained(behaviour: str, message: str, tmp_path: Path) -> None:
    """A killed child is named with its signal, one that just ends with its exit code."""
    behave(tmp_path, "train", behaviour)
    with pytest.raises(StageFailed) as caught:
        run_train(tmp_path)
    assert str(caught.value) == message


def test_a_stalled_child_is_stopped_with_all_it_started(tmp_path: Path) -> None:
    """Without progress for `stall_seconds`, even a child deaf to SIGTERM goes, and its own children too."""
    behave(tmp_path, "train", "hang deaf")
    with pytest.raises(StageFailed) as caught:
        run_train(tmp_path, stall_seconds=6.0, grace_seconds=0.5)
    assert str(caught.value) == "train was stopped: it made no progress for 6 s"
    assert not alive(pid_in(tmp_path / "train.pid"))
    until(lambda: not alive(pid_in(tmp_path / "train.grandchild")))


def test_a_child_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    """The limit is that of the stage alone: waiting for the GPU comes before it."""
    behave(tmp_path, "train", "hang deaf")
    with pytest.raises(StageFailed) as caught:
        run_train(tmp_path, limit_seconds=3.0, grace_seconds=0.5)
    assert str(caught.value) == "train was stopped: it took longer than 3 s"
    until(lambda: not alive(pid_in(tmp_path / "train.grandchild")))


PARENT = """
import signal
import sys
from pathlib import Path
from tests.flows.test_children import run_train
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    run_train(Path(sys.argv[1]), grace_seconds=20.0)
"""


def start_parent(root: Path) -> subprocess.Popen[bytes]:
    """Start a process that runs the fake `train` in a child of its own."""
    script = root / "parent.py"
    script.write_text(PARENT)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, str(script), str(root)]
    return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)


def test_ctrl_c_reaches_the_child_once_and_it_saves(tmp_path: Path) -> None:
    """At Ctrl-C for the whole group, the child hears one SIGTERM from its parent, and both end saved."""
    behave(tmp_path, "train", "save at SIGTERM")
    parent = start_parent(tmp_path)
    until((tmp_path / "train.ready").exists)
    os.killpg(parent.pid, signal.SIGINT)
    parent.wait(PATIENCE_SECONDS)
    assert calls(tmp_path)[-1] == "train saved after 1 SIGTERM"
    assert not alive(pid_in(tmp_path / "train.pid"))


def test_a_child_outlives_no_killed_parent(tmp_path: Path) -> None:
    """A parent that is killed outright leaves no orphan: the child notices, once, saves and ends."""
    behave(tmp_path, "train", "save at SIGTERM")
    parent = start_parent(tmp_path)
    until((tmp_path / "train.ready").exists)
    parent.kill()
    parent.wait(PATIENCE_SECONDS)
    until(lambda: not alive(pid_in(tmp_path / "train.pid")))
    assert calls(tmp_path)[-1] == "train saved after 1 SIGTERM"


def test_the_childs_output_goes_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing of a child appears on our descriptors, and an empty log is not kept."""
    log = tmp_path / "train.log"
    run_train(tmp_path, log=log)
    assert capfd.readouterr() == ("", "")
    assert not log.exists()
