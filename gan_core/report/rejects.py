"""Pictures that a data set left out: some of each reason, and how they look where its sheet of rejects shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from gan_core.handoff import DatasetManifest
from gan_core.report.logs import read_log
from gan_core.report.pictures import Picture, encode, open_picture, tiles_of

THUMBNAIL_BYTES = 2_500  # each; at most `_MOST_THUMBNAILS` of them

_EXAMPLES, _MOST_THUMBNAILS = 4, 24
_LARGEST_TILE_PIXELS = 256


@dataclass(frozen=True)
class Example:
    """A picture that was left out: its name, why in detail, and how it looks where that is known."""

    key: str
    detail: str
    thumbnail: Picture | None = None


def examples(dataset: DatasetManifest) -> dict[str, list[Example]]:
    """Return reason -> its first few pictures, those that can be seen first, the most frequent reason first."""
    lines = read_log(dataset.path / "rejects.jsonl").lines
    seen = _thumbnails(dataset)
    reasons = sorted(dataset.rejects, key=lambda reason: (-dataset.rejects[reason], reason))
    found: dict[str, list[Example]] = {}
    for reason in reasons:
        of_this = [line for line in lines if line.get("reason") == reason]
        of_this.sort(key=lambda line: str(line.get("key")) not in seen)
        found[reason] = [_example(line, seen) for line in of_this[:_EXAMPLES]]
    return found


def _example(line: Mapping[str, Any], seen: Mapping[str, Picture]) -> Example:
    key = str(line.get("key", ""))
    return Example(key, str(line.get("detail") or ""), seen.get(key))


def _thumbnails(dataset: DatasetManifest) -> dict[str, Picture]:
    """Return key -> picture of the tiles of rejects.png, as rejects_sheet.json lists them; empty without."""
    try:
        facts: Any = json.loads((dataset.path / "rejects_sheet.json").read_text(encoding="utf-8"))
        keys = [str(tile["key"]) for tile in facts["tiles"]]
        side = int(facts["tile_pixels"])
    except (OSError, KeyError, RecursionError, TypeError, ValueError):
        return {}
    sheet = open_picture(dataset.path / "rejects.png")
    tiles = tiles_of(sheet, side) if sheet and 0 < side <= _LARGEST_TILE_PIXELS else None
    pairs = list(zip(keys, tiles or [], strict=False))[:_MOST_THUMBNAILS]
    return {key: encode(Image.fromarray(tile), THUMBNAIL_BYTES) for key, tile in pairs}
