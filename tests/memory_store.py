"""An object store within the process: memory://, fsspec's own, behind the same class as s3:// and gs://."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gan_core import paths
from gan_core.object_store.libraries import Library, file_system
from gan_core.object_store.paths import StorePath
from gan_core.paths import path_of


class MemoryPath(StorePath):
    """memory://, for tests."""

    library = Library("memory", "fsspec.implementations.memory", "MemoryFileSystem", "none", "nothing")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return memory://bucket, empty."""
    monkeypatch.setitem(paths.SCHEMES, "memory", MemoryPath)
    files = file_system(MemoryPath.library)
    files.store.clear()
    files.pseudo_dirs[:] = [""]
    files.mkdir("/bucket")
    yield path_of("memory://bucket")
    files.store.clear()


def upload(folder: Path, target: Path) -> Path:
    """Write every file below a folder to a store, and return the target."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            (target / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
    return target


class Refusing:
    """Stands for a file system whose every request fails in one way."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        def fail(*_: Any, **__: Any) -> None:
            raise self._error

        return fail
