"""Keys of pictures as names of files that every file system takes, and that no two keys share."""

from __future__ import annotations

import hashlib
import re

_STEM = re.compile(r"(.+)\.[^.]{0,5}", re.DOTALL)  # a name with an extension
_UNSAFE = re.compile(r"[^\w.\-]")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # Windows' devices
_LONGEST_BYTES = 120  # of one part of a path; file systems take 255


class FileNames:
    """Gives names, and remembers them: "a.jpg", "a.png" and "A.png" must not become the same file."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def of(self, folder: str, key: str, mirrored: bool) -> str:
        """Return the name of a picture's PNG file below `folder`, with forward slashes.

        The key's path is kept, its extension replaced. What is not a letter, digit, dot, dash or underscore becomes
        an underscore; a name that is changed by that, or was given before, ends in 8 hex digits of the key's SHA-256.
        """
        *parents, last = key.split("/")
        stem = _STEM.fullmatch(last)
        last = stem[1] if stem else last
        parts = [*map(_safe_folder, parents), _safe(last)]
        name = "/".join(parts) + ("-mirrored" if mirrored else "")
        digest = hashlib.sha256(key.encode()).hexdigest()
        candidates = [name] if parts == [*parents, last] else []
        for candidate in (*candidates, *(f"{name}-{digest[:length]}" for length in (8, 16, 64))):
            # Some file systems do not tell upper from lower case.
            path = f"{folder}/{candidate}".casefold()
            if path not in self._given:
                break
        self._given.add(path)
        return f"{candidate}.png"


def _safe_folder(part: str) -> str:
    # No file's name, so that a file and a folder never want the same one.
    safe = _safe(part)
    return f"{safe}_" if safe.lower().endswith(".png") else safe


def _safe(part: str) -> str:
    """Return one part of a path without anything that some file system, or a shell, takes for something else."""
    safe = _UNSAFE.sub("_", part).strip(".")
    safe = safe.encode()[:_LONGEST_BYTES].decode(errors="ignore")
    return f"_{safe}" if not safe or safe[0] == "-" or _RESERVED.fullmatch(safe) else safe
