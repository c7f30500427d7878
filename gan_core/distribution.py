"""Several devices: which rows of a batch a replica computes, and what the replicas of a step tell each other.

Every replica holds all weights and runs the same step on its own slice of the batch. What is a mean over the batch is
averaged over the replicas before anything is updated by it, and random numbers are drawn for the whole batch and
sliced like it. So each replica updates its copy by the same numbers, without being told, and the results of a training
do not depend on the number of replicas, up to the order in which floats are added up.

On one device every function here returns what it was given, and adds no operation to the graph.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.distribute.collective_all_reduce_strategy import CollectiveAllReduceExtended

from gan_core.config import TrainConfig
from gan_core.errors import ConfigError, StageFailed

Tensor = Any

_LOG = logging.getLogger(__name__)
_ALL_THERE_SECONDS = 600
_GROUPS: contextvars.ContextVar[int] = contextvars.ContextVar("groups", default=1)


def strategy_for(train: TrainConfig, workers: int = 1) -> tf.distribute.Strategy | None:
    """Return what spreads a training over the devices that `train.devices` asks for; None for one device.

    With several workers, `TF_CONFIG` in the environment says which, and nothing of TensorFlow may have run before in
    this process.

    Raises:
        ConfigError: the batch, or its parts, cannot be divided by the number of replicas, or XLA is asked for.
        StageFailed: other workers are missing.
    """
    strategy: tf.distribute.Strategy
    if workers > 1:
        _LOG.info("waiting for the other workers, %g s at most", _ALL_THERE_SECONDS)
        CollectiveAllReduceExtended._check_health_initial_timeout = _ALL_THERE_SECONDS  # for ever, if nobody says it
        try:
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
        except tf.errors.OpError as error:
            raise StageFailed(
                f"the other workers of TF_CONFIG did not come within {_ALL_THERE_SECONDS} s ({type(error).__name__}); "
                "start the same command on all of them, and see that they reach each other"
            ) from None
        # TensorFlow put its own there, which only logs.
        with contextlib.suppress(ValueError):  # not the main thread
            signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))
    else:
        devices = _devices() if train.devices == "all" else []
        if len(devices) < 2:
            return None
        strategy = tf.distribute.MirroredStrategy(devices)
    check_divisible(train, strategy.num_replicas_in_sync)
    replicas = strategy.num_replicas_in_sync
    share_of = train.batch_size // replicas
    _LOG.info(
        "%s: %d replicas, %d of %d pictures of a batch each",
        type(strategy).__name__,
        replicas,
        share_of,
        train.batch_size,
    )
    return strategy


def check_divisible(train: TrainConfig, replicas: int) -> None:
    """Raise ConfigError unless each of `replicas` gets as many pictures of a batch, and of its parts, as the others."""
    for name in ("batch_size", "micro_batch"):
        size = getattr(train, name)
        if size % replicas:
            raise ConfigError(
                f"train.{name} must be a multiple of the number of devices that share it ({replicas}), got {size}; "
                f"use {size - size % replicas + replicas}, or train.devices=one"
            )
    if train.xla:
        raise ConfigError(
            f"train.xla=true is for one device, and there are {replicas}; set train.xla=false or train.devices=one"
        )


def scope(strategy: tf.distribute.Strategy | None) -> contextlib.AbstractContextManager[Any]:
    """Return what networks, optimizers and variables are to be created under."""
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def on_replicas(step: Callable[..., None], *, xla: bool) -> Callable[..., None]:
    """Return the compiled `step` on one device; under a strategy's scope, a call of it on every replica.

    Each replica gets the arguments as they are: those of the whole batch. For use inside a tf.function.
    """
    strategy = tf.distribute.get_strategy()
    if strategy.num_replicas_in_sync == 1:
        compiled: Callable[..., None] = tf.function(step, jit_compile=xla)
        return compiled

    def run(*arguments: Any) -> None:
        strategy.run(step, arguments)

    return run


def synchronize_norms(network: keras.Model) -> None:
    """Make batch normalisation see the whole batch; to be called under the scope, where there are several replicas."""
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        for layer in network.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True


def is_shared() -> bool:
    """Whether this runs in one of several replicas."""
    return _context() is not None


def share(batch: Tensor, groups: int = 1) -> Tensor:
    """Return this replica's rows of a batch [n, ...]; of each of `groups` equal parts, where it has several."""
    return _rows(batch, 0, groups)


