"""What a run came to, without what may differ: times, paths, attempts."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from gan_core import artifacts

PARTS = {"samples": "samples", "scores": "scores", "report": "report"}


def outcome_of(data_root: Path) -> dict[str, Any]:
    """Return digests of everything that the only run of a data root has, read from the files themselves."""
    (run,) = (path.parent for path in (data_root / "runs").glob("*/config.json"))
    (dataset,) = (path for path in (data_root / "datasets").iterdir() if not path.name.startswith("."))
    checkpoint = max(path for path in (run / "checkpoints").iterdir() if not path.name.startswith("."))
    scores = artifacts.read_manifest(run / "scores", "scores")
    artifacts.verify(artifacts.read_manifest(run / "report", "report"))
    return {
        "data set": _files(dataset),
        "checkpoint": {checkpoint.name: _files(checkpoint)},
        "samples": _files(run / "samples"),
        "scores": scores.fields["values"],
        "unfinished": unfinished(data_root),
    }


def unfinished(data_root: Path) -> list[str]:
    """Return what was begun and neither published nor taken away, relative to the data root."""
    found = [*data_root.rglob(".*.partial"), *data_root.rglob(".*.old")]
    return sorted(str(path.relative_to(data_root)) for path in found)


def times_done(data_root: Path) -> dict[str, int]:
    """Return how often each stage did its work to the end, as the run's own book says."""
    return dict(Counter(entry["stage"] for entry in book_of(data_root) if entry["outcome"] == "done"))


def book_of(data_root: Path) -> list[dict[str, Any]]:
    """Return what the only run of a data root notes of each execution of a stage."""
    (book,) = (data_root / "runs").glob("*/stages.jsonl")
    return [json.loads(line) for line in book.read_text().splitlines()]


def _files(folder: Path) -> dict[str, str]:
    """Return the digest of every file, without the books that have times: those of pictures, and of publishing."""
    return {
        str(path.relative_to(folder)): artifacts.sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in (artifacts.MANIFEST, "shards.jsonl")
    }
