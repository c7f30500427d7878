"""Deployments of the flows: for `faceloom serve` on one machine, and `faceloom deploy` into a work pool."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.flows import Flow
from prefect.types.entrypoint import EntrypointType
from prefect.workers.utilities import get_default_base_job_template_for_infrastructure_type

from flows.pipeline import pipeline
from flows.retrain import retrain
from gan_core.errors import ConfigError

FLOWS: dict[str, Flow[..., Any]] = {"retrain": retrain, "pipeline": pipeline}


@dataclass(frozen=True)
class Schedule:
    """When a deployment runs by itself: at most one of both; none is on demand only.

    Attributes:
        cron: five fields, such as "0 3 * * *".
        timezone: by which cron is read, such as Europe/Berlin.
        every: from one run to the next.
    """

    cron: str = ""
    timezone: str = "UTC"
    every: timedelta | None = None

    def options(self) -> dict[str, Any]:
        """Return what Prefect's `to_deployment` takes. Raises ConfigError for a schedule that it refuses."""
        from prefect.client.schemas.schedules import CronSchedule

        if self.every is not None:
            return {"interval": self.every}
        if not self.cron:
            return {}
        try:
            return {"schedule": CronSchedule(cron=self.cron, timezone=self.timezone)}
        except ValueError as error:
            reason = str(error).splitlines()[-2 if len(str(error).splitlines()) > 2 else -1].strip()
            raise ConfigError(
                f"--cron '{self.cron}' with --timezone '{self.timezone}' is no schedule ({reason}); five fields, for "
                "example --cron '0 3 * * *' --timezone Europe/Berlin"
            ) from None


def deployment(
    flow: str, preset: str, parameters: dict[str, Any], schedule: Schedule, *, name: str = "", **more: Any
) -> RunnerDeployment:
    """Return a deployment of a flow for a preset: one run at a time, of those that wait only the newest works.

    Its entry point is a module, so it runs wherever faceloom is installed.

    Args:
        flow: retrain or pipeline.
        preset: what its tag and its description say.
        parameters: of the flow.
        schedule: when it runs.
        name: of the deployment; empty is the preset's.
        more: what else Prefect's `to_deployment` takes.
    """
    found = FLOWS[flow].to_deployment(
        name=name or preset,
        parameters=parameters,
        tags=["faceloom", preset],
        description=f"{flow} of the preset {preset}; see faceloom presets {preset}",
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE),
        entrypoint_type=EntrypointType.MODULE_PATH,
        **schedule.options(),
        **more,
    )
    return cast(RunnerDeployment, found)  # called where no event loop runs, it is no coroutine


def ensure_pool(name: str, kind: str) -> bool:
    """Make the work pool where there is none; return whether it was made.

    Raises:
        ConfigError: a pool of that name is of another type.
    """
    import asyncio

    with get_client(sync_client=True) as client:
        try:
            found = client.read_work_pool(name)
        except ObjectNotFound:
            template = asyncio.run(get_default_base_job_template_for_infrastructure_type(kind)) or {}
            client.create_work_pool(WorkPoolCreate(name=name, type=kind, base_job_template=template))
            return True
    if found.type != kind:
        raise ConfigError(f"the work pool '{name}' is of type {found.type}, not {kind}; name another with --pool")
    return False
