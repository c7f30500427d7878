"""The page over all runs: thumbnails, states and scores, and a link to each run's report."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from gan_core import artifacts, grids, lineage
from gan_core.errors import ArtifactError
from gan_core.report import catalog, rendering
from gan_core.report.pictures import Picture, encode, open_picture, tiles_of
from gan_core.report.scores import Score, read_scores

THUMBNAILS_BYTES = 2_500_000  # of all runs together
_THUMBNAIL_BYTES = 9_000
_THUMBNAIL_TILES = 4
_THUMBNAIL_PIXELS = 264


def write_index(data_root: Path) -> Path:
    """Write `<data root>/runs/index.html`, one page over all runs, and return its path.

    It is replaced in one step. Runs stand with the one worked on last first; a damaged one is listed as such. Scores
    are told apart by fingerprint: only those in a column of equal fingerprints may be compared.

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
    columns = _columns(rows)
    path = folder / "index.html"
    page = rendering.render("index.html", {"rows": rows, "columns": columns, "mixed": _mixed(columns)})
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
        "measured": {_column(score): score for score in measured},
    }


def _column(score: Score) -> tuple[str, str]:
    return score.key, score.fingerprint


def _columns(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the columns of scores: one for each measure and fingerprint, those with most runs first."""
    counts: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], Score] = {}
    for row in rows:
        for column, score in row["measured"].items():
            if math.isfinite(score.value):
                counts[column] = counts.get(column, 0) + 1
                first.setdefault(column, score)
    order = list(dict.fromkeys(key for key, _ in counts))
    chosen = sorted(counts, key=lambda column: (order.index(column[0]), -counts[column], column[1]))
    return [{"id": column, "score": first[column], "fingerprint": column[1]} for column in chosen]


def _mixed(columns: list[dict[str, Any]]) -> bool:
    """Return whether some measure has several fingerprints."""
    return len({column["id"][0] for column in columns}) < len(columns)


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
