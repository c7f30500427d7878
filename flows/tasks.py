"""One Prefect task a stage. The policy is in the decorators; the body runs the stage in a child process.

A stage that already has its result returns at once, so a retry resumes in the same run directory, and
Prefect's own result cache stays off: it would not notice deleted files.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.runtime import task_run
from prefect.tasks import exponential_backoff

from flows import announcements
from flows.children import run_in_child
from flows.console import Display, Silence, finished_text, shown
from flows.gate_stages import GATE_STAGES
from flows.gpu import holding_gpu
from flows.next_steps import told
from flows.output import new_log
from flows.policy import DAY, HOUR, MINUTE, RETRY_JITTER, worth_a_retry
from flows.stages import STAGES, Order, StageResult, folder_of
from flows.ui import ProgressArtifact
from gan_core.progress import Progress


@dataclass(frozen=True)
class View:
    """Who watches a run: where progress is shown, and whether the children's own output is left on stderr."""

    display: Display = field(default_factory=Silence)
    verbose: bool = False


VIEW: ContextVar[View] = ContextVar("faceloom_view")


def _run_name() -> str:
    """Return what the UI calls a task run, such as "train celeba64"."""
    return f"{task_run.task_name} {task_run.parameters['order'].config.preset}"


# Of a task that may first wait for the GPU, while others train; how long it may then work is said to `perform`.
_GPU_TASK_SECONDS = 28 * DAY
_COMMON: dict[str, Any] = {
    "task_run_name": _run_name,
    "cache_policy": NO_CACHE,
    "persist_result": False,
    "retry_condition_fn": worth_a_retry,
    "retry_jitter_factor": RETRY_JITTER,
}


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(5),
    timeout_seconds=6 * HOUR,
    **_COMMON,
)
def ingest(order: Order) -> StageResult:
    """Bring the pictures here and list them."""
    return perform("ingest", order)


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(10),
    timeout_seconds=DAY,
    **_COMMON,
)
def prepare(order: Order) -> StageResult:
    """Turn the pictures into TFRecord shards; finished shards are kept over a retry."""
    result = perform("prepare", order)
    announcements.dataset_published(order, result)
    return result


@task(
    retries=5,
    retry_delay_seconds=exponential_backoff(10),
    timeout_seconds=_GPU_TASK_SECONDS,
    **_COMMON,
)
def train(order: Order) -> StageResult:
    """Train; a retry goes on from the newest checkpoint. Half an hour without a log line is a hang."""
    return perform("train", order, gpu_seconds=7 * DAY, stall_seconds=30 * MINUTE)


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(5),
    timeout_seconds=_GPU_TASK_SECONDS,
    **_COMMON,
)
def sample(order: Order) -> StageResult:
    """Write pictures from the trained generator."""
    return perform("sample", order, gpu_seconds=6 * HOUR)


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(5),
    timeout_seconds=_GPU_TASK_SECONDS,
    **_COMMON,
)
def evaluate(order: Order) -> StageResult:
    """Measure the trained generator."""
    return perform("evaluate", order, gpu_seconds=6 * HOUR)


@task(
    retries=1,
    retry_delay_seconds=exponential_backoff(5),
    timeout_seconds=HOUR,
    **_COMMON,
)
def report(order: Order) -> StageResult:
    """Write the page about the run."""
    return perform("report", order)


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(5),
    timeout_seconds=_GPU_TASK_SECONDS,
    **_COMMON,
)
def judge(order: Order) -> StageResult:
    """Measure candidate and blessed model under one protocol, and decide."""
    return perform("judge", order, gpu_seconds=6 * HOUR)


@task(
    retries=2,
    retry_delay_seconds=exponential_backoff(5),
    timeout_seconds=_GPU_TASK_SECONDS,
    **_COMMON,
)
def promote(order: Order) -> StageResult:
    """Register the candidate, and bless it if the gate says so."""
    result = perform("promote", order, gpu_seconds=HOUR)
    announcements.model_decided(order, result)
    return result


@told()
def perform(
    name: str, order: Order, *, gpu_seconds: float | None = None, stall_seconds: float | None = None
) -> StageResult:
    """Run the stage `name` in a child process, and tell the terminal, Prefect's log and its UI about it.

    Args:
        name: of the stage.
        order: what it is told.
        gpu_seconds: it takes the slot of the GPU, for so long at most once it has it; None is a stage that needs none.
            No tag of Prefect's: for each it asks the server, which after a long stage took 2 s, and failed the task
            where the server was away.
        stall_seconds: see `run_in_child`.
    """
    view, logger = VIEW.get(View()), get_run_logger()
    display = view.display
    bar = ProgressArtifact(name, logger)
    attempt = int(task_run.run_count or 1)

    def report_progress(progress: Progress) -> None:
        display.progress(progress)
        bar.show(progress)

    start = time.monotonic()
    display.started(name, shown(folder_of(order, name)), attempt)
    log = None if view.verbose else new_log(order.data_root, name)
    try:
        with holding_gpu(name) if gpu_seconds else contextlib.nullcontext():
            result = run_in_child(
                name,
                STAGES.get(name) or GATE_STAGES[name],
                dataclasses.replace(order, attempt=attempt),
                report_progress,
                log=log,
                stall_seconds=stall_seconds,
                limit_seconds=gpu_seconds,
            )
    except Exception as error:
        display.failed(name, error)
        raise
    seconds = time.monotonic() - start
    display.finished(result, seconds)
    logger.info(finished_text(result, seconds))
    return result
