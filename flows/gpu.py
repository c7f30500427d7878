"""The GPU as one resource of a Prefect server: a slot of a global concurrency limit for every stage that needs it.

The slot is leased: who holds it renews the lease in a thread, and the server takes back the slots of leases that ran
out. The lease is noted at the flow run, so that the janitor can give back a killed process's slot sooner. Prefect's
own `concurrency` gives up renewing after a few seconds without server, for good, and its wait ends with the first call
that fails; a training outlives both.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitCreate
from prefect.client.schemas.objects import ConcurrencyLeaseHolder, FlowRun
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound, PrefectException
from prefect.logging.loggers import get_logger
from prefect.runtime import flow_run, task_run
from prefect.settings import PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.settings import seconds_of_environment
from gan_core.errors import ConfigError, StageFailed

# The longest that the slot of a killed process stays taken, should no janitor give it back. Renewed after each quarter,
# so that the server may be away for three of them without the slot going to somebody else.
LEASE_SECONDS = 300.0
_LEAST_LEASE_SECONDS = 60.0  # Prefect's own
_RENEWALS = 4
_ASK_EVERY_SECONDS = 2.0
_FIRST_WAIT_SECONDS = 0.1  # doubled until it is _ASK_EVERY_SECONDS
_LABEL = "faceloom.gpu_lease"
_WITHOUT_SERVER_SECONDS = 600.0


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
        StageFailed: the server could not be asked for ten minutes; worth a retry.
    """
    with get_client(sync_client=True) as client:
        slot = _Slot(client, lease_seconds())
        ended = threading.Event()
        renewing = threading.Thread(target=slot.keep, args=(ended,), name="faceloom-gpu-lease", daemon=True)
        try:
            slot.take(stage)
            renewing.start()
            yield
        finally:
            ended.set()
            slot.give_back(stage)


def release_slot_of(client: SyncPrefectClient, run: FlowRun) -> None:
    """Give back the slot that a flow run has, whose process is gone; nothing where it has none.

    Raises:
        httpx.HTTPError: the server is away.
    """
    if lease := run.labels.get(_LABEL):
        client.release_concurrency_slots_with_lease(UUID(str(lease)))


class _Slot:
    """A slot that is taken, renewed and given back, by two threads. A server that is away is asked again later."""

    def __init__(self, client: SyncPrefectClient, seconds: float) -> None:
        self._client, self._seconds = client, seconds
        # Who has the slot, for the UI, and where the lease is noted; another thread would not know.
        self._holder = ConcurrencyLeaseHolder(type="task_run", id=UUID(task_run.id)) if task_run.id else None
        self._run = UUID(flow_run.id) if flow_run.id else None
        self._lease: UUID | None = None
        self._one_by_one = threading.Lock()

    def take(self, stage: str) -> None:
        """Wait until the slot is taken."""
        answered, wait = time.monotonic(), _FIRST_WAIT_SECONDS
        # Prefect's client waits for two seconds before it asks again, and a server on SQLite that is just writing down
        # the end of the task before answers 503 more often than not.
        with temporary_settings(updates={PREFECT_CLIENT_MAX_RETRIES: 0}):
            while True:
                try:
                    if self._try():
                        return
                    answered = time.monotonic()
                except (httpx.HTTPError, PrefectException) as error:
                    if _is_mistake(error) or time.monotonic() - answered > _WITHOUT_SERVER_SECONDS:
                        raise StageFailed(
                            f"{stage} could not ask Prefect's server for the GPU ({error}); try again"
                        ) from error
                time.sleep(wait)
                wait = min(2 * wait, _ASK_EVERY_SECONDS)

    def keep(self, ended: threading.Event) -> None:
        """Note the lease, and renew it until the event. One that ran out while the server was away is taken anew."""
        wait, logger = self._seconds / _RENEWALS, get_logger("faceloom.gpu")
        with self._one_by_one:
            self._note()
        while not ended.wait(wait):
            try:
                with self._one_by_one:
                    is_kept = not ended.is_set() and self._renewed()
                wait = self._seconds / _RENEWALS
                if not is_kept and not ended.is_set():
                    # A training is worth more than the promise that nobody else has the GPU meanwhile.
                    logger.warning("the slot of the GPU went to another; this stage goes on without")
            except (httpx.HTTPError, PrefectException) as error:
                logger.info("the slot of the GPU could not be renewed yet (%s)", error)
                wait = _ASK_EVERY_SECONDS

    def give_back(self, stage: str) -> None:
        """Give the slot back; where the server is away, it takes the slot back itself once the lease has run out."""
        with self._one_by_one:
            try:
                if self._lease is not None:
                    self._client.release_concurrency_slots_with_lease(self._lease)
            except Exception as error:
                get_logger("faceloom.gpu").warning(
                    "%s: the slot of the GPU could not be given back (%s); the server frees it within %g s",
                    stage,
                    error,
                    self._seconds,
                )

    def _try(self) -> bool:
        """Take a slot if one is free; False where none is."""
        name = ensure_limit(self._client)
        try:
            answer = self._client.increment_concurrency_slots_with_lease(
                [name], 1, "concurrency", self._seconds, self._holder
            ).json()
        except httpx.HTTPStatusError as error:
            if error.response.status_code == httpx.codes.LOCKED:
                return False
            raise
        self._lease = UUID(answer["lease_id"])
        return bool(answer["limits"])  # none where somebody has deleted the limit meanwhile

    def _note(self) -> None:
        if self._run is not None and self._lease is not None:
            with contextlib.suppress(httpx.HTTPError, PrefectException):  # the slot is taken all the same
                self._client.update_flow_run_labels(self._run, {_LABEL: str(self._lease)})

    def _renewed(self) -> bool:
        if self._lease is not None:
            try:
                self._client.renew_concurrency_lease(self._lease, self._seconds)
                return True
            except httpx.HTTPStatusError as error:
                if error.response.status_code not in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
                    raise
                self._lease = None
        is_taken = self._try()
        self._note()
        return is_taken


def _is_mistake(error: Exception) -> bool:
    """Whether the server answered that it will never do that."""
    return isinstance(error, httpx.HTTPStatusError) and 400 <= error.response.status_code < 429
