"""A version as files that need no faceloom: Keras, SavedModel, and its card."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from gan_core import artifacts, models, sampling
from gan_core.artifacts import digest_of
from gan_core.checkpoints import load_condition, load_normalization
from gan_core.errors import ArtifactError, ConfigError
from gan_core.models import layers
from gan_core.registry.card import CARD
from gan_core.registry.version import Version

KIND = "export"


def export(version: Version, to: Path) -> Path:
    """Write `generator.keras`, `saved_model/` and README.md into the new folder `to`; nothing half-written is left.

    `generator.keras` is the averaged generator as it was trained: latent (float32 [n, latent]), and condition (float32
    [n, size]) where it has one, to pixels as training saw them. That of dcgan and mlp without conditions has layers of
    Keras alone; for the others `import gan_core.models` comes before `keras.saving.load_model`. The signature
    `serving_default` of `saved_model/` takes `latent` and perhaps `condition`, gives `images`, uint8 [n, H, W, C] in
    [0, 255], and needs TensorFlow alone.

    Raises:
        ConfigError: `to` exists and is no export. ArtifactError: the version is damaged, or the disk is full.
    """
    version.verify()
    if to.exists() and (not to.is_dir() or any(to.iterdir())) and artifacts.find(to, KIND) is None:
        raise ConfigError(f"{to} exists and is not an export of faceloom; name a new folder with --to")
    generator = sampling.load_generator(version.checkpoint)
    try:
        with artifacts.publishing(to) as draft:
            _of_keras_alone(generator).save(draft / "generator.keras")
            _save(generator, version, draft / "saved_model")
            shutil.copyfile(version.path / CARD, draft / CARD)
            fields = {"model": version.model, "number": version.number, "checkpoint_digest": version.checkpoint_digest}
            artifacts.write_manifest(draft, KIND, digest_of(fields), fields)
    except (OSError, tf.errors.OpError) as error:
        raise ArtifactError(f"{to} cannot be written ({error}); make room, or name another folder with --to") from None
    return to


def _of_keras_alone(generator: keras.Model) -> keras.Model:
    """Return the same network with Keras' own layers where faceloom's differ in training only."""
    fast = {layers.BatchNormalization: keras.layers.BatchNormalization, layers.Dropout: keras.layers.Dropout}

    def plain(layer: Any) -> Any:
        return fast.get(type(layer), type(layer)).from_config(layer.get_config())

    clone = keras.models.clone_model(generator, clone_function=plain)
    clone.set_weights(generator.get_weights())
    return clone


def _save(generator: keras.Model, version: Version, folder: Path) -> None:
    normalization = load_normalization(version.checkpoint) or models.tanh_normalization(generator.output_shape[-1])
    levels = [1.0 / scale for scale in normalization.scale]

    def images(latent: Any, condition: Any = None) -> dict[str, Any]:
        pixels = (generator(models.inputs(latent, condition), training=False) - normalization.offset) * levels
        return {"images": tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)}

    names = ["latent"] + (["condition"] if load_condition(version.checkpoint) else [])
    signature = [
        tf.TensorSpec([None, *each.shape[1:]], tf.float32, name=name)
        for name, each in zip(names, generator.inputs, strict=True)
    ]
    module = tf.Module()
    module.generator = generator
    module.images = tf.function(images, input_signature=signature)
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.images})
