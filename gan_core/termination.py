"""What ends a training from outside: signals, and a disk that takes no more."""

from __future__ import annotations

import contextlib
import errno
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from gan_core.errors import ArtifactError

_REFUSED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


@contextlib.contextmanager
def collected_signals() -> Iterator[list[int]]:
    """Collect SIGTERM and SIGINT instead of dying of them: the loop looks between device calls."""
    received: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        received.append(number)

    try:
        before = {number: signal.signal(number, remember) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread: whoever owns it decides
        yield received
        return
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def refused_writes(run_dir: Path) -> Iterator[None]:
    """Say in one line that the disk of `run_dir` takes no more.

    Raises:
        ArtifactError: it is full, over its quota or read-only, or a file would be too large for it.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise ArtifactError(
            f"{error.filename or run_dir} cannot be written ({error.strerror}); the checkpoints in {run_dir} are kept: "
            "make room, and the same command continues from the newest"
        ) from None
