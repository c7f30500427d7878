"""Where TensorFlow's, Beam's and Prefect's own output goes: a log file, so that the terminal keeps ours.

TensorFlow's C++ writes to file descriptor 2 before any setting can silence it; so the descriptors are turned,
not `sys.stderr`.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from gan_core import artifacts

KEPT_LOGS = 50
_QUIET: Mapping[str, str] = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "GRPC_VERBOSITY": "ERROR",
    "KERAS_BACKEND": "tensorflow",
}


def quiet_libraries() -> None:
    """Ask the libraries for silence, by their environment variables, where the user has not set them."""
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)


def new_log(data_root: Path, name: str) -> Path:
    """Return the path of a new log in `data_root/.faceloom/logs`; the oldest beyond KEPT_LOGS are deleted."""
    folder = data_root / ".faceloom" / "logs"
    artifacts.make_folder(folder)
    for old in sorted(folder.glob("*.log"))[: -KEPT_LOGS + 1]:
        old.unlink(missing_ok=True)
    return folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{name}.log"


def write_crash(data_root: Path, error: BaseException) -> Path | None:
    """Save the traceback of an error that is a bug; return where, None when not even that is possible."""
    path = data_root / ".faceloom" / f"crash-{datetime.now(UTC):%Y%m%dT%H%M%S}-{os.getpid()}.txt"
    text = "".join(traceback.format_exception(error))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{' '.join(sys.argv)}\n\n{text}", encoding="utf-8")
    except OSError:
        return None
    return path


@contextlib.contextmanager
def redirected(log: Path | None) -> Iterator[None]:
    """Send descriptors 1 and 2 to the end of `log` while the block runs; with None, send only 1, to 2.

    An empty log is deleted afterwards.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    target = os.dup(2) if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.dup2(target, 1)
        os.dup2(target, 2)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, handle in enumerate(kept, start=1):
            os.dup2(handle, number)
        for handle in (*kept, target):
            os.close(handle)
        if log is not None and log.exists() and log.stat().st_size == 0:
            log.unlink()
