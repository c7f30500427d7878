"""Pixels for the next steps, read by a thread while the device works on this one.

What is shown when is a pure function of (seed, images shown): the thread changes when pixels are read, never which.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]

QUEUE_BYTES = 256 * 1024**2
"""Batches that wait fill at most so much, or are two."""
_LOOK_SECONDS = 0.1  # between two looks at the signals, and at the end
_CLOSE_SECONDS = 5.0  # a read that takes longer hangs


class ReadAhead:
    """The batches of steps `first`, `first + 1`, ... up to `end`, in order, a bounded number of them ready.

    Use it as a context, or call `close`: the thread ends then, with the batch that it reads.
    """

    def __init__(self, read: Callable[[int], Images], first: int, end: int, batch_bytes: int) -> None:
        """Start to read.

        Args:
            read: step -> its pictures, uint8 [batch, H, W, C]; called in the thread alone.
            first: the first step.
            end: the step after the last.
            batch_bytes: size of a batch, for the bound.
        """
        self._ready: queue.Queue[Images | BaseException] = queue.Queue(max(2, QUEUE_BYTES // batch_bytes))
        self._closed = threading.Event()
        # A daemon: what hangs in a read of a dead disk shall not keep the process.
        arguments = (read, first, end)
        self._thread = threading.Thread(target=self._fill, args=arguments, name="read-ahead", daemon=True)
        self._thread.start()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def take(self, count: int, signals: Sequence[int] = ()) -> list[Images]:
        """Return the batches of the next `count` steps; fewer at the end, or at a signal that comes meanwhile.

        Raises:
            Exception: whatever `read` raised for one of them.
        """
        batches: list[Images] = []
        while len(batches) < count:
            try:
                ready = self._ready.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                if signals or (not self._thread.is_alive() and self._ready.empty()):
                    break
                continue
            if isinstance(ready, BaseException):
                raise ready
            batches.append(ready)
        return batches

    def close(self) -> None:
        """End the thread, after the batch that it reads."""
        self._closed.set()
        self._thread.join(_CLOSE_SECONDS)

    def _fill(self, read: Callable[[int], Images], first: int, end: int) -> None:
        try:
            for step in range(first, end):
                if not self._put(read(step)):
                    return
        except BaseException as error:  # the loop raises it: a thread has nobody to tell
            self._put(error)

    def _put(self, ready: Images | BaseException) -> bool:
        while not self._closed.is_set():
            try:
                self._ready.put(ready, timeout=_LOOK_SECONDS)
            except queue.Full:
                continue
            return True
        return False
