"""Several devices: steps on two virtual ones are those on one, and runs move between both."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from gan_core import distribution, guards
from gan_core.checkpoints import latest_checkpoint, load_state
from gan_core.config import TrainConfig
from gan_core.errors import ConfigError
from gan_core.handoff import DatasetManifest
from tests.datasets import make_dataset
from tests.gan_core.replica_process import CASES

ROOT = Path(__file__).parents[2]
OWN = {"seconds", "images_per_second", "memory_mib", "memory_peak_mib"}


def python(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module of these tests in a process of its own."""
    command = [sys.executable, "-m", *arguments]
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=200, check=False)


def assert_same_run(expected: Path, found: Path) -> None:
    """Compare the last state and the logs of two runs, within what the order of additions changes."""
    states = []
    for run_dir in (expected, found):
        checkpoint = latest_checkpoint(run_dir)
        assert checkpoint is not None
        states.append((checkpoint.images_seen, load_state(checkpoint)))
    assert states[0][0] == states[1][0]
    assert states[0][1].keys() == states[1][1].keys()
    for name, value in states[0][1].items():
        np.testing.assert_allclose(states[1][1][name], value, rtol=1e-3, atol=1e-5, err_msg=name)
    for log in ("metrics.jsonl", "snapshot_scores.jsonl"):
        logs = [
            [json.loads(line) for line in (run_dir / log).read_text().splitlines()] for run_dir in (expected, found)
        ]
        assert len(logs[0]) == len(logs[1])
        for one, other in zip(*logs, strict=True):
            assert one.keys() == other.keys()
            for name in one.keys() - OWN:
                assert other[name] == pytest.approx(one[name], rel=2e-3, abs=1e-4), (log, name)
    assert [path.name for path in sorted((expected / "snapshots").iterdir())] == [
        path.name for path in sorted((found / "snapshots").iterdir())
    ]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 36 small pictures."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=36)


@pytest.fixture(scope="module")
def compared() -> dict[str, Any]:
    """What replica_process.py says of each of its cases."""
    done = python("tests.gan_core.replica_process")
    assert done.returncode == 0, done.stderr[-3000:]
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.parametrize("case", CASES)
def test_two_devices_make_the_steps_of_one(case: str, compared: dict[str, Any]) -> None:
    """Four steps on halves of the batch give the means and the state of four on the whole, up to rounding.

    With batch normalisation, dropout, augmentations and their adapting strength, lazy and paired penalties, paired
    losses, parts of a batch, simultaneous updates, conditions, schedules, frozen layers, spectral normalisation and
    skipped steps.
    The replicas' copies are equal to the bit, and a state is restored to the bit.
    """
    seen = compared[case]
    assert seen["replicas"] == 2
    assert (seen["restored"], seen["names"], seen["copies"], seen["unequal"]) == ([], [], [], 0)
    weights = set() if case == "skipped" else {"averaged", "generator"}
    assert {*weights, "discriminator", "optimizer_d", "optimizer_g"} <= set(seen["moved"])
    assert {name: pair[1] for name, pair in seen["means"].items()} == {
        name: pytest.approx(pair[0], rel=1e-3, abs=1e-4) for name, pair in seen["means"].items()
    }
    # The sums of gradients that are 0 but for rounding move the bias of a logit by what Adam makes of their signs.
    # Those of float16 are rounded to three digits, and so may change sides in each of four steps of 1e-3.
    allowed = 4e-3 if case == "float16" else 5e-4
    assert {name: off for name, off in seen["state"].items() if off > allowed} == {}
    if case == "skipped":  # four times, by both networks and all replicas
        assert seen["scales"] == [2.0**40, 2.0**36, 2.0**36]


