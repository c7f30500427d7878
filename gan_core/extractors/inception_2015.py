"""The extractor of published FIDs: Inception-v3 as TensorFlow published it in 2015, after one of three resizings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gan_core.errors import ConfigError
from gan_core.extractors import inception_layers as inception
from gan_core.extractors.base import Choice, Extracted, Facts, Images
from gan_core.extractors.inception_weights import InceptionWeights, load_weights
from gan_core.extractors.resizing import RESIZINGS, resize

if TYPE_CHECKING:
    from gan_core.extractors.inception_network import Network

NAME = "inception-2015"
# The graph of 2015 resizes inside, this way: so were the FIDs of Heusel et al. and StyleGAN, and are torch-fidelity's.
DEFAULT_RESIZING = "tensorflow"
BATCH = 32  # 0.4 GB of activations
_NOTES = {
    "legacy": "published weights, resized as pytorch-fid does it: compares with its FIDs",
    "tensorflow": "published weights, resized by their graph: compares with torch-fidelity's and StyleGAN's FIDs",
    "clean": "published weights, resized as clean-fid does it: compares with its FIDs",
}


def load(choice: Choice) -> Inception2015:
    """Return the extractor.

    Args:
        choice: `weights` is a file or an address of the weights, empty is the published file, downloaded once;
            `resizing` is a key of RESIZINGS, empty is "tensorflow".

    Raises:
        ConfigError: no such resizing, or no such file.
        DataError, ArtifactError: the weights cannot be had or are not of this network, see `load_weights`.
    """
    resizing = choice.resizing or DEFAULT_RESIZING
    if resizing not in RESIZINGS:
        raise ConfigError(f"eval.resizing must be one of {', '.join(RESIZINGS)} for {NAME}, got '{resizing}'")
    from gan_core.extractors.inception_network import compiled, network

    weights = load_weights(choice)
    return Inception2015(compiled(network(weights.arrays)), facts_of(weights, resizing))


def facts_of(weights: InceptionWeights, resizing: str) -> Facts:
    """Return what features by these weights, after this resizing, depend on."""
    compares = _NOTES[resizing] if weights.is_published else "other weights than the published: compares with no FID"
    return Facts(
        name=NAME,
        title="Inception-v3 (2015)",
        weights=weights.digest,
        resizing=resizing,
        side=inception.SIDE,
        dimensions=inception.FEATURES,
        classes=inception.CLASSES,
        is_published=weights.is_published,
        note=compares,
    )


class Inception2015:
    """The network with its weights, and what is known of them."""

    def __init__(self, network: Network, facts: Facts) -> None:
        self._network = network
        self._facts = facts

    @property
    def facts(self) -> Facts:
        """What the numbers depend on."""
        return self._facts

    def extract(self, images: Images) -> Extracted:
        """Return features float32 [N, 2048] and logits float32 [N, 1008] of uint8 [N, S, S, C], C = 1 or 3.

        Logits are without bias, as the Inception Score is published.
        """
        features = np.empty((len(images), inception.FEATURES), np.float32)
        logits = np.empty((len(images), inception.CLASSES), np.float32)
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            made = self._network(pixels(images[part], self._facts.resizing))
            features[part], logits[part] = (tensor.numpy() for tensor in made)
        return Extracted(features, logits)


def pixels(images: Images, resizing: str) -> npt.NDArray[np.float32]:
    """Return what the network sees of uint8 [N, S, S, C], C = 1 or 3: float32 [N, 299, 299, 3] in [-1, 1].

    pytorch-fid maps 0 to -1 and 255 to 1; the other two subtract 128 and divide by 128.
    """
    resized = resize(images, resizing, inception.SIDE)
    if resizing == "legacy":
        resized *= np.float32(2 / 255)
        resized -= np.float32(1)
    else:
        resized -= np.float32(128)
        resized *= np.float32(1 / 128)
    return resized if resized.shape[-1] == 3 else np.repeat(resized, 3, axis=-1)
