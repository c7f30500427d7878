"""Of the runs of a deployment that wait, only the newest works."""

from __future__ import annotations

import datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.flow_engine import run_flow
from prefect.states import Completed, Running, Scheduled

from flows.supersede import newer_waiting

pytestmark = [pytest.mark.usefixtures("prefect_url"), pytest.mark.timeout(method="thread")]


@flow(name="superseded", persist_result=False)
def answer(force: bool = False) -> str:
    """Say what is newer."""
    return newer_waiting()


def runs(client: SyncPrefectClient, deployment: str, *minutes: float) -> list[UUID]:
    """Return runs of a deployment that are scheduled so many minutes from now; they are named after them."""
    flow_id = client.create_flow_from_name("superseded")
    asked = {"name": deployment, "flow_id": str(flow_id), "enforce_parameter_schema": False}
    deployed = client.request("POST", "/deployments/", json=asked).json()["id"]
    found = []
    for minute in minutes:
        when = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minute)
        state = Scheduled(scheduled_time=when)
        run = client.create_flow_run_from_deployment(deployed, state=state, name=f"at {minute:g}")
        found.append(run.id)
    return found


def answered(client: SyncPrefectClient, run: UUID) -> Any:
    """Execute a run in this process, and return what it says."""
    return run_flow(answer, flow_run=client.read_flow_run(run))


def test_of_a_pile_only_the_newest_that_is_due_is_kept() -> None:
    """The first to start ends those between and itself; what is still to come stays, and the kept one works."""
    with get_client(sync_client=True) as client:
        oldest, older, newest, to_come = runs(client, "waiting", -30, -20, -10, 60)
        assert answered(client, oldest) == "at -10"
        ended, kept, coming = (client.read_flow_run(run).state for run in (older, newest, to_come))
        assert ended and kept and coming
        assert (ended.type.value, ended.message) == (
            "COMPLETED",
            "nothing to do, because at -10, scheduled later, waits to do it",
        )
        assert (kept.type.value, coming.type.value) == ("SCHEDULED", "SCHEDULED")
        client.delete_flow_run(to_come)  # other tests ask this server for its newest run
        assert answered(client, newest) == ""


def test_who_was_kept_works_whatever_has_come_since() -> None:
    """Runs that are due sooner than they start would else give way to each other for ever."""
    with get_client(sync_client=True) as client:
        first, second, third, fourth = runs(client, "hasty", -30, -20, -15, -10)
        client.set_flow_run_state(fourth, Running(), force=True)
        assert answered(client, first) == "at -15"
        ended = client.read_flow_run(second).state
        assert ended and ended.is_completed()
        late = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=10)
        client.set_flow_run_state(fourth, Scheduled(scheduled_time=late), force=True)
        assert answered(client, third) == ""
        assert answered(client, fourth) == ""


def test_runs_that_work_or_ended_or_are_of_another_deployment_supersede_nothing() -> None:
    """Only what waits is newer work."""
    with get_client(sync_client=True) as client:
        mine, working, ended = runs(client, "mine", -30, -20, -10)
        client.set_flow_run_state(working, Running(), force=True)
        client.set_flow_run_state(ended, Completed(), force=True)
        runs(client, "another", -5)
        assert answered(client, mine) == ""


def test_a_run_with_other_parameters_is_other_work() -> None:
    """What somebody started by hand with `force`, or with other settings, is not done by the next scheduled run."""
    with get_client(sync_client=True) as client:
        mine, by_hand, same = runs(client, "by hand", -30, -20, -10)
        asked = {"parameters": {"force": True}}
        client.request("PATCH", "/flow_runs/{id}", path_params={"id": by_hand}, json=asked)
        assert answered(client, by_hand) == ""
        assert answered(client, mine) == "at -10"
        kept = client.read_flow_run(same).state
        assert kept and kept.type.value == "SCHEDULED"


def test_without_deployment_or_server_nothing_is_newer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run by hand works; and so does one whose server went away."""
    assert answer() == ""
    with get_client(sync_client=True) as client:
        mine, _ = runs(client, "away", -30, -20)
        with monkeypatch.context() as patch:
            patch.setattr(SyncPrefectClient, "read_flow_runs", _away)
            assert answered(client, mine) == ""


def _away(*_: object, **__: object) -> None:
    raise httpx.ConnectError("away")
