"""Starting processes with `multiprocessing`'s spawn."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from multiprocessing import resource_tracker

_ONE_BY_ONE = threading.Lock()


@contextlib.contextmanager
def lean_start() -> Iterator[None]:
    """Let processes that the block starts import nothing but what they work with, and not hear Ctrl-C.

    A spawned process runs the program of its parent again, up to `if __name__ == "__main__"`: for faceloom, the import
    of the whole command line. Functions that are found by their module do not need that. SIGINT is blocked meanwhile,
    which processes inherit; from another thread than the main one it is not.
    """
    resource_tracker.ensure_running()  # the first start would do it, and unblock SIGINT thereby
    with _ONE_BY_ONE:
        program = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            with _deaf_to_ctrl_c():
                yield
        finally:
            sys.modules["__main__"] = program


def end_with_parent() -> None:
    """Let this process, which multiprocessing started, end at once when its parent has died: nobody waits for it."""

    def follow() -> None:
        parent = multiprocessing.parent_process()
        assert parent is not None, "this process was started by multiprocessing"
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, name="parent-watch", daemon=True).start()


@contextlib.contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
