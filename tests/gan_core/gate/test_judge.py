"""The stage `judge` with two real generators, real pictures and the real measures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_core import artifacts
from gan_core.artifacts import Manifest
from gan_core.checkpoints import save_checkpoint
from gan_core.config import DataConfig, EvalConfig, ModelConfig, RetrainConfig, RunConfig, TrainConfig
from gan_core.evaluation.evaluate import evaluate
from gan_core.gan import Gan
from gan_core.gate.judge import TEST_PICTURES, judge
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.registry import Registry
from gan_core.sampling import sample
from tests import datasets

CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=32),
    model=ModelConfig(base_channels=4, latent_size=8),
    train=TrainConfig(batch_size=4),
    eval=EvalConfig(sample_count=8, score_count=64, seed=5),
    retrain=RetrainConfig(max_memorised=1.0, max_collapse=1.0),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the finished runs `grey` and `black`: what an untrained generator draws, and nothing at all."""
    root = tmp_path_factory.mktemp("root")
    dataset = pictures(root)
    grey, black = Gan(CONFIG), Gan(CONFIG)
    last = black.averaged.get_layer("up32")
    last.set_weights([*last.get_weights()[:-1], np.full(3, -100.0, np.float32)])
    for name, gan in (("grey", grey), ("black", black)):
        run_dir = root / "runs" / name
        run_dir.mkdir(parents=True)
        checkpoint = save_checkpoint(run_dir, CONFIG, 4, gan.state(), {})
        sample(CONFIG, checkpoint)
        evaluate(CONFIG, checkpoint, dataset)
    return root


def pictures(root: Path) -> DatasetManifest:
    """Return the data set, whose split `test` is large enough to compare on."""
    folder = root / "datasets" / "tiny"
    if folder.exists():
        return DatasetManifest.load(folder)
    return datasets.make_dataset(folder, count=TEST_PICTURES, splits=("train", "validation", "test"))


def checkpoint(root: Path, name: str) -> Checkpoint:
    """Return the checkpoint of a run."""
    run_dir = root / "runs" / name
    return Checkpoint(run_dir, 4, next((run_dir / "checkpoints").glob("[!.]*")))


def judged(root: Path, name: str, blessed: str, config: RunConfig = CONFIG) -> Manifest:
    """Judge a run against another, registered and blessed in a registry of its own; "" against none."""
    version = None
    if blessed:
        book = Registry(root, f"model-{blessed}")
        version = book.register(root / "runs" / blessed, checkpoint(root, blessed), pictures(root))
        book.promote(version.number, "me", "test")
    return judge(config, checkpoint(root, name), pictures(root), version)


def outcomes(decision: Manifest) -> dict[str, bool]:
    """Return the checks by name."""
    return {reason["check"]: reason["passed"] for reason in decision.fields["reasons"]}


def test_the_first_model_needs_no_other(root: Path) -> None:
    """Where nothing is blessed, files, memorisation and collapse decide."""
    decision = judged(root, "grey", "")
    assert outcomes(decision) == {"files": True, "memorisation": True, "collapse": True}
    assert (decision.fields["promote"], decision.fields["blessed"]) == (True, None)


def test_what_is_better_by_more_than_noise_is_promoted(root: Path) -> None:
    """Grey against black, on the held-out pictures; both scores, and the protocol, are in the decision."""
    decision = judged(root, "grey", "black")
    assert decision.fields["promote"] is True, decision.fields["summary"]
    assert outcomes(decision) == {"files": True, "memorisation": True, "collapse": True, "better": True}
    mine, its = decision.fields["candidate"], decision.fields["blessed"]
    assert mine["value"] + 2 * np.hypot(mine["error"], its["error"]) < its["value"]
    assert mine["fingerprint"] == its["fingerprint"]
    assert decision.fields["protocol"]["split"] == "test"
    assert decision.fields["summary"].endswith("(held-out pictures)")


@pytest.mark.parametrize(("name", "blessed"), [("black", "grey"), ("grey", "grey")])
def test_what_is_worse_or_equal_is_not(name: str, blessed: str, root: Path) -> None:
    """Black against grey; and a model against itself, which is no gain at all."""
    decision = judged(root, name, blessed)
    assert decision.fields["promote"] is False
    assert outcomes(decision)["better"] is False


def test_the_same_question_is_answered_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry measures nothing again; other limits are another question."""
    first = judged(root, "grey", "black")
    with monkeypatch.context() as patch:
        patch.setattr("gan_core.evaluation.evaluate.measured_on", None)
        assert judged(root, "grey", "black").digest == first.digest
    strict = replace(CONFIG, retrain=replace(CONFIG.retrain, max_collapse=0.0))
    assert judged(root, "grey", "black", strict).fields["promote"] is False


def test_a_damaged_blessed_one_is_said_not_beaten(root: Path) -> None:
    """It cannot be measured, so nothing is promoted over it by itself."""
    book = Registry(root, "damaged")
    version = book.register(root / "runs" / "black", checkpoint(root, "black"), pictures(root))
    book.promote(version.number, "me", "test")
    state = version.checkpoint.path / "state.npz"
    state.unlink()  # it is the run's file too
    state.write_bytes(b"no arrays")
    decision = judge(CONFIG, checkpoint(root, "grey"), pictures(root), version)
    assert decision.fields["promote"] is False
    (text,) = (reason["text"] for reason in decision.fields["reasons"] if reason["check"] == "comparable")
    assert text.startswith("the blessed one cannot be measured: ")


def test_a_candidate_with_a_damaged_file_fails(root: Path) -> None:
    """A sample whose bytes changed after it was published stands in the way of everything."""
    picture: Any = next((root / "runs" / "black" / "samples").rglob("seed0000000[5-9].png"))
    kept = picture.read_bytes()
    picture.write_bytes(kept[:-1])
    try:
        decision = judged(root, "black", "", replace(CONFIG, retrain=replace(CONFIG.retrain, max_collapse=0.9)))
    finally:
        picture.write_bytes(kept)
    assert decision.fields["promote"] is False
    assert outcomes(decision)["files"] is False


def test_another_size_is_not_comparable(root: Path) -> None:
    """The reason says what to do; nothing is measured."""
    book = Registry(root, "model-black")
    version = book.register(root / "runs" / "black", checkpoint(root, "black"), pictures(root))
    larger = replace(version, config={**version.config, "data": {**version.config["data"], "resolution": 64}})
    decision = judge(CONFIG, checkpoint(root, "grey"), pictures(root), replace(larger, checkpoint_digest="0" * 64))
    (text,) = (reason["text"] for reason in decision.fields["reasons"] if reason["check"] == "comparable")
    assert text.endswith("no score compares them; look at both, and decide with faceloom models promote")
    assert artifacts.find(root / "runs" / "grey" / "decision", "decision") is not None
