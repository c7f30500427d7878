"""One training step: both networks, both optimizers, the averaged generator, and every number a checkpoint must hold.

A plain class, not a keras.Model: `fit` would bring its own idea of epochs, random state and resume.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from gan_core import models
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError
from gan_core.losses import LOSSES
from gan_core.normalization import Normalization

Tensor = Any
State = dict[str, npt.NDArray[Any]]

MEASURED = ("loss_g", "loss_d", "accuracy_real", "accuracy_fake")

_EMA_RAMPUP = 0.05  # half-life at most this share of the images shown, so that the first weights are soon forgotten
_SETTLE_BATCHES, _SETTLE_SIZE = 4, 64
_LATENTS, _FLIPS = 1, 2  # what a random stream is for


class Gan:
    """A generator and a discriminator in training.

    The step number `t` determines latents and flips, so a step's result depends on the state and on `t` alone.
    Real pictures are normalized as the data set's manifest says, pixel * scale + offset in each channel, and generated
    ones come in the same range. Without a normalization it is [-1, 1].
    """

    def __init__(self, config: RunConfig, normalization: Normalization | None = None) -> None:
        train = config.train
        self.config = config
        self.normalization = normalization or models.tanh_normalization(config.data.channels)
        arguments = config.data, config.model, train.precision, train.seed, self.normalization
        self.generator, self.discriminator = models.build(*arguments)
        self.averaged, _ = models.build(*arguments)
        self.optimizer_g = _adam(train.learning_rate_g, config)
        self.optimizer_d = _adam(train.learning_rate_d, config)
        self.optimizer_g.build(self.generator.trainable_variables)
        self.optimizer_d.build(self.discriminator.trainable_variables)
        self.sums = tf.Variable(tf.zeros([len(MEASURED)]), trainable=False, name="sums")
        self._step = tf.function(self._train_step, jit_compile=train.xla)
        side, channels = config.data.resolution, config.data.channels
        signature = [
            tf.TensorSpec([None, train.batch_size, side, side, channels], tf.uint8),
            tf.TensorSpec([], tf.int64),
        ]
        self.train_steps: Callable[[npt.NDArray[np.uint8], Tensor], None] = tf.function(
            self._train_steps, input_signature=signature
        )

    def _train_steps(self, images: Tensor, first_step: Tensor) -> None:
        """Run one step for each batch. images: uint8 [steps, batch, H, W, C]; first_step: int64, counted from 0."""
        for index in tf.range(tf.shape(images)[0]):
            self._step(images[index], first_step + tf.cast(index, tf.int64))

    def _train_step(self, images: Tensor, step: Tensor) -> None:
        """Update the discriminator, then the generator against the updated one, then the average.

        The generated batch is made once and serves both updates; the generator's update needs no gradients of the
        discriminator's weights.
        """
        train, loss = self.config.train, LOSSES[self.config.train.loss]
        real = self._augment(images, step)
        latents = tf.random.stateless_normal(
            [train.batch_size, self.config.model.latent_size], self._seed(_LATENTS, step)
        )
        with tf.GradientTape() as generator_tape:
            fake = self.generator(latents, training=True)
        with tf.GradientTape() as tape:
            logits = self.discriminator(tf.concat([real, fake], 0), training=True)
            real_logits, fake_logits = tf.split(logits, 2)
            loss_d = loss.discriminator(real_logits, fake_logits, train.label_smoothing)
            scaled = self.optimizer_d.scale_loss(loss_d)
        weights = self.discriminator.trainable_variables
        self.optimizer_d.apply(tape.gradient(scaled, weights), weights)

        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(fake)
            loss_g = loss.generator(self.discriminator(fake, training=True))
            scaled = self.optimizer_g.scale_loss(loss_g)
        weights = self.generator.trainable_variables
        gradients = generator_tape.gradient(fake, weights, output_gradients=tape.gradient(scaled, fake))
        self.optimizer_g.apply(gradients, weights)

        self._average(step)
        accuracies = [
            tf.reduce_mean(tf.cast(real_logits > 0, tf.float32)),
            tf.reduce_mean(tf.cast(fake_logits < 0, tf.float32)),
        ]
        self.sums.assign_add(tf.stack([loss_g, loss_d, *accuracies]))

    def _augment(self, images: Tensor, step: Tensor) -> Tensor:
        """Normalize, and mirror each picture with probability 1/2 where `data.flip` is "train"."""
        real = tf.cast(images, tf.float32) * self.normalization.scale + self.normalization.offset
        if self.config.data.flip != "train":
            return real
        heads = tf.random.stateless_uniform([self.config.train.batch_size, 1, 1, 1], self._seed(_FLIPS, step)) < 0.5
        return tf.where(heads, tf.reverse(real, [2]), real)

    def _average(self, step: Tensor) -> None:
        """Move the averaged generator's weights towards the trained one's.

        Half-life in images with a ramp-up, as in NVlabs/stylegan3 training_loop.py.
        """
        train = self.config.train
        decay: Tensor = 0.0
        if train.ema_halflife_kimg > 0:
            shown = tf.cast(step + 1, tf.float32) * train.batch_size
            halflife = tf.minimum(train.ema_halflife_kimg * 1000.0, shown * _EMA_RAMPUP)
            decay = 0.5 ** (train.batch_size / tf.maximum(halflife, 1e-6))
        weights = self.generator.trainable_variables
        for average, current in zip(self.averaged.trainable_variables, weights, strict=True):
            average.assign(current + (average - current) * decay)

    def settle_average(self) -> None:
        """Measure the batch statistics of the averaged generator, for use outside of training.

        Averaged weights make smaller activations than those they were averaged from, so neither the trained
        generator's statistics nor their average fit them: the pictures come out grey. Measured on fixed latents, the
        "standing statistics" of Brock et al. 2019 (arXiv:1809.11096), appendix E. Call before sampling and saving.
        """
        norms = [layer for layer in self.averaged.layers if isinstance(layer, keras.layers.BatchNormalization)]
        momenta = [norm.momentum for norm in norms]
        for index in range(_SETTLE_BATCHES):
            for norm in norms:
                norm.momentum = index / (index + 1)  # makes the moving average a plain mean
            seed = tf.constant([0, index], tf.int64)
            self.averaged(
                tf.random.stateless_normal([_SETTLE_SIZE, self.config.model.latent_size], seed), training=True
            )
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum

    def _seed(self, stream: int, step: Tensor) -> Tensor:
        return tf.random.experimental.stateless_fold_in(tf.constant([self.config.train.seed, stream], tf.int64), step)

    def measured(self, steps: int) -> dict[str, float]:
        """Return the means of `MEASURED` over the last `steps` steps, and start the next means."""
        means = self.sums.numpy() / steps
        self.sums.assign(tf.zeros_like(self.sums))
        return {name: float(mean) for name, mean in zip(MEASURED, means, strict=True)}

    def _variables(self) -> dict[str, Any]:
        # By position: Keras numbers optimizers, and the seeds inside dropout, by what the process built before.
        networks = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "averaged": self.averaged,
        }
        optimizers = {"optimizer_g": self.optimizer_g, "optimizer_d": self.optimizer_d}
        named: dict[str, Any] = {"sums": self.sums}
        for owner, network in networks.items():
            named |= {f"{owner}/{index:03d}/{v.name}": v for index, v in enumerate(network.variables)}
        for owner, optimizer in optimizers.items():
            named |= {f"{owner}/{index:03d}": v for index, v in enumerate(optimizer.variables)}
        return named

    def state(self) -> State:
        """Return every number that the next steps depend on, by name: weights, moments, averages, random state."""
        return {name: variable.numpy() for name, variable in self._variables().items()}

    def restore(self, state: State) -> None:
        """Set what `state` returned.

        Raises:
            ArtifactError: names or shapes are not this config's.
        """
        variables = self._variables()
        if variables.keys() != state.keys():
            odd = sorted(variables.keys() ^ state.keys())
            raise ArtifactError(f"the checkpoint holds other variables than this config's networks, such as {odd[0]}")
        for name, variable in variables.items():
            if tuple(variable.shape) != state[name].shape:
                raise ArtifactError(
                    f"{name} has shape {state[name].shape} in the checkpoint, {tuple(variable.shape)} here"
                )
            variable.assign(state[name])


def _adam(learning_rate: float, config: RunConfig) -> keras.optimizers.Optimizer:
    train = config.train
    adam = keras.optimizers.Adam(learning_rate, train.beta1, train.beta2, epsilon=1e-8)
    # float16 gradients underflow below 6e-8; bfloat16 has the range of float32 and needs no scaling.
    return keras.optimizers.LossScaleOptimizer(adam) if train.precision == "mixed_float16" else adam
