"""What a run's page shows, gathered from the run's folder and its data set."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_core import lineage
from gan_core.artifacts import Manifest
from gan_core.config import RunConfig, preset_names
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.report import charts, facts, findings, moments, networks, pictures, rejects, scores, sheets
from gan_core.report.logs import Log, number, read_log

Parts = Mapping[str, Manifest | None]  # samples, scores and checkpoint

_FEW_GENERATED = 10_000
_BIASED = ("fid", "frechet_distance")


def gathered(run_dir: Path, run: Mapping[str, Any], dataset: DatasetManifest, parts: Parts) -> dict[str, Any]:
    """Return the names that the template report.html uses, with their values."""
    saved, measured, trained_on = run["config"], parts["scores"], device(parts["checkpoint"])
    protocol = measured.fields.get("protocol", {}) if measured else {}
    found = scores.read_scores(measured)
    class_keys, class_scores = scores.per_class(measured)
    memorised, memorised_floor = scores.memorised_share(found)
    gathered = {
        "run": run,
        "preset": saved.get("preset", run_dir.name),
        "sections": facts.config_sections(saved),
        "commands": _commands(run_dir, saved),
        "known_presets": preset_names(),
        "device": trained_on,
        "machine": run.get("machine", {}) | ({"device": trained_on} if trained_on else {}),
        "dataset": dataset,
        "rejects": rejects.examples(dataset),
        "parts": parts,
        "scores": found,
        "headlines": scores.headlines(found),
        "few_generated": _few_generated(found),
        "protocol": protocol,
        "class_keys": class_keys,
        "class_scores": class_scores,
        "memorised": memorised,
        "memorised_floor": memorised_floor,
        "networks": networks.read_networks(run_dir / "networks.json"),
        "is_conditional": bool(parts["checkpoint"] and parts["checkpoint"].fields.get("condition")),
        "is_blessed": moments.blessed_images(run_dir) is not None,
        "interpolations": sheets.interpolations(parts["samples"]),
        "classes": sheets.classes(parts["samples"]),
        "neighbours": sheets.neighbours(measured),
        "extremes": sheets.extremes(measured),
    }
    course = _course(run_dir, saved, parts["checkpoint"], [score.words.short for score in found if score.warnings])
    return gathered | course | _pictures(run_dir, dataset, parts, str(protocol.get("split", "train")))


def device(checkpoint: Manifest | None) -> str:
    """Return what trained the checkpoint, "CPU" or a GPU's name; empty where it does not say."""
    progress = checkpoint.fields.get("progress") if checkpoint else None
    return str(progress.get("device", "")) if isinstance(progress, Mapping) else ""


def _few_generated(found: Sequence[scores.Score]) -> int:
    """Return how many pictures the Fréchet distances are of where that is few; else 0."""
    found = [score for score in found if score.key in _BIASED]
    counts = [count for score in found if isinstance(count := score.counts.get("generated"), int)]
    return min(counts) if counts and min(counts) < _FEW_GENERATED else 0


def _course(
    run_dir: Path, saved: Mapping[str, Any], checkpoint: Manifest | None, doubted: Sequence[str]
) -> dict[str, Any]:
    """Return what the logs tell: how far the training is, its curves, times and what is suspicious."""
    names = ("metrics", "snapshot_scores", "stages")
    metrics, snapshot_scores, stages = (read_log(run_dir / f"{name}.jsonl") for name in names)
    shown = [1000 * line["kimg"] for line in metrics.lines[-1:]]
    shown += [checkpoint.fields["images_seen"]] if checkpoint else []
    reached, total = max(shown, default=0) / 1000, number(saved.get("train", {}), "total_kimg")
    times = facts.stage_times(stages)
    progress = checkpoint.fields.get("progress") if checkpoint else None
    course = progress if isinstance(progress, Mapping) else {}
    marked = moments.moments(run_dir, checkpoint, snapshot_scores)
    found = findings.findings(reached, total, metrics, snapshot_scores, times, course)
    found += [f"{name} has warnings: see Scores." for name in doubted]
    return {
        "reached": reached,
        "total": total,
        "state": _state(reached, total, course, times),
        "moments": marked,
        "training_charts": charts.training_charts(metrics, marked),
        "score_charts": charts.score_charts(snapshot_scores, marked),
        "stages": times,
        "cost": _cost(metrics, times),
        "findings": found,
    }


def _state(reached: float, total: float, course: Mapping[str, Any], times: Sequence[Mapping[str, Any]]) -> str:
    """Return one or two words for the top of the page."""
    if course.get("stopped_early"):
        return "stopped early"
    for ended in (lineage.FAILED, lineage.INTERRUPTED):
        if any(row["outcome"] == ended for row in times):
            return ended
    if not reached:
        return "not trained"
    return "complete" if not reached < total else "unfinished"


def _cost(metrics: Log, times: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what the run took: seconds of all stages, images a second (median over the log), largest memory."""
    speeds = sorted(x for line in metrics.lines if math.isfinite(x := number(line, "images_per_second")))
    peaks = [x for line in metrics.lines if math.isfinite(x := number(line, "memory_peak_mib"))]
    cost = {"seconds": math.fsum(row["seconds"] for row in times)}
    cost |= {"images_per_second": speeds[len(speeds) // 2]} if speeds else {}
    return cost | ({"memory_peak_mib": max(peaks)} if peaks else {})


def _pictures(run_dir: Path, dataset: DatasetManifest, parts: Parts, split: str) -> dict[str, Any]:
    snapshots, grid = pictures.snapshot_files(run_dir), run_dir / "samples" / "grid.png"
    real, real_problem = None, ""
    try:
        real = pictures.real_sheet(dataset, split)
    except ArtifactError as error:
        real_problem = str(error)
    has_samples = parts["samples"] is not None
    return {
        "hero": pictures.hero(grid, dataset.resolution) if has_samples else None,
        "generated": pictures.generated_sheet(grid, dataset.resolution) if has_samples else None,
        "real": real,
        "real_problem": real_problem,
        "frames": pictures.film(snapshots),
        "strip": pictures.strip(snapshots, dataset.resolution),
        "preview": pictures.picture_file(dataset.path / "preview.png", pictures.PREVIEW_BYTES),
    }


def _commands(run_dir: Path, saved: Mapping[str, Any]) -> dict[str, str]:
    """Return verb -> the command for this run; empty where another version of faceloom wrote the config."""
    try:
        config = RunConfig.from_json(saved)
    except ConfigError:
        return {}
    data_root = run_dir.parent.parent if run_dir.parent.name == "runs" else None
    return {verb: lineage.command(verb, config, data_root) for verb in ("run", "train", "sample", "evaluate")}
