"""What happened, as Prefect events: for automations and notifications of the users' own.

An event is told by the process that runs the flow, once the stage's child has answered. Prefect sends it in a thread: a
server that is away loses it and fails nothing. The flow run, its task run and its deployment are added by Prefect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.events import emit_event

from flows.stages import Order, StageResult
from gan_core.handoff import slug
from gan_core.lineage import DONE

DATASET_PUBLISHED = "faceloom.dataset.published"
RUN_FINISHED = "faceloom.run.finished"
MODEL_REGISTERED = "faceloom.model.registered"
MODEL_PROMOTED = "faceloom.model.promoted"
MODEL_REJECTED = "faceloom.model.rejected"
RETRAIN_SKIPPED = "faceloom.retrain.skipped"

_OF_A_SCORE = ("value", "error", "unit", "better")


def dataset_published(order: Order, prepared: StageResult) -> None:
    """Tell of a data set, unless it had been there already."""
    if prepared.outcome != DONE:
        return
    digest = str(prepared.summary["digest"])
    payload = {
        "preset": order.config.preset,
        "digest": digest,
        "path": prepared.path,
        "images": dict(prepared.summary["images"]),
        "rejects": dict(prepared.summary["rejects"]),
    }
    _emit(DATASET_PUBLISHED, f"faceloom.dataset.{digest}", Path(prepared.path).name, payload)


def run_finished(order: Order, results: Sequence[StageResult]) -> None:
    """Tell of a run that has its report, unless every stage had been done already."""
    done = [result.stage for result in results if result.outcome == DONE]
    if not done:
        return
    by_stage = {result.stage: result for result in results}
    run_dir = Path(by_stage["report"].run_dir)
    payload = {
        "preset": order.config.preset,
        "run_dir": str(run_dir),
        "report": by_stage["report"].path,
        "done": done,
        "scores": _scores(by_stage["evaluate"].summary["scores"]),
    }
    _emit(RUN_FINISHED, f"faceloom.run.{run_dir.name}", run_dir.name, payload)


def model_decided(order: Order, promoted: StageResult) -> None:
    """Tell of a version that was registered, and what the gate made of it; unless that had been decided already."""
    if promoted.outcome != DONE:
        return
    summary, run = promoted.summary, Path(promoted.run_dir).name
    decision = summary["decision"]
    payload = {
        "model": summary["model"],
        "version": summary["version"],
        "path": promoted.path,
        "run": run,
        "decision": {"promote": decision["promote"], "summary": decision["summary"]},
    }
    verdict = MODEL_PROMOTED if decision["promote"] else MODEL_REJECTED
    for event in (MODEL_REGISTERED, verdict):
        _emit(event, _model(order), f"{summary['model']} v{summary['version']}", payload, run=run)


def retrain_skipped(order: Order, reason: str) -> None:
    """Tell that a retraining had nothing to do, and why."""
    preset = order.config.preset
    _emit(RETRAIN_SKIPPED, _model(order), preset, {"preset": preset, "reason": reason})


def _emit(event: str, resource: str, name: str, payload: dict[str, Any], run: str = "") -> None:
    """Emit an event; `run` is the name of the run that it is about besides."""
    related = [{"prefect.resource.id": f"faceloom.run.{run}", "prefect.resource.role": "run"}] if run else []
    labels = {"prefect.resource.id": resource, "prefect.resource.name": name}
    emit_event(event, resource=labels, related=related, payload=payload)


def _model(order: Order) -> str:
    return f"faceloom.model.{slug(order.config.preset)}"


def _scores(scores: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: {key: facts.get(key) for key in _OF_A_SCORE} for name, facts in scores.items()}
