"""The training loop: resume is resume, signals save, divergence is said."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gan_core.artifacts import locked
from gan_core.checkpoints import (
    finished_checkpoint,
    latest_checkpoint,
    load_manifest,
    load_normalization,
    load_state,
)
from gan_core.config import RunConfig, load_config
from gan_core.errors import ArtifactError, Diverged
from gan_core.grids import grid
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.normalization import Normalization
from gan_core.progress import Progress
from gan_core.records import read_records
from gan_core.sampling import generate
from gan_core.training import train
from tests.datasets import make_dataset
from tests.gan_core.train_process import SETTINGS

ROOT = Path(__file__).parents[2]
CONFIG = load_config("smoke", SETTINGS)
IMAGES = 240  # 30 steps of 8


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 36 small pictures."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=36)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, dataset: DatasetManifest) -> Path:
    """Train once, to the end, in a process of its own."""
    run_dir = tmp_path_factory.mktemp("uninterrupted")
    assert train_processes(run_dir, dataset, "never") == [[0, ""]]
    return run_dir


def train_processes(run_dir: Path, dataset: DatasetManifest, *moments: str) -> list[Any]:
    """Train in one process after the other, each dying at its moment; return [exit code, output] of each."""
    command = [sys.executable, "-m", "tests.gan_core.train_process", str(run_dir), str(dataset.path), *moments]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    results: list[Any] = json.loads(done.stdout)
    return results


def newest(run_dir: Path) -> Checkpoint:
    """Return the last checkpoint."""
    checkpoint = latest_checkpoint(run_dir)
    assert checkpoint is not None
    return checkpoint


def final_state(run_dir: Path) -> dict[str, np.ndarray]:
    """Return every array of the checkpoint at the end."""
    checkpoint = finished_checkpoint(run_dir, RunConfig.from_json(load_manifest(newest(run_dir)).fields["config"]))
    assert checkpoint is not None
    return load_state(checkpoint)


def lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log without the readings of clock and memory, which no two runs share."""
    own = {"seconds", "images_per_second", "memory_mib", "memory_peak_mib"}
    logged = [json.loads(line) for line in path.read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in own} for line in logged]


def assert_same_run(one: Path, other: Path) -> None:
    """Compare weights, logs and snapshots of two finished runs, bit for bit."""
    expected, found = final_state(one), final_state(other)
    assert expected.keys() == found.keys()
    assert [name for name in expected if not np.array_equal(expected[name], found[name])] == []
    assert lines(one / "metrics.jsonl") == lines(other / "metrics.jsonl")
    assert lines(one / "snapshot_scores.jsonl") == lines(other / "snapshot_scores.jsonl")
    pictures = [
        {path.name: path.read_bytes() for path in sorted((run / "snapshots").glob("*.png"))} for run in (one, other)
    ]
    assert pictures[0] == pictures[1]


def test_logs_are_complete(uninterrupted: Path) -> None:
    """A run logs every interval once, snapshots the start, every interval and the end, and keeps two checkpoints.

    The best snapshot has one beside them. Which that is, depends on the last bits of TensorFlow's kernels.
    """
    assert [line["images"] for line in lines(uninterrupted / "metrics.jsonl")] == [
        32,
        64,
        96,
        128,
        160,
        192,
        224,
        240,
    ]
    names = [path.name for path in sorted((uninterrupted / "snapshots").iterdir())]
    assert names == ["000000000000.png", "000000000080.png", "000000000160.png", "000000000240.png"]
    scores = lines(uninterrupted / "snapshot_scores.jsonl")
    assert [line["images"] for line in scores] == [0, 80, 160, 240]
    best = min(scores[1:], key=lambda line: line["swd"])["images"]
    kept = [int(path.name) for path in (uninterrupted / "checkpoints").glob("[0-9]*")]
    assert sorted(kept) == sorted({best, 192, 240})


def test_a_run_is_seen_in_pictures(uninterrupted: Path) -> None:
    """The film has a frame for each snapshot; TensorBoard has real pictures once, and histograms at each snapshot."""
    with Image.open(uninterrupted / "training.gif") as film:
        assert getattr(film, "n_frames", 1) == 4
    steps: dict[str, list[int]] = {}
    for path in (uninterrupted / "tensorboard").iterdir():
        for _, data in read_records(path):
            event = tf.compat.v1.Event.FromString(data)
            for value in event.summary.value:
                steps.setdefault(value.tag, []).append(event.step)
    assert (steps["real pictures"], steps["fixed latents"]) == ([0], [0, 80, 160, 240])
    assert steps["weights/generator/project/kernel"] == steps["gradients/generator/project/kernel"] == [0, 80, 160, 240]
    assert steps["gradient_norm_d"] == [32, 64, 96, 128, 160, 192, 224, 240]
    noted = json.loads((uninterrupted / "training.json").read_text())
    networks = json.loads((uninterrupted / "networks.json").read_text())
    assert {name: network["layers"][-1]["output"] for name, network in networks.items()} == {
        "generator": [32, 32, 3],
        "discriminator": [1],
    }
    assert (noted["device"], noted["precision"]) == ("CPU", "float32")


