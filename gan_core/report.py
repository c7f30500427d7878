"""One self-contained HTML page about one run: it opens from a disk or a mail, without any network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from gan_core import artifacts, charts, lineage, report_facts, report_pictures
from gan_core.artifacts import Manifest, digest_of
from gan_core.config import RunConfig, preset_names
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest, Report

REPORT_FORMAT = 3  # bump when the same run would give another page

Parts = Mapping[str, Manifest | None]  # samples, scores and checkpoint


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
    parts = {kind: artifacts.find(run_dir / kind, kind) for kind in ("samples", "scores")}
    parts["checkpoint"] = _newest_checkpoint(run_dir)
    inputs = _inputs(run_dir, dataset, parts)
    final, digest = run_dir / "report", digest_of(inputs)
    if artifacts.find(final, "report", digest) is None:
        page = _render(run_dir, run, dataset, parts)
        with artifacts.publishing(final) as draft:
            (draft / "index.html").write_text(page, encoding="utf-8")
            artifacts.write_manifest(draft, "report", digest, {"inputs": inputs})
    return Report(final / "index.html")


def _inputs(run_dir: Path, dataset: DatasetManifest, parts: Parts) -> dict[str, Any]:
    """Return what the page depends on: while it is equal, so is the page, times of stages aside."""
    logs = [run_dir / name for name in ("config.json", "metrics.jsonl", "snapshot_scores.jsonl")]
    files = [path for path in [*logs, *report_pictures.snapshot_files(run_dir)] if path.is_file()]
    return {
        "format": REPORT_FORMAT,
        "dataset": dataset.digest,
        "device": _device(parts["checkpoint"]),
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


def _device(checkpoint: Manifest | None) -> str:
    """Return what trained the checkpoint, "CPU" or a GPU's name; empty where it does not say."""
    progress = checkpoint.fields.get("progress") if checkpoint else None
    return str(progress.get("device", "")) if isinstance(progress, Mapping) else ""


def _render(run_dir: Path, run: Mapping[str, Any], dataset: DatasetManifest, parts: Parts) -> str:
    saved, scores, device = run["config"], parts["scores"], _device(parts["checkpoint"])
    protocol = scores.fields.get("protocol", {}) if scores else {}
    facts = {
        "run": run,
        "preset": saved.get("preset", run_dir.name),
        "sections": report_facts.config_sections(saved),
        "commands": _commands(run_dir, saved),
        "known_presets": preset_names(),
        "device": device,
        "machine": run.get("machine", {}) | ({"device": device} if device else {}),
        "dataset": dataset,
        "rejects": report_facts.reject_examples(dataset),
        "parts": parts,
        "scores": scores.fields.get("values", {}) if scores else {},
        "protocol": protocol,
    }
    facts |= _course(run_dir, saved, parts["checkpoint"])
    facts |= _pictures(run_dir, dataset, parts, str(protocol.get("split", "train")))
    return _environment().get_template("report.html").render(facts)


def _course(run_dir: Path, saved: Mapping[str, Any], checkpoint: Manifest | None) -> dict[str, Any]:
    """Return what the logs tell: how far the training is, its curves, times and what is suspicious."""
    names = ("metrics", "snapshot_scores", "stages")
    metrics, scores, stages = (charts.read_log(run_dir / f"{name}.jsonl") for name in names)
    shown = [1000 * line["kimg"] for line in metrics.lines[-1:]]
    shown += [checkpoint.fields["images_seen"]] if checkpoint else []
    reached, total = max(shown, default=0) / 1000, charts.number(saved.get("train", {}), "total_kimg")
    times = report_facts.stage_times(stages)
    progress = checkpoint.fields.get("progress") if checkpoint else None
    course = progress if isinstance(progress, Mapping) else {}
    return {
        "reached": reached,
        "total": total,
        "training_charts": charts.training_charts(metrics),
        "score_charts": charts.score_charts(scores),
        "stages": times,
        "findings": report_facts.findings(reached, total, metrics, scores, times, course),
    }


def _pictures(run_dir: Path, dataset: DatasetManifest, parts: Parts, split: str) -> dict[str, Any]:
    snapshots, grid = report_pictures.snapshot_files(run_dir), run_dir / "samples" / "grid.png"
    real, real_problem = None, ""
    try:
        real = report_pictures.real_sheet(dataset, split)
    except ArtifactError as error:
        real_problem = str(error)
    return {
        "generated": report_pictures.generated_sheet(grid, dataset.resolution) if parts["samples"] else None,
        "real": real,
        "real_problem": real_problem,
        "frames": report_pictures.film(snapshots),
        "animated": report_pictures.animated(snapshots, dataset.resolution),
        "strip": report_pictures.strip(snapshots, dataset.resolution),
        "preview": report_pictures.picture_file(dataset.path / "preview.png", report_pictures.PREVIEW_BYTES),
    }


def _commands(run_dir: Path, saved: Mapping[str, Any]) -> dict[str, str]:
    """Return verb -> the command for this run; empty where another version of faceloom wrote the config."""
    try:
        config = RunConfig.from_json(saved)
    except ConfigError:
        return {}
    data_root = run_dir.parent.parent if run_dir.parent.name == "runs" else None
    return {verb: lineage.command(verb, config, data_root) for verb in ("run", "train", "sample", "evaluate")}


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_core"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "show": report_facts.show,
        "option": report_facts.show_option,
        "score": report_facts.show_score,
        "duration": report_facts.duration,
        "when": report_facts.when,
        "svg": Markup,
    }
    return environment
