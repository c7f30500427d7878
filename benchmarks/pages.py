"""Results to pages: JSON, Markdown, plots, and the marked places in the docs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import plots
from benchmarks.markdown import fill
from benchmarks.summary import load
from benchmarks.tables import tables

_TITLES = {
    "machine": "Machine",
    "compare": "Against others, 178x218",
    "large": "Against others, 1024x1024",
    "growth": "Growth",
    "small": "A small job",
    "storage": "Storage",
    "names": "Names",
    "rates": "Rates",
    "scale": "Larger jobs",
}


def write(out: Path, docs: Path | None) -> str:
    """Write out/preprocess.md and the plots, fill the docs' places, and return the tables as text.

    Args:
        out: the folder with the results.
        docs: a folder of pages; plots go to its images/. None leaves the docs alone, and plots go to `out`.
    """
    results = load(out)
    texts = tables(results)
    page = "\n\n".join(f"## {title}\n\n{texts[name]}" for name, title in _TITLES.items() if name in texts) + "\n"
    (out / "preprocess.md").write_text(page, encoding="utf-8")
    images = docs / "images" if docs else out
    images.mkdir(parents=True, exist_ok=True)
    plots.draw(results, images)
    for path in sorted(docs.glob("*.md")) if docs else ():
        before = path.read_text(encoding="utf-8")
        if (after := fill(before, texts)) != before:
            path.write_text(after, encoding="utf-8")
    return page


def compact_json(results: Mapping[str, Any]) -> str:
    """Return JSON with one line for each run: readable, and a change of one run is a change of one line."""
    head = json.dumps({key: value for key, value in results.items() if key != "runs"}, indent=1)
    runs = ",\n".join(json.dumps(run) for run in results["runs"])
    return f'{head[:-2]},\n "runs": [\n{runs}\n]\n}}\n'
