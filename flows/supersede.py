"""Only the newest of several waiting runs of a deployment does anything.

A deployment of ours runs one flow run at a time. Prefect either cancels what comes meanwhile, which drops the
newest, or lets all of it wait in line, which after a long training is a pile of runs. So they wait, and each that finds
a newer one behind it ends at once and says so.
"""

from __future__ import annotations

from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterNextScheduledStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import StateType
from prefect.exceptions import PrefectException
from prefect.runtime import deployment, flow_run
from prefect.types import DateTime


def newer_waiting() -> str:
    """Return the name of a run of the same deployment that is due, later than this one; empty where there is none.

    A server that is away keeps nobody from working.
    """
    if not deployment.id or not flow_run.id or flow_run.scheduled_start_time is None:
        return ""
    waiting = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED, StateType.PENDING])),
        next_scheduled_start_time=FlowRunFilterNextScheduledStartTime(before_=DateTime.now("UTC")),
    )
    try:
        with get_client(sync_client=True) as client:
            runs = client.read_flow_runs(
                flow_run_filter=waiting,
                deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[UUID(str(deployment.id))])),
            )
    except (httpx.HTTPError, PrefectException):
        return ""
    own = flow_run.scheduled_start_time
    newer = [run for run in runs if str(run.id) != str(flow_run.id) and (run.expected_start_time or own) > own]
    return max(newer, key=lambda run: run.expected_start_time or own).name if newer else ""