def drawn(
    draw: Callable[[Sequence[Any]], Tensor], shape: Sequence[Any], axis: int = 0, groups: int | None = None
) -> Tensor:
    """Return this replica's rows of what `draw` returns for the whole batch.

    Args:
        draw: a function of a shape: random numbers.
        shape: that of the result; along `axis` there are the pictures of this replica.
        axis: where they are.
        groups: how many batches there are one after the other, such as real and generated pictures; None is what
            `grouped` says.
    """
    context = _context()
    if context is None:
        return draw(shape)
    whole = [*shape[:axis], shape[axis] * context.num_replicas_in_sync, *shape[axis + 1 :]]
    return _rows(draw(whole), axis, _GROUPS.get() if groups is None else groups)


def mean(values: list[Tensor]) -> list[Tensor]:
    """Return the means over all replicas of tensors that each of them has. Never in a loop or branch of the step."""
    context = _context()
    return values if context is None else list(context.all_reduce(tf.distribute.ReduceOp.MEAN, values))


def total(values: list[Tensor]) -> list[Tensor]:
    """Return the sums over all replicas, as `mean` does the means."""
    context = _context()
    return values if context is None else list(context.all_reduce(tf.distribute.ReduceOp.SUM, values))


def of_share(scale: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return `scale`, for a loss that is a mean over this replica's pictures: as a share of that over all of them.

    The `total` of such a loss' gradients is that of the whole batch. Each picture weighs what it does on one device,
    which matters to float16: gradients that were several times as large would overflow where those of one do not.
    """
    context = _context()
    return scale if context is None else lambda loss: scale(loss / context.num_replicas_in_sync)


@contextlib.contextmanager
def grouped(groups: int) -> Iterator[None]:
    """Say for `drawn` in the block how many batches of pictures there are one after the other."""
    token = _GROUPS.set(groups)
    try:
        yield
    finally:
        _GROUPS.reset(token)


def parts(count: int) -> Any:
    """Return what to loop over for the parts of a batch: a tensor, which makes a loop of the graph.

    With replicas a range, which makes a copy of the step for each part: no replica can wait for another in a loop.
    """
    return tf.range(count) if _context() is None else range(count)


def after(tensor: Tensor, results: list[Tensor]) -> Tensor:
    """Return the tensor, with replicas not before `results` are there: without a loop, all parts would run at once."""
    if _context() is None:
        return tensor
    with tf.control_dependencies(results):
        return tf.identity(tensor)


def _context() -> Any:
    """Return the context of this replica; None where there is only one, or where none runs."""
    context = tf.distribute.get_replica_context()
    return context if context is not None and context.num_replicas_in_sync > 1 else None


def _rows(batch: Tensor, axis: int, groups: int) -> Tensor:
    context = _context()
    if context is None:
        return batch
    replicas, shape = context.num_replicas_in_sync, batch.shape
    before, behind = [int(n) for n in shape[:axis]], [int(n) for n in shape[axis + 1 :]]
    by_replica = tf.reshape(batch, [*before, groups, replicas, -1, *behind])
    mine = tf.gather(by_replica, context.replica_id_in_sync_group, axis=axis + 1)
    count = -1 if shape[axis] is None else int(shape[axis]) // replicas
    return tf.reshape(mine, [*before, count, *behind])


def _devices() -> list[str]:
    found = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return [device.name for device in found]
