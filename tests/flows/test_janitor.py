from __future__ import annotations

import datetime
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from prefect import task as prefect_task
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.sorting import TaskRunSort
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Failed, Pending, Running

from flows import heartbeat, janitor
from flows.gpu import ensure_limit
from flows.heartbeat import Pulse
from flows.janitor import Action, Janitor
from flows.process_identity import identity_of, is_gone
from tests.flows.test_children import until

_FLOW = """
import pathlib, sys, time
from prefect import flow, task
from prefect.runtime import flow_run

@task
def train():
    pathlib.Path(sys.argv[1]).write_text(str(flow_run.id))
    time.sleep(600)

@flow(name="faceloom")
def run():
    train()

run()
"""


@pytest.fixture
def client(own_prefect: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> Iterator[SyncPrefectClient]:
    """A client of the server; a run is silent at once, and not for 30 s and more."""
    monkeypatch.setenv("PREFECT_API_URL", own_prefect[0])
    for name, seconds in (("_PREFECTS_OWN_SECONDS", 0.0), ("_LEAST_SECONDS", 0.0), ("_ON_THE_WAY_SECONDS", 0.0)):
        monkeypatch.setattr(heartbeat, name, seconds)
    monkeypatch.setattr(janitor, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(janitor, "_AGAIN_AFTER_SECONDS", 0.0)
    with temporary_settings({PREFECT_API_URL: own_prefect[0]}), get_client(sync_client=True) as client:
        yield client


def state_of(client: SyncPrefectClient, run: UUID) -> State:
    """Return the state of a flow run."""
    state = client.read_flow_run(run).state
    assert state is not None
    return state


def task_states(client: SyncPrefectClient, run: UUID) -> list[str]:
    """Return the states of the tasks of a flow run."""
    found = client.read_task_runs(sort=TaskRunSort.ID_DESC, limit=200)
    return [task.state.type.value for task in found if task.state and task.flow_run_id == run]


def deployed(client: SyncPrefectClient, state: State, flow: str = "faceloom", *tags: str) -> UUID:
    """Return a run of a deployment, said to be in a state, of which no process knows."""
    flow_id = client.request("POST", "/flows/", json={"name": flow}).json()["id"]
    asked = {"name": "nightly", "flow_id": flow_id, "tags": tags, "enforce_parameter_schema": False}
    deployment = client.request("POST", "/deployments/", json=asked).json()["id"]
    run = client.request("POST", f"/deployments/{deployment}/create_flow_run", json={}).json()["id"]
    client.set_flow_run_state(run, state, force=True)
    return UUID(run)


@pytest.mark.timeout(300)
def test_the_run_of_a_killed_process_is_marked_with_its_tasks(client: SyncPrefectClient, tmp_path: Path) -> None:
    """After kill -9, flow run and task run are Crashed, and the message says what to do; nothing starts them again."""
    flag = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", _FLOW, str(flag)])
    try:
        until(lambda: flag.exists() and bool(flag.read_text()))
        run = UUID(flag.read_text())
        until(lambda: task_states(client, run) == ["RUNNING"])
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    own = Janitor()
    until(lambda: bool(own.look()))
    assert state_of(client, run).type.value == "CRASHED"
    message = state_of(client, run).message or ""
    assert message.startswith("faceloom's janitor: no heart-beat since 20")
    assert message.endswith("the same command, or Retry here, goes on where it stopped")
    until(lambda: task_states(client, run) == ["CRASHED"])
    assert own.look() == []


def test_runs_of_deployments_start_again_three_times(client: SyncPrefectClient) -> None:
    """A run that crashes each time is left alone after the third, and its states tell the story."""
    run = deployed(client, Running())
    own = Janitor()
    until(lambda: bool(own.look()))
    for _ in range(3):
        assert state_of(client, run).name == "AwaitingRetry"
        client.set_flow_run_state(run, Crashed(message="the worker saw it die"), force=True)
        own.look()
    assert state_of(client, run).name == "Crashed"
    told = [state.message for state in client.read_flow_run_states(run) if state.name == "AwaitingRetry"]
    assert sorted(told, key=str) == [
        f"faceloom's janitor: starts again in 0 s, for the {n}. of at most 3 times" for n in (1, 2, 3)
    ]


def test_what_no_process_took_up_starts_again(client: SyncPrefectClient) -> None:
    """A worker that died between taking a run and starting its process leaves it in Pending."""
    run = deployed(client, Pending())
    patient, hasty = Janitor(), Janitor(pending_seconds=0)
    assert (patient.look(), patient.look()) == ([], [])
    assert state_of(client, run).type.value == "PENDING"
    until(lambda: bool(hasty.look()))
    assert state_of(client, run).name == "AwaitingRetry"


def test_who_gives_a_sign_between_two_looks_lives(client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """All last signs look old after a server was away or a clock was set; a new one clears the run."""
    run = deployed(client, Running())
    signs = iter([datetime.datetime(2000, 1, day, tzinfo=datetime.UTC) for day in (1, 2, 3, 3)])

    def felt(_client: SyncPrefectClient, asked: FlowRun) -> Pulse:
        return Pulse(next(signs), 0.0, 2) if asked.id == run else Pulse(datetime.datetime.now(datetime.UTC), 60.0, 2)

    monkeypatch.setattr(janitor, "feel", felt)
    own = Janitor()
    assert [own.look(), own.look(), own.look()] == [[], [], []]
    assert state_of(client, run).type.value == "RUNNING"
    assert [type(action) for action in own.look()] == [Action, Action]
    assert state_of(client, run).name == "AwaitingRetry"


@pytest.mark.parametrize(
    ("identity", "count", "lost"),
    [
        ("{place}/{dead}/1", 1, True),
        ("{place}/{own}/1", 1, True),  # the number is in use again
        ("{own_identity}", 1, False),
        ("another-boot/4026531836/{dead}/1", 1, False),
        ("{place}/{dead}/1", 0, False),  # that was an earlier try
    ],
)
def test_a_process_of_this_machine_that_is_gone_is_lost_at_once(
    identity: str, count: int, lost: bool, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One look is enough where boot, number and start of the process are known; otherwise beats are waited for."""
    monkeypatch.setattr(heartbeat, "_PREFECTS_OWN_SECONDS", 600.0)
    monkeypatch.setattr(heartbeat, "_LEAST_SECONDS", 600.0)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    own = identity_of(os.getpid())
    facts = {"place": own.rsplit("/", 2)[0], "dead": ended.pid, "own": os.getpid(), "own_identity": own}
    run = deployed(client, Running())
    client.set_flow_run_state(run, Running(), force=True)
    run_count = client.read_flow_run(run).run_count
    labels = {"faceloom.process": identity.format(**facts), "faceloom.run_count": run_count if count else -1}
    client.update_flow_run_labels(run, labels)
    marked = [action.text for action in Janitor().look() if "its process, its worker" in action.text]
    assert len(marked) == lost
    client.set_flow_run_state(run, Completed(), force=True)


def test_the_slot_of_a_lost_run_comes_free_at_once(client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the lease of a process that is known to be gone."""
    monkeypatch.setenv("FACELOOM_GPU_LIMIT", "janitors")
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    run = deployed(client, Running())
    place = identity_of(os.getpid()).rsplit("/", 2)[0]
    labels = {"faceloom.process": f"{place}/{ended.pid}/1", "faceloom.run_count": client.read_flow_run(run).run_count}
    client.update_flow_run_labels(run, labels)
    name = ensure_limit(client)
    answer = client.increment_concurrency_slots_with_lease([name], 1, "concurrency", 600.0).json()
    client.update_flow_run_labels(run, {"faceloom.gpu_lease": answer["lease_id"]})
    assert client.read_global_concurrency_limit_by_name(name).active_slots == 1
    Janitor().look()
    assert client.read_global_concurrency_limit_by_name(name).active_slots == 0
    client.set_flow_run_state(run, Completed(), force=True)


def test_runs_of_others_are_left_alone(client: SyncPrefectClient) -> None:
    """A colleague's flow that is called "retrain" too has not our tag; one of ours has."""
    theirs, ours = deployed(client, Running(), "retrain"), deployed(client, Running(), "retrain", "faceloom")
    own = Janitor()
    until(lambda: bool(own.look()))
    assert state_of(client, ours).name == "AwaitingRetry"
    assert state_of(client, theirs).name == "Running"
    client.set_flow_run_state(ours, Completed(), force=True)


def test_a_crash_that_another_janitor_dealt_with_is_left_alone(
    client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that was read before the run started again says nothing of its new try."""
    run = deployed(client, Crashed(message="the worker saw it die"))
    before = client.read_flow_run(run)
    client.set_flow_run_state(run, Running(), force=True)
    monkeypatch.setattr(janitor, "_crashed", lambda client: [before])
    monkeypatch.setattr(heartbeat, "_LEAST_SECONDS", 600.0)
    assert Janitor().look() == []
    assert state_of(client, run).name == "Running"
    client.set_flow_run_state(run, Completed(), force=True)


@pytest.mark.parametrize(("flow", "task"), [(Completed(), "COMPLETED"), (Failed(), "CRASHED")])
def test_tasks_whose_end_got_lost_end_with_their_flow_run(
    flow: State, task: str, client: SyncPrefectClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is killed forgets the last states of tasks; they would be Running for ever."""
    run = deployed(client, Running(), "faceloom", "faceloom")
    made = client.create_task_run(task=_stage, flow_run_id=run, dynamic_key="0", state=Running())
    client.set_flow_run_state(run, flow, force=True)
    until(lambda: task_states(client, run) == ["RUNNING"])
    Janitor().look()
    assert task_states(client, run) == ["RUNNING"]  # its end may be on the way
    monkeypatch.setattr(janitor, "_STATES_ON_THE_WAY_SECONDS", -1.0)
    (action,) = Janitor().look()
    name = state_of(client, run).name
    assert action == Action(made.name, f"faceloom's janitor: the server lost how it ended; its flow run is {name}")
    assert task_states(client, run) == [task]


@prefect_task(name="stage")
def _stage() -> None:
    """Stand in for a stage."""


@pytest.mark.parametrize(("error", "gone"), [(PermissionError, False), (ProcessLookupError, True)])
def test_a_process_that_is_hidden_is_not_gone(
    error: type[OSError], gone: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where /proc shows only one's own processes, a signal still tells that there is another."""
    place = identity_of(os.getpid()).rsplit("/", 2)[0]
    run = FlowRun(flow_id=uuid4(), run_count=1, labels={"faceloom.process": f"{place}/4242/1", "faceloom.run_count": 1})
    for name in ("sys/kernel/random/boot_id", "self/ns/pid"):
        (tmp_path / name).parent.mkdir(parents=True)
    shutil.copy("/proc/sys/kernel/random/boot_id", tmp_path / "sys/kernel/random/boot_id")
    (tmp_path / "self/ns/pid").symlink_to("/proc/self/ns/pid")

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (4242, 0)
        raise error

    monkeypatch.setattr("flows.process_identity._PROC", tmp_path)
    monkeypatch.setattr("flows.process_identity.os.kill", kill)
    assert is_gone(run) is gone


def test_patience_follows_the_beats() -> None:
    """Three beats of a run's own rhythm; one of Prefect's slowest where only one is known."""
    now = datetime.datetime.now(datetime.UTC)
    assert Pulse(now, 30.0, 2).patience_seconds == 105.0
    assert Pulse(now, 180.0, 1).patience_seconds == 195.0
    assert Pulse(now, 30.0, 2).second_look_seconds == 45.0
