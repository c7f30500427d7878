"""What can be shown in seconds: real server, flow processes and children, with stages of a moment."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.flows.fake_stages import NAMES, behave, calls
from tests.flows.test_children import pid_in
from tests.reliability.night import Night, kill

pytestmark = pytest.mark.timeout(280, method="thread")


@pytest.fixture
def fakes(night: Night) -> Night:
    """A server, and a data root for fake stages."""
    night.data_root.mkdir()
    night.server()
    return night


def done(root: Path) -> list[str]:
    """Return the stages that were worked on to their end, as often as they were."""
    return [line.split()[0] for line in calls(root) if line.split(maxsplit=2)[2] == "done"]


def test_after_a_killed_command_the_next_goes_on_and_marks_it(fakes: Night) -> None:
    """Its child ends by itself, the next command does what is left, and says in the UI what became of the first."""
    behave(fakes.data_root, "train", "wait")
    first = fakes.start("command", "tests.reliability.fake_command", str(fakes.data_root))
    fakes.until("train is at work", (fakes.data_root / "train.ready").exists)
    kill(first.pid)
    first.wait()
    fakes.nothing_left(fakes.started[0])
    behave(fakes.data_root, "report", "wait")  # long enough for the janitor's look
    second = fakes.start("command", "tests.reliability.fake_command", str(fakes.data_root))
    crashed = ["COMPLETED", "CRASHED"]
    fakes.until("report is at work", (fakes.data_root / "report.ready").exists)
    fakes.until("the first is marked", lambda: "CRASHED" in fakes.run_states().values())
    (fakes.data_root / "report.go").touch()
    assert second.wait(120) == 0, fakes.said("command")
    assert sorted(fakes.run_states().values()) == crashed
    assert done(fakes.data_root) == list(NAMES)
    assert "train 1 resumes" in calls(fakes.data_root)
    (lost,) = (run for run in fakes.post("flow_runs/filter") if run["state"]["type"] == "CRASHED")
    assert "the same command, or Retry here, goes on where it stopped" in lost["state"]["message"]
    assert not {"RUNNING", "PENDING"} & set(fakes.task_states(lost["id"]))


def test_a_server_that_is_killed_and_comes_back_is_not_noticed(fakes: Night) -> None:
    """Kill -9 in the middle of a stage, and another server on the same database: one run, Completed."""
    behave(fakes.data_root, "train", "wait")
    command = fakes.start("command", "tests.reliability.fake_command", str(fakes.data_root))
    fakes.until("train is at work", (fakes.data_root / "train.ready").exists)
    fakes.started[0].kill()
    fakes.started[0].wait()
    (fakes.data_root / "train.go").touch()
    server = fakes.server()
    assert command.wait(180) == 0, fakes.said("command")
    assert done(fakes.data_root) == list(NAMES)
    assert list(fakes.run_states().values()) == ["COMPLETED"]
    fakes.nothing_left(server)


def test_what_draws_portraits_in_several_processes_leaves_none(night: Night) -> None:
    """The command and the child are killed in one moment: the processes of the child end by themselves."""
    night.more = {"FACELOOM_SERVER_LINGER_SECONDS": "0"}
    command = night.start("prepare", "flows.cli", "run", "smoke", "--set", "data.synthetic_count=20000")
    child = night.child("ingest")
    night.until("several draw", lambda: len(night.writing("ingest")) > 1)
    kill(command.pid)
    kill(child)
    command.wait()
    night.nothing_left()


def test_a_preempted_command_saves_and_the_next_resumes(fakes: Night) -> None:
    """SIGTERM reaches the child once, it saves, and nothing stays in Running; the next command goes on."""
    behave(fakes.data_root, "train", "save at SIGTERM")
    first = fakes.start("command", "tests.reliability.fake_command", str(fakes.data_root))
    fakes.until("train is at work", (fakes.data_root / "train.ready").exists)
    child = pid_in(fakes.data_root / "train.pid")
    first.send_signal(signal.SIGTERM)
    first.wait(120)
    fakes.nothing_left(fakes.started[0])
    assert child not in fakes.processes()
    assert calls(fakes.data_root)[-1] == "train saved after 1 SIGTERM"
    second = fakes.start("command", "tests.reliability.fake_command", str(fakes.data_root))
    assert second.wait(120) == 0, fakes.said("command")
    assert done(fakes.data_root) == list(NAMES)
    fakes.until("nothing is in Running", lambda: "RUNNING" not in fakes.run_states().values())
