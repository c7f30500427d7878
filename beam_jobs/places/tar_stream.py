"""The few large files of a tar archive, read once from its start to its end, in memory, with bounds."""

from __future__ import annotations

import gzip
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from gan_core.errors import DataError, FaceloomError

MAX_BYTES = 4 << 30  # 22 times CIFAR-10's batches; a damaged or hostile archive must not fill the memory
_BLOCK_BYTES = 1 << 20


def members(path: Path, is_wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of the regular files that are wanted, in the archive's order.

    Args:
        path: a .tar, .tar.gz or .tgz, known by its first bytes. The CRC of a gzip is checked when all was yielded.
        is_wanted: asked with the last part of the name.

    Raises:
        DataError: it is gone, damaged, holds more than 4 GiB, or has an entry that leaves its folder.
    """
    try:
        with path.open("rb") as raw:
            bounded = _Bounded(_decompressed(raw))
            with tarfile.open(fileobj=cast(Any, bounded), mode="r|") as archive:
                for member in archive:
                    _check_name(path, member.name)
                    name = PurePosixPath(member.name).name
                    if member.isreg() and is_wanted(name):
                        stream = archive.extractfile(member)
                        data = stream.read(MAX_BYTES) if stream else b""
                        if len(data) != member.size:
                            raise tarfile.ReadError(f"{member.name} ends early")
                        yield name, data
            while bounded.read(_BLOCK_BYTES):  # to the end, where gzip compares the CRC
                pass
    except FaceloomError:
        raise
    except OSError as error:
        if error.strerror:
            raise DataError(f"{path} cannot be read ({error.strerror}); run again when it is back") from None
        raise _damaged(path, error) from None
    except MemoryError:
        raise
    except Exception as error:  # tarfile, gzip and zlib raise a dozen types on damaged archives
        raise _damaged(path, error) from None


def first_folder(path: Path) -> str:
    """Return the first part of the archive's first name, empty where it cannot be read."""
    try:
        with path.open("rb") as raw, tarfile.open(fileobj=_decompressed(raw), mode="r|") as archive:
            first = archive.next()
            parts = PurePosixPath(first.name).parts if first else ()
            return parts[0] if parts else ""
    except Exception:  # damaged, or no archive at all: not recognized
        return ""


def read_file(path: Path) -> bytes:
    """Return the bytes of a file. Raises DataError where it cannot be read, or has more than 4 GiB."""
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); run again when it is back") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"{path} has more than {MAX_BYTES} bytes; get the official file again")
    return data


class _Bounded:
    """Hands on the first `MAX_BYTES` bytes of a stream, and fails behind them."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_BYTES

    def read(self, count: int) -> bytes:
        data = self._stream.read(min(count, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise tarfile.ReadError(f"it holds more than {MAX_BYTES} bytes")
        return data


def _decompressed(raw: IO[bytes]) -> IO[bytes]:
    is_gzip = raw.read(2) == b"\x1f\x8b"
    raw.seek(0)
    return cast(IO[bytes], gzip.GzipFile(fileobj=raw)) if is_gzip else raw


def _check_name(path: Path, name: str) -> None:
    if name.startswith("/") or ".." in name.split("/"):
        raise DataError(f"{path} holds the entry '{name}', which leaves its folder; get the official file again")


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path} is damaged ({type(error).__name__}: {error}); get the official file again")
