from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from gan_core import artifacts
from gan_core.class_accuracy import class_accuracy
from gan_core.classifier import Classifier, train_classifier
from gan_core.classifier_network import build
from gan_core.classifier_training import Recipe, steps_of, varied
from gan_core.conditions import Condition
from gan_core.errors import ArtifactError, ConfigError, DataError
from gan_core.handoff import DatasetManifest
from gan_core.progress import Progress
from tests.written_datasets import Picture, write_dataset

Images = npt.NDArray[np.uint8]

TINY = Recipe(images=640, epochs=20, batch_size=16, width=4, learning_rate=0.02)
ATTRIBUTES = ["Smiling", "Eyeglasses"]


def picture(number: int, split: str = "train") -> Picture:
    """Return noise, green for the class dog, bright at the top if Smiling and at the bottom with Eyeglasses."""
    random = np.random.default_rng([number, len(split)])
    pixels = random.integers(0, 60, (8, 8, 3), np.uint8)
    label, smiling, glasses = number % 2, number // 2 % 2, number // 4 % 2
    pixels[..., 1] += np.uint8(100 * label)
    pixels[:4, :, ::2] += np.uint8(150 * smiling)
    pixels[4:, :, ::2] += np.uint8(150 * glasses)
    return Picture(f"{split}/{number:03d}.png", split, pixels, label, (smiling, glasses))


LISTED = [*(picture(number) for number in range(64)), *(picture(number, "test") for number in range(16))]
SHOWN: Images = np.stack([one.pixels for one in LISTED[64:] if one.pixels is not None])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """64 training pictures, of which two have no class, and 16 test pictures, of which one has none."""
    listed = [replace(one, label=-1) if place in (3, 8, 70) else one for place, one in enumerate(LISTED)]
    return write_dataset(tmp_path_factory.mktemp("classified") / "written-8", listed)


@pytest.fixture(scope="module")
def trained(dataset: DatasetManifest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, list[Progress]]:
    """A classifier of the classes, and the progress of its training."""
    seen: list[Progress] = []
    return train_classifier(dataset, ["label"], tmp_path_factory.mktemp("root"), seen.append, TINY), seen


def test_classes_are_learned(trained: tuple[Classifier, list[Progress]]) -> None:
    """Classes that a look tells apart are told apart on pictures that training has not seen."""
    classifier, seen = trained
    assert (classifier.kind, classifier.names) == ("label", ("cat", "dog"))
    assert classifier.held_out == {
        "split": "test",
        "unlabelled": 1,
        "accuracy": 1.0,
        "error": 0.0,
        "count": 15,
        "chance": 8 / 15,
        "parts": {
            "cat": {"accuracy": 1.0, "error": 0.0, "count": 7},
            "dog": {"accuracy": 1.0, "error": 0.0, "count": 8},
        },
    }
    assert classifier.facts["trained_on"] == {"split": "train", "count": 62, "unlabelled": 2}
    assert classifier.facts["images_shown"] == 640
    assert [(one.stage, one.done, one.total) for one in seen] == [("classify", 320, 640), ("classify", 640, 640)]


def test_what_it_says(trained: tuple[Classifier, list[Progress]]) -> None:
    """Probabilities of a picture add up to 1, and neither they nor its features depend on the pictures beside it."""
    classifier = trained[0]
    probabilities, features = classifier.predict(SHOWN), classifier.features(SHOWN)
    assert (probabilities.shape, probabilities.dtype) == ((16, 2), np.float32)
    assert (features.shape, features.dtype) == ((16, 8 * TINY.width), np.float32)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert probabilities.argmax(axis=1).tolist() == [0, 1] * 8
    many = np.concatenate([SHOWN] * 20)  # more than one batch
    assert np.allclose(classifier.predict(many)[-16:], probabilities, atol=1e-6)
    assert classifier.predict(SHOWN[:0]).shape == (0, 2)
    with pytest.raises(DataError, match=r"takes pictures of 8x8x3, got 8x8x1"):
        classifier.predict(SHOWN[..., :1])


def test_disobedient_pictures(trained: tuple[Classifier, list[Progress]]) -> None:
    """A generator that is asked for cats and dogs and draws only dogs obeys half of the time."""
    condition = Condition("label", ("cat", "dog"), ((0,), (1,)), (8, 8))
    score = class_accuracy(trained[0], SHOWN[1::2], condition.array([(0,)] * 4 + [(1,)] * 4))
    assert (score["value"], score["floor"]) == (0.5, 1.0)
    assert {name: part["value"] for name, part in score["parts"].items()} == {"cat": 0.0, "dog": 1.0}


