"""Paths on object stores that behave like those of pathlib, as far as faceloom asks: s3:// and gs://, through fsspec.

Not universal-pathlib's UPath: its `is_file` and `is_dir` answer "no" where the store refuses or does not answer, and
its other methods raise what each library happens to raise. Here every failure is a `StoreTrouble`, an OSError.

Listings are never cached, and a write is one request that is visible as a whole or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fnmatch
import hashlib
import io
import stat as modes
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, Any, ClassVar, Self

from gan_core.object_store.errors import StoreMissing, store_errors
from gan_core.object_store.libraries import GS, S3, Library, file_system

_BUFFER_BYTES = 1 << 18
_READAHEAD_BYTES = 1 << 23


@dataclasses.dataclass(frozen=True)
class ObjectFacts:
    """What a store says of an object, by the names of os.stat_result.

    Attributes:
        st_size: bytes.
        st_mtime_ns: when it was written, in nanoseconds since 1970; 0 where the store does not say.
        st_ino: 64 bits of the SHA-256 of its version: another object has another number.
        st_mode: that of a file or of a folder.
        version: ETag or generation; "" where the store has none.
    """

    st_size: int
    st_mtime_ns: int = 0
    st_ino: int = 0
    st_mode: int = modes.S_IFREG
    version: str = ""

    @classmethod
    def of(cls, info: Mapping[str, Any]) -> ObjectFacts:
        """Read what s3fs, gcsfs or fsspec's memory tell of an object."""
        if info["type"] == "directory":
            return cls(0, st_mode=modes.S_IFDIR)
        written = info.get("LastModified") or info.get("mtime") or info.get("created")
        version = str(info.get("generation") or info.get("ETag") or written or "").strip('"')
        inode = int.from_bytes(hashlib.sha256(version.encode()).digest()[:8], "big")
        moment = int(written.timestamp() * 1e6) * 1000 if isinstance(written, datetime) else 0
        return cls(int(info["size"]), moment, inode, version=version)


class StorePath(PurePosixPath):
    """A place on an object store: the bucket is the first part, `str` is the address."""

    library: ClassVar[Library]

    def __str__(self) -> str:
        text = super().__str__()
        return f"{self.scheme}:/{text}" if text.startswith("/") else text

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is no file of this machine")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def scheme(self) -> str:
        """What comes before ://, such as s3."""
        return self.library.scheme

    @property
    def key(self) -> str:
        """Bucket and key, as fsspec takes them."""
        return super().__str__().lstrip("/")

    @property
    def files(self) -> Any:
        """The fsspec file system. Raises ConfigError where its library is not installed."""
        return file_system(self.library)

    def errors(self) -> contextlib.AbstractContextManager[None]:
        """Return the block in which failures of the library become StoreTrouble."""
        return store_errors(self, self.library.credentials)

    def absolute(self) -> Self:
        """Return the path itself."""
        return self

    def expanduser(self) -> Self:
        """Return the path itself."""
        return self

    def stat(self) -> ObjectFacts:
        """Return size and version. Raises StoreMissing where there is nothing, and StoreTrouble."""
        with self.errors():
            return ObjectFacts.of(self.files.info(self.key))

    def is_file(self) -> bool:
        """Whether there is such an object. Raises StoreTrouble where nobody can say."""
        return self._mode() == modes.S_IFREG

    def is_dir(self) -> bool:
        """Whether there are objects below. Raises StoreTrouble where nobody can say."""
        return self._mode() == modes.S_IFDIR

    def exists(self) -> bool:
        """Whether one or the other holds."""
        return self._mode() is not None

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Do nothing: stores have no folders, and buckets are not ours to make."""

    def open(self, mode: str = "r", buffering: int = -1, encoding: str | None = None) -> IO[Any]:
        """Open it for reading. Raises StoreTrouble, later reads too."""
        if mode not in ("r", "rb"):
            raise ValueError(f"an object cannot be opened with mode '{mode}'; it is written as a whole")
        stream = io.BufferedReader(StoreFile(self), _BUFFER_BYTES)
        return stream if mode == "rb" else io.TextIOWrapper(stream, encoding or "utf-8")

    def read_bytes(self) -> bytes:
        """Return the object. Raises StoreTrouble."""
        with self.errors():
            return bytes(self.files.cat_file(self.key))

    def read_text(self, encoding: str | None = None) -> str:
        """Return the object as text, UTF-8 where nothing is said. Raises StoreTrouble and UnicodeDecodeError."""
        return self.read_bytes().decode(encoding or "utf-8")

    def write_bytes(self, data: bytes) -> int:
        """Write the object as a whole: a reader sees the old bytes or the new ones. Raises StoreTrouble."""
        with self.errors():
            self.files.pipe_file(self.key, data)
        return len(data)

    def write_text(self, text: str, encoding: str | None = None) -> int:
        """Write the object as a whole, in UTF-8 where nothing is said. Raises StoreTrouble."""
        return self.write_bytes(text.encode(encoding or "utf-8"))

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the object. Raises StoreTrouble."""
        try:
            with self.errors():
                self.files.rm_file(self.key)
        except StoreMissing:
            if not missing_ok:
                raise

    def iterdir(self) -> Iterator[Self]:
        """Yield what lies directly below, sorted; nothing where there is nothing. Raises StoreTrouble."""
        try:
            with self.errors():
                names = self.files.ls(self.key, detail=False)
        except StoreMissing:
            return
        for name in sorted(name.strip("/").rpartition("/")[2] for name in names if name.strip("/") != self.key):
            yield self / name

    def glob(self, pattern: str) -> Iterator[Self]:
        """Yield what matches; only the last part of the pattern may have wildcards. Raises StoreTrouble."""
        folder, _, last = pattern.rpartition("/")
        for path in (self / folder).iterdir():
            if fnmatch.fnmatchcase(path.name, last):
                yield path

    def _mode(self) -> int | None:
        if len(self.parts) < 2:
            return modes.S_IFDIR  # above all buckets
        try:
            return self.stat().st_mode
        except StoreMissing:
            return None


class S3Path(StorePath):
    """s3://: Amazon S3 and everything that speaks its language."""

    library = S3


class GsPath(StorePath):
    """gs://: Google Cloud Storage."""

    library = GS


class StoreFile(io.RawIOBase):
    """An object that is read in pieces. Threads may share `read_at`, and take turns.

    Raises:
        StoreTrouble: now, or when it is read.
    """

    def __init__(self, path: StorePath, **cache: Any) -> None:
        self._path, self._lock = path, threading.Lock()
        with path.errors():
            self._file = path.files.open(path.key, "rb", **(cache or {"block_size": _READAHEAD_BYTES}))

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer at the end."""
        with self._lock, self._path.errors():
            self._file.seek(offset)
            return bytes(self._file.read(size))

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the place of `readinto`, and return it."""
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer from the present place, and move on."""
        with self._lock, self._path.errors():
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of the object; see `io.IOBase.close`."""
        if not self.closed and "_file" in vars(self):
            self._file.close()
        super().close()
