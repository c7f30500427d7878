"""What each network has to change in a step: losses and their gradients, without state of its own.

Alternating: `judge` gives the discriminator's gradients, and `convince`, when it has taken its step, what generated
pictures have to become. Simultaneous: `both` gives both at the same weights, for three quarters of the work at best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

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


class Batch(NamedTuple):
    """What both networks learn from in a step, or in one part of its batch.

    Attributes:
        real, fake: pictures, float32 [n, H, W, C] as training sees them.
        condition: that of real and generated pictures alike, float32 [n, size]; None where there is none.
        strength: of the augmentation.
        step, part: which step, and which part of its batch; random numbers depend on them.
    """

    real: Tensor
    fake: Tensor
    condition: Tensor | None
    strength: Tensor | float
    step: Tensor
    part: Tensor | int = 0


_LARGEST_RATIO = {"float32": 2.0**20, "mixed_bfloat16": 2.0**20, "mixed_float16": 4.0}
"""By which gradients may be multiplied that came back through layers of these types. Values from 1e-38 on, or from
6e-8 on, are what there is below."""


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

    def _logits(self, batch: Batch, images: Tensor, stream: int) -> Tensor:
        """Return what the discriminator thinks of pictures, augmented by random numbers of their own: float32 [n, 1].

        Pictures may be several times as many as the batch has conditions: those are for each part of them anew.
        """
        condition = batch.condition
        if condition is not None:
            condition = tf.tile(condition, [images.shape[0] // condition.shape[0], 1])
        with distribution.grouped(images.shape[0] // self._pictures):
            seen = self._augmented(images, batch.strength, self.seed(stream, batch.step, batch.part))
            return self.discriminator(models.inputs(seen, condition), training=True)

    def _judged(self, batch: Batch) -> Tensor:
        return self._logits(batch, tf.concat([batch.real, batch.fake], 0), JUDGED)

    def judge(self, batch: Batch, scale: Scale) -> tuple[list[Tensor], Tensor, Tensor]:
        """Return scaled gradients of the discriminator's weights, its logits [2n, 1] (real first), and its loss.

        In steps where the penalty is due it is part of the gradients, not of the loss.
        """
        weights = self._weights()
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(weights)
            logits = self._judged(batch)
            real_logits, fake_logits = tf.split(logits, 2)
            loss = self.loss.discriminator(real_logits, fake_logits, self.train.label_smoothing)
            scaled = scale(loss)
        gradients = tape.gradient(scaled, weights)
        return self._penalized(gradients, batch, scale), logits, loss

    def _weights(self) -> list[Any]:
        # Keras leaves frozen weights trainable to TensorFlow, which would compute gradients for them as well.
        return [weight.value for weight in self.discriminator.trainable_variables]

    def _penalized(self, gradients: list[Tensor], batch: Batch, scale: Scale) -> list[Tensor]:
        """Return the gradients of the discriminator's weights plus those of the penalty, in steps where it is due."""
        if self.train.penalty == "none":
            return gradients

        def penalized() -> list[Tensor]:
            weights = self._weights()
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(weights)
                penalty = PENALTIES[self.train.penalty](
                    lambda images: self._logits(batch, images, PENALIZED),
                    batch.real,
                    batch.fake,
                    self.seed(MIXED, batch.step, batch.part),
                )
                weight = self._penalty_weight.at(batch.step * self.train.batch_size) * float(self.train.penalty_every)
                scaled = scale(weight * penalty)
            # The bias of the logit has no part in a picture's gradient.
            more = tape.gradient(scaled, weights, unconnected_gradients=tf.UnconnectedGradients.ZERO)
            return [one + other for one, other in zip(gradients, more, strict=True)]

        if self.train.penalty_every == 1:
            return penalized()
        added: list[Tensor] = tf.cond(is_due(batch.step, self.train.penalty_every), penalized, lambda: gradients)
        return added

    def convince(self, batch: Batch, scale: Scale) -> tuple[Tensor, Tensor]:
        """Return the scaled gradients of generated pictures [n, H, W, C], and the generator's loss.

        The way on from the pictures to the generator's weights is its own tape's; no gradient of the discriminator's
        weights is taken.
        """
        real_logits = tf.zeros([batch.fake.shape[0], 1])
        if self.loss.needs_real:
            real_logits = self._logits(batch, batch.real, COMPARED)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(batch.fake)
            fake_logits = self._logits(batch, batch.fake, CONVINCED)
            loss = self.loss.generator(real_logits, fake_logits)
            scaled = scale(loss)
        return tape.gradient(scaled, batch.fake), loss

    def both(self, batch: Batch, scale_d: Scale, scale_g: Scale) -> tuple[list[Tensor], Tensor, Tensor, Tensor, Tensor]:
        """Return what `judge` does, then what `convince` does, both by the discriminator as it is now.

        The discriminator is asked once. And once it is differentiated: each logit depends on its own picture alone,
        so the gradients of a generated picture in both losses are multiples of each other, by the ratio of the losses'
        derivatives by its logit. (The symmetry that Shen et al. 2021, arXiv:2103.00430, train in one stage by.) Where a
        ratio is too large to be exact, such as that of a picture whose hinge loss is 0, generated pictures are
        differentiated once more.
        """
        weights = self._weights()
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as tape:
            tape.watch([*weights, batch.fake])
            logits = self._judged(batch)
        with tf.GradientTape(persistent=True, watch_accessed_variables=False) as losses:
            losses.watch(logits)
            real_logits, fake_logits = tf.split(logits, 2)
            loss_d = self.loss.discriminator(real_logits, fake_logits, self.train.label_smoothing)
            loss_g = self.loss.generator(real_logits, fake_logits)
            scaled_d, scaled_g = scale_d(loss_d), scale_g(loss_g)
        by_logit_d, by_logit_g = losses.gradient(scaled_d, logits), losses.gradient(scaled_g, logits)
        *gradients, slopes = tape.gradient(logits, [*weights, batch.fake], output_gradients=by_logit_d)

        of_fake_d, of_fake_g = tf.split(by_logit_d, 2)[1], tf.split(by_logit_g, 2)[1]
        largest = _LARGEST_RATIO[self.train.precision]
        is_exact = tf.reduce_all(tf.abs(of_fake_g) <= largest * tf.abs(of_fake_d))
        slopes = tf.cond(
            is_exact,
            lambda: slopes * tf.math.divide_no_nan(of_fake_g, of_fake_d)[:, :, tf.newaxis, tf.newaxis],
            lambda: tape.gradient(logits, batch.fake, output_gradients=by_logit_g),
        )
        gradients = self._penalized(gradients, batch, scale_d)
        return gradients, logits, loss_d, slopes, loss_g

    def _augmented(self, images: Tensor, strength: Tensor | float, seed: Tensor) -> Tensor:
        if not self.train.augment:
            return images
        if self._has_tanh_range:
            return augment(images, self.train.augment, strength, seed)
        # From what training sees of a pixel to [-1, 1] and back.
        half = [127.5 * scale for scale in self.normalization.scale]
        middle = [width + offset for width, offset in zip(half, self.normalization.offset, strict=True)]
        return augment((images - middle) / half, self.train.augment, strength, seed) * half + middle
