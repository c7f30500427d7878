"""Light local processes that prepare shards for Beam's local runner.

Beam's own worker processes import Beam, which takes longer than a small job, and its runner waits for ever for one that
was killed. These import Pillow and NumPy, begin while the launcher still imports Beam, and one that is killed ends the
job with an error. This module imports neither, so that they can be started first of all.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from pathlib import Path

from gan_core.spawning import end_with_parent, lean_start


@dataclass(frozen=True)
class _Pool:
    executor: ProcessPoolExecutor
    running: dict[str, Future[None]] = field(default_factory=dict)


# Beam hands a function on as a pickle, even within one process: the pool that it waits for is found by name.
_OPEN: dict[str, _Pool] = {}
_WARM: list[ProcessPoolExecutor] = []


@contextlib.contextmanager
def warm(processes: int) -> Iterator[None]:
    """Start the processes for the first `open_pool` of the block at once: they import while the source is listed."""
    executor = _started(processes)
    _WARM.append(executor)
    try:
        yield
    finally:
        if executor in _WARM:
            _WARM.remove(executor)
            executor.shutdown()


@contextlib.contextmanager
def open_pool(processes: int) -> Iterator[str]:
    """Yield the name of a pool for `start` and `wait`, whose processes import what they need meanwhile.

    With less than two processes there is none, and the name is empty. What has not begun when the block fails, does not
    begin any more.
    """
    if processes < 2:
        yield ""
        return
    name = uuid.uuid4().hex
    with _WARM.pop() if _WARM else _started(processes) as executor:
        _OPEN[name] = _Pool(executor)
        try:
            yield name
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise
        finally:
            del _OPEN[name]


def start(pool: str, work: Callable[[str], None], shards: Iterable[str]) -> None:
    """Have the processes of a pool call `work` with each shard; `wait` tells when one is done."""
    one = _OPEN[pool]
    one.running.update({shard: _submitted(one.executor, work, shard) for shard in shards})


def wait(pool: str, draft: Path, shard: str) -> None:
    """Return when a shard is done. A process that was killed is a failure in the books of `draft`."""
    try:
        _OPEN[pool].running[shard].result()
    except BrokenProcessPool:
        from beam_jobs.books import record_failure
        from gan_core.errors import StageFailed

        message = (
            "a worker process of the Beam job was killed (out of memory? the kernel's log says: dmesg); "
            "finished shards are kept, run the same command again"
        )
        record_failure(draft, "pool", StageFailed(message))


def _started(processes: int) -> ProcessPoolExecutor:
    # `spawn`, never `fork`: the caller may hold the threads of TensorFlow, Beam or Prefect.
    context = multiprocessing.get_context("spawn")
    executor = ProcessPoolExecutor(processes, mp_context=context, initializer=_start)
    with lean_start(), _one_blas_thread():
        for _ in range(processes):  # each starts one, as none is idle yet
            executor.submit(_nothing)
    return executor


@contextlib.contextmanager
def _one_blas_thread() -> Iterator[None]:
    """Let NumPy in processes that the block starts keep to one core: idle threads of OpenBLAS wait at full speed."""
    name = "OPENBLAS_NUM_THREADS"
    before = os.environ.get(name)
    os.environ.setdefault(name, "1")
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _submitted(executor: ProcessPoolExecutor, work: Callable[[str], None], shard: str) -> Future[None]:
    try:
        return executor.submit(work, shard)
    except BrokenProcessPool as error:
        failed: Future[None] = Future()
        failed.set_exception(error)
        return failed


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _start() -> None:
    """Leave Ctrl-C to the launcher, which lets this process end in order, and end when the launcher has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    import beam_jobs.shard_writer  # noqa: F401  # now, while the launcher imports Beam, not with the first shard


def _nothing() -> None:
    pass
