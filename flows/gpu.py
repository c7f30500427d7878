"""The GPU as one resource of a Prefect server: a slot of a global concurrency limit for every stage that needs it.

Prefect takes the slot with a lease, renews it in a thread, and its server takes back the slots of leases that ran
out: that is how the slot of a killed process comes free. What we add: the limit is made where it is missing, a
server that is away when a stage ends does not fail the stage, and no slot is asked for by a stage outside Prefect.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder
from prefect.concurrency.asyncio import ConcurrencySlotAcquisitionError
from prefect.concurrency.sync import concurrency
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectException
from prefect.logging.loggers import get_logger
from prefect.runtime import task_run

from flows.settings import seconds_of_environment
from gan_core.errors import ConfigError, StageFailed

TAG = "gpu"
# Prefect renews after three quarters, so the last quarter, 75 s, is what a server may be away without the slot going
# to somebody else. It is also the longest that the slot of a killed process stays taken.
LEASE_SECONDS = 300.0
_LEAST_LEASE_SECONDS = 60.0  # Prefect's own


def limit_name() -> str:
    """Return the name of the limit: FACELOOM_GPU_LIMIT, or "gpu". One name for each GPU machine of a server."""
    return os.environ.get("FACELOOM_GPU_LIMIT") or "gpu"


def slots() -> int:
    """Return how many stages may use the GPU at once when the limit is made: FACELOOM_GPU_SLOTS, in [1, 1000].

    Raises:
        ConfigError: it is no such number.
    """
    text = os.environ.get("FACELOOM_GPU_SLOTS") or "1"
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1000):
        raise ConfigError(f"FACELOOM_GPU_SLOTS must be a whole number in [1, 1000], got '{text}'")
    return int(text)


def lease_seconds() -> float:
    """Return for how long a slot is leased: FACELOOM_GPU_LEASE_SECONDS, in [60, 86400], or LEASE_SECONDS.

    Raises:
        ConfigError: it is no such number.
    """
    return seconds_of_environment("FACELOOM_GPU_LEASE_SECONDS", LEASE_SECONDS, _LEAST_LEASE_SECONDS)


def ensure_limit(client: SyncPrefectClient) -> str:
    """Make the limit where there is none, and return its name. One that exists keeps the size it was given."""
    name = limit_name()
    try:
        client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        # Two flows that start at once both find none.
        with contextlib.suppress(ObjectAlreadyExists):
            _create(client, name)
    return name


def _create(client: SyncPrefectClient, name: str) -> None:
    try:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=slots()))
    except httpx.HTTPStatusError as error:
        if error.response.status_code != httpx.codes.CONFLICT:
            raise


@contextlib.contextmanager
def holding_gpu(stage: str) -> Iterator[None]:
    """Hold one slot of the limit during the block; wait for it as long as it takes.

    Args:
        stage: what messages call the stage.

    Raises:
        ConfigError: FACELOOM_GPU_SLOTS or FACELOOM_GPU_LEASE_SECONDS is no such number.
        StageFailed: the server could not be asked; worth a retry.
    """
    seconds = lease_seconds()
    with contextlib.ExitStack() as stack:
        try:
            with get_client(sync_client=True) as client:
                name = ensure_limit(client)
            slot = concurrency(
                name,
                lease_duration=seconds,
                strict=True,
                holder=_holder(),
                # A training is worth more than the promise that nobody else has the GPU meanwhile.
                raise_on_lease_renewal_failure=False,
            )
            slot.__enter__()
        except (httpx.HTTPError, PrefectException, ConcurrencySlotAcquisitionError) as error:
            raise StageFailed(f"{stage} could not ask Prefect's server for the GPU ({error}); try again") from error
        stack.callback(_give_back, slot, stage, seconds)
        yield


def _give_back(slot: contextlib.AbstractContextManager[None], stage: str, seconds: float) -> None:
    """Give the slot back; where the server is away, it takes the slot back itself once the lease has run out."""
    try:
        slot.__exit__(None, None, None)
    except Exception as error:
        get_logger("faceloom.gpu").warning(
            "%s: the slot of the GPU could not be given back (%s); the server frees it within %g s",
            stage,
            error,
            seconds,
        )


def _holder() -> ConcurrencyLeaseHolder | None:
    """Return who has the slot, for the UI."""
    run = task_run.id
    return ConcurrencyLeaseHolder(type="task_run", id=UUID(run)) if run else None
