"""Only the newest of several waiting runs of a deployment does anything; one with other parameters is another matter.

A deployment of ours runs one flow run at a time. Prefect either cancels what comes meanwhile, which drops the
newest, or lets all of it wait in line, which after a long training is a pile of runs. So they wait; the first to start
keeps the newest, ends the others, and itself, and says so. The one that was kept works, whatever has come since: else
nothing would be done where runs are due sooner than they start.
"""

from __future__ import annotations

import datetime
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import PrefectException
from prefect.runtime import deployment, flow_run
from prefect.states import Completed
from prefect.types import DateTime

from flows.triggers import NOTHING

_KEPT = "faceloom.kept"


def newer_waiting() -> str:
    """Return the name of the run that shall work instead of this one; empty where this one shall.

    Of all runs of the deployment with the same parameters that are due and wait, the newest is kept; those between are
    ended here. A server that is away keeps nobody from working.
    """
    if not deployment.id or not flow_run.id or flow_run.scheduled_start_time is None:
        return ""
    try:
        with get_client(sync_client=True) as client:
            own = client.read_flow_run(UUID(flow_run.id))
            if own.labels.get(_KEPT):
                return ""
            waiting = _newer(client, UUID(str(deployment.id)), own, flow_run.scheduled_start_time)
            if not waiting:
                return ""
            *between, newest = waiting
            client.update_flow_run_labels(newest.id, {_KEPT: True})
            for run in between:
                client.set_flow_run_state(run.id, Completed(message=reason(newest.name)))
            return newest.name
    except (httpx.HTTPError, PrefectException):
        return ""


def reason(newest: str) -> str:
    """Return why a run had nothing to do."""
    return f"{NOTHING}{newest}, scheduled later, waits to do it"


def _newer(client: SyncPrefectClient, of: UUID, own: FlowRun, since: datetime.datetime) -> list[FlowRun]:
    """Return the runs that wait and are due, would do the same as `own`, and were scheduled later; the newest last."""
    asked = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=DateTime.now("UTC")),
    )
    runs = client.read_flow_runs(
        flow_run_filter=asked,
        deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[of])),
        sort=FlowRunSort.EXPECTED_START_TIME_ASC,
    )
    return [
        run
        for run in runs
        if run.id != own.id and run.parameters == own.parameters and (run.expected_start_time or since) > since
    ]
