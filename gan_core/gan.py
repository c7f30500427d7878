"""One training step: both networks, both optimizers, the averaged generator, and every number a checkpoint must hold.

A plain class, not a keras.Model: `fit` would bring its own idea of epochs, random state and resume.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from gan_core import average, distribution, models, optimizers, step_means
from gan_core.augment import adapted
from gan_core.conditions import Condition
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError
from gan_core.normalization import Normalization
from gan_core.transfer import freeze_lowest
from gan_core.updates import LATENTS, Batch, Updates

Tensor = Any
State = dict[str, npt.NDArray[Any]]

_ADAPT_STEPS = 4  # Karras et al. 2020 (arXiv:2006.06676), appendix D


class Gan:
    """A generator and a discriminator in training.

    The step number `t` determines latents, flips and augmentation, so a step's result depends on the state and on `t`
    alone. Real pictures are normalized as the data set's manifest says, pixel * scale + offset in each channel, and
    generated ones come in the same range. Without a normalization it is [-1, 1].

    With a condition, generated pictures have those of the real ones in their batch: both are distributed alike, and
    losses that compare them in pairs compare like with like.

    With a table of all pictures, a variable uint8 [N, H, W, C] that lies on the device, steps are given the places of
    pictures in it, int64 [steps, batch], instead of pictures.
    """

    def __init__(
        self,
        config: RunConfig,
        normalization: Normalization | None = None,
        condition: Condition | None = None,
        table: tf.Variable | None = None,
    ) -> None:
        train = config.train
        self.config = config
        self.normalization = normalization or models.tanh_normalization(config.data.channels)
        self.condition = condition
        self._table = table
        size = condition.size if condition else 0
        arguments = config.data, config.model, train.precision, train.seed, self.normalization, size
        self.generator, self.discriminator = models.build(*arguments)
        self.averaged, _ = models.build(*arguments)
        distribution.synchronize_norms(self.generator)
        freeze_lowest(self.discriminator, train.freeze_d)
        self.optimizer_g = optimizers.adam(train.learning_rate_g, train)
        self.optimizer_d = optimizers.adam(train.learning_rate_d, train)
        self.optimizer_g.build(self.generator.trainable_variables)
        self.optimizer_d.build(self.discriminator.trainable_variables)
        self.sums = tf.Variable(tf.zeros([step_means.SIZE]), trainable=False, name="sums")
        self.strength = tf.Variable(train.augment_strength, trainable=False, dtype=tf.float32, name="strength")
        self.signs = tf.Variable(tf.zeros([]), trainable=False, name="signs")
        self.updates = Updates(config, self.normalization, self.generator, self.discriminator)
        self.is_simultaneous = train.updates == "simultaneous"
        self._parts = train.batch_size // train.micro_batch if train.micro_batch else 1
        self._step = distribution.on_replicas(self._train_step, xla=train.xla)
        side, channels = config.data.resolution, config.data.channels
        pictures = tf.TensorSpec([None, train.batch_size, side, side, channels], tf.uint8)
        places = tf.TensorSpec([None, train.batch_size], tf.int64)
        signature = [pictures if table is None else places, tf.TensorSpec([], tf.int64)]
        if condition:
            signature.append(tf.TensorSpec([None, train.batch_size, size], tf.float32))
        self._is_finite = tf.function(self._are_all_finite)
        self.train_steps: Callable[..., None] = tf.function(self._train_steps, input_signature=signature)

    @property
    def networks(self) -> dict[str, keras.Model]:
        """The three networks by their names in a state."""
        return {"generator": self.generator, "discriminator": self.discriminator, "averaged": self.averaged}

    @property
    def is_adaptive(self) -> bool:
        """Whether the strength of the augmentation follows the discriminator."""
        return bool(self.config.train.augment) and self.config.train.augment_target > 0

    def _train_steps(self, images: Tensor, first_step: Tensor, conditions: Tensor | None = None) -> None:
        """Run one step for each batch.

        images: uint8 [steps, batch, H, W, C], or with a table int64 [steps, batch], their places in it; first_step:
        int64, counted from 0; conditions: those of the pictures, float32 [steps, batch, size], for a conditional pair
        and no other.
        """
        for index in tf.range(tf.shape(images)[0]):
            condition = None if conditions is None else conditions[index]
            batch = images[index] if self._table is None else tf.gather(self._table, images[index])
            self._step(batch, first_step + tf.cast(index, tf.int64), condition)

    def _train_step(self, images: Tensor, step: Tensor, condition: Tensor | None) -> None:
        """Update the discriminator and the generator, one after the other or both at once, then the average."""
        optimizers.follow_schedules(self.optimizer_g, self.optimizer_d, self.config.train, step)
        images = distribution.share(images, self._parts)
        condition = None if condition is None else distribution.share(condition, self._parts)
        if self._parts == 1:
            logits, loss_d, loss_g = self._whole_batch(images, step, condition)
        else:
            logits, loss_d, loss_g = self._in_parts(images, step, condition)
        average.move(self.averaged, self.generator, self.config.train, step)
        real_logits, fake_logits = tf.split(logits, 2)
        boundary = self._boundary(real_logits, fake_logits)
        if self.is_adaptive:
            self._adapt(real_logits - boundary, step)
        accuracies = [
            tf.reduce_mean(tf.cast(real_logits > boundary, tf.float32)),
            tf.reduce_mean(tf.cast(fake_logits < boundary, tf.float32)),
        ]
        self.sums.assign_add(step_means.measured_row(distribution.mean([loss_g, loss_d, *accuracies])))

    def _whole_batch(self, images: Tensor, step: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Update both networks. The generated batch is made once and serves both.

        Returns:
            the discriminator's logits [2 batch, 1], the real ones first, and both losses.
        """
        real, latents, strength = self.updates.seen(images, step), self._latents(images, step), self._strength()
        with tf.GradientTape() as tape:
            fake = self.generator(models.inputs(latents, condition), training=True)
        batch = Batch(real, fake, condition, strength, step)
        scale_d, scale_g = self._scales()
        if self.is_simultaneous:
            gradients, logits, loss_d, slopes, loss_g = self.updates.both(batch, scale_d, scale_g)
            self._apply_d(gradients)
        else:
            gradients, logits, loss_d = self.updates.judge(batch, scale_d)
            self._apply_d(gradients)
            slopes, loss_g = self.updates.convince(batch, scale_g)
        self._apply_g(tape.gradient(fake, self.generator.trainable_variables, output_gradients=slopes))
        return logits, loss_d, loss_g

    def _in_parts(self, images: Tensor, step: Tensor, condition: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Do what `_whole_batch` does with one part of the batch in memory at a time, by the mean of their gradients.

        Alternating, generated pictures are made twice, once for each network: to keep them would need the memory that
        this saves. Batch normalisation and anything else that looks at a whole batch sees a part.
        """
        parts, strength = self._parts, self._strength()
        real = tf.reshape(self.updates.seen(images, step, parts), [parts, -1, *images.shape[1:]])
        latents = tf.reshape(self._latents(images, step), [parts, -1, self.config.model.latent_size])
        conditions = None if condition is None else tf.reshape(condition, [parts, -1, condition.shape[1]])
        weights_d, weights_g = self.discriminator.trainable_variables, self.generator.trainable_variables
        gradients_d, gradients_g = ([tf.zeros_like(one) for one in weights] for weights in (weights_d, weights_g))
        loss_d, loss_g = tf.zeros([]), tf.zeros([])
        real_logits = tf.TensorArray(tf.float32, parts, element_shape=[real.shape[1], 1])
        fake_logits = tf.TensorArray(tf.float32, parts, element_shape=[real.shape[1], 1])
        scale_d, scale_g = self._scales()
        for part in distribution.parts(parts):
            tf.autograph.experimental.set_loop_options(parallel_iterations=1)
            condition = None if conditions is None else conditions[part]
            latent = distribution.after(latents[part], gradients_d)
            with tf.GradientTape() as tape:
                fake = self.generator(models.inputs(latent, condition), training=True)
            batch = Batch(real[part], fake, condition, strength, step, part)
            if self.is_simultaneous:
                more, logits, loss, slopes, other_loss = self.updates.both(batch, scale_d, scale_g)
                gradients_g = _sum(gradients_g, tape.gradient(fake, weights_g, output_gradients=slopes), parts)
                loss_g += other_loss / parts
            else:
                more, logits, loss = self.updates.judge(batch, scale_d)
            gradients_d = _sum(gradients_d, more, parts)
            loss_d += loss / parts
            real_logits = real_logits.write(part, logits[: real.shape[1]])
            fake_logits = fake_logits.write(part, logits[real.shape[1] :])
        self._apply_d(gradients_d)

        if not self.is_simultaneous:
            for part in distribution.parts(parts):
                tf.autograph.experimental.set_loop_options(parallel_iterations=1)
                condition = None if conditions is None else conditions[part]
                latent = distribution.after(latents[part], gradients_g)
                with tf.GradientTape() as tape:
                    fake = self.generator(models.inputs(latent, condition), training=True)
                slopes, loss = self.updates.convince(Batch(real[part], fake, condition, strength, step, part), scale_g)
                gradients_g = _sum(gradients_g, tape.gradient(fake, weights_g, output_gradients=slopes), parts)
                loss_g += loss / parts
        self._apply_g(gradients_g)
        return tf.concat([real_logits.concat(), fake_logits.concat()], 0), loss_d, loss_g

    def _scales(self) -> list[Callable[[Tensor], Tensor]]:
        return [distribution.of_share(optimizer.scale_loss) for optimizer in (self.optimizer_d, self.optimizer_g)]

    def _apply_d(self, gradients: list[Tensor]) -> None:
        self._apply("gradient_norm_d", self.optimizer_d, gradients, self.discriminator.trainable_variables)

    def _apply_g(self, gradients: list[Tensor]) -> None:
        self._apply("gradient_norm_g", self.optimizer_g, gradients, self.generator.trainable_variables)

    def _apply(self, norm: str, optimizer: keras.optimizers.Optimizer, gradients: list[Tensor], weights: Any) -> None:
        """Update weights by scaled gradients, and count the norm of these."""
        gradients = distribution.total(gradients)
        self.sums.assign_add(step_means.norm_row(norm, step_means.unscaled_norm(gradients, optimizer)))
        optimizer.apply(gradients, weights)

    def _latents(self, images: Tensor, step: Tensor) -> Tensor:
        shape, seed = [images.shape[0], self.config.model.latent_size], self.updates.seed(LATENTS, step)
        return distribution.drawn(lambda whole: tf.random.stateless_normal(whole, seed), shape, groups=self._parts)

    def _strength(self) -> Tensor | float:
        return self.strength.value() if self.is_adaptive else self.config.train.augment_strength

    def _boundary(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor | float:
        """Return the logit that parts real from generated: the loss', else the middle between the means of both."""
        if self.updates.loss.boundary is not None:
            return self.updates.loss.boundary
        means = distribution.mean([tf.reduce_mean(real_logits), tf.reduce_mean(fake_logits)])
        return tf.add_n(means) / 2.0

    def _adapt(self, real_logits: Tensor, step: Tensor) -> None:
        """Move the augmentation's strength every fourth step, by the signs of the logits since the last time.

        Logits are float32 [batch, 1], 0 where a picture may be either.
        """
        train = self.config.train
        self.signs.assign_add(*distribution.mean([tf.reduce_mean(tf.sign(real_logits))]))
        if (step + 1) % _ADAPT_STEPS == 0:
            images = _ADAPT_STEPS * train.batch_size
            span_images = train.augment_kimg * 1000
            mean_sign = self.signs / _ADAPT_STEPS
            self.strength.assign(adapted(self.strength, mean_sign, train.augment_target, images, span_images))
            self.signs.assign(0.0)

    def reset_learning_rates(self) -> None:
        """Give the optimizers this config's learning rates, where `restore` brought others."""
        optimizers.reset(self.optimizer_g, self.optimizer_d, self.config.train)

    def settle_average(self) -> None:
        """Measure the batch statistics of the averaged generator; call before sampling and saving."""
        average.settle(self.averaged, self.config.model.latent_size, self.condition)

    def measured(self, steps: int) -> dict[str, float]:
        """Return the means over the last `steps` steps, see `step_means.means_of`, and start the next means."""
        sums = self.sums.numpy()
        self.sums.assign(tf.zeros_like(self.sums))
        return step_means.means_of(sums, steps)

    def _variables(self) -> dict[str, Any]:
        # By position: Keras numbers optimizers, and the seeds inside dropout, by what the process built before.
        named: dict[str, Any] = {"sums": self.sums}
        if self.is_adaptive:
            named |= {"augment/strength": self.strength, "augment/signs": self.signs}
        for owner, network in self.networks.items():
            named |= {f"{owner}/{index:03d}/{v.name}": v for index, v in enumerate(network.variables)}
        for owner, optimizer in (("optimizer_g", self.optimizer_g), ("optimizer_d", self.optimizer_d)):
            named |= {f"{owner}/{index:03d}": v for index, v in enumerate(optimizer.variables)}
        return named

    def _are_all_finite(self) -> Tensor:
        arrays = [tf.convert_to_tensor(variable) for variable in self._variables().values()]
        return tf.reduce_all([tf.reduce_all(tf.math.is_finite(one)) for one in arrays if one.dtype.is_floating])

    def is_finite(self) -> bool:
        """Return whether all that `state` returns is finite, from one number that the device computes."""
        return bool(self._is_finite())

    def state(self) -> State:
        """Return every number that the next steps depend on, by name: weights, moments, averages, random state."""
        return {name: variable.numpy() for name, variable in self._variables().items()}

    def restore(self, state: State) -> None:
        """Set what `state` returned.

        Raises:
            ArtifactError: names or shapes are not this config's.
        """
        variables = self._variables()
        if "sums" in state:
            state = {**state, "sums": step_means.widened(state["sums"])}
        if variables.keys() != state.keys():
            odd = sorted(variables.keys() ^ state.keys())
            raise ArtifactError(f"the checkpoint holds other variables than this config's networks, such as {odd[0]}")
        for name, variable in variables.items():
            if tuple(variable.shape) != state[name].shape:
                raise ArtifactError(
                    f"{name} has shape {state[name].shape} in the checkpoint, {tuple(variable.shape)} here"
                )
            variable.assign(state[name])


def _sum(sums: list[Tensor], of_part: list[Tensor], parts: int) -> list[Tensor]:
    return [one + other / parts for one, other in zip(sums, of_part, strict=True)]
