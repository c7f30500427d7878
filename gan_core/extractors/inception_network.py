"""The Inception-v3 of 2015 in Keras: `inception_layers.py` with weights in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from gan_core.extractors import inception_layers as inception
from gan_core.extractors.inception_layers import Convolution, Fork, Pooling, Step

Arrays = Mapping[str, npt.NDArray[np.float32]]
Network = Callable[[Any], tuple[Any, Any]]

_LAST = "channels_last"


def network(arrays: Arrays) -> keras.Model:
    """Return the network with these weights.

    Batch normalisation is folded into the convolutions: it is an affine map of each channel, with fixed statistics.

    Args:
        arrays: as `inception_layers.tensors` names and shapes them, float32.

    Returns:
        float32 [N, 299, 299, 3] in [-1, 1] -> features float32 [N, 2048], the mean over the last 8x8 pixels, and
        logits float32 [N, 1008] without the bias of the last layer, as the Inception Score of 2016 takes them.
    """
    pixels = keras.Input((inception.SIDE, inception.SIDE, 3), dtype="float32")
    last = _applied(inception.LAYERS, pixels)
    features = layers.GlobalAveragePooling2D(data_format=_LAST, dtype="float32")(last)
    logits = layers.Dense(inception.CLASSES, use_bias=False, name="fc", dtype="float32")(features)
    model = keras.Model(pixels, [features, logits])
    for weights in inception.convolutions():
        model.get_layer(weights.name).set_weights(_folded(arrays, weights.name))
    model.get_layer("fc").set_weights([arrays["fc.weight"].T])
    return model


def compiled(model: keras.Model) -> Network:
    """Return the network as one graph for batches of any size.

    Weights stay variables: as constants of the graph they are no faster, and TensorFlow keeps 1.6 GB of copies of them.
    """
    shape = tf.TensorSpec([None, inception.SIDE, inception.SIDE, 3], tf.float32)
    graph = tf.function(partial(model, training=False), input_signature=[shape])

    def run(pixels: Any) -> tuple[Any, Any]:
        features, logits = graph(tf.convert_to_tensor(pixels))
        return features, logits

    return run


def _applied(steps: tuple[Step, ...], pixels: Any) -> Any:
    for step in steps:
        if isinstance(step, Convolution):
            pixels = layers.Conv2D(
                step.filters,
                step.kernel,
                step.stride,
                step.padding,
                data_format=_LAST,
                activation="relu",
                name=step.name,
                dtype="float32",
            )(pixels)
        elif isinstance(step, Pooling):
            kind = layers.MaxPooling2D if step.kind == "max" else layers.AveragePooling2D
            pixels = kind(3, step.stride, step.padding, data_format=_LAST, dtype="float32")(pixels)
        else:
            assert isinstance(step, Fork)
            branches = [_applied(branch, pixels) for branch in step.branches]
            pixels = layers.Concatenate(axis=-1, dtype="float32")(branches)
    return pixels


def _folded(arrays: Arrays, name: str) -> list[npt.NDArray[np.float32]]:
    """Return kernel and bias of a convolution that does what follows it, in Keras' order of axes."""
    gamma, beta, mean, variance = (
        arrays[f"{name}.bn.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + inception.BATCH_NORM_EPSILON)
    kernel = arrays[f"{name}.conv.weight"].transpose(2, 3, 1, 0) * scale
    return [kernel.astype(np.float32), (beta - mean * scale).astype(np.float32)]