def test_killed_between_files_gives_the_same_bits(
    tmp_path: Path, dataset: DatasetManifest, uninterrupted: Path
) -> None:
    """SIGKILL before a checkpoint's rename and in a line of the log: same weights (test_kills.py has other moments).

    Each process is another one of the same run; the last is left alone. Steps a call and placement of the pictures
    change from process to process as well: neither is part of the result.
    """
    results = train_processes(
        tmp_path,
        dataset,
        "before the checkpoint's rename,train.steps_per_execution=3",
        "in a line of metrics,train.placement=stream",
        "never,train.placement=memory",
    )
    assert results == [[-signal.SIGKILL, ""]] * 2 + [[0, ""]]
    assert_same_run(uninterrupted, tmp_path)


def test_terminated_saves_and_continues(tmp_path: Path, dataset: DatasetManifest, uninterrupted: Path) -> None:
    """SIGTERM and Ctrl-C save after the step at hand, exit with 130 and one line, and change nothing of the result."""
    results = train_processes(tmp_path, dataset, "terminated,train.steps_per_execution=2", "interrupted", "never")
    saved = [tmp_path / "checkpoints" / name for name in ("000000000032", "000000000048")]
    continues = "and the same command continues there\n"
    assert results == [
        [130, f"SIGTERM at 0.032 kimg; the state is saved in {saved[0]} {continues}"],
        [130, f"SIGINT at 0.048 kimg; the state is saved in {saved[1]} {continues}"],
        [0, ""],
    ]
    assert_same_run(uninterrupted, tmp_path)


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, dataset: DatasetManifest, uninterrupted: Path) -> None:
    """Training goes on from the checkpoint before a damaged one, and ends in the same bits."""
    run_dir = tmp_path / "run"
    shutil.copytree(uninterrupted, run_dir)
    state = run_dir / "checkpoints" / "000000000240" / "state.npz"
    damaged = bytearray(state.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    state.write_bytes(damaged)
    warning = f"{state.parent} is damaged; going back to the checkpoint before it\n"
    assert train_processes(run_dir, dataset, "never") == [[0, warning]]
    assert_same_run(uninterrupted, run_dir)


def test_a_finished_run_is_left_alone(uninterrupted: Path, dataset: DatasetManifest) -> None:
    """Training again what is trained returns its checkpoint and touches nothing."""
    before = {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")}
    checkpoint = train(CONFIG, dataset, uninterrupted)
    assert checkpoint.images_seen == IMAGES
    assert {path: path.stat().st_mtime_ns for path in uninterrupted.rglob("*")} == before


def test_progress_is_reported(tmp_path: Path, dataset: DatasetManifest) -> None:
    """Every log line is reported as progress in images, with losses and rate beside it."""
    config = dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, total_kimg=0.064))
    reports: list[Progress] = []
    train(config, dataset, tmp_path, reports.append)
    assert [(report.stage, report.done, report.total, report.unit) for report in reports] == [
        ("train", 32, 64, "images"),
        ("train", 64, 64, "images"),
    ]
    assert list(reports[0].figures) == [
        "loss_g",
        "loss_d",
        "accuracy_real",
        "accuracy_fake",
        "gradient_norm_g",
        "gradient_norm_d",
        "images_per_second",
        "learning_rate_g",
        "learning_rate_d",
        "memory_mib",
        "memory_peak_mib",
    ]


@pytest.mark.parametrize(("normalize", "storage"), [("[0,1]", "png"), ("mean-deviation", "float32")])
def test_other_normalizations_train_resume_and_sample(tmp_path: Path, normalize: str, storage: str) -> None:
    """In two parts or in one, the weights are the same; the checkpoint alone samples what the snapshot shows."""
    tiny = make_dataset(tmp_path / "tiny", count=36, normalize=normalize, stored_as=storage)
    half, whole = (
        dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, total_kimg=kimg)) for kimg in (0.032, 0.064)
    )
    train(half, tiny, tmp_path / "parts")
    checkpoints = [train(whole, tiny, tmp_path / name) for name in ("parts", "one")]
    states = [load_state(checkpoint) for checkpoint in checkpoints]
    assert [name for name in states[0] if not np.array_equal(states[0][name], states[1][name])] == []
    assert load_normalization(checkpoints[1]) == Normalization.from_json(tiny.normalization)
    with Image.open(tmp_path / "one" / "snapshots" / "000000000064.png") as snapshot:
        np.testing.assert_array_equal(np.asarray(snapshot), np.asarray(grid(generate(checkpoints[1], range(64)), 8)))


def test_divergence_is_an_error_and_keeps_the_last_good_state(tmp_path: Path, dataset: DatasetManifest) -> None:
    """A loss that is not finite ends the run with Diverged; no checkpoint holds a number that is not finite."""
    wild = dataclasses.replace(
        CONFIG.train, learning_rate_g=1.0, learning_rate_d=1.0, beta1=0.0, beta2=0.0, total_kimg=4.0
    )
    config = dataclasses.replace(CONFIG, train=dataclasses.replace(wild, precision="mixed_float16"))
    with pytest.raises(Diverged, match=r"not finite at .* kimg.* Try a lower train.learning_rate_g .*now 1 and 1"):
        train(config, dataset, tmp_path)
    kept = latest_checkpoint(tmp_path)
    if kept is not None:
        assert all(np.isfinite(array).all() for array in load_state(kept).values())


def test_one_process_trains_a_run(tmp_path: Path, dataset: DatasetManifest) -> None:
    """A run that another process trains is refused, not shared."""
    with (
        locked(tmp_path / ".training.lock"),
        pytest.raises(ArtifactError, match="in use by another faceloom process"),
    ):
        train(CONFIG, dataset, tmp_path)
