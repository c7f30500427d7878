"""The networks of keras.applications as extractors, each with its own preprocessing and input side.

Features are what comes out of the last global average pooling; where a network has none (VGG), its last picture is
averaged. Logits are those of ImageNet's 1,000 classes.
"""

from __future__ import annotations

import hashlib
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gan_core.errors import ArtifactError, ConfigError, DataError
from gan_core.extractors.base import Choice, Extracted, Facts, Images
from gan_core.extractors.resizing import RESIZINGS, resize
from gan_core.options import suggestion

INCEPTION = "InceptionV3"
DEFAULT_RESIZING = "clean"  # bicubic and antialiased, as Pillow does it: Parmar et al., arXiv:2104.11222
BATCH = 32
_CLASSES = 1000
_USUAL_SIDE = 224  # pixels: of ImageNet's networks that take any


def load(choice: Choice, name: str) -> KerasApplication:
    """Return the network `name` of keras.applications.

    Args:
        choice: `weights` is a file of Keras weights with the classifier, or its http address; empty is ImageNet's,
            which Keras keeps under ~/.keras and downloads once. `resizing` is a key of RESIZINGS, empty is "clean".
        name: such as "ResNet50".

    Raises:
        ConfigError: no such network, resizing or file.
        DataError: the weights are not this network's.
        ArtifactError: they cannot be downloaded.
    """
    resizing = choice.resizing or DEFAULT_RESIZING
    if resizing not in RESIZINGS:
        raise ConfigError(f"eval.resizing must be one of {', '.join(RESIZINGS)}, got '{resizing}'")
    constructor = _constructor(name)
    if not choice.weights:
        return KerasApplication(name, _with_imagenet(constructor, name), resizing, "ImageNet weights by Keras")
    path = _file(choice)
    network = constructor(weights=None, classifier_activation=None)
    try:
        network.load_weights(str(path))
    except Exception as error:
        raise DataError(f"{path} does not hold weights of {name} with its classifier: {_line(error)}") from error
    return KerasApplication(name, network, resizing, f"weights of {path.name}")


class KerasApplication:
    """A network, its weights and a resizing. Memory: the weights, and activations of 32 pictures."""

    def __init__(self, name: str, network: Any, resizing: str, origin: str) -> None:
        self._preprocess = sys.modules[_constructor(name).__module__].preprocess_input
        model = keras.Model(network.inputs[0], [_features_of(network), network.outputs[0]])
        side = network.input_shape[1] or _USUAL_SIDE
        signature = [tf.TensorSpec([None, side, side, 3], tf.float32)]
        self._forward = tf.function(lambda pixels: model(pixels, training=False), input_signature=signature)
        self._facts = Facts(
            name="inception-keras" if name == INCEPTION else f"keras:{name}",
            title=f"{name} (keras.applications)",
            weights=digest_of_weights(network),
            resizing=resizing,
            side=side,
            dimensions=model.output_shape[0][1],
            classes=_CLASSES,
            note=f"{origin}; compares with scores by the same network, weights and resizing, never with published FIDs",
        )

    @property
    def facts(self) -> Facts:
        """What the numbers depend on."""
        return self._facts

    def extract(self, images: Images) -> Extracted:
        """Return features float32 [N, D] and logits float32 [N, 1000] of uint8 [N, S, S, C], C = 1 or 3."""
        features = np.empty((len(images), self._facts.dimensions), np.float32)
        logits = np.empty((len(images), self._facts.classes), np.float32)
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            pixels = resize(images[part], self._facts.resizing, self._facts.side)
            pixels = pixels if pixels.shape[3] == 3 else np.repeat(pixels, 3, axis=3)
            made = self._forward(tf.constant(self._preprocess(pixels)))
            features[part], logits[part] = (tensor.numpy() for tensor in made)
        return Extracted(features, logits)


def digest_of_weights(network: Any) -> str:
    """Return the SHA-256 of shapes and float32 values of a Keras network's weights, in its order."""
    digest = hashlib.sha256()
    for weight in network.weights:
        array = np.ascontiguousarray(weight.numpy(), np.float32)
        digest.update(f"{array.shape}".encode())
        digest.update(array.astype("<f4").tobytes())
    return digest.hexdigest()


def networks() -> list[str]:
    """Return the names of all networks of keras.applications."""
    found = vars(keras.applications).items()
    return sorted(name for name, value in found if inspect.isfunction(value) and not name.startswith("_"))


def _constructor(name: str) -> Callable[..., Any]:
    if name not in networks():
        hint = suggestion(name, networks())
        raise ConfigError(f"keras.applications has no '{name}'{hint}; it has {', '.join(networks())}")
    constructor: Callable[..., Any] = getattr(keras.applications, name)
    return constructor


def _features_of(network: Any) -> Any:
    """Return the tensor [N, D] that is the network's features."""
    pooling = [layer.output for layer in network.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D)]
    if pooling:
        return pooling[-1] if len(pooling[-1].shape) == 2 else keras.layers.Flatten()(pooling[-1])
    pictures = [layer.output for layer in network.layers if len(layer.output.shape) == 4]
    return keras.layers.GlobalAveragePooling2D()(pictures[-1])


def _with_imagenet(constructor: Callable[..., Any], name: str) -> Any:
    try:
        return constructor(weights="imagenet", classifier_activation=None)
    except Exception as error:  # Keras raises a bare Exception where an address does not answer
        address = re.search(r"https?://[^\s:]+", str(error))
        raise ArtifactError(
            f"the ImageNet weights of {name} cannot be had from {address[0] if address else 'Keras'}: {_line(error)}; "
            "fetch the file elsewhere and give it with --set eval.weights=FILE"
        ) from error


def _file(choice: Choice) -> Path:
    if not choice.weights.startswith(("http://", "https://")):
        path = Path(choice.weights)
        if not path.is_file():
            raise ConfigError(f"eval.weights names no file: {path}")
        return path
    try:
        folder = {"cache_dir": str(choice.downloads.resolve()), "cache_subdir": ""}
        return Path(keras.utils.get_file(origin=choice.weights, **folder))
    except Exception as error:
        raise ArtifactError(
            f"{choice.weights} cannot be had: {_line(error)}; fetch the file elsewhere and give it with "
            "--set eval.weights=FILE"
        ) from error


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
