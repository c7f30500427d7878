"""A tar archive with pictures, plain or compressed with gzip: indexed once, then read in place."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from beam_jobs.pixels.decoding import Reject
from beam_jobs.places.archives import Facts, archive_file, opened
from beam_jobs.places.gzips import DamagedGzip, GzipWindows
from beam_jobs.places.listing import Found, Listing, check_size, entry_name, is_picture, printable
from beam_jobs.places.tar_entries import DamagedTar, TarEntry, tar_entries
from gan_core.errors import DataError
from gan_core.handoff import ImageRef

_PEEKED = 20
_CHUNK_BYTES = 1 << 20


class Content(Protocol):
    """The bytes of a tar archive, whatever they are packed in. Threads may share it."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset`, fewer at the end. Raises OSError and DamagedGzip."""
        ...

    def check_rest(self) -> None:
        """Read what was not read yet, where that shows damage. Raises OSError and DamagedGzip."""
        ...


@dataclass(frozen=True)
class Tar:
    """A tar archive; see `Place`. `span` is (first byte of the data, number of bytes), in the unpacked archive.

    Tar has no checksum of the data. A plain archive is not read to be listed, so stamps are size and modification
    time, and `facts` of the whole archive are compared at every read. A compressed one has to be read to be listed:
    its stamps are CRC-32 and size, compared at every read as well.
    """

    path: Path
    facts: Facts
    gzipped: bool
    folder: str = ""
    is_archive: ClassVar[bool] = True

    def list(self) -> Found:
        """Return every file. Raises DataError when the archive is damaged or an entry leaves its folder."""
        listing, files = Listing(), dict[str, tuple[str, tuple[int, ...]]]()
        try:
            archive = self._open()
            for entry in tar_entries(archive.content.read_at):
                self._add(entry, archive.content, listing, files)
            archive.content.check_rest()
            if archive.facts() != self.facts:
                raise DataError(f"{self.path} changed while it was listed; run again when it is complete")
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {error.strerror}") from None
        except DamagedGzip as error:
            raise self._damaged(f"byte {error.offset}", f"gzip: {error.why}") from None
        except DamagedTar as error:
            where = f"byte {error.offset}" + (" of the unpacked archive" if self.gzipped else "")
            raise self._damaged(where, error.why) from None
        return listing.found().inside(self.folder)

    def peek(self) -> tuple[str, ...]:
        """See `Place.peek`."""
        try:
            entries = tar_entries(self._open().content.read_at)
            return tuple(printable(entry.name) for entry in islice(entries, _PEEKED))
        except (DamagedTar, DamagedGzip, OSError):
            return ()  # `list` says it with the byte

    def inside(self, folder: str) -> Tar:
        """See `Place.inside`."""
        return replace(self, folder="/".join(part for part in (self.folder, folder) if part))

    def open_other(self, name: str, span: tuple[int, ...]) -> BinaryIO:
        """See `Place.open_other`."""
        offset, size = span
        return io.BufferedReader(_Window(self._open().content, offset, size))

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture; see `Reader.read`."""
        if len(ref.span) != 2:
            raise Reject(
                "unreadable", f"{self.path.name} stores it as a sparse file; make the archive without --sparse"
            )
        offset, size = ref.span
        check_size(size)
        try:
            archive = self._open()
            data = archive.content.read_at(offset, size)
            if archive.facts() != self.facts:
                raise Reject("changed", f"size or modification time of {self.path.name} differ from the listing")
        except (OSError, DamagedGzip) as error:
            if not self.path.is_file():
                raise DataError(f"{self.path} cannot be read any more ({error}); run again when it is back") from None
            raise Reject("unreadable", f"{self.path.name}: {error}") from None
        if len(data) < size or (self.gzipped and ref.stamp != f"{zlib.crc32(data):08x}-{size}"):
            raise Reject("changed", "CRC-32 or size differ from the listing")
        return data

    def _open(self) -> _OpenTar:
        return opened(_open_gzipped if self.gzipped else _open_plain, self.path, self.facts)

    def _damaged(self, where: str, why: str) -> DataError:
        return DataError(f"{self.path} is damaged at {where} ({why}); copy or download it again")

    def _add(
        self, entry: TarEntry, content: Content, listing: Listing, files: dict[str, tuple[str, tuple[int, ...]]]
    ) -> None:
        """List one entry. files: name of each file so far -> its stamp and span, what hard links name."""
        if entry.kind == "folder":
            return
        name = entry_name(self.path, printable(entry.name))
        if entry.kind == "hard link":
            earlier = files.get(entry_name(self.path, printable(entry.target)))
            if earlier is None:
                listing.skip("hard link to nothing in the archive")
                return
            files[name] = earlier
        elif entry.kind == "sparse file":
            files[name] = f"{entry.size}-{entry.modified}", ()
        elif entry.kind == "file":
            files[name] = self._stamp(entry, name, content), (entry.offset, entry.size)
        else:
            listing.skip(entry.kind)
            return
        listing.add(name, *files[name])

    def _stamp(self, entry: TarEntry, name: str, content: Content) -> str:
        if not self.gzipped:
            if entry.offset + entry.size > self.facts[0]:
                raise DamagedTar(self.facts[0], f"it ends inside {name}")
            return f"{entry.size}-{entry.modified}"
        if not is_picture(name):
            return ""
        checksum = 0
        for start in range(0, entry.size, _CHUNK_BYTES):
            checksum = zlib.crc32(
                content.read_at(entry.offset + start, min(_CHUNK_BYTES, entry.size - start)), checksum
            )
        return f"{checksum:08x}-{entry.size}"


class _Plain:
    """The bytes of a file as they are."""

    def __init__(self, read_at: Callable[[int, int], bytes]) -> None:
        self.read_at = read_at

    def check_rest(self) -> None:
        """Nothing would show damage."""


class _OpenTar:
    """An open archive of this process."""

    def __init__(self, path: Path, pack: Callable[[Callable[[int, int], bytes]], Content]) -> None:
        file = archive_file(path)
        self.facts = file.facts
        self.content = pack(file.read_at)


def _open_plain(path: Path) -> _OpenTar:
    return _OpenTar(path, _Plain)


def _open_gzipped(path: Path) -> _OpenTar:
    return _OpenTar(path, GzipWindows)


class _Window(io.RawIOBase):
    """One entry of an archive as a stream, read in pieces."""

    def __init__(self, content: Content, offset: int, size: int) -> None:
        self._content = content
        self._offset = offset
        self._left = size

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as the entry reaches."""
        try:
            data = self._content.read_at(self._offset, min(len(buffer), self._left))
        except DamagedGzip as error:
            raise OSError(str(error)) from None
        buffer[: len(data)] = data
        self._offset += len(data)
        self._left -= len(data)
        return len(data)
