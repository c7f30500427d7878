"""What a training says of itself: learning rates as they are now, loss scales, memory, its process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from gan_core import vitals


def test_the_learning_rate_is_the_one_of_now() -> None:
    """A schedule that has moved the rate is seen; plain Adam has no loss scale."""
    adam = keras.optimizers.Adam(0.5)
    adam.learning_rate.assign(0.125)
    assert vitals.of_optimizer("g", adam) == {"learning_rate_g": 0.125}


def test_under_loss_scaling_the_scale_is_told() -> None:
    """The learning rate is that of the optimizer inside, the scale the dynamic one."""
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.25))
    scaled.build([keras.Variable([0.0])])
    scaled.dynamic_scale.assign(512.0)
    assert vitals.of_optimizer("d", scaled) == {"learning_rate_d": 0.25, "loss_scale_d": 512.0}


def test_without_a_gpu_memory_is_that_of_the_process() -> None:
    """Resident memory grows by what is held, and its peak is never below it."""
    before = vitals.memory()["memory_mib"]
    held = bytearray(os.urandom(1 << 20) * 64)
    after = vitals.memory()
    assert 60 <= after["memory_mib"] - before <= 80
    assert after["memory_peak_mib"] >= after["memory_mib"] > 64
    assert len(held) == 64 << 20


def test_gpus_are_asked_for_their_allocations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several GPUs it is the fullest, now and at its peak, in MiB."""
    gpus = [tf.config.LogicalDevice(f"/device:GPU:{index}", "GPU") for index in range(2)]
    used = {"GPU:0": {"current": 3 << 20, "peak": 9 << 20}, "GPU:1": {"current": 5 << 20, "peak": 6 << 20}}
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda _: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", used.__getitem__)
    assert vitals.memory() == {"memory_mib": 5.0, "memory_peak_mib": 9.0}


def test_the_process_is_noted(tmp_path: Path) -> None:
    """training.json says device, precision and process."""
    vitals.note_process(tmp_path, "H200", "float32")
    noted = json.loads((tmp_path / "training.json").read_text())
    assert noted.pop("started").endswith("+00:00")
    assert noted == {"device": "H200", "precision": "float32", "host": os.uname().nodename, "pid": os.getpid()}
