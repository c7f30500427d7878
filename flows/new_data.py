"""A look at the source every so often, and a flow run when a retraining is due: no run for nothing."""

from __future__ import annotations

import threading
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.logging.loggers import get_logger

from beam_jobs.sources.registry import look
from flows.stages import Order
from flows.triggers import look_for
from gan_core.errors import FaceloomError
from gan_core.paths import local_root
from gan_core.registry import Registry


def watch(order: Order, deployment_id: UUID, poll_seconds: float, ended: threading.Event) -> None:
    """Start a run of the deployment whenever one is due, by new pictures or by the model's age, until `ended`.

    One run for each state of source and registry: where it failed, the task's retries and the janitor's are what there
    is, and the next change of the pictures or of the models starts another.
    """
    logger = get_logger("faceloom.new_data")
    asked: tuple[str, int] | None = None
    while not ended.is_set():
        try:
            fingerprint = look(order.config.data, local_root(order.data_root)).summary.fingerprint
            now = fingerprint, _decisions(order)
            if now != asked and _is_settled(order, fingerprint, poll_seconds, ended):
                trigger = look_for(order)
                if trigger.due or trigger.unsure:
                    with get_client(sync_client=True) as client:
                        client.create_flow_run_from_deployment(deployment_id)
                    logger.warning("a run was started: %s", trigger.reason)
                    asked = now
        except FaceloomError as error:
            logger.warning("the source could not be looked at: %s", error)
        except (httpx.HTTPError, PrefectException) as error:
            logger.warning("the server does not answer (%s)", error)
        ended.wait(poll_seconds)


def _decisions(order: Order) -> int:
    """Return how often a model was promoted, rejected or rolled back to: a run that did its work adds one."""
    history = Registry(order.data_root, order.config.preset).history()
    return sum(line["event"] != "registered" for line in history)


def _is_settled(order: Order, fingerprint: str, poll_seconds: float, ended: threading.Event) -> bool:
    """Return whether the source is the same after a wait: pictures that are still being copied start nothing."""
    if ended.wait(min(poll_seconds, 10.0)):
        return False
    return look(order.config.data, local_root(order.data_root)).summary.fingerprint == fingerprint
