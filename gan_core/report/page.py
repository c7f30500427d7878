"""One self-contained HTML page about one run: it opens from a disk or a mail, without any network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_core import artifacts, lineage
from gan_core.artifacts import Manifest, digest_of
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest, Report
from gan_core.report import content, moments, pictures, rendering

REPORT_FORMAT = 5  # bump when the same run would give another page

_LOGS = ("config.json", "metrics.jsonl", "snapshot_scores.jsonl", "networks.json")


def write_report(run_dir: Path, dataset: DatasetManifest) -> Report:
    """Publish `run_dir/report/index.html`, or return at once when it stands there for the same inputs.

    What a run does not have yet is named on the page, with the command that makes it. Times of stages are
    shown as known at the writing; they are no input, or no page would outlive the next "already done".

    Args:
        run_dir: a run with at least config.json.
        dataset: what it was trained on; its shards are read for the real pictures.

    Raises:
        ArtifactError: config.json is missing or damaged.
    """
    run = lineage.read_run(run_dir)
    if run is None:
        raise ArtifactError(f"{run_dir / 'config.json'} is missing or damaged; train again to make {run_dir} a run")
    parts = {kind: artifacts.find(run_dir / kind, kind) for kind in ("samples", "scores", "decision")}
    parts["checkpoint"] = _newest_checkpoint(run_dir)
    inputs = _inputs(run_dir, dataset, parts)
    final, digest = run_dir / "report", digest_of(inputs)
    if artifacts.find(final, "report", digest) is None:
        page = _render(run_dir, run, dataset, parts)
        with artifacts.publishing(final) as draft:
            if artifacts.find(final, "report", digest) is None:  # else from a process that this one had to wait for
                (draft / "index.html").write_text(page, encoding="utf-8")
                artifacts.write_manifest(draft, "report", digest, {"inputs": inputs})
    return Report(final / "index.html")


def _inputs(run_dir: Path, dataset: DatasetManifest, parts: content.Parts) -> dict[str, Any]:
    """Return what the page depends on: while it is equal, so is the page, times of stages aside."""
    logs = [run_dir / name for name in _LOGS]
    files = [path for path in [*logs, *pictures.snapshot_files(run_dir)] if path.is_file()]
    return {
        "format": REPORT_FORMAT,
        "dataset": dataset.digest,
        "device": content.device(parts["checkpoint"]),
        "blessed": moments.blessed_images(run_dir),
        "files": {path.name: artifacts.sha256_file(path) for path in files},
        "parts": {kind: part.digest for kind, part in parts.items() if part},
    }


def _newest_checkpoint(run_dir: Path) -> Manifest | None:
    for folder in sorted((run_dir / "checkpoints").glob("[0-9]*"), reverse=True):
        try:
            return artifacts.read_manifest(folder, "checkpoint")
        except ArtifactError:
            continue
    return None


def _render(run_dir: Path, run: Mapping[str, Any], dataset: DatasetManifest, parts: content.Parts) -> str:
    return rendering.render("report.html", content.gathered(run_dir, run, dataset, parts), live_charts=True)
