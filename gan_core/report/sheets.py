"""The sheets of a run that are read row by row: interpolations, classes, nearest neighbours, best and worst samples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_core.artifacts import Manifest
from gan_core.report.pictures import Picture, encode, open_picture
from gan_core.report.wording import DASH

INTERPOLATION_BYTES = 110_000
CLASS_BYTES = 130_000
NEIGHBOUR_BYTES = 150_000
EXTREME_BYTES = 110_000  # twice

_MAX_CLASSES = 24
_MAX_NEIGHBOURS = 8
_LARGEST_STRIP_PIXELS = 720
_GAP_PIXELS = 2  # as in grids.grid


@dataclass(frozen=True)
class Strip:
    """One row of a sheet: its picture, what it shows, and a caption for each of its pictures (or none)."""

    picture: Picture
    title: str
    captions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sheet:
    """Rows of a sheet.

    `left_out` counts the rows that are not shown, to keep the page small; `not_drawn` the classes without a row.
    """

    strips: tuple[Strip, ...]
    left_out: int = 0
    not_drawn: int = 0


def interpolations(samples: Manifest | None) -> Sheet | None:
    """Return the rows between pairs of seeds; None where there are none."""
    facts = _facts(samples, "interpolations")
    seeds = facts.get("seeds")
    pairs = [pair for pair in seeds if _is_list(pair, 2)] if isinstance(seeds, list) else []
    count = _whole(facts.get("rows")) or len(pairs)
    told = [f", {name}" for name in facts["names"]] if isinstance(facts.get("names"), list) else []
    told += [""] * (len(pairs) - len(told))
    titles = [f"from seed {a} to seed {b}{name}" for (a, b), name in zip(pairs, told, strict=False)]
    return _rows(samples, facts.get("file"), count, titles, INTERPOLATION_BYTES, limit=12)


def classes(samples: Manifest | None) -> Sheet | None:
    """Return one row of samples for each class; None where there are none."""
    facts = _facts(samples, "classes")
    names = [str(name) for name in facts["names"]] if isinstance(facts.get("names"), list) else []
    sheet = _rows(samples, facts.get("file"), len(names), names, CLASS_BYTES, limit=_MAX_CLASSES)
    unseen = max(0, _whole(facts.get("of")) - len(names))
    return dataclasses.replace(sheet, not_drawn=unseen) if sheet else None


def neighbours(scores: Manifest | None) -> Sheet | None:
    """Return samples with the training pictures nearest to each, and how far those are; None where there are none."""
    facts = _facts(scores, "neighbours")
    distances = facts.get("distances")
    rows = [row for row in distances if isinstance(row, list)] if isinstance(distances, list) else []
    count = _whole(facts.get("rows")) or len(rows)
    titles = [f"sample {number}" for number in range(1, count + 1)]
    captions = [("sample", *(_distance(value) for value in row)) for row in rows]
    return _rows(scores, facts.get("file"), count, titles, NEIGHBOUR_BYTES, captions, limit=_MAX_NEIGHBOURS)


def extremes(scores: Manifest | None) -> dict[str, Any]:
    """Return "best" and "worst" -> Picture, as far as they are there, and "by": what they were judged by."""
    facts = _facts(scores, "extremes")
    found: dict[str, Any] = {}
    for which in ("best", "worst"):
        listed = facts.get(which)
        path = _path(scores, listed.get("file") if isinstance(listed, Mapping) else None)
        if path is not None and (sheet := open_picture(path)):
            found[which] = encode(sheet, EXTREME_BYTES, largest_side=_LARGEST_STRIP_PIXELS)
    return found | ({"by": str(facts.get("by", ""))} if found else {})


def _rows(
    manifest: Manifest | None,
    name: Any,
    count: int,
    titles: Sequence[str],
    limit_bytes: int,
    captions: Sequence[tuple[str, ...]] = (),
    *,
    limit: int,
) -> Sheet | None:
    path = _path(manifest, name)
    sheet = open_picture(path) if path is not None and count > 0 else None
    if sheet is None or sheet.height < count:
        return None
    step = (sheet.height + _GAP_PIXELS) / count
    strips = []
    for row in range(shown := min(count, limit)):
        top = round(row * step)
        picture = sheet.crop((0, top, sheet.width, min(sheet.height, round((row + 1) * step) - _GAP_PIXELS)))
        small = encode(picture, limit_bytes // shown, largest_side=_LARGEST_STRIP_PIXELS)
        title = titles[row] if row < len(titles) else f"row {row + 1}"
        strips.append(Strip(small, title, captions[row] if row < len(captions) else ()))
    return Sheet(tuple(strips), count - shown)


def _facts(manifest: Manifest | None, field: str) -> Mapping[str, Any]:
    found = manifest.fields.get(field) if manifest else None
    return found if isinstance(found, Mapping) else {}


def _path(manifest: Manifest | None, name: Any) -> Any:
    """Return the file's path where the manifest lists it: a name from elsewhere leads nowhere."""
    return manifest.path / name if manifest and isinstance(name, str) and name in manifest.files else None


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _whole(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def _distance(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return f"{value:.3g}" if is_number else DASH
