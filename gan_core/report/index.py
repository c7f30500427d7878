"""The page over all runs: thumbnails, states and scores, and a link to each run's report."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from gan_core import artifacts, catalog, grids, lineage
from gan_core.errors import ArtifactError
from gan_core.report import rendering
from gan_core.report.pictures import Picture, encode, open_picture, tiles_of
from gan_core.report.scores import Score, read_scores

THUMBNAILS_BYTES = 2_500_000  # of all runs together
_THUMBNAIL_BYTES = 9_000
_THUMBNAIL_TILES = 4
_THUMBNAIL_PIXELS = 264


def write_index(data_root: Path) -> Path:
    """Write `<data root>/runs/index.html`, one page over all runs, and return its path.

    It is replaced in one step. Runs stand with the one worked on last first; a damaged one is listed as such. Only runs
    whose scores may be compared share a table: equal data set, equal fingerprint.

    Args:
        data_root: where runs/ lies; without any run the page says so.

    Raises:
        ConfigError: runs/ cannot be created or written to.
    """
    folder = data_root / "runs"
    artifacts.make_folder(folder)
    runs = catalog.run_folders(data_root)
    share = min(_THUMBNAIL_BYTES, THUMBNAILS_BYTES // max(1, len(runs)))
    rows = sorted((_row(run_dir, share) for run_dir in runs), key=lambda row: (row["date"], row["name"]), reverse=True)
    path = folder / "index.html"
    page = rendering.render("index.html", {"count": len(rows), "groups": _groups(rows)})
    artifacts.replace_file(path, page.encode())
    return path


def _row(run_dir: Path, thumbnail_bytes: int) -> dict[str, Any]:
    row = catalog.describe(run_dir)
    saved = lineage.read_run(run_dir) or {}
    data_set = saved.get("dataset") if isinstance(saved.get("dataset"), dict) else {}
    try:
        manifest = artifacts.read_manifest(run_dir / "scores", "scores")
    except ArtifactError:
        manifest = None
    report = run_dir / "report" / "index.html"
    measured = read_scores(manifest)
    return row | {
        "data_set": Path(str((data_set or {}).get("path", ""))).name,
        "link": f"{run_dir.name}/report/index.html" if row["report"] and report.is_file() else "",
        "thumbnail": _thumbnail(run_dir, thumbnail_bytes),
        "measured": {score.key: score for score in measured},
    }


def _groups(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs in tables: together are those of one data set whose first measure has the same fingerprint.

    A column is a measure, and its fingerprint the one that most runs of the table have. The others' scores are shown
    with a mark, and not sorted among them.
    """
    tables: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        first = next(iter(row["measured"].values()), None)
        key = (row["data_set"], first.key, first.fingerprint) if first else ()
        tables.setdefault(key, []).append(row)
    scored = [_group(members) for key, members in tables.items() if key]
    return scored + ([_group(tables[()])] if () in tables else [])


def _group(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Counter[str]] = {}
    words: dict[str, Score] = {}
    for row in rows:
        for key, score in row["measured"].items():
            if math.isfinite(score.value):
                found.setdefault(key, Counter())[score.fingerprint] += 1
                words.setdefault(key, score)
    columns = [
        {"key": key, "score": words[key], "fingerprint": prints.most_common(1)[0][0]} for key, prints in found.items()
    ]
    return {"rows": rows, "columns": columns, "data_set": rows[0]["data_set"]}


def _thumbnail(run_dir: Path, limit_bytes: int) -> Picture | None:
    """Return the first pictures of the run's samples, or of its last snapshot while there are none."""
    snapshots = sorted((run_dir / "snapshots").glob("[0-9]*.png"), reverse=True)
    for path in [run_dir / "samples" / "grid.png", *snapshots[:1]]:
        sheet = open_picture(path)
        if sheet is not None:
            tiles = tiles_of(sheet, side) if (side := _side(sheet.width)) else None
            if tiles:
                sheet = grids.grid(np.stack(tiles[:_THUMBNAIL_TILES]), _THUMBNAIL_TILES)
            return encode(sheet, limit_bytes, largest_side=_THUMBNAIL_PIXELS)
    return None


def _side(width: int) -> int:
    """Return the side of the pictures of a sheet of eight columns, as samples and snapshots are; 0 for another."""
    return (width + 2) // 8 - 2 if (width + 2) % 8 == 0 and width > 22 else 0