def test_a_run_moves_between_one_device_and_two(tmp_path: Path, dataset: DatasetManifest) -> None:
    """A run that was stopped on two devices ends on one, and the other way round, as one that had one all the time."""
    process = "tests.gan_core.worker_process"
    expected = tmp_path / "one"
    assert python(process, "1", str(expected), str(dataset.path)).returncode == 0
    for first, then in (("2", "1"), ("1", "2")):
        run_dir = tmp_path / f"{first} then {then}"
        arguments = (str(run_dir), str(dataset.path), "train.devices=all")
        stopped = python(process, first, *arguments, "terminate 3")
        assert (stopped.returncode, stopped.stdout.partition(" at ")[0]) == (130, "SIGTERM")
        assert python(process, then, *arguments).returncode == 0
        assert_same_run(expected, run_dir)


def test_weights_are_taken_over_on_two_devices_as_on_one(tmp_path: Path, dataset: DatasetManifest) -> None:
    """`train.transfer` with frozen layers: two devices go on from another run's weights as one does."""
    process, source = "tests.gan_core.worker_process", tmp_path / "source"
    assert python(process, "1", str(source), str(dataset.path)).returncode == 0
    options = (f"train.transfer={source}", "train.freeze_d=1", "train.total_kimg=0.04", "train.devices=all")
    runs = {devices: tmp_path / devices for devices in ("1", "2")}
    for devices, run_dir in runs.items():
        assert python(process, devices, str(run_dir), str(dataset.path), *options).returncode == 0
    assert_same_run(runs["1"], runs["2"])
    checkpoints = [latest_checkpoint(path) for path in (source, runs["2"])]
    old, new = (load_state(checkpoint) for checkpoint in checkpoints if checkpoint is not None)
    frozen = [name for name in new if name.startswith("discriminator") and np.array_equal(new[name], old[name])]
    assert [name.rpartition("/")[2] for name in frozen] == ["kernel", "bias"]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    """Batch and parts must be multiples of the number of devices, and XLA needs one; the message says which."""
    distribution.check_divisible(TrainConfig(batch_size=12, micro_batch=6), 3)
    distribution.check_divisible(TrainConfig(batch_size=5, xla=False), 1)
    refused = {
        "train.batch_size must be a multiple of the number of devices that share it (3), got 128; use 129, or "
        "train.devices=one": {"batch_size": 128},
        "train.micro_batch must be a multiple of the number of devices that share it (3), got 4; use 6, or "
        "train.devices=one": {"batch_size": 12, "micro_batch": 4},
        "train.xla=true is for one device, and there are 3; set train.xla=false or train.devices=one": {
            "batch_size": 12,
            "xla": True,
        },
    }
    for message, options in refused.items():
        with pytest.raises(ConfigError) as error:
            distribution.check_divisible(dataclasses.replace(TrainConfig(), **options), 3)
        assert str(error.value) == message


def test_smaller_parts_can_be_shared() -> None:
    """After running out of memory, parts are the largest that the devices can share."""
    assert guards.smaller_micro_batch(24, 0, 4) == 12
    assert guards.smaller_micro_batch(24, 12, 4) == 4
    assert guards.smaller_micro_batch(24, 4, 4) is None


def test_on_one_device_nothing_is_added() -> None:
    """Where there are no replicas, everything comes back as it went in, whatever `train.devices` says."""
    batch = tf.reshape(tf.range(12), [6, 2])
    assert distribution.strategy_for(TrainConfig(devices="all")) is None
    assert distribution.share(batch, 3) is batch
    assert distribution.after(batch, [batch]) is batch
    assert distribution.mean([batch])[0] is batch
    assert distribution.total([batch])[0] is batch
    assert distribution.drawn(tf.zeros, [2, 3], axis=1).shape == (2, 3)


def test_each_replica_has_its_rows_of_every_group() -> None:
    """With two groups of four rows, the first of two replicas has rows 0, 1, 4 and 5 along any axis."""
    done = python("tests.gan_core.shares_process")
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {
        "rows": [[0, 1, 4, 5], [2, 3, 6, 7]],
        "columns": [[[0, 1, 4, 5], [8, 9, 12, 13]], [[2, 3, 6, 7], [10, 11, 14, 15]]],
        "mean": [1.5, 1.5],
        "total": [3.0, 3.0],
        "share": [4.0, 4.0],
    }
