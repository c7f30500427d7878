from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from flows import terminal
from flows.cli import cli
from flows.plan import make_plan
from flows.stages import STAGES, Order, Place, locate
from gan_core import artifacts, checkpoints, lineage
from gan_core.config import load_config
from gan_core.handoff import scores_digest

SCORE = {"value": 168.8, "floor": 40.7, "unit": "SWD x1000", "better": "lower"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def order(*settings: str) -> Order:
    """Return the order of a run without any picture to draw."""
    return Order(config=load_config("smoke", ["data.synthetic_count=16", *settings]), data_root=Path("data"))


def publish(folder: Path, kind: str, digest: str, fields: dict[str, Any], **files: str) -> None:
    """Publish a folder as its stage would."""
    with artifacts.publishing(folder) as draft:
        for name, text in files.items():
            (draft / name.replace("_", ".")).write_text(text)
        artifacts.write_manifest(draft, kind, digest, fields)


def finish(asked: Order) -> Place:
    """Publish what all six stages of an order would."""
    config, place = asked.config, locate(asked)
    lineage.start_run(place.run_dir, config, place.run_digest, place.dataset_digest, place.dataset)
    publish(Path(place.source.location), "source", place.source.fingerprint, {})
    publish(place.dataset, "dataset", place.dataset_digest, {})
    images = config.train.total_steps * config.train.batch_size
    folder = checkpoints.checkpoint_folder(place.run_dir, images)
    publish(folder, "checkpoint", "c" * 64, {"images_seen": images}, state_npz="weights")
    asked_for = {"count": config.eval.sample_count, "seed": 0, "format": "png", "images_seen": images}
    publish(place.of("sample"), "samples", "a" * 64, asked_for, grid_png="grid")
    (place.run_dir / "training.gif").write_bytes(b"film")
    scores = scores_digest(config.eval, "c" * 64, place.dataset_digest)
    publish(place.of("evaluate"), "scores", scores, {"values": {"swd": SCORE}, "protocol": {}})
    inputs = {
        "files": {"config.json": artifacts.sha256_file(place.run_dir / "config.json")},
        "parts": {"samples": "a" * 64, "scores": scores, "checkpoint": "c" * 64},
    }
    publish(place.of("report"), "report", "d" * 64, {"inputs": inputs}, index_html="page")
    return place


def left(asked: Order) -> list[str]:
    """Return the stages that would run."""
    return [stage.stage for stage in make_plan(asked).stages if stage.state == "would run"]


def test_without_anything_all_stages_would_run() -> None:
    """An empty data root has nothing done."""
    assert left(order()) == list(STAGES)


def test_a_finished_run_has_nothing_left() -> None:
    """Published and verified results of all stages leave nothing to do."""
    finish(order())
    assert left(order()) == []


@pytest.mark.parametrize(
    ("stage", "name", "remaining"),
    [
        ("prepare", "manifest.json", ["prepare", "train", "sample", "evaluate", "report"]),
        ("sample", "grid.png", ["sample", "report"]),
        ("evaluate", "manifest.json", ["evaluate", "report"]),
        ("report", "index.html", ["report"]),
    ],
)
def test_a_missing_file_brings_its_stage_back(stage: str, name: str, remaining: list[str]) -> None:
    """Where a published file is gone, the stage and what hangs on it would run again."""
    place = finish(order())
    (place.of(stage) / name).unlink()
    assert left(order()) == remaining


def test_a_damaged_checkpoint_brings_the_training_back() -> None:
    """A checkpoint whose bytes changed is no finished training."""
    place = finish(order())
    (state,) = place.of("train").glob("*/state.npz")
    state.write_text("weighty")
    assert left(order()) == ["train", "sample", "evaluate", "report"]


@pytest.mark.parametrize(
    ("setting", "remaining"),
    [
        ("eval.sample_count=65", ["sample", "report"]),
        ("eval.score_count=65", ["evaluate", "report"]),
        ("eval.resizing=clean", ["evaluate", "report"]),
        ("train.checkpoint_every_kimg=1", ["report"]),
    ],
)
def test_a_changed_setting_repeats_only_what_it_changes(setting: str, remaining: list[str]) -> None:
    """Settings of the same run that do not touch the weights keep the training."""
    finish(order())
    assert left(order(setting)) == remaining


def test_a_second_run_says_that_nothing_is_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """`faceloom run` on a finished run needs no Prefect: it says so, and where report, pictures and scores are."""
    place = finish(order())
    arguments = ["run", "smoke", "--set", "data.synthetic_count=16"]
    assert terminal.run(cli, arguments) == 0
    assert tuple(capsys.readouterr()) == (
        "nothing to do: every stage is already done\n"
        f"report    {place.run_dir}/report/index.html\n"
        f"grid      {place.run_dir}/samples/grid.png\n"
        f"animation {place.run_dir}/training.gif\n"
        "swd       168.8 (real against real 40.7; SWD x1000, lower is better)\n",
        "",
    )
    assert terminal.run(cli, [*arguments, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["nothing_to_do"], document["scores"]) == (True, {"swd": SCORE})


def test_runs_lists_good_and_damaged_folders(capsys: pytest.CaptureFixture[str]) -> None:
    """`faceloom runs` reads states, progress and scores, and names what is damaged."""
    place = finish(order())
    with lineage.recorded("report", 1, place.run_dir):
        pass
    broken = place.run_dir.with_name("broken-000000000000")
    broken.mkdir()
    (broken / "config.json").write_text("{")
    foreign = place.run_dir.with_name("foreign-000000000000")
    foreign.mkdir()
    (foreign / "config.json").write_text('{"config": {"preset": "x", "train": {"speed": 3}}}')
    assert terminal.run(cli, ["runs", "--json"]) == 0
    runs = {run["name"]: run for run in json.loads(capsys.readouterr().out)}
    good = runs[place.run_dir.name]
    assert (good["state"], good["images_seen"], good["images_total"]) == ("reported", 2016, 2016)
    assert (good["scores"], good["problem"]) == ({"swd": 168.8}, "")
    assert runs[broken.name]["problem"] == "config.json is missing or damaged"
    assert runs[foreign.name]["state"] == "damaged"
    assert terminal.run(cli, ["runs"]) == 0
    assert "damaged: config.json is missing or damaged" in capsys.readouterr().out


def test_without_runs_the_command_for_one_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty data root is no error."""
    assert terminal.run(cli, ["runs"]) == 0
    assert capsys.readouterr().out == "no runs below data; make one with: faceloom run smoke --data-root data\n"


def test_a_finished_run_survives_another_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """config.json stays as it is, to the byte, while nothing changed; a change is written."""
    place = finish(order())
    path = place.run_dir / "config.json"
    before = path.stat()
    lineage.start_run(place.run_dir, order().config, place.run_digest, place.dataset_digest, place.dataset)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    changed = dataclasses.replace(order().config, eval=load_config("smoke", ["eval.sample_count=65"]).eval)
    lineage.start_run(place.run_dir, changed, place.run_digest, place.dataset_digest, place.dataset)
    assert json.loads(path.read_text())["config"]["eval"]["sample_count"] == 65


def test_samples_of_another_class_are_other_samples() -> None:
    """What was sampled without a choice of a class, or with another one, does not count as done."""
    finish(order())
    for setting in ("eval.sample_class=dog", "eval.sample_attributes=Smiling=1"):
        states = {stage.stage: stage.state for stage in make_plan(order(setting)).stages}
        assert (states["train"], states["sample"]) == ("already done", "would run")
    states = {stage.stage: stage.state for stage in make_plan(order()).stages}
    assert states["sample"] == "already done"
