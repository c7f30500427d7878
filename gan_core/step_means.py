"""What a step adds to the means of the log: losses, accuracies, and the norms of both networks' gradients.

One variable holds the sums, since they are part of a checkpoint: a line of the log may begin before it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

Tensor = Any

MEASURED = ("loss_g", "loss_d", "accuracy_real", "accuracy_fake")
NORMS = ("gradient_norm_g", "gradient_norm_d")

SIZE = len(MEASURED) + 2 * len(NORMS)
"""Sums of `MEASURED`, sums of `NORMS`, and of how many steps each of the latter is."""


def measured_row(values: list[Tensor]) -> Tensor:
    """Return what a step adds for `MEASURED`, float32 scalars: float32 [SIZE]."""
    return tf.concat([tf.stack(values), tf.zeros([SIZE - len(MEASURED)])], 0)


def norm_row(name: str, norm: Tensor) -> Tensor:
    """Return what a step adds for one of `NORMS`, float32 scalar: float32 [SIZE].

    A norm that is not finite is left out: under loss scaling, such a step is skipped, and is no event.
    """
    place, is_finite = len(MEASURED) + NORMS.index(name), tf.math.is_finite(norm)
    ones = tf.one_hot([place, place + len(NORMS)], SIZE)
    return tf.where(is_finite, ones[0] * tf.where(is_finite, norm, 0.0) + ones[1], 0.0)


def unscaled_norm(gradients: list[Tensor], optimizer: keras.optimizers.Optimizer) -> Tensor:
    """Return the Euclidean norm over all gradients together, the loss scale taken out: float32 scalar."""
    norm = tf.linalg.global_norm(gradients)
    scale = getattr(optimizer, "dynamic_scale", None)
    return norm if scale is None else norm / scale


def means_of(sums: npt.NDArray[np.float32], steps: int) -> dict[str, float]:
    """Return the means of `MEASURED` over `steps` steps, and of `NORMS` over those where they were finite, if any."""
    means = {name: float(value / steps) for name, value in zip(MEASURED, sums, strict=False)}
    norms, counts = np.split(sums[len(MEASURED) :], 2)
    return means | {name: float(norm / n) for name, norm, n in zip(NORMS, norms, counts, strict=True) if n}


def widened(saved: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the sums of a checkpoint: those of before there were norms, [4], with zeros for these.

    The norms' own counts keep their next means right.
    """
    return np.pad(saved, (0, SIZE - len(saved))) if saved.shape == (len(MEASURED),) else saved
