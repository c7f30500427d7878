"""Signs of life of a flow run, as the server knows them: Prefect's own heart-beat events, and log lines.

Every flow run sends `prefect.flow-run.heartbeat` every PREFECT_FLOWS_HEARTBEAT_FREQUENCY seconds: 180 where nobody
says otherwise, 30 through flows/settings.py, which is Prefect's least. How often a run sends them is taken from
those that it sent, as its process may have other settings than the one that looks.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import FlowRun
from prefect.client.schemas.sorting import LogSort

EVENT = "prefect.flow-run.heartbeat"
_PREFECTS_OWN_SECONDS, _LEAST_SECONDS, _MOST_SECONDS = 180.0, 30.0, 900.0
_MISSED_BEATS = 3
_ON_THE_WAY_SECONDS = 15.0  # from an event to the database: batches of 5 s on both sides


@dataclass(frozen=True)
class Pulse:
    """The last sign of life of a flow run, and how many seconds apart its heart-beats are."""

    last: datetime.datetime
    interval_seconds: float
    beats: int

    @property
    def patience_seconds(self) -> float:
        """After how long without a sign the run is suspected."""
        missed = _MISSED_BEATS if self.beats > 1 else 1
        return missed * self.interval_seconds + _ON_THE_WAY_SECONDS

    @property
    def second_look_seconds(self) -> float:
        """How long to look on, by a clock that does not jump, until a living run would have given another sign."""
        return self.interval_seconds + _ON_THE_WAY_SECONDS


def feel(client: SyncPrefectClient, run: FlowRun) -> Pulse:
    """Return the pulse of a flow run that is said to be running.

    Raises:
        httpx.HTTPError: the server is away.
    """
    beats = _last_beats(client, run.id)
    assert run.state is not None, "the server was asked for runs in a state"
    signs = [run.state.timestamp, *beats, *_last_log(client, run.id)]
    interval = (beats[0] - beats[1]).total_seconds() if len(beats) > 1 else _PREFECTS_OWN_SECONDS
    return Pulse(max(signs), min(max(interval, _LEAST_SECONDS), _MOST_SECONDS), len(beats))


def _last_beats(client: SyncPrefectClient, run_id: UUID) -> list[datetime.datetime]:
    """Return the times of at most two heart-beats, the newest first. Prefect's client has no call for events."""
    asked = {
        "event": {"name": [EVENT]},
        "resource": {"id": [f"prefect.flow-run.{run_id}"]},
        "occurred": {"since": (datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=8)).isoformat()},
        "order": "DESC",
    }
    found = client.request("POST", "/events/filter", json={"filter": asked, "limit": 2}).json()["events"]
    return [datetime.datetime.fromisoformat(event["occurred"]) for event in found]


def _last_log(client: SyncPrefectClient, run_id: UUID) -> list[datetime.datetime]:
    asked = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
    return [line.timestamp for line in client.read_logs(asked, limit=1, offset=0, sort=LogSort.TIMESTAMP_DESC)]
