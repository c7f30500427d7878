"""How a classifier is trained: the recipe, what a step is shown, and the step itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_core.classifier_network import Array, Images, as_inputs
from gan_core.conditions import Values
from gan_core.sections import LABEL


@dataclass(frozen=True)
class Recipe:
    """How a classifier is trained; part of its digest.

    Attributes:
        images: shown at most, mirrored and shifted copies included.
        epochs: over the training pictures, at most.
        batch_size: pictures a step.
        width: channels of the first convolution, an eighth of the features.
        learning_rate: of Adam, at its highest; it rises over a twentieth of the steps and falls by half a cosine.
        label_smoothing: of classes; attributes have none.
        shift: pictures are moved by up to this share of their side, edges repeated.
        seed: of weights, order, flips and shifts.
    """

    images: int = 120_000
    epochs: int = 30
    batch_size: int = 128
    width: int = 16
    learning_rate: float = 4e-3
    label_smoothing: float = 0.05
    shift: float = 0.0625
    seed: int = 0


class Training:
    """The steps of one training: Adam, a rise and half a cosine."""

    def __init__(self, network: keras.Model, kind: str, recipe: Recipe, steps: int) -> None:
        self.steps = steps
        rise = max(1, steps // 20)
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, max(1, steps - rise), warmup_target=recipe.learning_rate, warmup_steps=rise
        )
        optimizer = keras.optimizers.Adam(rate)
        optimizer.build(network.trainable_variables)

        def step(images: Any, targets: Any) -> Any:
            with tf.GradientTape() as tape:
                logits, _ = network(as_inputs(images), training=True)
                if kind == LABEL:
                    smooth = targets * (1.0 - recipe.label_smoothing) + recipe.label_smoothing / targets.shape[1]
                    losses = tf.nn.softmax_cross_entropy_with_logits(smooth, logits)
                else:
                    losses = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)
                loss = tf.reduce_mean(losses)
            optimizer.apply(tape.gradient(loss, network.trainable_variables), network.trainable_variables)
            return loss

        self.step = tf.function(step)


def steps_of(recipe: Recipe, count: int) -> int:
    """Return how many batches a training on `count` pictures takes."""
    return max(1, min(recipe.images, recipe.epochs * count) // recipe.batch_size)


def targets_of(values: Values, kind: str, size: int) -> Array:
    """Return what the network should say of pictures: float32 [N, size], one-hot classes or 0-1 attributes."""
    return np.eye(size, dtype=np.float32)[values[:, 0]] if kind == LABEL else values.astype(np.float32)


def varied(images: Images, recipe: Recipe, step: int, *, flips: bool) -> Images:
    """Return the pictures of a step, moved by up to `recipe.shift` of their side; with `flips`, half are flipped."""
    random = np.random.default_rng([recipe.seed, step])
    side = images.shape[1]
    reach = round(recipe.shift * side)
    padded = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), "edge")
    tops, lefts = random.integers(0, 2 * reach + 1, (2, len(images)))
    turned = random.random(len(images)) < (0.5 if flips else 0.0)
    moved = np.empty_like(images)
    for index, (top, left, turn) in enumerate(zip(tops, lefts, turned, strict=True)):
        picture = padded[index, top : top + side, left : left + side]
        moved[index] = picture[:, ::-1] if turn else picture
    return moved
