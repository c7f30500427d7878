"""Flow runs whose process is gone: marked, explained, and started again where a deployment can.

Prefect notices a dead process where its worker lives on. When both die, or the machine does, the run would stay in
Running for ever. Prefect suggests an automation; that one can change the state, but neither say what to do, nor
close the task runs, nor start the run again, nor tell a dead run from a server that was away for an hour.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from prefect import flow, get_run_logger
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.exceptions import PrefectException
from prefect.logging.loggers import get_logger
from prefect.runtime import flow_run
from prefect.states import AwaitingRetry, Completed, Crashed

from flows.gpu import release_slot_of
from flows.heartbeat import feel
from flows.process_identity import is_gone, is_signed, sign
from flows.supersede import newer_waiting, reason

FLOWS = ("faceloom", "retrain", "janitor")  # others may have flows of the latter names, but without our tag
TAG = "faceloom"  # of every deployment of ours
AGAIN_AT_MOST = 3
LOOK_EVERY_SECONDS = 30.0
# A worker starts a process in seconds; a cluster may first fetch an image.
PENDING_SECONDS = 900.0
_AGAIN_AFTER_SECONDS = 30.0
_CRASHES_OF_SECONDS = 3600.0
# How long the last states of tasks may be on their way; what a killed server had in memory never comes.
_STATES_ON_THE_WAY_SECONDS = 180.0
_MARK = "faceloom's janitor"
_OPEN_TASKS = TaskRunFilter(
    state=TaskRunFilterState(type=TaskRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
)


@dataclass(frozen=True)
class Action:
    """What was done about a flow run: its name, and a sentence."""

    run: str
    text: str


@dataclass(frozen=True)
class _Suspect:
    sign: datetime.datetime
    since: float
    wait_seconds: float


@dataclass
class Janitor:
    """Looks at the flow runs of faceloom. A run is lost once two looks, long enough apart, saw the same last sign.

    It is lost at once where its process was one of this machine and is not there. Else the second look makes it safe:
    after a server was away, or a clock was set, the last signs look old as well.

    Args:
        pending_seconds: how long a run may wait for its process.
    """

    pending_seconds: float = PENDING_SECONDS
    _suspects: dict[UUID, _Suspect] = field(default_factory=dict)

    def look(self) -> list[Action]:
        """Look once, and act on what is lost.

        Raises:
            httpx.HTTPError, PrefectException: the server is away.
        """
        with get_client(sync_client=True) as client:
            lost = list(self._lost(client))
            actions = [_mark_lost(client, run, last) for run, last in lost if _as_it_was(client, run)]
            for run in _crashed(client):  # by its worker, which sees the end of a process, but not what that leaves
                if _as_it_was(client, run):  # another janitor may have started it again
                    _close(client, run, "the process of its flow run is gone")
                    if _may_start_again(client, run) and _as_it_was(client, run):
                        actions.append(_again(client, run))
            return [*actions, *_end_lost_tasks(client)]

    @property
    def seconds_to_second_look(self) -> float | None:
        """In how many seconds the last suspect is either seen again or lost; None without suspects."""
        now = time.monotonic()
        return max((max(0.0, s.since + s.wait_seconds - now) for s in self._suspects.values()), default=None)

    def _lost(self, client: SyncPrefectClient) -> Iterator[tuple[FlowRun, datetime.datetime]]:
        before, self._suspects = self._suspects, {}
        for run in _runs(client, StateType.RUNNING, StateType.PENDING):
            if run.state and run.state.type == StateType.RUNNING and is_gone(run):
                yield run, feel(client, run).last
                continue
            last, patience, wait = self._judge(client, run)
            if (datetime.datetime.now(datetime.UTC) - last).total_seconds() < patience:
                continue
            suspect = before.get(run.id)
            if suspect is None or suspect.sign != last:
                self._suspects[run.id] = _Suspect(last, time.monotonic(), wait)
            elif time.monotonic() - suspect.since < suspect.wait_seconds:
                self._suspects[run.id] = suspect
            else:
                yield run, last

    def _judge(self, client: SyncPrefectClient, run: FlowRun) -> tuple[datetime.datetime, float, float]:
        """Return the last sign of a run, how long it may be ago, and how long to wait for another."""
        assert run.state is not None, "the server was asked for runs in a state"
        if run.state.type == StateType.PENDING:
            return run.state.timestamp, self.pending_seconds, LOOK_EVERY_SECONDS
        pulse = feel(client, run)
        return pulse.last, pulse.patience_seconds, pulse.second_look_seconds


@contextlib.contextmanager
def janitor_thread(
    every_seconds: float = LOOK_EVERY_SECONDS, pending_seconds: float = PENDING_SECONDS
) -> Iterator[None]:
    """Look every so many seconds, in a thread, during the block. A server that is away is asked again later."""
    ended = threading.Event()
    own = Janitor(pending_seconds)

    def work() -> None:
        logger = get_logger("faceloom.janitor")
        while not ended.wait(every_seconds):
            try:
                for action in own.look():
                    logger.warning("%s: %s", action.run, action.text)
            except (httpx.HTTPError, PrefectException) as error:
                logger.info("the server does not answer (%s)", error)

    thread = threading.Thread(target=work, name="faceloom-janitor", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def look_twice(pending_seconds: float = PENDING_SECONDS) -> list[Action]:
    """Look, wait for another sign of whoever is suspected, and look again: seconds where nobody is."""
    own = Janitor(pending_seconds)
    actions = own.look()
    if (seconds := own.seconds_to_second_look) is not None:
        time.sleep(seconds)
        actions += own.look()
    return actions


def look_in_background() -> None:
    """Sign the flow run, and look twice in a thread that ends with the process: what each flow does first.

    Signed before anything else: a run that dies unsigned is only missed when its heart-beats are.
    """
    with contextlib.suppress(httpx.HTTPError, PrefectException):
        if own := flow_run.id:
            with get_client(sync_client=True) as client:
                sign(client, client.read_flow_run(UUID(own)))

    def work() -> None:
        with contextlib.suppress(httpx.HTTPError, PrefectException):
            for action in look_twice():
                get_logger("faceloom.janitor").warning("%s: %s", action.run, action.text)

    threading.Thread(target=work, name="faceloom-janitor", daemon=True).start()


@flow(name="janitor", flow_run_name="janitor", persist_result=False)
def janitor() -> Any:
    """Mark flow runs that lost their heart-beat as Crashed, and start those of deployments again."""
    if newer := newer_waiting():
        return Completed(message=reason(newer), data=[])
    actions = [f"{action.run}: {action.text}" for action in look_twice()]
    for line in actions or ["every flow run that is said to be running gives signs of life"]:
        get_run_logger().info(line)
    return actions


def _runs(client: SyncPrefectClient, *types: StateType, **more: object) -> list[FlowRun]:
    asked = FlowRunFilter(state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(types))), **more)  # type: ignore[arg-type]
    own, *others = FLOWS
    return [*_read(client, asked, own), *filter(_is_ours, _read(client, asked, *others))]


def _read(client: SyncPrefectClient, asked: FlowRunFilter, *flows: str) -> list[FlowRun]:
    found: list[FlowRun] = []
    while True:
        page = client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=list(flows))),
            flow_run_filter=asked,
            sort=FlowRunSort.ID_DESC,
            limit=200,
            offset=len(found),
        )
        found += page
        if len(page) < 200:
            return found


def _is_ours(run: FlowRun) -> bool:
    return TAG in run.tags or is_signed(run)


def _as_it_was(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Whether nothing has happened since the run was read: one that ended meanwhile has no process either."""
    found = client.read_flow_run(run.id)
    return (found.state_type, found.run_count) == (run.state_type, run.run_count)


