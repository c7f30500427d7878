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
from typing import Any, TypeVar, cast

from gan_core.paths import is_remote

Facts = tuple[int, int]
"""Size in bytes and modification time in nanoseconds of an archive: one that differs is another archive."""

T = TypeVar("T")


def facts_of(path: Path) -> Facts:
    """Return size and modification time of the file at `path`. Raises OSError."""
    return _pair(path.stat())


class ArchiveFile(io.RawIOBase):
    """A file on this machine that threads may read at once, at any place; closed when nobody holds it any more.

    Raises:
        OSError: the file cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self._position = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer at the end."""
        data = os.pread(self._descriptor, size, offset)
        while 0 < len(data) < size:  # a call returns 2 GiB at most
            more = os.pread(self._descriptor, size - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data

    def facts(self) -> Facts:
        """Return size and modification time as they are now."""
        return _pair(os.fstat(self._descriptor))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the place of `readinto`, and return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.facts()[0]}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the present place, and move on."""
        data = self.read_at(self._position, len(buffer))
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        """Close the file; see `io.IOBase.close`."""
        if not self.closed and "_descriptor" in vars(self):
            os.close(self._descriptor)
        super().close()


def archive_file(path: Path) -> ArchiveFile:
    """Open the archive at `path`, on this machine or on an object store. Raises OSError."""
    if is_remote(path):
        from beam_jobs.places.store import StoredArchive

        return StoredArchive(path)
    return ArchiveFile(path)


def opened(open_archive: Callable[[Path], T], path: Path, facts: Facts) -> T:
    """Return this process's handle of the archive, opened by `open_archive(path)` at the first call.

    Errors of `open_archive` are passed on and not kept. Few handles are kept: the oldest are dropped.
    """
    return cast(T, _opened(open_archive, path, facts, os.getpid()))


@functools.lru_cache(maxsize=4)
def _opened(open_archive: Callable[[Path], Any], path: Path, _: Facts, __: int) -> Any:
    return open_archive(path)


def _pair(facts: os.stat_result) -> Facts:
    return facts.st_size, facts.st_mtime_ns