def test_trained_once_and_again_to_the_last_bit(
    trained: tuple[Classifier, list[Progress]], dataset: DatasetManifest, tmp_path: Path
) -> None:
    """What is there is not trained again; what is damaged is, and gets the same weights, to the last bit."""
    first, seen = trained[0], list[Progress]()
    copy = tmp_path / "classifiers" / first.path.name
    assert copy.name.startswith("written-faces-")
    shutil.copytree(first.path, copy)
    found = train_classifier(dataset, ["label"], tmp_path, seen.append, TINY)
    assert (found.path, seen) == (copy, [])
    weights = copy / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:-9] + b"destroyed")
    mended = train_classifier(dataset, ["label"], tmp_path, seen.append, TINY)
    assert (mended.path, len(seen)) == (copy, 2)
    with np.load(first.path / "weights.npz") as one, np.load(weights) as other:
        assert one.files == other.files
        assert all(one[name].tobytes() == other[name].tobytes() for name in one.files)


def test_attributes_are_learned(dataset: DatasetManifest, tmp_path: Path) -> None:
    """Each attribute gets its own probability."""
    made = train_classifier(dataset, ATTRIBUTES, tmp_path, recipe=TINY)
    assert (made.kind, made.names, made.held_out["accuracy"]) == ("attributes", tuple(ATTRIBUTES), 1.0)
    assert (made.predict(SHOWN) >= 0.5).astype(int).tolist() == [list(one.attributes) for one in LISTED[64:]]
    assert made.facts["trained_on"] == {"split": "train", "count": 64, "unlabelled": 0}


def test_a_manifest_without_the_network(trained: tuple[Classifier, list[Progress]]) -> None:
    """A manifest that does not say what was trained is an error that names it."""
    manifest = artifacts.read_manifest(trained[0].path, "classifier")
    with pytest.raises(ArtifactError, match=r"has an incomplete manifest \('recipe'\); delete it"):
        Classifier(replace(manifest, fields={key: manifest.fields[key] for key in manifest.fields if key != "recipe"}))


def test_weights_of_another_network(trained: tuple[Classifier, list[Progress]]) -> None:
    """Weights that do not fit the network are an error that names their file."""
    manifest = artifacts.read_manifest(trained[0].path, "classifier")
    wider = {**manifest.fields, "recipe": {**manifest.fields["recipe"], "width": 5}}
    with pytest.raises(ArtifactError, match=r"weights\.npz cannot be read .*; delete .* and run again"):
        Classifier(replace(manifest, fields=wider))


def test_unknown_attribute(dataset: DatasetManifest, tmp_path: Path) -> None:
    """An attribute that the data set lacks is refused before anything is written."""
    with pytest.raises(ConfigError, match=r"has no attribute 'Smilling'.*Smiling"):
        train_classifier(dataset, ["Smilling"], tmp_path / "root", recipe=TINY)
    assert not (tmp_path / "root").exists()


def test_flips_only_where_the_data_set_has_them() -> None:
    """A digit is never mirrored; a face is, half of the time; shifts repeat the edge."""
    still = replace(TINY, shift=0.0)
    shown = np.concatenate([SHOWN] * 8)
    assert np.array_equal(varied(shown, still, 3, flips=False), shown)
    turned = [np.array_equal(a, b[:, ::-1]) for a, b in zip(varied(shown, still, 3, flips=True), shown, strict=True)]
    assert 48 < sum(turned) < 80
    ramp = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None], (9, 8, 8, 1)).copy()
    moved = varied(ramp, replace(TINY, shift=0.125), 0, flips=False)[0, 0, :, 0]
    assert moved.tolist() in ([0, 0, 1, 2, 3, 4, 5, 6], list(range(8)), [1, 2, 3, 4, 5, 6, 7, 7])


def test_a_training_is_bounded() -> None:
    """By the epochs on few pictures, by the images on many, and it is never empty."""
    assert [steps_of(Recipe(), count) for count in (1, 1000, 1_000_000)] == [1, 234, 937]


@pytest.mark.parametrize("side", [28, 256])
def test_sizes(side: int) -> None:
    """The network takes every size of picture that a run has, and its size does not depend on it."""
    network = build(side, 1, 3, 4, 0)
    assert [output.shape for output in network.outputs] == [(None, 3), (None, 32)]
    assert network.count_params() == build(64, 1, 3, 4, 0).count_params()
