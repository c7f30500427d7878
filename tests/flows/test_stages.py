from __future__ import annotations

import dataclasses
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from beam_jobs.sources import registry
from beam_jobs.sources.registry import Listed
from flows import runs
from flows.checks import check_inputs
from flows.console import finished_text
from flows.stages import STAGES, Order, StageResult, locate
from gan_core import artifacts, checkpoints, lineage
from gan_core.config import load_config
from gan_core.errors import ConfigError, Diverged, Interrupted
from gan_core.handoff import Checkpoint, DatasetManifest, Report, SampleSet, Scores
from gan_core.progress import ReportProgress, silent
from tests.flows.test_plan import publish

COMMAND = "faceloom {} smoke --data-root {} --set data.synthetic_count=16"
DATASET: dict[str, Any] = {
    "name": "synthetic",
    "resolution": 32,
    "channels": 3,
    "splits": {"train": [{"name": "train-0", "count": 16, "sha256": "0"}]},
    "rejects": {"corrupt": 2},
    "statistics": {},
    "protocol": {},
    "normalization": {},
    "source": {"counts": {"train": 12, "test": 4}},
    "created_by": {},
}


indexed: list[Path] = []  # the data roots whose page over all runs was written


@pytest.fixture
def order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Order:
    """An order whose stages call stand-ins for the drawing, Beam and TensorFlow."""
    asked = Order(config=load_config("smoke", ["data.synthetic_count=16"]), data_root=tmp_path, attempt=2)
    monkeypatch.setattr(registry, "fetch", stand_in_fetch)
    for name, function in {
        "beam_jobs.preprocess": stand_in_prepare,
        "gan_core.training": stand_in_train,
        "gan_core.sampling": stand_in_sample,
        "gan_core.evaluation.evaluate": stand_in_evaluate,
        "gan_core.report": stand_in_report,
    }.items():
        module = ModuleType(name)
        setattr(module, function.__name__.removeprefix("stand_in_").replace("report", "write_report"), function)
        package, _, attribute = name.rpartition(".")
        monkeypatch.setitem(sys.modules, name, module)
        monkeypatch.setattr(importlib.import_module(package), attribute, module, raising=False)
    monkeypatch.setattr(sys.modules["gan_core.report"], "write_index", lambda root: indexed.append(root), raising=False)
    indexed.clear()
    return asked


def once(folder: Path, kind: str, fields: dict[str, Any]) -> None:
    """Publish unless it is there: the caching that each stage's own function does."""
    if artifacts.find(folder, kind) is None:
        publish(folder, kind, "a" * 64, fields, data="data")


def stand_in_fetch(listed: Listed, config: Any, report: ReportProgress) -> Listed:
    """Draw nothing, but leave a source."""
    once(Path(listed.summary.location), "source", {})
    return listed


def stand_in_prepare(config: Any, data_root: Path, *, listed: Listed, **_: Any) -> DatasetManifest:
    """Publish a data set without records."""
    place = locate(Order(config=load_config("smoke", ["data.synthetic_count=16"]), data_root=data_root))
    if artifacts.find(place.dataset, "dataset") is None:
        publish(place.dataset, "dataset", place.dataset_digest, DATASET)
    return DatasetManifest.load(place.dataset)


def stand_in_train(config: Any, dataset: DatasetManifest, run_dir: Path, report: ReportProgress) -> Checkpoint:
    """Publish the last checkpoint."""
    images = config.train.total_steps * config.train.batch_size
    folder = checkpoints.checkpoint_folder(run_dir, images)
    once(folder, "checkpoint", {"images_seen": images})
    return Checkpoint(run_dir, images, folder)


def stand_in_early_end(config: Any, dataset: DatasetManifest, run_dir: Path, report: ReportProgress) -> Checkpoint:
    """Publish a best checkpoint and one where patience ended."""
    reason = "stopped early at 0.64 of 2 kimg: no better"
    progress = {"best": {"images": 32, "swd": 9.0, "n": 32}, "stopped_early": reason}
    folders = [checkpoints.checkpoint_folder(run_dir, images) for images in (32, 640)]
    for folder in folders:
        once(folder, "checkpoint", {"images_seen": int(folder.name), "progress": progress})
    return Checkpoint(run_dir, 640, folders[-1])


