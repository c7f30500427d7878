"""What is settled before a training begins: whether it fits, where its pictures lie; and what the log says of that."""

from __future__ import annotations

import contextlib
import logging

import tensorflow as tf

from gan_core import models
from gan_core.advice import advice, cpu_flags, widths_that_cost
from gan_core.conditions import names_of
from gan_core.config import RunConfig, TrainConfig
from gan_core.dataset import Pictures, open_pictures, split_bytes
from gan_core.device_pictures import DevicePictures
from gan_core.free_memory import gpu_free_bytes, host_free_bytes
from gan_core.handoff import DatasetManifest
from gan_core.needed_memory import Need, need_of, pictures_at_once
from gan_core.placement import Room, choose, mib, refuse_training_without_room
from gan_core.transfer import freeze_lowest

_LOG = logging.getLogger(__name__)


def configure_runtime(train: TrainConfig) -> str:
    """Set TensorFlow up for one training, and return the name of the device that it will run on."""
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # raised when the device is in use already
            tf.config.experimental.set_memory_growth(gpu, True)
    device = str(tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")) if gpus else "CPU"
    if train.deterministic:
        tf.config.experimental.enable_op_determinism()
    _LOG.info(
        "training on %s, %s, %s XLA, %s kernels",
        device,
        train.precision,
        "with" if train.xla else "without",
        "deterministic" if train.deterministic else "the fastest",
    )
    return device


def placed_pictures(config: RunConfig, dataset: DatasetManifest, replicas: int = 1) -> Pictures:
    """Return the training pictures where `train.placement` wants them, and log device, memory and advice.

    Args:
        config: of the run.
        dataset: the pictures.
        replicas: how many devices share each batch.

    Raises:
        ConfigError: the training, or the pictures where they are wanted, need more memory than is free.
        DataError: there are none.
        ArtifactError: a shard is damaged.
    """
    has_gpu = bool(tf.config.list_logical_devices("GPU"))
    need, at_once = needed(config, dataset, replicas), pictures_at_once(config, replicas)
    gpu_free = gpu_free_bytes() if has_gpu else None
    room = Room(split_bytes(dataset, "train"), need.total, host_free_bytes(), gpu_free, has_gpu, replicas)
    free = "an unknown amount" if room.device_free is None else mib(room.device_free)
    _LOG.info("memory: an estimated %s needed, %s free: %s", mib(need.total), free, need.told(at_once))
    refuse_training_without_room(room, config.train.batch_size, at_once, config.model.base_channels)
    chosen = choose(config.train.placement, room)
    _LOG.info("pictures: %d placed in %s (%s)", dataset.count("train"), chosen.where, chosen.reason)
    for line in advice(config.train, has_gpu, cpu_flags()):
        _LOG.info("%s", line)
    for line in widths_that_cost(config.model, config.train, has_gpu):
        _LOG.warning("%s", line)
    if chosen.where == "device":
        return DevicePictures(dataset, "train", config.model.condition)
    return open_pictures(dataset, "train", chosen.where, config.model.condition)


def needed(config: RunConfig, dataset: DatasetManifest, replicas: int = 1) -> Need:
    """Return what training needs on each of its devices, from networks that are built for the purpose and forgotten."""
    size = len(names_of(config.model.condition, dataset))
    with tf.device("CPU:0"):  # what they take there shall not be missing on a GPU when its free memory is asked for
        pair = models.build(config.data, config.model, config.train.precision, config.train.seed, None, size)
    freeze_lowest(pair[1], config.train.freeze_d)
    return need_of(*pair, config, replicas)
