"""Where the pictures lie changes nothing of what is learned from them."""

from __future__ import annotations

import dataclasses
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorflow.core.framework import types_pb2
from tensorflow.python.framework import kernels

from gan_core import feed, start_up, training
from gan_core.checkpoints import load_state
from gan_core.config import RunConfig, load_config
from gan_core.device_pictures import DevicePictures
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.needed_memory import need_of
from gan_core.placement import MIB, mib
from gan_core.training import Training, train
from tests.datasets import make_dataset, split_pictures
from tests.gan_core.train_process import SETTINGS

ROOT = Path(__file__).parents[2]
TINY = ("model.name=mlp", "eval.snapshot_score_count=0", "train.total_kimg=0.08")
CONFIG = load_config("smoke", [*SETTINGS, *TINY])  # 10 steps of 8: more than an epoch
State = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 36 small pictures in three shards."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=36)


def placed(config: RunConfig, placement: str, **options: Any) -> RunConfig:
    """Return the config with its pictures elsewhere."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, placement=placement, **options))


@pytest.mark.parametrize("condition", [(), ("label",)])
def test_every_place_gives_the_same_bits(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch, condition: tuple[str, ...]
) -> None:
    """On the device, in memory and from disk, in calls of one step and of three: equal weights, moments, averages."""
    monkeypatch.setattr("gan_core.pace.CALL_SECONDS", np.inf)
    config = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, condition=condition))
    states: dict[str, State] = {}
    for placement in ("device", "memory", "stream"):
        for steps in (1, 3):
            name = f"{placement}{steps}"
            elsewhere = placed(config, placement, steps_per_execution=steps)
            states[name] = load_state(train(elsewhere, dataset, tmp_path / name))
    expected = states.pop("memory1")
    for name, state in states.items():
        assert state.keys() == expected.keys()
        assert [key for key in state if not np.array_equal(state[key], expected[key])] == [], name


def test_pictures_on_the_device_never_leave_it(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call is given places, int64 [steps, batch], no pixels, and nothing is read ahead."""
    calls: list[tuple[Any, ...]] = []
    advance = Training._advance

    def spying(loop: Training) -> bool:
        run_steps = loop.gan.train_steps
        loop.gan.train_steps = lambda *arguments: (calls.append(arguments), run_steps(*arguments))[1]
        assert loop.feed._ahead is None
        assert loop.feed.table is not None
        done = advance(loop)
        loop.gan.train_steps = run_steps
        return done

    monkeypatch.setattr(training.Training, "_advance", spying)
    train(placed(CONFIG, "device", steps_per_execution=1), dataset, tmp_path)
    assert [(places.shape, places.dtype) for places, _ in calls] == [((1, 8), np.dtype(np.int64))] * 10


@pytest.mark.parametrize("operation", ["VarHandleOp", "AssignVariableOp", "ResourceGather"])
def test_what_touches_the_pictures_runs_on_a_gpu(operation: str) -> None:
    """TensorFlow has kernels for uint8 variables there; without, the whole set would travel at every step."""
    found = kernels.get_registered_kernels_for_op(operation).kernel
    types = [
        set(constraint.allowed_values.list.type)
        for kernel in found
        if kernel.device_type in ("GPU", "DEFAULT")
        for constraint in kernel.constraint
        if constraint.name == "dtype"
    ]
    if not any(kernel.device_type == "GPU" for kernel in kernels.get_registered_kernels_for_op("GatherV2").kernel):
        pytest.skip("a TensorFlow without kernels for GPUs")
    assert any(types_pb2.DT_UINT8 in some for some in types)


_ON_A_VIRTUAL_DEVICE = """
import sys
import numpy as np
import tensorflow as tf
from pathlib import Path
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from gan_core.device_pictures import DevicePictures
from gan_core.gan import Gan
from gan_core.dataset import shown_indices
from gan_core.handoff import DatasetManifest
from tests.gan_core.test_placed_training import CONFIG
pictures = DevicePictures(DatasetManifest.load(Path(sys.argv[1])), "train", device="CPU:1")
indices = shown_indices(0, 16, len(pictures), 0)
with tf.device("CPU:1"):
    gans = [Gan(CONFIG, None, None, table) for table in (pictures.table, None)]
    gans[0].train_steps(indices.reshape(2, 8), tf.constant(0, tf.int64))
    gans[1].train_steps(pictures.read(indices).reshape(2, 8, 32, 32, 3), tf.constant(0, tf.int64))
states = [gan.state() for gan in gans]
print(pictures.table.device.rsplit("/", 1)[1], all(np.array_equal(states[0][k], states[1][k]) for k in states[1]))
"""


