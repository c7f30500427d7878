"""One open handle of each archive in each process.

A worker unpickles the reader for every piece of its work; the directory of a zip with 200,000 entries takes a second
to read, so it is kept. Handles are never shared by processes: a forked one would share its file position.
"""

from __future__ import annotations

import functools
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

Facts = tuple[int, int]
"""Size in bytes and modification time in nanoseconds of an archive: one that differs is another archive."""

T = TypeVar("T")


def facts_of(path: Path) -> Facts:
    """Return size and modification time of the file at `path`. Raises OSError."""
    return _pair(path.stat())


def facts_of_stream(stream: BinaryIO, path: Path) -> Facts:
    """Return size and modification time of an open file; of its path where it has no descriptor (object storage)."""
    try:
        return _pair(os.fstat(stream.fileno()))
    except io.UnsupportedOperation:
        return facts_of(path)


def opened(open_archive: Callable[[Path], T], path: Path, facts: Facts) -> T:
    """Return this process's handle of the archive, opened by `open_archive(path)` at the first call.

    Errors of `open_archive` are passed on and not kept. Few handles are kept: the oldest are dropped.
    """
    return cast(T, _opened(open_archive, path, facts, os.getpid()))


@functools.lru_cache(maxsize=4)
def _opened(open_archive: Callable[[Path], Any], path: Path, _: Facts, __: int) -> Any:
    return open_archive(path)


def _pair(facts: os.stat_result) -> Facts:
    # Object storage may lack the nanoseconds.
    return facts.st_size, getattr(facts, "st_mtime_ns", 0)
