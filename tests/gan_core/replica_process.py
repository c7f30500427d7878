"""Steps on one device and on two virtual ones, compared, in a process of their own. Run by test_distribution.py.

Usage: python -m tests.gan_core.replica_process

Prints a JSON object: for each case, what differs between the two, and between the replicas.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_core import distribution
from gan_core.conditions import Condition
from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.gan import Gan

_BATCH, _STEPS = 8, 4
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "whole batch": (
        {"name": "dcgan", "dropout": 0.2},
        {
            "loss": "bce",
            "penalty": "r1",
            "penalty_every": 2,
            "augment": ("color",),  # those that fill with 0 leave the sign of a bias, as of rounding, to LeakyReLU
            "augment_target": 0.6,
            "augment_kimg": 0.1,
        },
    ),
    "in parts": (
        {"name": "mlp", "dropout": 0.3, "spectral_norm": True},
        {
            "loss": "relativistic",
            "penalty": "r1+r2",
            "penalty_every": 2,
            "micro_batch": 4,
            "augment": ("cutout",),
            "schedule_kimg": 0.04,
            "beta2_end": 0.9,
            "learning_rate_end": 0.1,
        },
    ),
    "both at once": (
        {"name": "mlp", "dropout": 0.3},
        {"loss": "relativistic", "penalty": "r1", "penalty_every": 2, "micro_batch": 4, "updates": "simultaneous"},
    ),
    "conditional": (
        {"name": "dcgan", "dropout": 0.0, "condition": ("label",)},
        {"loss": "bce", "penalty": "r1", "penalty_every": 2},
    ),
    "conditional parts": (
        {"name": "mlp", "dropout": 0.0, "condition": ("label",)},
        {"loss": "relativistic", "penalty": "r1", "micro_batch": 4, "updates": "simultaneous"},
    ),
    "between pictures": ({"name": "mlp", "dropout": 0.0}, {"loss": "wgan-gp", "penalty": "gp", "freeze_d": 1}),
    "skipped": ({"name": "mlp", "dropout": 0.2}, {"loss": "bce", "precision": "mixed_float16"}),
    "float16": ({"name": "mlp", "dropout": 0.2}, {"loss": "bce", "precision": "mixed_float16"}),
}

_CLASSES = Condition("label", ("one", "two", "three"), ((0,), (1,), (2,)), (5, 2, 1))
SCALES = {"float16": 2.0**10, "skipped": 2.0**40}  # of the loss: no step is skipped, or each


def config(case: str) -> RunConfig:
    """Return a config for batches of 8 pictures of 28x28."""
    model, train = CASES[case]
    return RunConfig(
        preset="test",
        data=DataConfig(resolution=28, channels=1),
        model=ModelConfig(base_channels=4, latent_size=8, **model),
        train=TrainConfig(batch_size=_BATCH, devices="all", learning_rate_g=1e-3, learning_rate_d=1e-3, **train),
    )


def trained(gan: Gan, state: dict[str, Any], shown: list[Any]) -> tuple[dict[str, float], dict[str, Any]]:
    """Return the means and the state after steps from `state`; with one step a call, and then with all others."""
    gan.restore(state)
    for first, last in ((0, 1), (1, _STEPS)):
        images, *conditions = (one[first:last] for one in shown)
        gan.train_steps(images, tf.constant(first, tf.int64), *conditions)
    measured = gan.measured(_STEPS)
    gan.settle_average()
    return measured, gan.state()


def compared(case: str, strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Return what differs in a case."""
    asked = config(case)
    keras.utils.set_random_seed(0)
    condition = _CLASSES if asked.model.condition else None
    with distribution.scope(strategy):
        two = Gan(asked, None, condition)
    one = Gan(asked, None, condition)
    state = one.state()
    if case in SCALES:
        state |= {f"optimizer_{owner}/003": np.float32(SCALES[case]) for owner in "gd"}
    two.restore(state)
    taken = two.state()
    random = np.random.default_rng(0)
    shown = [random.integers(0, 256, (_STEPS, _BATCH, 28, 28, 1), np.uint8)]
    if condition:
        classes = random.integers(0, condition.size, (_STEPS * _BATCH, 1))
        shown.append(condition.array(classes).reshape(_STEPS, _BATCH, -1))
    measured, expected = trained(one, state, shown)
    means, found = trained(two, state, shown)
    copies = [
        [copy.numpy() for copy in strategy.experimental_local_results(getattr(variable, "_value", variable))]
        for variable in two._variables().values()
    ]
    return {
        "replicas": strategy.num_replicas_in_sync,
        "restored": [name for name in state if not np.array_equal(state[name], taken[name])],
        "names": sorted(expected.keys() ^ found.keys()),
        "means": {name: [value, means[name]] for name, value in measured.items()},
        "state": {
            name: float(np.abs(np.float64(value) - np.float64(found[name])).max(initial=0.0))
            for name, value in expected.items()
        },
        "moved": sorted({name.split("/")[0] for name in expected if not np.array_equal(expected[name], state[name])}),
        "copies": [len(each) for each in copies if len(each) != 2],
        "unequal": sum(not np.array_equal(*each) for each in copies),
        "scales": [float(state["optimizer_g/003"]), float(expected["optimizer_g/003"]), float(found["optimizer_g/003"])]
        if case in SCALES
        else [],
    }


def main() -> None:
    """Compare in all cases: to start TensorFlow takes longer than one of them."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    tf.config.experimental.enable_op_determinism()
    strategy = distribution.strategy_for(TrainConfig(batch_size=_BATCH, devices="all"))
    assert strategy is not None
    sys.stdout.write(json.dumps({case: compared(case, strategy) for case in CASES}))


if __name__ == "__main__":
    main()
