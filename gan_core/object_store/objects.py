"""What is done with many objects at once, or as only object stores do it: list, send, copy, delete."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from gan_core.errors import ConfigError
from gan_core.object_store.errors import StoreMissing, StoreRefused, StoreTrouble
from gan_core.object_store.paths import ObjectFacts, StorePath


def listing(folder: Path) -> dict[str, ObjectFacts]:
    """Return name below the folder -> facts, of every object, by listing alone. Raises StoreTrouble."""
    base = _store(folder)
    with base.errors():
        found: dict[str, dict[str, Any]] = base.files.find(base.key, detail=True)
    start = len(base.key) + 1
    names = {name.lstrip("/")[start:]: info for name, info in found.items()}
    # Consoles mark folders by empty objects whose names end with a slash; an object may have the folder's own name.
    return {
        name: ObjectFacts.of(info)
        for name, info in names.items()
        if name and not name.endswith("/") and info["type"] == "file"
    }


def send(file: Path, path: Path) -> None:
    """Make the object the same as a local file; it is visible when it is complete. Raises StoreTrouble."""
    target = _store(path)
    with target.errors():
        target.files.put_file(str(file), target.key)


def bring(path: Path, file: Path) -> None:
    """Write the object into a local file. Raises StoreTrouble."""
    source = _store(path)
    with source.errors():
        source.files.get_file(source.key, str(file))


def copy(path: Path, target: Path) -> None:
    """Let the store copy an object; its bytes do not pass through here. Raises StoreTrouble."""
    source = _store(path)
    with source.errors():
        source.files.cp_file(source.key, _store(target).key)


def read_all(paths: Iterable[Path]) -> dict[Path, bytes]:
    """Return path -> bytes of those that exist, fetched at once. Raises StoreTrouble."""
    wanted = {_store(path).key: path for path in paths}
    if not wanted:
        return {}
    first = _store(next(iter(wanted.values())))
    with first.errors():
        # A list of one would be taken for a pattern's single match, and its bytes returned bare.
        found = first.files.cat(list(wanted), on_error="return") if len(wanted) > 1 else None
    if found is None:
        found = {first.key: _bytes_or_error(first)}
    contents = {}
    for key, data in ((name.lstrip("/"), data) for name, data in found.items()):
        try:
            with _store(wanted[key]).errors():
                if isinstance(data, Exception):
                    raise data
        except StoreMissing:
            continue
        contents[wanted[key]] = bytes(data)
    return contents


def remove_tree(folder: Path) -> None:
    """Delete every object below the folder. Raises StoreTrouble."""
    base = _store(folder)
    if names := listing(folder):
        with base.errors():
            base.files.rm([f"{base.key}/{name}" for name in names])


def check_bucket(path: Path, option: str) -> None:
    """Raise ConfigError when the bucket of `path` is not there, or the store does not answer or refuses."""
    place = _store(path)
    bucket = type(place)(f"/{place.parts[1]}")
    try:
        if not place.exists() and not _is_there(bucket):
            raise ConfigError(f"{option} '{path}': there is no bucket '{bucket}'; create it, or name another")
    except StoreTrouble as error:
        raise ConfigError(f"{option} '{path}': {error.strerror}") from None


def _is_there(bucket: StorePath) -> bool:
    try:
        return bucket.exists()
    except StoreRefused:  # credentials for a part of the bucket may not see all of it
        return True


def _bytes_or_error(path: StorePath) -> bytes | Exception:
    try:
        return path.read_bytes()
    except StoreTrouble as error:
        return error


def _store(path: Path) -> StorePath:
    return cast(StorePath, path)