def test_the_table_lies_on_the_device_that_is_named(dataset: DatasetManifest) -> None:
    """On the second of two virtual devices, steps that index it there give the bits of steps given pictures."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", _ON_A_VIRTUAL_DEVICE, str(dataset.path)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert done.stdout.splitlines()[-1:] == ["device:CPU:1 True"], done.stderr


def test_pictures_on_the_device_are_read_as_elsewhere(dataset: DatasetManifest) -> None:
    """In any order, and repeatedly; their values stand beside them."""
    pictures = DevicePictures(dataset, "train", ("label",))
    indices = np.array([35, 0, 17, 0])
    np.testing.assert_array_equal(pictures.read(indices), split_pictures("train", 36)[indices])
    assert pictures.values[indices, 0].tolist() == [2, 0, 2, 0]


def test_the_start_is_told(
    tmp_path: Path, dataset: DatasetManifest, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Device, precision, XLA, kernels; memory needed and free; where the pictures lie, and why; advice."""
    monkeypatch.setattr(start_up, "host_free_bytes", lambda: 900 * MIB)
    monkeypatch.setattr(start_up, "cpu_flags", lambda: frozenset({"amx_bf16"}))
    with caplog.at_level(logging.INFO, "gan_core"):
        loop = Training(CONFIG, dataset, tmp_path, [])
    need = need_of(loop.gan.generator, loop.gan.discriminator, CONFIG)
    assert caplog.messages[:3] == [
        "training on CPU, float32, without XLA, deterministic kernels",
        f"memory: an estimated {mib(need.total)} needed, 900 MiB free: {need.told(8)}",
        "pictures: 36 placed in memory (auto: 0.1 MiB needed, below 40% of 900 MiB free)",
    ]
    assert caplog.messages[3].startswith("this processor has amx_bf16: train.precision=mixed_bfloat16 ")


@pytest.mark.parametrize(
    ("free_bytes", "options", "message"),
    [
        (1, {}, "the training is estimated to need .* MiB of memory, and 0.0 MiB are free .* train.micro_batch"),
        (None, {"placement": "memory"}, "^train.placement=memory: the training pictures need 0.1 MiB and .* for train"),
        (None, {"placement": "device"}, "^train.placement=device: the training pictures need 0.1 MiB and .* for train"),
    ],
)
def test_what_cannot_fit_is_refused_before_training(
    tmp_path: Path,
    dataset: DatasetManifest,
    monkeypatch: pytest.MonkeyPatch,
    free_bytes: int | None,
    options: dict[str, Any],
    message: str,
) -> None:
    """The training alone, or with its pictures where they are wanted; the run's folder stays empty."""
    needed = start_up.needed(CONFIG, dataset).total  # all but the pictures
    monkeypatch.setattr(start_up, "host_free_bytes", lambda: free_bytes or needed)
    with pytest.raises(ConfigError, match=message):
        train(placed(CONFIG, options.get("placement", "auto")), dataset, tmp_path)
    assert not list(tmp_path.glob("[!.]*"))


def test_an_error_in_the_thread_ends_the_training(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shard that breaks while it is streamed is said by the loop, as it was before there was a thread."""

    def broken(*_: Any) -> None:
        raise ArtifactError("shard 7 is damaged")

    monkeypatch.setattr("gan_core.dataset.StreamedPictures.read", broken)
    with pytest.raises(ArtifactError, match=r"^shard 7 is damaged$"):
        train(placed(CONFIG, "stream"), dataset, tmp_path)


def test_a_signal_that_comes_while_pixels_are_waited_for_saves(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step before is saved, nothing is logged twice, and the same command ends in the bits of one left alone."""
    expected = load_state(train(CONFIG, dataset, tmp_path / "alone"))
    take, signals = feed.ReadAhead.take, []  # type: Any, list[int]

    def told_to_stop(ahead: Any, count: int, received: list[int]) -> Any:
        signals.append(count)
        if len(signals) == 5:
            received.append(15)
            return []
        return take(ahead, count, received)

    monkeypatch.setattr(feed.ReadAhead, "take", told_to_stop)
    run_dir = tmp_path / "told"
    with pytest.raises(training.Interrupted, match=r"^SIGTERM at 0\.0\d+ kimg; the state is saved in "):
        train(CONFIG, dataset, run_dir)
    monkeypatch.undo()
    again = load_state(train(CONFIG, dataset, run_dir))
    assert [key for key in expected if not np.array_equal(expected[key], again[key])] == []
    logged = [line.split(",")[1] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert len(logged) == len(set(logged))
