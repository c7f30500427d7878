"""The averaged generator, which samples and scores are made with: how it follows the trained one."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from gan_core import models
from gan_core.conditions import Condition
from gan_core.config import TrainConfig
from gan_core.schedules import Schedule, ema_decay

Tensor = Any

_SETTLE_BATCHES, _SETTLE_SIZE = 4, 64


def move(averaged: keras.Model, generator: keras.Model, train: TrainConfig, step: Tensor) -> None:
    """Move the averaged weights towards the trained ones after a step, int64 scalar."""
    decay: Tensor = 0.0
    if train.ema_halflife_kimg > 0:
        images = train.ema_halflife_kimg * 1000
        halflife = Schedule(images, images * train.ema_halflife_end, train.schedule_kimg * 1000)
        shown = (step + 1) * train.batch_size
        counted = tf.cast(step + 1, tf.float32) * train.batch_size
        decay = ema_decay(halflife.at(shown), train.ema_rampup, counted, train.batch_size)
    for average, current in zip(averaged.trainable_variables, generator.trainable_variables, strict=True):
        average.assign(current + (average - current) * decay)


def settle(averaged: keras.Model, latent_size: int, condition: Condition | None) -> None:
    """Measure the batch statistics of the averaged generator, for use outside of training.

    Averaged weights make smaller activations than those they were averaged from, so neither the trained
    generator's statistics nor their average fit them: the pictures come out grey. Measured on fixed latents, the
    "standing statistics" of Brock et al. 2019 (arXiv:1809.11096), appendix E.
    """
    norms = [layer for layer in averaged.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for index in range(_SETTLE_BATCHES):
        for norm in norms:
            norm.momentum = index / (index + 1)  # makes the moving average a plain mean
        latents = tf.random.stateless_normal([_SETTLE_SIZE, latent_size], tf.constant([0, index], tf.int64))
        places = range(index * _SETTLE_SIZE, (index + 1) * _SETTLE_SIZE)
        drawn = tf.constant(condition.drawn(places)) if condition else None
        averaged(models.inputs(latents, drawn), training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
