"""A folder on an object store with pictures, and archives there: listed by one listing, read by ranges."""

from __future__ import annotations

import errno
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from beam_jobs.pixels.decoding import Reject
from beam_jobs.places.archives import ArchiveFile, Facts, facts_of
from beam_jobs.places.listing import Found, Listing, check_size
from gan_core.errors import DataError
from gan_core.handoff import ImageRef
from gan_core.object_store import objects as stores
from gan_core.object_store.errors import StoreMissing, StoreTrouble
from gan_core.object_store.paths import StoreFile, StorePath
from gan_core.object_store.versions import read_version

# Of a shard's pictures, one comes after the other in an archive, with those of other shards between: large blocks are
# fewer answers to wait for, and the next one is fetched while this one is worked on.
_BLOCK_BYTES = 1 << 20
_KEPT_BLOCKS = 32

_CHECK_EVERY_SECONDS = 5.0  # whether it was replaced: asking at every read would double the requests


@dataclass(frozen=True)
class Store:
    """A folder on an object store; see `Place`. Stamps are size and version (ETag or generation)."""

    path: Path
    folder: str = ""
    is_archive: ClassVar[bool] = False
    waits: ClassVar[bool] = True
    """Reading means to wait for an answer, so it pays to ask for many pictures at once."""

    def list(self) -> Found:
        """Return every object below the folder. Raises DataError when a name leads out of it, or it cannot be read."""
        listing = Listing()
        try:
            found = stores.listing(self.path / self.folder)
        except StoreTrouble as error:
            raise DataError(f"{self._base} cannot be listed: {error.strerror}") from None
        for name, facts in found.items():
            if ".." in name.split("/"):
                raise DataError(f"{self._base} holds the object '{name}', which leaves its folder; rename it")
            listing.add(name, f"{facts.st_size}-{facts.version}")
        return listing.found()

    def peek(self) -> tuple[str, ...]:
        """See `Place.peek`; folders are asked for their names instead."""
        return ()

    def inside(self, folder: str) -> Store:
        """See `Place.inside`."""
        return replace(self, folder="/".join(part for part in (self.folder, folder) if part))

    def open_other(self, name: str, span: tuple[int, ...]) -> BinaryIO:
        """See `Place.open_other`."""
        return cast(BinaryIO, (self.path / name).open("rb"))

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture, by one request; see `Reader.read`."""
        base = self._base
        size_bytes, _, version = ref.stamp.partition("-")
        check_size(int(size_bytes))
        try:
            data = read_version(base, ref.key, version)
        except StoreMissing:
            self._check_base()
            if version and (base / ref.key).is_file():
                raise Reject("changed", "it was replaced after the listing") from None
            raise Reject("missing", "there is no such object any more") from None
        except StoreTrouble as error:
            if error.errno == errno.ESTALE:
                raise Reject("changed", str(error.strerror)) from None
            self._check_base()
            raise Reject("unreadable", str(error.strerror)) from None
        if len(data) != int(size_bytes):
            raise Reject("changed", "its size differs from the listing")
        return data

    @property
    def _base(self) -> StorePath:
        return cast(StorePath, self.path / self.folder)

    def _check_base(self) -> None:
        """Raise DataError where the whole source cannot be read any more."""
        try:
            if self._base.is_dir():
                return
            reason = "nothing is there"
        except StoreTrouble as error:
            reason = str(error.strerror)
        raise DataError(f"{self._base} cannot be read any more ({reason}); run again when it is back")


class StoredArchive(ArchiveFile):
    """An archive on an object store, read by blocks; replaced while it is open, it has other facts, or fails.

    Raises:
        OSError: it cannot be opened or read.
    """

    def __init__(self, path: Path) -> None:
        self._position = 0
        self._facts: Facts = (0, 0)
        self._path = path
        self._check_at = 0.0
        self._file = StoreFile(
            cast(StorePath, path),
            block_size=_BLOCK_BYTES,
            cache_type="background",
            cache_options={"maxblocks": _KEPT_BLOCKS},
        )

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer at the end."""
        return self._file.read_at(offset, size)

    def facts(self) -> Facts:
        """Return size and time of writing, at most five seconds old."""
        if time.monotonic() > self._check_at:
            self._facts = facts_of(self._path)
            self._check_at = time.monotonic() + _CHECK_EVERY_SECONDS
        return self._facts

    def close(self) -> None:
        """Let go of it; see `io.IOBase.close`."""
        if not self.closed and "_file" in vars(self):
            self._file.close()
        super().close()
