"""Where picture files lie: a folder tree or a zip archive, listed and read in place, nothing unpacked."""

from __future__ import annotations

import os
import re
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from beam_jobs.decoding import EXTENSIONS, Reject
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef
from gan_core.options import suggestion

_JUNK_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN", "@eaDir"})


@dataclass(frozen=True)
class Found:
    """What lies in a place.

    Attributes:
        stamps: key of each picture file (by extension) -> what changes when its bytes change.
        ignored: extension -> number of other files; hidden files and thumbs.db are not counted.
    """

    stamps: Mapping[str, str]
    ignored: Mapping[str, int]

    def describe(self) -> str:
        """Return what was found in a few words, for messages."""
        others = ", ".join(f"{count} {name or 'without extension'}" for name, count in sorted(self.ignored.items()))
        if not self.stamps:
            return f"no picture file, {others or 'and nothing else'}"
        return f"{len(self.stamps)} pictures such as {min(self.stamps)}" + (f"; {others}" if others else "")


@dataclass(frozen=True)
class Tree:
    """A folder with pictures at any depth. `folder` is the part below `root` that keys leave out."""

    root: Path
    folder: str = ""

    def list(self) -> Found:
        """Return every regular file below the folder. Raises ConfigError when a folder cannot be read."""
        stamps: dict[str, str] = {}
        ignored: Counter[str] = Counter()
        for path, facts in _walk(self.root / self.folder):
            key = _key(path.relative_to(self.root / self.folder))
            _sort_in(key, "" if facts is None else f"{facts.st_size}-{facts.st_mtime_ns}", stamps, ignored)
        return Found(stamps, ignored)

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture; see `Reader.read`."""
        base = self.root / self.folder
        path = base / ref.key
        if "\\x" in ref.key and not path.exists():
            path = base / _unescape(ref.key)
        try:
            with path.open("rb") as stream:
                facts = os.fstat(stream.fileno())
                data = stream.read()
        except OSError as error:
            if not base.is_dir():
                raise DataError(
                    f"{base} cannot be read any more ({error.strerror}); run again when it is back"
                ) from None
            reason = "missing" if isinstance(error, FileNotFoundError) else "unreadable"
            raise Reject(reason, str(error.strerror)) from None
        if ref.stamp != f"{facts.st_size}-{facts.st_mtime_ns}" or len(data) != facts.st_size:
            raise Reject("changed", "size or modification time differ from the listing")
        return data


@dataclass(frozen=True)
class Archive:
    """A zip archive with pictures. `folder` is the part of its names that keys leave out."""

    path: Path
    folder: str = ""
    _handle: dict[int, zipfile.ZipFile] = field(default_factory=dict, compare=False, repr=False)

    def list(self) -> Found:
        """Return every file. Raises DataError when the archive is damaged, encrypted or leaves its folder."""
        stamps: dict[str, str] = {}
        ignored: Counter[str] = Counter()
        for entry in self._open().infolist():
            if entry.is_dir():
                continue
            name = _checked_name(self.path, entry)
            if name.startswith(self._prefix):
                _sort_in(name.removeprefix(self._prefix), _zip_stamp(entry), stamps, ignored)
        return Found(stamps, ignored)

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture; see `Reader.read`."""
        archive = self._open()
        try:
            entry = archive.getinfo(self._prefix + ref.key)
            if _zip_stamp(entry) != ref.stamp:
                raise Reject("changed", "CRC-32 or size differ from the listing")
            return archive.read(entry)
        except KeyError:
            raise Reject("missing", f"no such entry in {self.path.name}") from None
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            NotImplementedError,
            RuntimeError,
            OSError,
        ) as error:
            if not self.path.is_file():
                raise DataError(f"{self.path} cannot be read any more ({error}); run again when it is back") from None
            raise Reject("unreadable", f"{self.path.name}: {error}") from None

    @property
    def _prefix(self) -> str:
        return f"{self.folder}/" if self.folder else ""

    def _open(self) -> zipfile.ZipFile:
        """Return this process's handle: a forked one would share its file position with the parent's."""
        if os.getpid() not in self._handle:
            try:
                self._handle[os.getpid()] = zipfile.ZipFile(self.path)
            except (zipfile.BadZipFile, OSError, ValueError) as error:
                raise DataError(
                    f"{self.path} is not a readable zip archive ({_reason(error)}); copy or download it again"
                ) from None
        return self._handle[os.getpid()]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "folder": self.folder, "_handle": {}}


