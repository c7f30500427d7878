"""What the UI calls flow runs: the preset, and of a retraining why it is."""

from __future__ import annotations

import contextlib
import textwrap
from pathlib import Path
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectException
from prefect.runtime import flow_run

from flows.parameters import DEFAULT_PRESET

LONGEST = 80  # characters


def of_pipeline() -> str:
    """Return the name of a run of the pipeline: its preset, such as celeba64; of a file only its name."""
    preset = str(flow_run.parameters.get("preset", DEFAULT_PRESET))
    return Path(preset).stem if preset.endswith(".toml") else preset


def of_retraining() -> str:
    """Return the name of a retraining that does not know yet why it is, such as "retrain celeba64"."""
    return f"retrain {of_pipeline()}"


def with_reason(name: str, reason: str) -> str:
    """Return "retrain smoke: 512 new pictures": a reason up to its first comma and blank, LONGEST characters in all."""
    return textwrap.shorten(f"{name}: {reason.partition(', ')[0]}", LONGEST, placeholder=" ...")


def rename_with(reason: str) -> None:
    """Add the reason to the name of the retraining that runs. A server that is away keeps the name as it is."""
    with contextlib.suppress(httpx.HTTPError, PrefectException), get_client(sync_client=True) as client:
        client.update_flow_run(UUID(str(flow_run.id)), name=with_reason(of_retraining(), reason))
