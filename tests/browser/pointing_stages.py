"""Stages that did their work before: they report progress and point at a run that is there. For `finished_run`."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from flows.stages import Order, Stage, StageResult
from gan_core import artifacts
from gan_core.progress import Progress, ReportProgress

NAMES = ("ingest", "prepare", "train", "sample", "evaluate", "report")
GATE_NAMES = ("judge", "promote")
DECISION = {
    "promote": True,
    "summary": "promoted: swd 57.9 ± 1.2 against 63.1 ± 1.3, better by 2.9 standard errors",
    "reasons": [
        {"check": "files", "passed": True, "text": "checkpoint, samples and scores have their checksums"},
        {"check": "better", "passed": True, "text": "swd 57.9 against 63.1, the error of the difference is 1.8"},
    ],
}
_SOURCE = {
    "kind": "folder",
    "name": "faces",
    "location": "faces",
    "fingerprint": "f" * 64,
    "counts": {"train": 40},
    "notes": [],
}


def point_at(name: str, order: Order, report_progress: ReportProgress) -> StageResult:
    """Be the stage `name` of the only run of the data root that has both scores and a report."""
    (scores,) = (path for path in order.data_root.glob("runs/*/scores") if (path.parent / "report").exists())
    run_dir = scores.parent
    report_progress(Progress(name, 1000, 1000))
    places = {
        "sample": run_dir / "samples",
        "evaluate": scores,
        "report": run_dir / "report" / "index.html",
    }
    summaries = {
        "ingest": _SOURCE,
        "prepare": {"digest": "d" * 64, "images": {"train": 40}, "rejects": {}},
        "evaluate": {"scores": _scores(scores) if name == "evaluate" else {}},
        "promote": {"model": "smoke", "version": 3, "decision": DECISION},
    }
    return StageResult(
        stage=name,
        outcome="done",
        path=str(places.get(name, run_dir)),
        run_dir=str(run_dir),
        summary=summaries.get(name, {}),
    )


def _scores(folder: Path) -> dict[str, object]:
    return dict(artifacts.read_manifest(folder, "scores").fields["values"])


STAGES: dict[str, Stage] = {name: partial(point_at, name) for name in (*NAMES, *GATE_NAMES)}