def stand_in_sample(config: Any, checkpoint: Checkpoint, report: ReportProgress) -> SampleSet:
    """Publish samples."""
    once(checkpoint.run_dir / "samples", "samples", {})
    return SampleSet(checkpoint.run_dir / "samples", 64, 0, checkpoint)


def stand_in_evaluate(config: Any, checkpoint: Checkpoint, dataset: Any, report: ReportProgress) -> Scores:
    """Publish scores."""
    once(checkpoint.run_dir / "scores", "scores", {})
    return Scores(checkpoint.run_dir / "scores", {"swd": {"value": 1.0}}, {"generated_count": 48})


def stand_in_report(run_dir: Path, dataset: DatasetManifest) -> Report:
    """Publish a page."""
    once(run_dir / "report", "report", {})
    return Report(run_dir / "report" / "index.html")


def run_all(order: Order) -> list[StageResult]:
    """Run the six stages in order."""
    return [stage(order, silent) for stage in STAGES.values()]


def test_each_stage_finds_its_inputs_and_notes_itself(order: Order) -> None:
    """From folder to folder, each stage publishes where `locate` says, and adds its line to stages.jsonl."""
    place, results = locate(order), run_all(order)
    assert [(result.stage, result.outcome) for result in results] == [(name, "done") for name in STAGES]
    assert {result.run_dir for result in results} == {str(place.run_dir)}
    assert [Path(result.path).is_relative_to(place.of(result.stage)) for result in results] == [True] * 6
    lines = lineage.read_stages(place.run_dir)
    assert [(line["stage"], line["outcome"], line["attempt"]) for line in lines] == [
        (name, "done", 2) for name in STAGES
    ]
    assert set(lines[0]) == {"stage", "seconds", "started", "outcome", "attempt", "peak_memory_mib"}
    images = [16, 2016, 64, 48]
    assert [line.get("images") for line in lines] == [None, *images, None]
    saved = lineage.read_run(place.run_dir)
    assert saved is not None
    assert (saved["config"], saved["digest"]) == (order.config.to_json(), place.run_digest)
    assert saved["dataset"] == {"digest": place.dataset_digest, "path": str(place.dataset)}
    assert saved["created_by"] == lineage.versions()
    assert indexed == [order.data_root]


def test_a_run_that_begins_with_anothers_weights_is_another_run(order: Order, tmp_path: Path) -> None:
    """Its digest and its config.json name the checkpoint; a newer one in the same place makes a new run."""
    source = tmp_path / "other"
    asked = dataclasses.replace(
        order, config=load_config("smoke", ["data.synthetic_count=16", f"train.transfer={source}"])
    )
    with pytest.raises(ConfigError, match=r"train.transfer: .*other is neither a checkpoint nor the folder of a run"):
        locate(asked)
    publish(checkpoints.checkpoint_folder(source, 8), "checkpoint", "c" * 64, {"images_seen": 8}, state_npz="weights")
    place = locate(asked)
    assert place.run_dir != locate(order).run_dir
    STAGES["ingest"](asked, silent)
    saved = lineage.read_run(place.run_dir)
    assert saved is not None
    assert saved["transfer"] == {"digest": "c" * 64, "path": str(source)}
    publish(checkpoints.checkpoint_folder(source, 16), "checkpoint", "e" * 64, {"images_seen": 16}, state_npz="more")
    assert locate(asked).run_dir not in (place.run_dir, locate(order).run_dir)
    fixed = f"train.transfer={checkpoints.checkpoint_folder(source, 8)}"
    named = dataclasses.replace(order, config=load_config("smoke", ["data.synthetic_count=16", fixed]))
    assert locate(named).run_digest == place.run_digest


def test_a_class_that_a_run_has_not_is_said_before_sampling(order: Order) -> None:
    """`sample` looks into the checkpoint's manifest first."""
    run_all(order)
    asked = dataclasses.replace(
        order, config=load_config("smoke", ["data.synthetic_count=16", "eval.sample_class=dog"])
    )
    with pytest.raises(ConfigError, match="--class dog: this run is unconditional"):
        check_inputs("sample", asked)


def test_the_second_time_everything_is_already_done(order: Order) -> None:
    """What published nothing new counts as already done, and the work that is missing does not."""
    run_all(order)
    assert [result.outcome for result in run_all(order)] == ["already done"] * 6
    assert [line for line in lineage.read_stages(locate(order).run_dir)[6:] if "images" in line] == []
    artifacts.discard(locate(order).of("evaluate"))
    assert [result.outcome for result in run_all(order)] == ["already done"] * 4 + ["done", "already done"]


