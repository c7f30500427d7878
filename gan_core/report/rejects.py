"""Pictures that a data set left out, some of each reason, with their thumbnails where it kept any."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_core.handoff import DatasetManifest
from gan_core.report.logs import read_log
from gan_core.report.pictures import Picture, picture_file

THUMBNAIL_BYTES = 3_000  # each; with `_MOST` of them 54 kB

_EXAMPLES, _MOST = 3, 18


@dataclass(frozen=True)
class Example:
    """A picture that was left out: its name, why in detail, and how it looks where that is known."""

    key: str
    detail: str
    thumbnail: Picture | None = None


def examples(dataset: DatasetManifest) -> dict[str, list[Example]]:
    """Return reason -> its first few pictures, the most frequent reason first."""
    lines = read_log(dataset.path / "rejects.jsonl").lines
    reasons = sorted(dataset.rejects, key=lambda reason: (-dataset.rejects[reason], reason))
    found: dict[str, list[Example]] = {}
    pictures_left = _MOST
    for reason in reasons:
        found[reason] = []
        for line in [line for line in lines if line.get("reason") == reason][:_EXAMPLES]:
            thumbnail = _thumbnail(dataset, line) if pictures_left else None
            pictures_left -= thumbnail is not None
            found[reason].append(Example(str(line.get("key", "")), str(line.get("detail") or ""), thumbnail))
    return found


def _thumbnail(dataset: DatasetManifest, line: Mapping[str, Any]) -> Picture | None:
    """Return the thumbnail that a line names: a file inside the data set's folder, and nowhere else."""
    name = line.get("thumbnail")
    if not isinstance(name, str) or not name:
        return None
    path = dataset.path / name
    is_inside = path.resolve().is_relative_to(dataset.path.resolve())
    return picture_file(path, THUMBNAIL_BYTES, largest_side=96) if is_inside else None
