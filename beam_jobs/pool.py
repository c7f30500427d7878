"""Light local processes that prepare shards for Beam's local runner.

Beam's own worker processes import Beam, which takes each of them four to six seconds on two cores, and its runner waits
for ever for one that was killed. These import Pillow and NumPy, start while the launcher still imports Beam, and one
that is killed ends the job with an error.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

# Beam hands a DoFn on as a pickle, even within one process: what it works with is found by name.
_OPEN: dict[str, ProcessPoolExecutor] = {}


@contextlib.contextmanager
def open_pool(processes: int) -> Iterator[str]:
    """Yield the name of a pool for `submit`; with less than two processes no pool, and an empty name."""
    if processes < 2:
        yield ""
        return
    # `spawn`, never `fork`: the caller may hold the threads of TensorFlow, Beam or Prefect.
    context = multiprocessing.get_context("spawn")
    name = uuid.uuid4().hex
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start) as pool:
        _OPEN[name] = pool
        try:
            with _deaf_to_ctrl_c():
                pool.submit(_nothing)  # starts all processes
            yield name
        finally:
            del _OPEN[name]


def submit(pool: str, function: Callable[..., None], *arguments: Any) -> Future[None]:
    """Call a function in the pool; in this process where the pool is none of its own."""
    if pool in _OPEN:
        return _OPEN[pool].submit(function, *arguments)
    done: Future[None] = Future()
    function(*arguments)
    done.set_result(None)
    return done


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def _start() -> None:
    """Leave Ctrl-C to the launcher, which lets this process end in order, and end when the launcher has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_launcher, name="launcher-watch", daemon=True).start()
    import beam_jobs.shard_writer  # noqa: F401  # now, while the launcher imports Beam, not with the first shard


def _end_with_launcher() -> None:
    launcher = multiprocessing.parent_process()
    assert launcher is not None, "this process was started by multiprocessing"
    launcher.join()
    os._exit(1)


def _nothing() -> None:
    pass


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """Block SIGINT while processes start; they inherit that."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
