"""A file that is on its way: its bytes so far, and which version of the file they are a part of."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gan_core.errors import ArtifactError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Part:
    """A file that is not complete yet, and beside it which version of it a server is giving."""

    path: Path

    @property
    def size_bytes(self) -> int:
        """How much of it is here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def version(self, url: str) -> str:
        """Return the ETag or date under which `url` gave the part, empty where another address gave it."""
        try:
            saved = json.loads(self._note.read_text(encoding="utf-8"))
            return str(saved["version"]) if saved["url"] == url else ""
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    @contextlib.contextmanager
    def open_at(self, offset: int, url: str, version: str) -> Iterator[Callable[[bytes], None]]:
        """Yield what appends bytes behind the first `offset`; they are on the disk when the block ends, however.

        Raises:
            ArtifactError: the disk is full or cannot be written.
        """
        with writing(self.path):
            self._note.write_text(json.dumps({"url": url, "version": version}), encoding="utf-8")
            stream = self.path.open("ab", buffering=0)
        with stream:
            with writing(self.path):
                stream.truncate(offset)
            try:
                yield lambda block: _write(stream, block, self.path)
            finally:
                with writing(self.path):
                    os.fsync(stream.fileno())

    def discard(self) -> None:
        """Forget it all."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, path: Path) -> None:
        """Give the complete file its name; its bytes are on the disk already."""
        self.path.replace(path)
        self._note.unlink(missing_ok=True)

    @property
    def _note(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")


def _write(stream: io.FileIO, block: bytes, path: Path) -> None:
    with writing(path):
        while block:
            block = block[stream.write(block) :]


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into an ArtifactError; what was written stays for the next attempt."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise ArtifactError(
                f"the disk is full: {path} cannot grow; free some space and run again, the download goes on there"
            ) from None
        raise ArtifactError(f"{path} cannot be written ({error.strerror}); run again when it can") from None
