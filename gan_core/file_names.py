"""Keys of pictures as names of files that every file system takes, and that no two keys share."""

from __future__ import annotations

import hashlib
import re

_UNSAFE = re.compile(r"[^\w.\-]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows' devices
_LONGEST_BYTES = 120  # of one part of a path; file systems take 255


class FileNames:
    """Gives names, and remembers them: "a.jpg", "a.png" and "A.png" must not become the same file."""

    def __init__(self) -> None:
        self._files: set[str] = set()
        self._folders: set[str] = set()

    def of(self, folder: str, key: str, mirrored: bool) -> str:
        """Return the name of a picture's PNG file below `folder`, with forward slashes.

        The key's path is kept, its extension replaced. What is not a letter, digit, dot, dash or underscore becomes
        an underscore; a name that is changed by that, or was given before, ends in 8 hex digits of the key's SHA-256.
        """
        *parents, last = key.split("/")
        stem, ending = last.rpartition(".")[::2] if "." in last[1:] else (last, "")
        stem = stem if ending and len(ending) <= 5 else last
        parts = [_safe(part) for part in (*parents, stem)]
        exact = parts == [*parents, stem]
        name = "/".join(parts) + ("-mirrored" if mirrored else "")
        if not exact or self._is_taken(f"{folder}/{name}.png"):
            name += f"-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
        self._take(f"{folder}/{name}.png")
        return f"{name}.png"

    def _is_taken(self, path: str) -> bool:
        folded = path.casefold()
        return folded in self._files or folded in self._folders or any(up in self._files for up in _above(folded))

    def _take(self, path: str) -> None:
        folded = path.casefold()
        self._files.add(folded)
        self._folders.update(_above(folded))


def _above(path: str) -> list[str]:
    """Return all folders that a path lies in."""
    parts = path.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts))]


def _safe(part: str) -> str:
    """Return one part of a path without anything that some file system, or a shell, takes for something else."""
    safe = _UNSAFE.sub("_", part).strip(".")
    safe = safe.encode()[:_LONGEST_BYTES].decode(errors="ignore")
    return f"_{safe}" if not safe or safe[0] == "-" or _RESERVED.fullmatch(safe) else safe
