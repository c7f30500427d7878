"""The stage `judge`: candidate and blessed model under one protocol, and the decision published beside the run."""

from __future__ import annotations

from typing import Any

from gan_core import artifacts
from gan_core.artifacts import Manifest, digest_of
from gan_core.checkpoints import load_manifest
from gan_core.config import RunConfig, content
from gan_core.errors import ArtifactError, DataError
from gan_core.gate import decision
from gan_core.gate.decision import Check
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.progress import ReportProgress, silent
from gan_core.registry import Version

KIND = "decision"
_FORMAT = 1
TEST_PICTURES = 64  # fewer in split `test` say too little, and `train` is compared with instead


def judge(
    config: RunConfig,
    checkpoint: Checkpoint,
    dataset: DatasetManifest,
    blessed: Version | None,
    report_progress: ReportProgress = silent,
) -> Manifest:
    """Publish `run_dir/decision/` and return its manifest; at once where the same question was answered before.

    Both models draw from the same seeds and are compared with the same real pictures of the candidate's data set:
    its held-out split `test` where that has TEST_PICTURES, else `train`. The manifest has promote, summary, reasons,
    measure, candidate, blessed (None where nothing is) and protocol.

    Raises:
        ArtifactError: the scores of the candidate are missing.
    """
    candidate = load_manifest(checkpoint)
    asked = {
        "format": _FORMAT,
        "candidate": candidate.digest,
        "blessed": None if blessed is None else blessed.checkpoint_digest,
        "dataset": dataset.digest,
        "retrain": {name: getattr(config.retrain, name) for name in ("measure", "min_gain_errors", "max_memorised")},
        "max_collapse": config.retrain.max_collapse,
        "eval": content(config.eval),
    }
    folder, digest = checkpoint.run_dir / "decision", digest_of(asked)
    found = artifacts.find(folder, KIND, digest)
    if found is None:
        fields = _fields(config, checkpoint, dataset, blessed, report_progress)
        with artifacts.publishing(folder) as draft:
            if artifacts.find(folder, KIND, digest) is None:  # else from a process that this one had to wait for
                artifacts.write_manifest(draft, KIND, digest, fields)
        found = artifacts.read_manifest(folder, KIND)
    return found


def _fields(
    config: RunConfig,
    checkpoint: Checkpoint,
    dataset: DatasetManifest,
    blessed: Version | None,
    report_progress: ReportProgress,
) -> dict[str, Any]:
    measured = artifacts.find(checkpoint.run_dir / "scores", "scores")
    own = load_manifest(checkpoint).digest
    if measured is None or measured.fields["protocol"].get("checkpoint_digest") != own:
        raise ArtifactError(
            f"{checkpoint.run_dir / 'scores'} is missing, damaged, or of another checkpoint; evaluate again"
        )
    files = _files(checkpoint)
    compared, sides = (
        (None, {}) if blessed is None else _compared(config, checkpoint, dataset, blessed, report_progress)
    )
    fields = decision.decide(config.retrain, measured.fields["values"], files, compared)
    return fields | {
        "measure": sides.get("measure", ""),
        "candidate": {"checkpoint": own, "run": checkpoint.run_dir.name, **sides.get("candidate", {})},
        "blessed": None if blessed is None else {"version": blessed.number, **sides.get("blessed", {})},
        "protocol": sides.get("protocol", {}),
    }


def _files(checkpoint: Checkpoint) -> Check:
    try:
        for folder, kind in (
            (checkpoint.path, "checkpoint"),
            (checkpoint.run_dir / "samples", "samples"),
            (checkpoint.run_dir / "scores", "scores"),
        ):
            artifacts.verify(artifacts.read_manifest(folder, kind))
    except ArtifactError as error:
        return Check("files", False, str(error))
    return Check("files", True, "every file of checkpoint, samples and scores verifies")


def _compared(
    config: RunConfig,
    checkpoint: Checkpoint,
    dataset: DatasetManifest,
    blessed: Version,
    report_progress: ReportProgress,
) -> tuple[Check, dict[str, Any]]:
    """Return the comparison, and both scores with their protocol."""
    data = blessed.config["data"]
    if (data["resolution"], data["channels"]) != (dataset.resolution, dataset.channels):
        text = (
            f"{blessed.name} draws {data['resolution']}x{data['resolution']}x{data['channels']}, the candidate "
            f"{dataset.resolution}x{dataset.resolution}x{dataset.channels}: no score compares them; look at both, and "
            "decide with faceloom models promote"
        )
        return Check("comparable", False, text), {}
    try:
        blessed.verify()
    except ArtifactError as error:
        return Check("comparable", False, f"the blessed one cannot be measured: {error}"), {}
    from gan_core.evaluation.evaluate import measured_on

    split = "test" if dataset.count("test") >= TEST_PICTURES else "train"
    only = config.retrain.measure
    try:
        mine = measured_on(config.eval, checkpoint, dataset, split, only, report_progress)
        its = measured_on(config.eval, blessed.checkpoint, dataset, split, only, report_progress)
    except DataError as error:
        return Check("comparable", False, str(error)), {}
    (name, candidate), (_, of_blessed) = mine, its
    if candidate["fingerprint"] != of_blessed["fingerprint"]:
        return Check("comparable", False, f"{name} was measured by two protocols"), {}
    told = ("title", "value", "error", "floor", "floor_error", "unit", "better", "fingerprint")
    sides = {
        "measure": name,
        "candidate": {key: candidate[key] for key in told if key in candidate},
        "blessed": {key: of_blessed[key] for key in told if key in of_blessed},
        "protocol": candidate["protocol"],
    }
    check = decision.better(name, candidate, of_blessed, config.retrain.min_gain_errors)
    where = "held-out pictures" if split == "test" else "training pictures: the data set has too few for testing"
    return Check(check.check, check.passed, f"{check.text} ({where})"), sides
