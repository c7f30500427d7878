"""What each network has to change in a step: losses and their gradients, without state of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from gan_core import distribution, models
from gan_core.augment import augment
from gan_core.config import RunConfig
from gan_core.losses import LOSSES
from gan_core.normalization import Normalization
from gan_core.penalties import PENALTIES, is_due
from gan_core.schedules import Schedule

Tensor = Any
Scale = Callable[[Tensor], Tensor]
"""Scales a loss, for gradients that float16 can hold: `Optimizer.scale_loss`."""

LATENTS, FLIPS, JUDGED, PENALIZED, MIXED, CONVINCED, COMPARED = range(1, 8)
"""What a random stream is for: latents, mirrored pictures, the augmentation of what the discriminator is judged and
penalized by, the penalty itself, and the augmentation of generated and real pictures for the generator."""


class Updates:
    """Gradients for a generator and a discriminator in training.

    Pictures are float32 [n, H, W, C] as training sees them; weights are the networks' trainable variables, in order.
    A condition is float32 [n, size], that of real and generated pictures alike; None where there is none.
    Random numbers depend on `train.seed`, the step, the part of its batch, and what they are for.
    """

    def __init__(
        self, config: RunConfig, normalization: Normalization, generator: keras.Model, discriminator: keras.Model
    ) -> None:
        train = config.train
        self.train, self.data = train, config.data
        self.generator, self.discriminator = generator, discriminator
        self.loss = LOSSES[train.loss]
        self.normalization = normalization
        replicas = tf.distribute.get_strategy().num_replicas_in_sync
        self._pictures = (train.micro_batch or train.batch_size) // replicas  # real ones at once, of a replica
        self._has_tanh_range = normalization == models.tanh_normalization(config.data.channels)
        self._penalty_weight = Schedule(
            train.penalty_weight, train.penalty_weight * train.penalty_weight_end, train.schedule_kimg * 1000
        )

    def seed(self, stream: int, step: Tensor, part: Tensor | int = 0) -> Tensor:
        """Return a seed, int64 [2]."""
        seed = tf.random.experimental.stateless_fold_in(tf.constant([self.train.seed, stream], tf.int64), step)
        # The first part draws what a batch in one piece does.
        return seed + tf.stack([tf.zeros([], tf.int64), tf.cast(part, tf.int64)])

    def seen(self, images: Tensor, step: Tensor, parts: int = 1) -> Tensor:
        """Normalize uint8 [n, H, W, C], and mirror each picture with probability 1/2 where `data.flip` is "train".

        A replica's images are its share of each of so many parts of the batch.
        """
        real = tf.cast(images, tf.float32) * self.normalization.scale + self.normalization.offset
        if self.data.flip != "train":
            return real
        seed = self.seed(FLIPS, step)
        coins = distribution.drawn(
            lambda shape: tf.random.stateless_uniform(shape, seed), [images.shape[0], 1, 1, 1], groups=parts
        )
        return tf.where(coins < 0.5, tf.reverse(real, [2]), real)

    def logits(self, images: Tensor, strength: Tensor | float, seed: Tensor, condition: Tensor | None = None) -> Tensor:
        """Return what the discriminator thinks of augmented pictures, float32 [n, 1].

        Pictures may be several times as many as there are conditions: those are for each part of them anew.
        """
        if condition is not None:
            condition = tf.tile(condition, [images.shape[0] // condition.shape[0], 1])
        with distribution.grouped(images.shape[0] // self._pictures):
            return self.discriminator(models.inputs(self._augmented(images, strength, seed), condition), training=True)

    def judge(
        self,
        real: Tensor,
        fake: Tensor,
        step: Tensor,
        part: Tensor | int,
        strength: Tensor | float,
        scale: Scale,
        condition: Tensor | None = None,
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return scaled gradients of the discriminator's weights, its logits [2n, 1] (real first), and its loss.

        In steps where the penalty is due it is part of the gradients, not of the loss.
        """
        every = self.train.penalty_every
        if self.train.penalty == "none":
            return self._judge(real, fake, step, part, strength, scale, condition, is_penalized=False)
        if every == 1:
            return self._judge(real, fake, step, part, strength, scale, condition, is_penalized=True)
        judged: tuple[list[Tensor], Tensor, Tensor] = tf.cond(
            is_due(step, every),
            lambda: self._judge(real, fake, step, part, strength, scale, condition, is_penalized=True),
            lambda: self._judge(real, fake, step, part, strength, scale, condition, is_penalized=False),
        )
        return judged

    def _judge(
        self,
        real: Tensor,
        fake: Tensor,
        step: Tensor,
        part: Tensor | int,
        strength: Tensor | float,
        scale: Scale,
        condition: Tensor | None,
        *,
        is_penalized: bool,
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        weights = self.discriminator.trainable_variables
        # Keras leaves frozen weights trainable to TensorFlow, which would compute gradients for them as well.
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([weight.value for weight in weights])
            logits = self.logits(tf.concat([real, fake], 0), strength, self.seed(JUDGED, step, part), condition)
            real_logits, fake_logits = tf.split(logits, 2)
            loss = self.loss.discriminator(real_logits, fake_logits, self.train.label_smoothing)
            total = loss
            if is_penalized:
                seed, mixed = self.seed(PENALIZED, step, part), self.seed(MIXED, step, part)
                penalty = PENALTIES[self.train.penalty](
                    lambda images: self.logits(images, strength, seed, condition), real, fake, mixed
                )
                weight = self._penalty_weight.at(step * self.train.batch_size) * float(self.train.penalty_every)
                total = loss + weight * penalty
            scaled = scale(total)
        return tape.gradient(scaled, weights), logits, loss

    def convince(
        self,
        real: Tensor,
        fake: Tensor,
        step: Tensor,
        part: Tensor | int,
        strength: Tensor | float,
        scale: Scale,
        condition: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return the scaled gradients of generated pictures [n, H, W, C], and the generator's loss.

        The way on from the pictures to the generator's weights is its own tape's; no gradient of the discriminator's
        weights is taken.
        """
        real_logits = tf.zeros([fake.shape[0], 1])
        if self.loss.needs_real:
            real_logits = self.logits(real, strength, self.seed(COMPARED, step, part), condition)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            fake_logits = self.logits(fake, strength, self.seed(CONVINCED, step, part), condition)
            loss = self.loss.generator(real_logits, fake_logits)
            scaled = scale(loss)
        return tape.gradient(scaled, fake), loss

    def _augmented(self, images: Tensor, strength: Tensor | float, seed: Tensor) -> Tensor:
        if not self.train.augment:
            return images
        if self._has_tanh_range:
            return augment(images, self.train.augment, strength, seed)
        # From what training sees of a pixel to [-1, 1] and back.
        half = [127.5 * scale for scale in self.normalization.scale]
        middle = [width + offset for width, offset in zip(half, self.normalization.offset, strict=True)]
        return augment((images - middle) / half, self.train.augment, strength, seed) * half + middle