@pytest.mark.parametrize("name", ["train", "evaluate", "report"])
def test_a_missing_data_set_names_the_command_that_makes_it(name: str, order: Order) -> None:
    """Without the data set: one sentence with the folder and the command, and no run folder."""
    place = locate(order)
    with pytest.raises(ConfigError) as caught:
        STAGES[name](order, silent)
    command = COMMAND.format("prepare", order.data_root)
    missing = f"there is no dataset at {place.dataset}: manifest.json is missing"
    assert str(caught.value) == f"{missing}; make it with: {command}"
    assert not place.run_dir.exists()


def test_a_missing_training_names_the_command_that_makes_it(order: Order) -> None:
    """Sampling needs a finished training."""
    with pytest.raises(ConfigError) as caught:
        STAGES["sample"](order, silent)
    command = COMMAND.format("train", order.data_root)
    assert str(caught.value) == f"there is no finished training at {locate(order).run_dir}; make it with: {command}"


def test_a_failed_stage_is_noted_as_such(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that raises leaves a line with the outcome `failed`."""
    for name in ("ingest", "prepare"):
        STAGES[name](order, silent)

    def diverge(*_: Any) -> Checkpoint:
        raise Diverged("not a number")

    monkeypatch.setattr(sys.modules["gan_core.training"], "train", diverge)
    with pytest.raises(Diverged):
        STAGES["train"](order, silent)
    last = lineage.read_stages(locate(order).run_dir)[-1]
    assert (last["stage"], last["outcome"]) == ("train", "failed")


def test_an_interrupted_training_notes_what_it_has_shown(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each execution counts from the checkpoint that it begins with to the newest that it leaves."""
    for name in ("ingest", "prepare"):
        STAGES[name](order, silent)

    def interrupt(config: Any, dataset: Any, run_dir: Path, report: ReportProgress) -> Checkpoint:
        once(checkpoints.checkpoint_folder(run_dir, 640), "checkpoint", {"images_seen": 640})
        raise Interrupted("SIGTERM at 0.64 kimg")

    with monkeypatch.context() as context, pytest.raises(Interrupted):
        context.setattr(sys.modules["gan_core.training"], "train", interrupt)
        STAGES["train"](order, silent)
    STAGES["train"](order, silent)
    lines = lineage.read_stages(locate(order).run_dir)[2:]
    assert [(line["outcome"], line["images"]) for line in lines] == [("interrupted", 640), ("done", 2016 - 640)]


@pytest.mark.parametrize(("wanted", "sampled"), [("last", 640), ("best", 32)])
def test_training_that_stopped_early_goes_on_to_samples(
    order: Order, monkeypatch: pytest.MonkeyPatch, wanted: str, sampled: int
) -> None:
    """It counts as finished, also the second time; log, lineage and list of runs say why; the config picks which."""
    reason = "stopped early at 0.64 of 2 kimg: no better"
    settings = ["data.synthetic_count=16", "train.patience_kimg=0.1", f"eval.checkpoint={wanted}"]
    order = dataclasses.replace(order, config=load_config("smoke", settings))
    place, asked = locate(order), []
    monkeypatch.setattr(sys.modules["gan_core.training"], "train", stand_in_early_end)

    def sample(config: Any, checkpoint: Checkpoint, report: ReportProgress) -> SampleSet:
        asked.append(checkpoint.images_seen)
        return stand_in_sample(config, checkpoint, report)

    monkeypatch.setattr(sys.modules["gan_core.sampling"], "sample", sample)
    first, second = run_all(order), run_all(order)
    assert [result.outcome for result in second] == ["already done"] * 6
    assert asked == [sampled, sampled]
    assert [result.summary for result in (first[2], second[2])] == [{"images_seen": 640, "note": reason}] * 2
    assert finished_text(first[2], 1.0).endswith(f"/checkpoints/000000000640; {reason}")
    notes = [(line["stage"], line["note"]) for line in lineage.read_stages(place.run_dir) if "note" in line]
    assert notes == [("train", reason)] * 2
    artifacts.discard(place.of("evaluate"))  # the stand-in's scores have no values to list
    found = runs.describe(place.run_dir)
    assert (found["state"], found["images_seen"], found["stopped_early"]) == ("reported", 640, reason)
