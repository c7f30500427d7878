import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from gan_core.errors import ArtifactError, DataError
from gan_core.extractors import keras_applications
from gan_core.extractors.base import Choice
from gan_core.extractors.registry import open_extractor
from gan_core.extractors.resizing import resize

# What Keras saves arrays with does not know NumPy 2's copy=False.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

MobileNet = keras.applications.MobileNet


def test_features_are_those_of_keras_own_pooling(tmp_path: Path) -> None:
    """With weights from a file: pooled features as Keras makes them, logits that its softmax turns into its classes."""
    network = MobileNet(weights=None)
    random = np.random.default_rng(3)
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            weight = layer.weights[0]
            inputs = np.prod(weight.shape[:-1]) if isinstance(layer, keras.layers.Conv2D) else 9
            weight.assign(random.standard_normal(weight.shape) * np.sqrt(2 / inputs))  # activations keep their size
    path = tmp_path / "random.weights.h5"
    network.save_weights(path)
    extractor = open_extractor(Choice(name="keras:MobileNet", weights=str(path)))
    facts = extractor.facts
    assert (facts.name, facts.side, facts.dimensions, facts.classes) == ("keras:MobileNet", 224, 1024, 1000)
    assert (facts.resizing, facts.is_published) == ("clean", False)
    assert facts.weights == keras_applications.digest_of_weights(network)
    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    pixels = keras.applications.mobilenet.preprocess_input(resize(images, "clean", 224))
    (pooling,) = (layer for layer in network.layers if isinstance(layer, keras.layers.GlobalAveragePooling2D))
    pooled = keras.Model(network.inputs[0], pooling.output)
    found = extractor.extract(images)
    np.testing.assert_allclose(found.features, np.asarray(pooled(pixels)).reshape(3, 1024), rtol=0, atol=1e-4)
    assert found.logits is not None
    np.testing.assert_allclose(keras.ops.softmax(found.logits), network(pixels), rtol=0, atol=1e-6)
    grey = extractor.extract(images[..., :1]).features
    in_colour = extractor.extract(np.repeat(images[..., :1], 3, axis=3)).features
    np.testing.assert_allclose(grey, in_colour, rtol=0, atol=1e-4)
    assert (found.features.dtype, bool(np.ptp(found.features) > 0.1)) == (np.float32, True)

    network.layers[1].kernel.assign(network.layers[1].kernel + 1e-6)
    assert keras_applications.digest_of_weights(network) != facts.weights

    damaged = tmp_path / "damaged.weights.h5"
    damaged.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"damaged\.weights\.h5 does not hold weights of MobileNet with its classifier"):
        open_extractor(Choice(name="keras:MobileNet", weights=str(damaged)))


def test_weights_that_cannot_be_had_name_address_and_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a network the error names Keras' address, and the option that takes a file."""

    def refuse(*, weights: str, classifier_activation: None) -> None:
        raise Exception(f"URL fetch failure on https://example.org/{weights}.h5: None -- no route")

    monkeypatch.setattr(keras.applications, "VGG16", refuse)
    with pytest.raises(ArtifactError, match=r"from https://example\.org/imagenet\.h5: .*--set eval\.weights=FILE"):
        open_extractor(Choice(name="keras:VGG16"))


def test_all_networks_are_known() -> None:
    """The names are the constructors of keras.applications, and every one has its preprocessing beside it."""
    found = keras_applications.networks()
    assert {"InceptionV3", "VGG16", "ResNet50V2", "EfficientNetB0", "MobileNetV3Small", "ConvNeXtTiny"} <= set(found)
    modules = [sys.modules[getattr(keras.applications, name).__module__] for name in found]
    assert all(hasattr(module, "preprocess_input") for module in modules)
