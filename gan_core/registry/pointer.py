"""Which version is blessed, and the book of how that came about.

The pointer is one small file that is replaced by a rename; the book gets a line for each event. A kill between the
two leaves a pointer whose event the book lacks, and the next one to look writes the line from the pointer.
"""

from __future__ import annotations

import json
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gan_core import artifacts
from gan_core.errors import ArtifactError

POINTER, BOOK = "blessed.json", "history.jsonl"
REGISTERED, PROMOTED, REJECTED, ROLLED_BACK = "registered", "promoted", "rejected", "rolled back"


def event(kind: str, version: int, previous: int | None, who: str, why: str) -> dict[str, Any]:
    """Return a line of the book: id, event, version, previous, who, why, at (UTC, ISO 8601)."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    return {
        "id": uuid.uuid4().hex,
        "event": kind,
        "version": version,
        "previous": previous,
        "who": who,
        "why": why,
        "at": at,
    }


def read_pointer(folder: Path) -> dict[str, Any] | None:
    """Return what `blessed.json` of a model says, None where nothing is blessed.

    Raises:
        ArtifactError: it cannot be read as what it is.
    """
    path = folder / POINTER
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(_damaged(path, str(error))) from None
    if not isinstance(saved, dict) or type(saved.get("version")) is not int:
        raise ArtifactError(_damaged(path, "it names no version"))
    return saved


def _damaged(path: Path, why: str) -> str:
    return (
        f"{path} cannot be read ({why}); {path.parent / BOOK} says what was blessed: delete the pointer, and promote "
        f"that version with faceloom models promote"
    )


def point(folder: Path, line: dict[str, Any], facts: dict[str, Any]) -> None:
    """Bless a version: the pointer first, then the line of the book. Call under the model's lock."""
    artifacts.write_json(folder / POINTER, {**line, **facts})
    note(folder, line)


def note(folder: Path, line: dict[str, Any]) -> None:
    """Append a line to the book, on the disk when this returns. What a kill cut short before it is closed off."""
    path = folder / BOOK
    text = json.dumps(line, ensure_ascii=False) + "\n"
    with path.open("a+b") as stream:
        if stream.seek(0, os.SEEK_END):
            stream.seek(-1, os.SEEK_END)
            if stream.read(1) != b"\n":
                text = "\n" + text
        stream.write(text.encode())
        stream.flush()
        os.fsync(stream.fileno())


def read_book(folder: Path) -> list[dict[str, Any]]:
    """Return the events of a model in order. Lines that a kill cut short are left out."""
    try:
        # Not splitlines: a reason may hold other separators of lines, such as U+2028.
        texts = (folder / BOOK).read_text(encoding="utf-8", errors="replace").split("\n")
    except OSError:
        return []
    lines = []
    for text in texts:
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and "id" in line:
            lines.append(line)
    return lines


def reconcile(folder: Path) -> None:
    """Write the line that a kill kept out of the book. Call under the model's lock."""
    saved = read_pointer(folder)
    if saved is not None and saved.get("id") not in {line["id"] for line in read_book(folder)}:
        note(folder, {key: saved.get(key) for key in ("id", "event", "version", "previous", "who", "why", "at")})
