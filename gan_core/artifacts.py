"""Published folders: content-addressed names, one manifest that lists every file, and an atomic way in.

What has no `manifest.json` does not exist; what has one verifies. A stage that finds its own manifest has nothing to
do. On an object store, where nothing can be renamed, the manifest is written last and its presence is the commit.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core.errors import ArtifactError, ConfigError
from gan_core.object_store import objects as stores
from gan_core.object_store.errors import StoreRefused, StoreUnreachable
from gan_core.paths import is_remote

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
_OWN_SHA256 = "manifest_sha256"  # of the canonical JSON of all else, so that a bit that turned is seen
_BLOCK_BYTES = 1 << 20
_PUBLISHED: set[Path] = set()
# One for all calls: making it takes longer than encoding the facts of a picture.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, no NaN."""
    return _CANONICAL.encode(value)


def digest_of(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, 64 hex digits."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Manifest:
    """What a published folder says of itself.

    Attributes:
        path: the folder.
        kind: what it is: dataset, checkpoint, samples, scores, report.
        digest: what determined its content, see `digest_of`; 64 hex digits.
        fields: the stage's own facts, JSON types only.
        files: relative name -> {"bytes": int, "sha256": str}, every file but the manifest.
    """

    path: Path
    kind: str
    digest: str
    fields: Mapping[str, Any]
    files: Mapping[str, Mapping[str, Any]]

    def file(self, name: str) -> Path:
        """Return the path of a listed file. Raises ArtifactError when the manifest does not list it."""
        if name not in self.files:
            raise ArtifactError(
                f"{self.path / MANIFEST} lists no file '{name}'; it has {', '.join(sorted(self.files))}"
            )
        return self.path / name


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically: a reader sees the old text or the new one."""
    replace_file(path, (json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def replace_file(path: Path, data: bytes) -> None:
    """Write `data` to `path` through a hidden sibling and a rename; a reader sees the old bytes or the new ones."""
    if is_remote(path):
        path.write_bytes(data)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_manifest(
    folder: Path,
    kind: str,
    digest: str,
    fields: Mapping[str, Any],
    known: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """List every file of `folder` with size and SHA-256 in its manifest: the last act before publishing.

    Args:
        folder: what is to be published.
        kind: what it is.
        digest: what determined its content.
        fields: the stage's own facts, JSON types only.
        known: name -> {"bytes": int, "sha256": str} of large files whose writer has counted and hashed them.
    """
    files = {}
    for name, size_bytes in _sizes(folder).items():
        if name != MANIFEST:
            listed = (known or {}).get(name) or {"bytes": size_bytes, "sha256": sha256_file(folder / name)}
            if listed["bytes"] != size_bytes:
                raise ArtifactError(
                    f"{folder / name} has {size_bytes} bytes, and {listed['bytes']} were written; run again"
                )
            files[name] = dict(listed)
    document = {"kind": kind, "format_version": FORMAT_VERSION, "digest": digest, **fields, "files": files}
    write_json(folder / MANIFEST, {**document, _OWN_SHA256: digest_of(document)})


def read_manifest(folder: Path, kind: str) -> Manifest:
    """Read the manifest of a published folder.

    Raises:
        ArtifactError: it is missing, unreadable, damaged, or of another kind or format version.
    """
    path = folder / MANIFEST
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtifactError(f"there is no {kind} at {folder}: {MANIFEST} is missing") from None
    except (StoreRefused, StoreUnreachable):
        raise
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete {folder} and run again") from None
    try:
        own = document.pop(_OWN_SHA256, None)
        is_whole = own in (None, _digest_or_none(document))
        found, version = document.pop("kind"), document.pop("format_version")
        digest, files = str(document.pop("digest")), document.pop("files")
        files = {name: {"bytes": int(facts["bytes"]), "sha256": str(facts["sha256"])} for name, facts in files.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ArtifactError(f"{path} is not a faceloom manifest; delete {folder} and run again") from None
    if found != kind or version != FORMAT_VERSION:
        raise ArtifactError(
            f"{path} describes a {found} of format {version}, expected a {kind} of format {FORMAT_VERSION}"
        )
    if not is_whole:
        raise ArtifactError(f"{path} is damaged: its SHA-256 is not the one in it; delete {folder} and run again")
    return Manifest(folder, kind, digest, document, files)


def _digest_or_none(document: Mapping[str, Any]) -> str | None:
    try:
        return digest_of(document)
    except ValueError:  # NaN, which none of ours has
        return None


def verify(manifest: Manifest) -> None:
    """Raise ArtifactError naming the first listed file that is missing, has another size or another SHA-256.

    On an object store the sizes alone are compared, by one listing: the store checks the bytes that it keeps, and
    reading a data set to see that there is nothing to do would cost more than making it.
    """
    if is_remote(manifest.path):
        _verify_sizes(manifest)
        return
    for name, facts in manifest.files.items():
        path = manifest.path / name
        if not path.is_file():
            raise ArtifactError(f"{path} is missing; delete {manifest.path} and run again")
        if path.stat().st_size != facts["bytes"] or sha256_file(path) != facts["sha256"]:
            raise ArtifactError(f"{path} is damaged: its SHA-256 is not the manifest's; delete it and run again")


def _verify_sizes(manifest: Manifest) -> None:
    sizes = _sizes(manifest.path)
    for name, facts in manifest.files.items():
        if sizes.get(name) != facts["bytes"]:
            found = f"has {sizes[name]} bytes instead of {facts['bytes']}" if name in sizes else "is missing"
            raise ArtifactError(f"{manifest.path / name} {found}; run `faceloom prepare` again")


def find(folder: Path, kind: str, digest: str | None = None) -> Manifest | None:
    """Return the manifest at `folder` when it is of `kind`, made from `digest`, and every file verifies; else None."""
    try:
        manifest = read_manifest(folder, kind)
        verify(manifest)
    except (StoreRefused, StoreUnreachable):
        raise
    except ArtifactError:
        return None
    return manifest if digest is None or manifest.digest == digest else None


@contextlib.contextmanager
def publishing(final: Path, *, resume: bool = False) -> Iterator[Path]:
    """Yield a hidden sibling of `final` to write into; rename it to `final` when the block ends well.

    The block must end with `write_manifest`. Whatever stood at `final` is replaced. One process at a time publishes a
    place; a second one waits at the door, should look with `find` again once it is in, and may leave without a
    manifest when `final` has one by then.

    On an object store `final` itself is yielded, what is there stays, and there is no lock: two processes that publish
    the same place write the same bytes.

    Args:
        final: the folder to publish.
        resume: keep what an interrupted block left in the hidden sibling, so that it can go on there.
    """
    make_folder(final.parent)
    if is_remote(final):
        yield final
        if not (final / MANIFEST).is_file():
            raise ArtifactError(f"{final} was to be published without {MANIFEST}")
        return
    draft = final.with_name(f".{final.name}.partial")
    with locked(lock_of(final)):
        if not resume and draft.exists():
            shutil.rmtree(draft)
        draft.mkdir(exist_ok=True)
        try:
            yield draft
        except BaseException:
            if not resume:
                shutil.rmtree(draft, ignore_errors=True)
            raise
        if not (draft / MANIFEST).is_file():
            if (final / MANIFEST).is_file() and not any(draft.iterdir()):
                draft.rmdir()
                return
            raise ArtifactError(f"{draft} was to be published without {MANIFEST}")
        _fsync(draft)
        discard(final)
        draft.rename(final)
        _fsync(final.parent)
        _PUBLISHED.add(final.absolute())


def was_published_here(final: Path) -> bool:
    """Whether this process has published that folder: one that waited at the door may have found it made by another.

    On an object store, where nobody waits, it is taken to be so.
    """
    return is_remote(final) or final.absolute() in _PUBLISHED


def discard(folder: Path) -> None:
    """Delete a published folder so that no reader ever sees half of it: the manifest goes first."""
    if folder.exists():
        (folder / MANIFEST).unlink(missing_ok=True)
        remove_tree(folder)


def remove_tree(folder: Path) -> None:
    """Delete a folder and everything in it, if it is there."""
    if is_remote(folder):
        stores.remove_tree(folder)
    elif folder.exists():
        shutil.rmtree(folder)


def lock_of(final: Path) -> Path:
    """Return the lock file of a published place, a hidden sibling."""
    return final.with_name(f".{final.name}.lock")


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold an advisory lock on `path`; it ends with the process, however that ends.

    Raises:
        ArtifactError: `wait` is false and another process holds it.
    """
    with path.open("a+b") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ArtifactError(
                f"{path.parent} is in use by another faceloom process; wait for it or stop it"
            ) from None
        yield


def make_folder(folder: Path) -> None:
    """Create `folder` and its parents. Raises ConfigError when that is impossible or it cannot be written to.

    On an object store nothing is created; the bucket must be there.
    """
    if is_remote(folder):
        stores.check_bucket(folder, "--data-root")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot create the folder {folder}: {error.strerror}; choose another --data-root") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"the folder {folder} is not writable; choose another --data-root")


def _sizes(folder: Path) -> dict[str, int]:
    """Return name -> bytes of every file below the folder but hidden ones, in order; they are on the disk then."""
    if is_remote(folder):
        sizes = {name: facts.st_size for name, facts in stores.listing(folder).items()}
    else:
        paths = [path for path in folder.rglob("*") if path.is_file()]
        sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in paths}
    visible = [name for name in sizes if not any(part.startswith(".") for part in name.split("/"))]
    if not is_remote(folder):
        for name in visible:
            _fsync(folder / name)
    return {name: sizes[name] for name in sorted(visible, key=lambda name: name.split("/"))}


def _fsync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
