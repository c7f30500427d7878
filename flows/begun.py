"""What a retraining decided to do, kept with its flow run: a second try goes on with that, and does not look again.

Once the model is registered, a look would find nothing due, or, where it is forced, train another; and page and
artifacts of the first try would never be finished.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run

from flows.least_rights import permitted_config
from flows.stages import Order
from flows.triggers import Trigger
from gan_core.artifacts import canonical_json
from gan_core.config import RunConfig

_REASON, _CONFIG = "faceloom.due", "faceloom.config"


def keep(trigger: Trigger) -> None:
    """Note at the flow run that it is due, and with which config. A server that is away keeps nobody from working."""
    labels: dict[str, bool | int | float | str] = {
        _REASON: trigger.reason,
        _CONFIG: canonical_json(trigger.order.config.to_json()),
    }
    with contextlib.suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        client.update_flow_run_labels(UUID(str(flow_run.id)), labels)


def kept(order: Order) -> Trigger | None:
    """Return what an earlier try of this flow run began; None at the first, and where none got so far.

    Raises:
        ConfigError: the noted config is none of this version of faceloom, or names places that are not allowed.
    """
    if int(flow_run.run_count or 0) < 2:
        return None
    with contextlib.suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        labels = client.read_flow_run(UUID(str(flow_run.id))).labels
        if _CONFIG in labels:
            config = RunConfig.from_json(json.loads(str(labels[_CONFIG])))
            permitted_config(config, order.data_root)
            return Trigger(True, str(labels[_REASON]), dataclasses.replace(order, config=config))
    return None
