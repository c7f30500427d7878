"""A classifier of the classes or attributes that a run is conditioned on, trained on its data set and kept beside it.

It answers whether generated pictures show what they were asked to show, see `class_accuracy`. One that is there for the
same data set, names and recipe is not trained again.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gan_core import artifacts, classifier_network
from gan_core.artifacts import Manifest, digest_of
from gan_core.class_accuracy import accuracies
from gan_core.classifier_network import Array, Forward, Images
from gan_core.classifier_training import Recipe, Training, steps_of, targets_of, varied
from gan_core.conditions import names_of
from gan_core.dataset import Pictures, StreamedPictures, shown_indices
from gan_core.errors import ArtifactError, DataError
from gan_core.handoff import DatasetManifest, slug
from gan_core.labelled import Part, parts
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.sections import LABEL

CLASSIFIER_FORMAT = 1  # bump when the same data set, names and recipe would give other weights
_WEIGHTS_FILE = "weights.npz"
_READ_AT_ONCE = 1024
_REPORT_EVERY = 20  # steps


class Classifier:
    """A trained classifier.

    Attributes:
        path: its published folder.
        digest: what determined its weights, 64 hex digits.
        kind: "label", one class of each picture, or "attributes", each there or not.
        names: of the classes or attributes, in the order of the probabilities.
        held_out: how good it is on real pictures that it has not seen: `split`, `unlabelled`, and what
            `class_accuracy.accuracies` returns.
        facts: all fields of its manifest.
    """

    def __init__(self, manifest: Manifest) -> None:
        """Rebuild the network of a published classifier. Raises ArtifactError where that is damaged."""
        self.path, self.digest, self.facts = manifest.path, manifest.digest, manifest.fields
        try:
            self.kind, self.names = str(self.facts["kind_of_condition"]), tuple(self.facts["names"])
            self.held_out: Mapping[str, Any] = self.facts["held_out"]
            self._shape = (*[int(self.facts["resolution"])] * 2, int(self.facts["channels"]))
            network = _network(self._shape, len(self.names), Recipe(**self.facts["recipe"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ArtifactError(f"{self.path} has an incomplete manifest ({error}); delete it and run again") from None
        _load_weights(network, manifest)
        self._forward = Forward(network)

    def predict(self, images: Images) -> Array:
        """Return the probability of each class or attribute: uint8 [N, S, S, C] in [0, 255] -> float32 [N, k].

        Those of classes add up to 1.

        Raises:
            DataError: the pictures have another size or other channels than those that it was trained on.
        """
        return _probabilities(self.kind, self._outputs(images)[0])

    def features(self, images: Images) -> Array:
        """Return the layer before the last: uint8 [N, S, S, C] in [0, 255] -> float32 [N, 8 * width], 0 or above.

        They tell apart what the data set has labels for, and little else.

        Raises:
            DataError: the pictures have another size or other channels than those that it was trained on.
        """
        return self._outputs(images)[1]

    def _outputs(self, images: Images) -> tuple[Array, Array]:
        if images.shape[1:] != self._shape:
            wanted, got = ("x".join(map(str, shape)) for shape in (self._shape, images.shape[1:]))
            raise DataError(f"the classifier {self.path} takes pictures of {wanted}, got {got}")
        return self._forward(images)


def train_classifier(
    dataset: DatasetManifest,
    condition_names: Sequence[str],
    folder_root: Path,
    report_progress: ReportProgress = silent,
    recipe: Recipe | None = None,
) -> Classifier:
    """Return the classifier of a data set's classes or attributes; train it and publish it where it is not yet.

    It learns from the training pictures whose classes or attributes are known, and is tested on others: see
    `labelled.parts`. Pictures are flipped where the data set's own training would flip them. The same call gives the
    same weights, to the last bit on the same CPU. Pixels are
    read as they are shown: memory is a few batches and the places of the records.

    Args:
        dataset: a prepared data set.
        condition_names: as `model.condition`: "label", or names of attributes.
        folder_root: the data root; the folder is `classifiers/<data set>-<digest12>` in it.
        report_progress: called while it trains, with the loss.
        recipe: how to train; None is the usual one.

    Raises:
        ConfigError: the data set has no such classes or attributes, or too few pictures have them.
        ArtifactError: a shard of the data set is damaged.
    """
    recipe, names = recipe or Recipe(), names_of(condition_names, dataset)
    digest = digest_of(
        {
            "format": CLASSIFIER_FORMAT,
            "dataset": dataset.digest,
            "condition": list(condition_names),
            "recipe": asdict(recipe),
        }
    )
    folder = folder_root / "classifiers" / f"{slug(dataset.name)}-{digest[:12]}"
    found = artifacts.find(folder, "classifier", digest)
    if found is None:
        with artifacts.publishing(folder) as draft:
            found = artifacts.find(folder, "classifier", digest)  # from a process that this one had to wait for
            if found is None:
                fields = _train(dataset, condition_names, names, recipe, draft, report_progress)
                artifacts.write_manifest(draft, "classifier", digest, fields)
        found = artifacts.read_manifest(folder, "classifier")
    return Classifier(found)


def _train(
    dataset: DatasetManifest,
    asked: Sequence[str],
    names: tuple[str, ...],
    recipe: Recipe,
    draft: Path,
    report_progress: ReportProgress,
) -> dict[str, Any]:
    """Write the weights into `draft` and return the fields of the manifest."""
    learned, held_out = parts(dataset, asked)
    kind = LABEL if tuple(asked) == (LABEL,) else "attributes"
    shape = (dataset.resolution, dataset.resolution, dataset.channels)
    network = _network(shape, len(names), recipe)
    training = Training(network, kind, recipe, steps_of(recipe, len(learned.indices)))
    pictures, flips = StreamedPictures(dataset, learned.split), dataset.protocol.get("flip") != "none"
    shown, total = 0, training.steps * recipe.batch_size
    for step in range(training.steps):
        places = shown_indices(shown, recipe.batch_size, len(learned.indices), recipe.seed)
        images = varied(pictures.read(learned.indices[places]), recipe, step, flips=flips)
        loss = training.step(images, targets_of(learned.values[places], kind, len(names)))
        shown += recipe.batch_size
        if step % _REPORT_EVERY == _REPORT_EVERY - 1 or shown == total:
            report_progress(Progress("classify", shown, total, figures={"loss": float(loss)}))
    np.savez(draft / _WEIGHTS_FILE, allow_pickle=False, **_state(network))
    tested = _tested(network, kind, names, StreamedPictures(dataset, held_out.split), held_out)
    return {
        "kind_of_condition": kind,
        "names": list(names),
        "held_out": tested,
        "trained_on": {"split": learned.split, "count": len(learned.indices), "unlabelled": learned.unlabelled},
        "images_shown": shown,
        "flips": flips,
        "resolution": dataset.resolution,
        "channels": dataset.channels,
        "dataset_digest": dataset.digest,
        "recipe": asdict(recipe),
    }


def _network(shape: tuple[int, ...], outputs: int, recipe: Recipe) -> keras.Model:
    return classifier_network.build(shape[0], shape[2], outputs, recipe.width, recipe.seed)


def _tested(
    network: keras.Model, kind: str, names: tuple[str, ...], pictures: Pictures, held_out: Part
) -> dict[str, Any]:
    forward, logits = Forward(network), []
    for start in range(0, len(held_out.indices), _READ_AT_ONCE):
        logits.append(forward(pictures.read(held_out.indices[start : start + _READ_AT_ONCE]))[0])
    found = accuracies(kind, names, _probabilities(kind, np.concatenate(logits)), held_out.values)
    return {"split": held_out.split, "unlabelled": held_out.unlabelled, **found}


def _probabilities(kind: str, logits: Array) -> Array:
    if kind == LABEL:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(0.5 + 0.5 * np.tanh(logits / 2), np.float32)


def _state(network: keras.Model) -> dict[str, Any]:
    return {f"{index:03d}": variable.numpy() for index, variable in enumerate(network.variables)}


def _load_weights(network: keras.Model, manifest: Manifest) -> None:
    path = manifest.file(_WEIGHTS_FILE)
    try:
        with np.load(path, allow_pickle=False) as archive:
            for index, variable in enumerate(network.variables):
                variable.assign(archive[f"{index:03d}"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete {manifest.path} and run again") from None
