"""A training that is killed ten times, told to stop in a snapshot, or refused by its disk ends as one left alone."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np
import pytest

from gan_core.checkpoints import load_manifest
from gan_core.handoff import DatasetManifest
from tests.datasets import make_dataset
from tests.gan_core.test_training import assert_same_run, final_state, lines, newest, train_processes

# Small and quick to build, with everything that a checkpoint can hold: loss scale, strength, moments, averages.
SETTINGS = (
    "model.name=mlp,train.precision=mixed_float16,train.augment=color,train.augment_target=0.6,train.total_kimg=0.4"
)
LAST = 400  # 50 steps of 8


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 36 small pictures."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=36)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, dataset: DatasetManifest) -> Path:
    """Train once, to the end."""
    run_dir = tmp_path_factory.mktemp("uninterrupted")
    assert train_processes(run_dir, dataset, f"never,{SETTINGS}") == [[0, ""]]
    return run_dir


def moments(seed: int) -> list[str]:
    """Return ten moments in random order: four in a step, three each in a checkpoint write and in a snapshot."""
    random = np.random.default_rng(seed)
    steps = [f"in step {number}" for number in random.integers(1, 10, 4)]
    writes = [f"in checkpoint write {number}" for number in random.integers(1, 3, 3)]
    snapshots = [f"in snapshot {number}" for number in random.integers(1, 3, 3)]
    return [str(moment) for moment in random.permutation([*steps, *writes, *snapshots])]


def test_ten_kills_change_nothing(tmp_path: Path, dataset: DatasetManifest, uninterrupted: Path) -> None:
    """SIGKILL at ten random moments: weights, moments, averages, strength, loss scale and logs are equal, bit for bit.

    A moment that a process does not reach would end it with 0: all ten are hit.
    """
    results = train_processes(tmp_path, dataset, *(f"{moment},{SETTINGS}" for moment in [*moments(7), "never"]))
    assert results == [[-signal.SIGKILL, ""]] * 10 + [[0, ""]]
    assert_same_run(uninterrupted, tmp_path)
    assert newest(tmp_path).images_seen == LAST
    state = final_state(tmp_path)
    owners = {name.split("/")[0] for name in state}
    assert owners == {"generator", "discriminator", "averaged", "optimizer_g", "optimizer_d", "sums", "augment"}
    assert [line["images"] for line in lines(tmp_path / "metrics.jsonl")] == [*range(32, LAST, 32), LAST]


def test_terminated_in_a_score_saves_and_takes_the_snapshot_later(
    tmp_path: Path, dataset: DatasetManifest, uninterrupted: Path
) -> None:
    """SIGTERM while a snapshot's pictures are generated saves at once; the same command begins with that snapshot.

    Also when it is killed after that snapshot and before anything is saved: the score is logged once.
    """
    asked = f"terminated in a snapshot,{SETTINGS}"
    results = train_processes(tmp_path, dataset, asked, f"in checkpoint write 1,{SETTINGS}", f"never,{SETTINGS}")
    saved = tmp_path / "checkpoints" / "000000000080"
    said = f"SIGTERM at 0.08 kimg; the state is saved in {saved} and the same command continues there\n"
    assert results == [[130, said], [-signal.SIGKILL, ""], [0, ""]]
    assert_same_run(uninterrupted, tmp_path)


def test_full_disk_ends_in_one_line_and_continues(
    tmp_path: Path, dataset: DatasetManifest, uninterrupted: Path
) -> None:
    """A checkpoint that the disk refuses ends the training with exit code 5; with room again, it is as if never."""
    results = train_processes(tmp_path, dataset, f"on a full disk,{SETTINGS}", f"never,{SETTINGS}")
    (code, message), (again, _) = results
    assert (code, again) == (5, 0)
    assert message == (
        f"the checkpoint at 0.08 kimg cannot be written to {tmp_path}/checkpoints/000000000080 (No space left on "
        "device); those before it are kept: make room, and the same command continues from there\n"
    )
    assert_same_run(uninterrupted, tmp_path)
    assert load_manifest(newest(tmp_path)).fields["progress"]["snapshot_due"] is False
