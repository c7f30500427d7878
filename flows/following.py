"""Files that grow while they are read: whole lines only, and a resume that cuts them is seen."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Tail:
    """A .jsonl file, read from where the last look ended.

    Attributes:
        path: the file; it may not be there yet.
        lines: all whole lines so far that are JSON objects.
    """

    path: Path
    lines: list[dict[str, Any]] = field(default_factory=list)
    _texts: list[int] = field(default_factory=list)
    _file: int = 0
    _offset: int = 0

    def read(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the lines that are new since the last look, and whether others that were seen before are gone.

        A resume replaces the file by one that ends at its checkpoint. What is the same in both is not told again.
        """
        try:
            with self.path.open("rb") as stream:
                found = os.fstat(stream.fileno())
                if found.st_ino == self._file and found.st_size >= self._offset:
                    stream.seek(self._offset)
                    return self._add(stream.read()), False
                self._file, self._offset = found.st_ino, 0
                return self._replace(stream.read())
        except FileNotFoundError:
            was_cut = bool(self.lines)
            self.lines, self._texts, self._file, self._offset = [], [], 0, 0
            return [], was_cut

    def _replace(self, data: bytes) -> tuple[list[dict[str, Any]], bool]:
        before, lines = self._texts, self.lines
        self.lines, self._texts = [], []
        self._add(data)
        pairs = zip(before, self._texts, strict=False)
        same = next((index for index, (old, new) in enumerate(pairs) if old != new), min(len(before), len(self._texts)))
        return self.lines[same:], same < len(lines)

    def _add(self, data: bytes) -> list[dict[str, Any]]:
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        new = []
        for text in whole.splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                new.append(line)
                self._texts.append(hash(text))
        self.lines += new
        return new
