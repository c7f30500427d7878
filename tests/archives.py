"""Folders, zips and tars of small files, and what a source lists and reads there."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from beam_jobs.pixels.images import Reject
from beam_jobs.places.place import Place, open_place
from beam_jobs.sources.base import Source, survey
from beam_jobs.sources.registry import open_source
from gan_core.config import DataConfig
from gan_core.handoff import ImageRef
from tests.pictures import encode, scene

PICTURE = encode(scene())

PACKED = ("folder", "zip", "tar", "tar.gz", "tgz")
"""What `pack` can make."""

MODIFIED_S = 1_700_000_000


def folder_config(path: Path, **options: Any) -> DataConfig:
    """Return a config for the folder or archive at `path`."""
    return DataConfig(kind="folder", path=str(path), **options)


def listed(config: DataConfig, data_root: Path) -> list[ImageRef]:
    """Return what the source lists, after `data.limit`."""
    return list(survey(open_source(config, data_root), config)[1])


def keys(path: Path, kind: str = "folder") -> list[str]:
    """Return the keys of the pictures at `path`."""
    return [ref.key for ref in listed(DataConfig(kind=kind, path=str(path)), path)]


def contents(source: Source) -> dict[str, bytes]:
    """Return key -> bytes of everything that a source lists."""
    reader = source.reader()
    return {ref.key: bytes(reader.read(ref)) for ref in source.list()}


def outcomes(place: Place, refs: Iterable[ImageRef]) -> list[str]:
    """Return for each picture "read", or the reason of its reject."""
    reasons = []
    for ref in refs:
        try:
            place.read(ref)
            reasons.append("read")
        except Reject as reject:
            reasons.append(reject.reason)
    return reasons


def write_files(folder: Path, *names: str, data: bytes = PICTURE) -> Path:
    """Write the same bytes under each name, and return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, *names: str, data: bytes = PICTURE) -> Path:
    """Write an archive with the same bytes under each name, and return its path."""
    return pack(dict.fromkeys(names, data), path)


def pack(files: Mapping[str, bytes], path: Path) -> Path:
    """Write the files as a folder, zip or tar by the extension of `path`, and return it."""
    if path.name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif path.name.endswith((".tar", ".tar.gz", ".tgz")):
        with tarfile.open(path, "w" if path.suffix == ".tar" else "w:gz") as archive:
            for name, data in files.items():
                add_entry(archive, name, data)
    else:
        for name, data in files.items():
            write_files(path, name, data=data)
    return path


def add_entry(archive: tarfile.TarFile, name: str, data: bytes = b"", **fields: Any) -> None:
    """Add an entry to a tar; `fields` are those of TarInfo, such as type and linkname."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(data), MODIFIED_S
    for field, value in fields.items():
        setattr(entry, field, value)
    archive.addfile(entry, io.BytesIO(data))


def write_tar(path: Path, *entries: tuple[str, bytes, dict[str, object]], mode: str = "w") -> Place:
    """Write an archive of entries (name, data, fields of TarInfo), and open it."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data, fields in entries:
            add_entry(archive, name, data, **fields)
    return open_place(path)


def gzipped(path: Path) -> Path:
    """Write the compressed copy of a tar beside it, and return its path."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed
