"""A folder on this machine, with pictures at any depth."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar

from beam_jobs.pixels.decoding import Reject
from beam_jobs.places.listing import JUNK_FOLDERS, Found, Listing, check_size, printable
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef


@dataclass(frozen=True)
class Tree:
    """A folder; see `Place`."""

    path: Path
    folder: str = ""
    is_archive: ClassVar[bool] = False

    def list(self) -> Found:
        """Return every regular file below the folder. Raises ConfigError when a folder cannot be read."""
        listing = Listing()
        for name, facts in _walk(self.path / self.folder):
            key = name if name.isascii() else printable(os.fsencode(name))
            listing.add(key, "" if facts is None else _stamp(facts))
        return listing.found()

    def peek(self) -> tuple[str, ...]:
        """See `Place.peek`; folders are asked for their names instead."""
        return ()

    def inside(self, folder: str) -> Tree:
        """See `Place.inside`."""
        return replace(self, folder="/".join(part for part in (self.folder, folder) if part))

    def open_other(self, name: str, span: tuple[int, ...]) -> BinaryIO:
        """See `Place.open_other`."""
        return (self.path / name).open("rb")

    @functools.cached_property
    def _base(self) -> str:
        return f"{self.path}/{self.folder}" if self.folder else f"{self.path}"  # texts, as in `_walk`

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture; see `Reader.read`."""
        base = self._base
        path = f"{base}/{ref.key}"
        if "\\x" in ref.key and not Path(path).exists():
            path = f"{base}/{_unescape(ref.key)}"
        try:
            size, stamp, data = _contents(path)
        except OSError as error:
            if not Path(base).is_dir():
                raise DataError(
                    f"{Path(base)} cannot be read any more ({error.strerror}); run again when it is back"
                ) from None
            reason = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            raise Reject(reason, str(error.strerror)) from None
        if ref.stamp != stamp or len(data) != size:
            raise Reject("changed", "size or modification time differ from the listing")
        return data


def _contents(path: str) -> tuple[int, str, bytes]:
    """Return size, stamp and bytes of a file; calls of the system, because a stream takes longer than they do.

    Raises:
        OSError: it cannot be read. Reject: `too-large`.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = os.fstat(file)
        size = facts.st_size
        check_size(size)
        data = os.read(file, size)
        while len(data) < size and (more := os.read(file, size - len(data))):  # a network's file system may give less
            data += more
        return size, _stamp(facts), data
    finally:
        os.close(file)


def _stamp(facts: os.stat_result) -> str:
    return f"{facts.st_size}-{facts.st_mtime_ns}"


def _walk(top: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    """Yield every regular file and dangling link by its name below `top`, in order.

    A folder is read once, however many links lead to it. Names are texts: pathlib takes longer for one than the system.
    """
    pending, seen = [""], set()
    while pending:
        inside = pending.pop()
        folder = f"{top}/{inside}"
        try:
            facts = os.stat(folder)  # noqa: PTH116
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            names = sorted(os.listdir(folder))  # entries of `os.scandir` take twenty times the memory  # noqa: PTH208
        except OSError as error:
            raise ConfigError(f"the folder '{top / inside}' cannot be read: {error.strerror}") from None
        folders = []
        for name in names:
            if name.startswith(".") or name in JUNK_FOLDERS:
                continue
            path = inside + name
            try:
                facts = os.stat(f"{top}/{path}")  # noqa: PTH116
            except OSError:  # a dangling or circular link: listed, so that it is rejected by name
                yield path, None
                continue
            if stat.S_ISDIR(facts.st_mode):
                folders.append(f"{path}/")
            elif stat.S_ISREG(facts.st_mode):  # opening a FIFO would wait for ever
                yield path, facts
        pending.extend(reversed(folders))


def _unescape(key: str) -> str:
    escaped = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), key.encode())
    return os.fsdecode(escaped)
