"""The two stages that only a retraining has: judge, and promote or reject."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from flows.stages import Order, Stage, StageResult, checkpoint_of, dataset_of, locate
from gan_core import lineage
from gan_core.artifacts import Manifest
from gan_core.gate.judge import judge as decide
from gan_core.lineage import ALREADY_DONE
from gan_core.paths import local_root
from gan_core.progress import ReportProgress, silent
from gan_core.registry import Registry, Version

WHO = "faceloom retrain"


def judge(order: Order, report_progress: ReportProgress) -> StageResult:
    """Measure candidate and blessed model under one protocol, and decide."""
    place = locate(order)
    with lineage.recorded("judge", order.attempt, place.run_dir) as entry:
        decision = _decision(order, report_progress)
        entry.note = str(decision.fields["summary"])
    summary = {name: decision.fields[name] for name in ("promote", "summary", "reasons")}
    return _result(entry, str(decision.path), summary)


def promote(order: Order, report_progress: ReportProgress) -> StageResult:
    """Register the candidate, and bless it if the gate says so; a version that was decided on stays as it is.

    The question is asked again: where another model was blessed since `judge`, the answer is about that one.
    """
    place = locate(order)
    dataset, checkpoint = dataset_of(order, place), checkpoint_of(order, place)
    with lineage.recorded("promote", order.attempt, place.run_dir) as entry:
        registry = Registry(order.data_root, order.config.preset)
        known = {version.checkpoint_digest: version for version in registry.versions()}
        candidate = known.get(_digest(order))
        if candidate is not None and is_decided(registry, candidate.number):
            entry.outcome = ALREADY_DONE
            decision: Mapping[str, object] = _decision_of(registry, candidate)
        else:
            decision = _decision(order, report_progress).fields
            candidate = registry.register(place.run_dir, checkpoint, dataset, decision, _pictures(order))
            why = str(decision["summary"])
            if decision["promote"]:
                registry.promote(candidate.number, WHO, why)
            else:
                registry.reject(candidate.number, WHO, why)
        entry.note = candidate.name
    summary = {"version": candidate.number, "model": candidate.model, "decision": dict(decision)}
    return _result(entry, str(candidate.path), summary)


def _decision_of(registry: Registry, version: Version) -> Mapping[str, object]:
    """Return what was decided here about a version: what it was registered with, or the answer of a later try."""
    decision: Mapping[str, object] = version.decision or {}
    for line in registry.history():
        is_ours = line["version"] == version.number and line["who"] == WHO and line["event"] != "registered"
        if is_ours and line["why"] != decision.get("summary"):
            decision = {"promote": line["event"] == "promoted", "summary": line["why"], "reasons": []}
    return decision


def is_decided(registry: Registry, number: int) -> bool:
    """Return whether a version was promoted, rejected or rolled back to, by anybody."""
    return any(line["version"] == number and line["event"] != "registered" for line in registry.history())


GATE_STAGES: dict[str, Stage] = {"judge": judge, "promote": promote}


def _decision(order: Order, report_progress: ReportProgress = silent) -> Manifest:
    place = locate(order)
    blessed = Registry(order.data_root, order.config.preset).blessed()
    return decide(order.config, checkpoint_of(order, place), dataset_of(order, place), blessed, report_progress)


def _digest(order: Order) -> str:
    from gan_core.checkpoints import load_manifest

    return load_manifest(checkpoint_of(order, locate(order))).digest


def _pictures(order: Order) -> npt.NDArray[np.uint64] | None:
    """Return one number a picture where the source is what was trained on; None where it changed, or faceloom draws."""
    from beam_jobs.sources.registry import look

    listed = look(order.config.data, local_root(order.data_root))
    if listed.names is None or order.source is None or listed.summary.fingerprint != order.source.fingerprint:
        return None
    return listed.names.line_hashes()


def _result(entry: lineage.StageEntry, path: str, summary: dict[str, object]) -> StageResult:
    return StageResult(
        stage=entry.stage, outcome=entry.outcome, path=path, run_dir=str(entry.run_dir or ""), summary=summary
    )