Place = Tree | Archive


def open_place(path: Path, option: str = "data.path") -> Place:
    """Return the folder or archive at `path`. Raises ConfigError when there is neither."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise ConfigError(f"{option} '{path}' does not exist{_nearby(path)}") from None
    except OSError as error:
        raise ConfigError(f"{option} '{path}' cannot be read: {error.strerror}") from None
    if not os.access(path, os.R_OK | (os.X_OK if stat.S_ISDIR(mode) else 0)):
        raise ConfigError(f"{option} '{path}' cannot be read: no permission; change its mode or run as its owner")
    if stat.S_ISDIR(mode):
        return Tree(path)
    if not stat.S_ISREG(mode) or not zipfile.is_zipfile(path):
        raise ConfigError(f"{option} '{path}' is neither a folder nor a zip archive; unpack it and name the folder")
    return Archive(path)


def inside_common_folder(place: Place, found: Found) -> Place | None:
    """Return the place narrowed to the folder that holds all its pictures, None where there are several."""
    folders = {key.rpartition("/")[0] for key in found.stamps}
    if len(folders) != 1:
        return None
    (folder,) = folders
    return replace(place, folder="/".join(part for part in (place.folder, folder) if part))


def _walk(top: Path) -> Iterator[tuple[Path, os.stat_result | None]]:
    """Yield every regular file and dangling link, in order; a folder once, however many links lead to it."""
    pending, seen = [top], set()
    while pending:
        folder = pending.pop()
        try:
            facts = folder.stat()
            if (facts.st_dev, facts.st_ino) in seen:
                continue
            seen.add((facts.st_dev, facts.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise ConfigError(f"the folder '{folder}' cannot be read: {error.strerror}") from None
        folders = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in _JUNK_FOLDERS:
                continue
            path = folder / entry.name
            try:
                facts = entry.stat()
            except OSError:  # a dangling or circular link: listed, so that it is rejected by name
                yield path, None
                continue
            if stat.S_ISDIR(facts.st_mode):
                folders.append(path)
            elif stat.S_ISREG(facts.st_mode):  # opening a FIFO would wait for ever
                yield path, facts
        pending.extend(reversed(folders))


def _sort_in(key: str, stamp: str, stamps: dict[str, str], ignored: Counter[str]) -> None:
    *folders, name = key.split("/")
    if name.startswith(".") or name.lower() == "thumbs.db":
        return
    if any(folder.startswith(".") or folder in _JUNK_FOLDERS for folder in folders):
        return
    extension = PurePosixPath(name).suffix.lower()
    if extension in EXTENSIONS:
        stamps[key] = stamp
    else:
        ignored[extension] += 1


def _checked_name(archive: Path, entry: zipfile.ZipInfo) -> str:
    name = entry.filename
    if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:|\\", name):
        raise DataError(
            f"{archive} holds the entry '{name}', which leaves its folder; make the archive again without it"
        )
    if entry.flag_bits & 0x1:
        raise DataError(f"{archive} is encrypted (entry '{name}'); unpack it and name the folder")
    return name


def _zip_stamp(entry: zipfile.ZipInfo) -> str:
    return f"{entry.CRC:08x}-{entry.file_size}"


def _key(path: Path) -> str:
    r"""Return the name as text for JSON: bytes that are no UTF-8 become \xNN."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def _unescape(key: str) -> str:
    escaped = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes.fromhex(match[1].decode()), key.encode())
    return os.fsdecode(escaped)


def _nearby(path: Path) -> str:
    """Say what lies where `path` should be."""
    parent = path.parent
    while not parent.is_dir():
        if parent == parent.parent:
            return ""
        parent = parent.parent
    try:
        names = sorted(entry.name for entry in os.scandir(parent) if not entry.name.startswith("."))
    except OSError:
        return ""
    hint = suggestion(path.name, names) if parent == path.parent else ""
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return hint or f"; '{parent}' has {listed or 'nothing'}"


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
