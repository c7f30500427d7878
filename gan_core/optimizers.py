"""Adam for both networks, with the loss scale that float16 needs, and what schedules do to it."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from gan_core.config import TrainConfig
from gan_core.schedules import Schedule

Tensor = Any
Optimizer = Any  # Keras is untyped


class Adam(keras.optimizers.Adam):  # type: ignore[misc]  # Keras is untyped
    """Kingma and Ba 2015 (arXiv:1412.6980), as Keras has it, with two differences in how it is computed.

    Gradients are the same on all replicas already: Keras' own adds them up. And a weight is updated in one pass over
    the memory, by TensorFlow's kernel, where Keras' own has a dozen.
    """

    def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> Any:
        return grads_and_vars

    def update_step(self, gradient: Tensor, variable: Any, learning_rate: Tensor) -> None:
        """Update a weight, float32, and its two moments."""
        step = tf.cast(self.iterations + 1, variable.dtype)
        index = self._get_variable_index(variable)
        beta1, beta2 = (tf.convert_to_tensor(beta, variable.dtype) for beta in (self.beta_1, self.beta_2))
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.pow(beta1, step),
            beta2_power=tf.pow(beta2, step),
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=beta1,
            beta2=beta2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )


def adam(learning_rate: float, train: TrainConfig) -> Optimizer:
    """Return Adam with the config's moments."""
    found = Adam(learning_rate, train.beta1, train.beta2, epsilon=1e-8)
    if train.schedule_kimg and train.beta2_end:
        found.beta_2 = tf.Variable(train.beta2, trainable=False, dtype=tf.float32)
    # float16 gradients underflow below 6e-8; bfloat16 has the range of float32 and needs no scaling.
    return keras.optimizers.LossScaleOptimizer(found) if train.precision == "mixed_float16" else found


def follow_schedules(optimizer_g: Optimizer, optimizer_d: Optimizer, train: TrainConfig, step: Tensor) -> None:
    """Give both what the schedules say for a step, int64 scalar, where there are any."""
    span, shown = train.schedule_kimg * 1000, step * train.batch_size
    for optimizer, rate in ((optimizer_g, train.learning_rate_g), (optimizer_d, train.learning_rate_d)):
        if span and train.learning_rate_end != 1:
            _inner(optimizer).learning_rate.assign(Schedule(rate, rate * train.learning_rate_end, span).at(shown))
        if span and train.beta2_end:
            _inner(optimizer).beta_2.assign(Schedule(train.beta2, train.beta2_end, span).at(shown))


def reset(optimizer_g: Optimizer, optimizer_d: Optimizer, train: TrainConfig) -> None:
    """Give both the config's learning rates."""
    _inner(optimizer_g).learning_rate.assign(train.learning_rate_g)
    _inner(optimizer_d).learning_rate.assign(train.learning_rate_d)


def _inner(optimizer: Optimizer) -> Any:
    return getattr(optimizer, "inner_optimizer", optimizer)
