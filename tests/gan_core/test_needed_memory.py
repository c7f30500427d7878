from __future__ import annotations

import dataclasses

import keras
import pytest

from gan_core.config import RunConfig, TrainConfig
from gan_core.needed_memory import Need, need_of
from gan_core.placement import MIB


def tiny_pair() -> tuple[keras.Model, keras.Model]:
    """Return G: 3 -> 5 -> 7, with 20 + 28 + 42 numbers of which 76 train; D: 7 -> 1, with 8. A is 5 + 7 + 7, and 1."""
    generator = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5), keras.layers.Dense(7)])
    generator.add(keras.layers.BatchNormalization())
    return generator, keras.Sequential([keras.Input((7,)), keras.layers.Dense(1)])


@pytest.mark.parametrize(
    ("options", "activations"),
    [
        ({}, 4 * 16 * (19 + 2)),
        ({"micro_batch": 4}, 4 * 4 * (19 + 2)),
        ({"precision": "mixed_bfloat16"}, 2 * 16 * (19 + 2)),
        ({"penalty": "r1+r2"}, 4 * 16 * (19 + 5)),
    ],
)
def test_the_estimate_is_the_formula(options: dict[str, object], activations: int) -> None:
    """Numbers of 4 bytes, two moments, a gradient for each that trains; activations for the pictures at once."""
    config = RunConfig(preset="test", train=dataclasses.replace(TrainConfig(batch_size=16), **options))  # type: ignore[arg-type]
    all_g, trained_g = 20 + 42 + 28, 20 + 42 + 14
    need = need_of(*tiny_pair(), config)
    assert need == Need(
        parameters=4 * (all_g + 8),
        average=4 * all_g,
        optimizers=8 * (trained_g + 8),
        gradients=4 * (trained_g + 8),
        activations=activations,
    )
    assert need.total == 4 * (2 * all_g + 8) + 12 * (trained_g + 8) + activations


def test_the_parts_are_told() -> None:
    """As text, with how many pictures the activations are for."""
    assert Need(*(n * MIB for n in (10, 20, 30, 40, 50))).told(16) == (
        "parameters 10 MiB, average 20 MiB, optimizers 30 MiB, gradients 40 MiB, activations 50 MiB for 16 pictures "
        "at once"
    )
