"""A zip archive with pictures, read in place."""

from __future__ import annotations

import io
import lzma
import stat
import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, ClassVar, cast

from beam_jobs.pixels.decoding import Reject
from beam_jobs.places.archives import Facts, archive_file, opened
from beam_jobs.places.listing import Found, Listing, check_size, entry_name
from gan_core.errors import DataError
from gan_core.handoff import ImageRef

# What zipfile and its decoders raise: NotImplementedError for unknown methods, RuntimeError for passwords.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
_UNIX = 3  # ZipInfo.create_system
_PEEKED = 20


@dataclass(frozen=True)
class Zip:
    """A zip archive; see `Place`. Stamps are CRC-32 and size: the CRC-32 is checked when a picture is read."""

    path: Path
    facts: Facts
    folder: str = ""
    is_archive: ClassVar[bool] = True

    def list(self) -> Found:
        """Return every file. Raises DataError when the archive is damaged, encrypted or leaves its folder."""
        listing = Listing()
        for entry in self._open().archive.infolist():
            name = entry_name(self.path, entry.filename)
            if entry.flag_bits & 0x1:
                raise DataError(f"{self.path} is encrypted (entry '{name}'); unpack it and name the folder")
            if entry.is_dir():
                continue
            if entry.create_system == _UNIX and stat.S_ISLNK(entry.external_attr >> 16):
                listing.skip("symbolic link")
                continue
            listing.add(name, _stamp(entry))
        return listing.found().inside(self.folder)

    def peek(self) -> tuple[str, ...]:
        """See `Place.peek`."""
        return tuple(entry.filename for entry in self._open().archive.infolist()[:_PEEKED])

    def inside(self, folder: str) -> Zip:
        """See `Place.inside`."""
        return replace(self, folder="/".join(part for part in (self.folder, folder) if part))

    def open_other(self, name: str, span: tuple[int, ...]) -> BinaryIO:
        """See `Place.open_other`."""
        entries = self._open()
        try:
            return cast(BinaryIO, entries.archive.open(entries.find(name)))
        except (KeyError, *DAMAGE) as error:
            raise DataError(f"{self.path}: {name} cannot be read ({error}); copy or download it again") from None

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture; see `Reader.read`."""
        entries = self._open()
        try:
            entry = entries.find(f"{self.folder}/{ref.key}" if self.folder else ref.key)
            if _stamp(entry) != ref.stamp:
                raise Reject("changed", "CRC-32 or size differ from the listing")
            check_size(entry.file_size)
            return entries.archive.read(entry)
        except KeyError:
            raise Reject("missing", f"no such entry in {self.path.name}") from None
        except DAMAGE as error:
            if not self.path.is_file():
                raise DataError(f"{self.path} cannot be read any more ({error}); run again when it is back") from None
            raise Reject("unreadable", f"{self.path.name}: {error}") from None

    def _open(self) -> _OpenZip:
        return opened(_OpenZip, self.path, self.facts)


class _OpenZip:
    """An open archive, and its entries by the names that keys are made of."""

    def __init__(self, path: Path) -> None:
        try:
            self.archive = zipfile.ZipFile(io.BufferedReader(archive_file(path)))
        except DAMAGE as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise DataError(f"{path} is not a readable zip archive ({reason}); copy or download it again") from None
        self._renamed: dict[str, zipfile.ZipInfo] = {}
        for entry in self.archive.infolist():
            name = entry_name(path, entry.filename)
            if name != entry.filename:
                self._renamed[name] = entry
            elif name in self._renamed:  # only the last entry of a name counts
                del self._renamed[name]

    def find(self, name: str) -> zipfile.ZipInfo:
        """Return an entry, the last of its name. Raises KeyError."""
        return self._renamed.get(name) or self.archive.getinfo(name)


def _stamp(entry: zipfile.ZipInfo) -> str:
    return f"{entry.CRC:08x}-{entry.file_size}"
