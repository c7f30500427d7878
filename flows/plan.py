"""What a run would do, found out without doing any of it and without importing TensorFlow or Beam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.stages import STAGES, Order, Place, is_fetched, locate
from gan_core import artifacts, checkpoints, lineage
from gan_core.artifacts import Manifest
from gan_core.handoff import Checkpoint, scores_digest
from gan_core.lineage import ALREADY_DONE

WOULD_RUN = "would run"


@dataclass(frozen=True)
class PlannedStage:
    """A stage and its state: "would run" or "already done"."""

    stage: str
    state: str
    path: Path


@dataclass(frozen=True)
class Plan:
    """All stages of an order, and where they lie."""

    place: Place
    stages: tuple[PlannedStage, ...]

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return all(stage.state == ALREADY_DONE for stage in self.stages)


def make_plan(order: Order) -> Plan:
    """Look at what lies on disk; every byte of what counts as done is verified.

    A stage behind one that would run would run as well.

    Raises:
        ConfigError, DataError: the source is missing or cannot be used.
    """
    place = locate(order)
    finished = checkpoints.finished_checkpoint(place.run_dir, order.config)
    checkpoint = finished and checkpoints.chosen_checkpoint(place.run_dir, order.config)
    found = {
        "ingest": _ingested(order, place),
        "prepare": artifacts.find(place.dataset, "dataset", place.dataset_digest) is not None,
        "train": finished is not None,
        "sample": checkpoint is not None and _sampled(order, place, checkpoint),
        "evaluate": checkpoint is not None and _evaluated(order, place, checkpoint),
        "report": _reported(order, place),
    }
    upstream = {
        "train": ("prepare",),
        "sample": ("train",),
        "evaluate": ("prepare", "train"),
        "report": tuple(found)[:-1],
    }
    for stage, needed in upstream.items():
        found[stage] = found[stage] and all(found[other] for other in needed)
    states = {stage: ALREADY_DONE if found[stage] else WOULD_RUN for stage in STAGES}
    return Plan(place, tuple(PlannedStage(stage, state, place.of(stage)) for stage, state in states.items()))


def _ingested(order: Order, place: Place) -> bool:
    if not is_fetched(order, place.source):
        return lineage.read_run(place.run_dir) is not None  # it was listed before, and would be listed again
    return artifacts.find(Path(place.source.location), "source", place.source.fingerprint) is not None


def _sampled(order: Order, place: Place, checkpoint: Checkpoint) -> bool:
    samples = artifacts.find(place.of("sample"), "samples")
    asked = order.config.eval
    return samples is not None and _has(
        samples.fields,
        count=asked.sample_count,
        seed=asked.seed,
        format=asked.sample_format,
        condition=asked.sample_condition or None,
        images_seen=checkpoint.images_seen,
    )


def _evaluated(order: Order, place: Place, checkpoint: Checkpoint) -> bool:
    trained = checkpoints.load_manifest(checkpoint).digest
    digest = scores_digest(order.config.eval, trained, place.dataset_digest)
    return artifacts.find(place.of("evaluate"), "scores", digest) is not None


def _reported(order: Order, place: Place) -> bool:
    """Say whether the report was written from what the run consists of now; its manifest lists its inputs."""
    saved = lineage.read_run(place.run_dir)
    page = artifacts.find(place.of("report"), "report")
    if page is None or saved is None or saved["config"] != order.config.to_json():
        return False
    inputs = page.fields.get("inputs", {})
    files = {name: _sha256(place.run_dir, name) for name in inputs.get("files", {})}
    parts = {kind: artifacts.find(place.run_dir / kind, kind) for kind in ("samples", "scores")}
    digests = {kind: _digest(part) for kind, part in parts.items()}
    listed = inputs.get("parts", {})
    return files == inputs.get("files") and all(listed.get(kind) == digest for kind, digest in digests.items())


def _sha256(run_dir: Path, name: str) -> str | None:
    path = next((path for path in (run_dir / name, run_dir / "snapshots" / name) if path.is_file()), None)
    return artifacts.sha256_file(path) if path else None


def _digest(manifest: Manifest | None) -> str | None:
    return manifest.digest if manifest else None


def _has(fields: Any, **wanted: Any) -> bool:
    return all(fields.get(name) == value for name, value in wanted.items())
