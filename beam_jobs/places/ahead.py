"""Pictures that come over a network, fetched while others are worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from beam_jobs.pixels.decoding import Pixels
from beam_jobs.sources.base import Reader
from gan_core.handoff import ImageRef

_THREADS = 16  # an answer takes 10 to 100 ms, and a picture is prepared in 1 to 20
_AHEAD = 32  # pictures that wait in memory at most

Read = Callable[[], bytes | Pixels]


def fetched(reader: Reader, refs: Iterable[ImageRef]) -> Iterator[tuple[ImageRef, Read]]:
    """Yield every picture in order, with what returns its bytes, or raises what `Reader.read` raises.

    Those of a reader whose `waits` is true are fetched ahead, by threads.
    """
    if not getattr(reader, "waits", False):
        for ref in refs:
            yield ref, partial(reader.read, ref)
        return
    waiting: deque[tuple[ImageRef, Future[bytes | Pixels]]] = deque()
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="fetch")
    try:
        for ref in refs:
            waiting.append((ref, pool.submit(reader.read, ref)))
            if len(waiting) >= _AHEAD:
                done, future = waiting.popleft()
                yield done, future.result
        while waiting:
            done, future = waiting.popleft()
            yield done, future.result
    finally:
        pool.shutdown(cancel_futures=True)