def _mark_lost(client: SyncPrefectClient, run: FlowRun, sign: datetime.datetime) -> Action:
    assert run.state is not None, "the server was asked for runs in a state"
    what = "no process took it up" if run.state.type == StateType.PENDING else "no heart-beat"
    text = (
        f"{what} since {sign:%Y-%m-%d %H:%M:%S} UTC: its process, its worker or their machine is gone. "
        "Finished stages are kept: the same command, or Retry here, goes on where it stopped"
    )
    _close(client, run, text)
    client.set_flow_run_state(run.id, Crashed(message=f"{_MARK}: {text}"))
    return Action(run.name, f"marked as Crashed: {text}")


def _close(client: SyncPrefectClient, run: FlowRun, text: str) -> None:
    """End what a dead flow run left: its task runs, and its slot of the GPU."""
    for task in client.read_task_runs(
        flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run.id])),
        task_run_filter=_OPEN_TASKS,
        sort=TaskRunSort.ID_DESC,
        limit=200,
    ):
        client.set_task_run_state(task.id, Crashed(message=text), force=True)
    release_slot_of(client, run)


def _end_lost_tasks(client: SyncPrefectClient) -> list[Action]:
    """End task runs that are still said to be running though their flow run ended: a killed server forgot their end."""
    now = datetime.datetime.now(datetime.UTC)
    between = {
        "after_": now - datetime.timedelta(seconds=_CRASHES_OF_SECONDS),
        "before_": now - datetime.timedelta(seconds=_STATES_ON_THE_WAY_SECONDS),
    }
    ended = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.COMPLETED, StateType.FAILED])),
        end_time=FlowRunFilterEndTime.model_validate(between),
    )
    actions = []
    for task in client.read_task_runs(
        flow_filter=FlowFilter(name=FlowFilterName(any_=list(FLOWS))),
        flow_run_filter=ended,
        task_run_filter=_OPEN_TASKS,
        sort=TaskRunSort.ID_DESC,
        limit=200,
    ):
        assert task.flow_run_id is not None, "the server was asked for tasks of flow runs"
        run = client.read_flow_run(task.flow_run_id)
        if not _is_ours(run) or run.state_type not in (StateType.COMPLETED, StateType.FAILED):
            continue
        text = f"{_MARK}: the server lost how it ended; its flow run is {run.state_name}"
        # A flow of ours is Completed only where all its tasks are.
        is_well = run.state_type == StateType.COMPLETED
        state: State[Any] = Completed(message=text) if is_well else Crashed(message=text)
        client.set_task_run_state(task.id, state, force=True)
        actions.append(Action(task.name, text))
    return actions


