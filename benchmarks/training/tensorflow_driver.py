"""Runs the steps of Keras' DCGAN example and of TensorFlow's DCGAN tutorial."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from benchmarks.training import architecture, pace, peers
from gan_core import models
from gan_core.config import load_config

KINDS = ("keras", "keras-same", "tutorial")
_SAMPLES_AT_ONCE = 100


def main() -> None:
    """Train as told, and leave report and samples."""
    parser = pace.arguments(main.__doc__)
    parser.add_argument("--peer", type=Path, required=True, help="the example's .py or the tutorial's .ipynb")
    parser.add_argument("--kind", choices=KINDS, required=True)
    given = parser.parse_args()
    keras.utils.set_random_seed(given.seed)
    figures, generator, latent_size, low = (_tutorial if given.kind == "tutorial" else _keras)(given)
    figures["version"] = f"tensorflow {tf.__version__}, keras {keras.__version__}"
    pace.leave(given, figures, None if given.steps else _samples(generator, latent_size, given.samples, low))


def _keras(given: argparse.Namespace) -> tuple[dict[str, Any], keras.Model, int, float]:
    """Train by `fit`, as the example does; `keras-same` with those of architecture.py in place of its own."""
    names: dict[str, Any] = {"__name__": "peer"}
    low = 0.0
    if given.kind == "keras-same":
        generator, discriminator = _networks(given)
        # Its loss is that of probabilities.
        probable = keras.Sequential([discriminator, keras.layers.Activation("sigmoid", dtype="float32")])
        names |= {"generator": generator, "discriminator": probable, "latent_dim": 100}
        low = -1.0  # the end of the tanh
    exec(peers.keras_example(given.peer, names.keys()), names)  # the peer's own lines
    following = pace.batches(np.load(given.faces), given.batch, given.seed)
    watch = _Watch(given)
    names["gan"].fit(_stream(following, given.batch, low), epochs=1, verbose=0, callbacks=[watch])
    return watch.figures, names["generator"], names["latent_dim"], low


class _Watch(keras.callbacks.Callback):  # type: ignore[misc]
    """Turns `fit` inside out: `pace` counts its batches and says when it is over."""

    def __init__(self, given: argparse.Namespace) -> None:
        super().__init__()
        self._given, self._done, self._started = given, 0, 0.0
        self.figures: dict[str, Any] = {}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._done += 1
        steps, now = self._given.steps, pace.process_seconds()
        if self._done == steps:
            self._started = now
        if self._done == 2 * steps if steps else now >= self._given.seconds:
            images = (steps or self._done) * self._given.batch
            seconds = now - self._started
            self.figures = {"images": images, "seconds": seconds}
            if steps:
                self.figures["images_per_second"] = images / seconds
            self.model.stop_training = True


def _stream(following: Callable[[], pace.Images], batch: int, low: float) -> Any:
    def endless() -> Any:
        while True:
            yield following()

    pictures = tf.data.Dataset.from_generator(endless, output_signature=tf.TensorSpec([batch, 64, 64, 3], tf.uint8))
    # Forever in one epoch: `fit` ends when the watch says so.
    return pictures.map(lambda x: tf.cast(x, tf.float32) * ((1.0 - low) / 255.0) + low).prefetch(2)


def _tutorial(given: argparse.Namespace) -> tuple[dict[str, Any], keras.Model, int, float]:
    """Train by the tutorial's `train_step`, which was written for 28x28, with those of architecture.py."""
    generator, discriminator = _networks(given)
    names: dict[str, Any] = {"__name__": "peer", "BATCH_SIZE": given.batch}
    names |= {"generator": generator, "discriminator": discriminator}
    exec(peers.tutorial(given.peer), names)  # the peer's own lines
    following = pace.batches(np.load(given.faces), given.batch, given.seed)

    def step() -> None:
        names["train_step"](tf.constant(following().astype(np.float32) / 127.5 - 1))

    return dict(pace.pace(step, given)), generator, names["noise_dim"], -1.0


def _networks(given: argparse.Namespace) -> Any:
    config = load_config(architecture.PRESET, architecture.NETWORKS)
    pair = models.build(config.data, config.model, given.precision, given.seed)
    return [keras.models.clone_model(network, clone_function=stock) for network in pair]


def stock(layer: keras.Layer) -> keras.Layer:
    """Return a new layer like this one, and Keras' own where faceloom has a faster one: peers do not get that."""
    kinds = (keras.layers.BatchNormalization, keras.layers.Dropout)
    kind = next((one for one in kinds if isinstance(layer, one)), type(layer))
    return kind.from_config(layer.get_config())


def _samples(generator: keras.Model, latent_size: int, count: int, low: float) -> pace.Images:
    made = []
    for _ in range(-(-count // _SAMPLES_AT_ONCE)):
        latents = tf.random.normal([_SAMPLES_AT_ONCE, latent_size])
        made.append(pace.to_pixels(generator(latents, training=False).numpy(), low))
    return np.concatenate(made)[:count]


if __name__ == "__main__":
    main()
