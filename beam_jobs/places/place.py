"""Where picture files lie: a folder, here or on an object store, a zip or a tar; read in place, nothing unpacked."""

from __future__ import annotations

import os
import stat
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, ClassVar, NoReturn, Protocol

from beam_jobs.places.archives import facts_of
from beam_jobs.places.listing import Found
from beam_jobs.places.store import Store
from beam_jobs.places.tar_entries import is_header
from beam_jobs.places.tars import Tar
from beam_jobs.places.tree import Tree
from beam_jobs.places.zips import Zip
from gan_core.errors import ConfigError
from gan_core.handoff import ImageRef
from gan_core.object_store.objects import check_bucket
from gan_core.options import suggestion
from gan_core.paths import is_remote

TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
ARCHIVE_SUFFIXES = (".zip", *TAR_SUFFIXES)

_SEQUENTIAL = {".bz2": "bzip2", ".tbz2": "bzip2", ".tbz": "bzip2", ".xz": "xz", ".txz": "xz", ".zst": "zstd"}


class Place(Protocol):
    """A folder or an archive. Small, frozen and picklable: it is the reader that workers get.

    Attributes:
        path: the folder or the archive.
        folder: the part below `path` that keys leave out.
        is_archive: whether `path` is a file.
    """

    is_archive: ClassVar[bool]

    @property
    def path(self) -> Path:
        """See above."""
        ...

    @property
    def folder(self) -> str:
        """See above."""
        ...

    def list(self) -> Found:
        """Return what lies in the folder, at any depth. Raises ConfigError or DataError where it cannot be read."""
        ...

    def peek(self) -> tuple[str, ...]:
        """Return the names of the first entries of an archive, cheaply; () for a folder."""
        ...

    def inside(self, folder: str) -> Place:
        """Return the same place, narrowed to a folder below."""
        ...

    def open_other(self, name: str, span: tuple[int, ...]) -> BinaryIO:
        """Open a file of `Found.others` for reading; the name counts from `path`, whatever the folder."""
        ...

    def read(self, ref: ImageRef) -> bytes:
        """Return the bytes of a listed picture; see `Reader.read`."""
        ...


def open_place(path: Path, option: str = "data.path") -> Place:
    """Return the folder or archive at `path`. Raises ConfigError when there is neither."""
    if is_remote(path):
        return _open_remote(path, option)
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
    place = _archive(path) if stat.S_ISREG(mode) else None
    return place or _refused(path, option)


def _open_remote(path: Path, option: str) -> Place:
    check_bucket(path, option)
    if path.is_file():
        return _archive(path) or _refused(path, option)
    if not path.is_dir():
        raise ConfigError(f"{option} '{path}' does not exist: there is no object of that name, and none below it")
    return Store(path)


def _refused(path: Path, option: str) -> NoReturn:
    packed = _SEQUENTIAL.get(path.suffix.lower())
    if packed:
        raise ConfigError(
            f"{option} '{path}' is compressed with {packed}, which can be read from its start only; "
            "make it a .tar or .tar.gz, or unpack it and name the folder"
        )
    raise ConfigError(
        f"{option} '{path}' is neither a folder nor a zip or tar archive (.tar, .tar.gz, .tgz); "
        "unpack it and name the folder"
    )


def archive_stem(path: Path) -> str:
    """Return the name of an archive without `.zip`, `.tar.gz` and the like; any other name as it is."""
    suffix = next((suffix for suffix in ARCHIVE_SUFFIXES if path.name.lower().endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]


def _archive(path: Path) -> Place | None:
    """Return the archive at `path` by its content, or by the name of a tar whose first header is damaged."""
    facts = facts_of(path)
    with path.open("rb") as stream:
        if zipfile.is_zipfile(stream):
            return Zip(path, facts)
        stream.seek(0)
        start = stream.read(64 << 10)
    name, gzipped = path.name.lower(), start.startswith(b"\x1f\x8b")
    if gzipped:
        try:
            start = zlib.decompressobj(31).decompress(start, 512)
        except zlib.error:
            start = b""
    if is_header(start[:512]):
        return Tar(path, facts, gzipped)
    return Tar(path, facts, gzipped or not name.endswith(".tar")) if name.endswith(TAR_SUFFIXES) else None


def _nearby(path: Path) -> str:
    """Say what lies where `path` should be."""
    parent = path.parent
    while not parent.is_dir():
        if parent == parent.parent:
            return ""
        parent = parent.parent
    try:
        names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    except OSError:
        return ""
    hint = suggestion(path.name, names) if parent == path.parent else ""
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return hint or f"; '{parent}' has {listed or 'nothing'}"