def _crashed(client: SyncPrefectClient) -> list[FlowRun]:
    """Return runs of deployments that crashed lately, here or where their worker noticed it."""
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=_CRASHES_OF_SECONDS)
    found = _runs(client, StateType.CRASHED, end_time=FlowRunFilterEndTime.model_validate({"after_": since}))
    return [run for run in found if run.deployment_id is not None]


def _may_start_again(client: SyncPrefectClient, run: FlowRun) -> bool:
    """Say whether it was started again less than AGAIN_AT_MOST times; its states are the only record of that."""
    return _times_started_again(client, run) < AGAIN_AT_MOST


def _times_started_again(client: SyncPrefectClient, run: FlowRun) -> int:
    states = client.read_flow_run_states(run.id)
    return sum(state.name == "AwaitingRetry" and (state.message or "").startswith(_MARK) for state in states)


def _again(client: SyncPrefectClient, run: FlowRun) -> Action:
    times = _times_started_again(client, run) + 1
    text = f"starts again in {_AGAIN_AFTER_SECONDS:g} s, for the {times}. of at most {AGAIN_AT_MOST} times"
    when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=_AGAIN_AFTER_SECONDS)
    client.set_flow_run_state(run.id, AwaitingRetry(scheduled_time=when, message=f"{_MARK}: {text}"))
    return Action(run.name, text)
