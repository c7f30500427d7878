"""`faceloom runs`: what lies below the data root, read from manifests alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flows.console import shown
from gan_core.catalog import describe, run_folders

_SHOWN = 3  # scores in a row: the headline


def listing(data_root: Path) -> tuple[list[dict[str, Any]], str]:
    """Return all runs, newest last, as JSON and as text. A damaged folder is listed as such."""
    runs = sorted((describe(path) for path in run_folders(data_root)), key=lambda run: (run["date"], run["path"]))
    if not runs:
        return (
            runs,
            f"no runs below {shown(data_root)}; make one with: faceloom run smoke --data-root {data_root}",
        )
    rows = [("run", "state", "images", "scores", "last worked on (UTC)"), *map(_row, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return runs, "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _row(run: Mapping[str, Any]) -> tuple[str, ...]:
    images = f"{run['images_seen']:,}/{run['images_total']:,}"
    known = [f"{name}={value:.4g}" for name, value in run["scores"].items() if value is not None]
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    scores = " ".join(known[:_SHOWN]) + more
    state = f"damaged: {run['problem']}" if run["problem"] else str(run["state"])
    return str(run["name"]), state, images, scores or "-", str(run["date"]).removesuffix("+00:00") or "-"
