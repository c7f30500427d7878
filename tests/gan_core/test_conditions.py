"""Conditions: which there are among the training pictures, and which a seed or a user gets."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from gan_core import dataset as reading
from gan_core.conditions import Condition, chosen, names_of, values_of
from gan_core.config import EvalConfig, ModelConfig
from gan_core.dataset import MemoryPictures, Pictures, StreamedPictures, open_pictures
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from tests.datasets import make_dataset

LABELS = Condition("label", ("cat", "dog", "frog"), ((0,), (2,)), (1, 3))
FACES = Condition("attributes", ("Smiling", "Male"), ((0, 0), (0, 1), (1, 0)), (2, 5, 3))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish ten pictures, mirrored copies besides; picture i has the class i modulo 3, and the attributes 0 and 1."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=10, images_per_shard=4, mirrored=True)


def values(*rows: tuple[int, ...]) -> np.ndarray:
    """Return what a reader has read: int32 [N, k]."""
    return np.array(rows, np.int32)


@pytest.mark.parametrize("kind", [MemoryPictures, StreamedPictures])
def test_values_stand_beside_the_pictures(kind: type[Pictures], dataset: DatasetManifest) -> None:
    """In memory and streamed, row i is that of picture i in the manifest's order; a mirrored copy has the same."""
    pictures = kind(dataset, "train", ("label",))  # type: ignore[call-arg]  # the protocol does not say how to open
    assert pictures.values.tolist() == [[number % 3] for number in range(10) for _ in range(2)]
    assert pictures.values.dtype == np.int32
    both = kind(dataset, "train", ("Eyeglasses", "Smiling"))  # type: ignore[call-arg]
    assert both.values.tolist() == [[1, 0]] * 20
    assert kind(dataset, "train").values.shape == (20, 0)  # type: ignore[call-arg]


def test_every_record_is_read_once(dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading pictures into memory decodes each record once, with conditions and without."""
    count, decode = 0, reading.decode_example

    def counting(record: bytes) -> object:
        nonlocal count
        count += 1
        return decode(record)

    monkeypatch.setattr(reading, "decode_example", counting)
    open_pictures(dataset, "train", "memory", ("label",))
    assert count == 20


def test_a_condition_counts_what_occurs(dataset: DatasetManifest) -> None:
    """Rows are the distinct conditions, sorted; names are all classes of the data set, or the attributes asked for."""
    read = open_pictures(dataset, "train", "stream", ("label",)).values
    labels = Condition("label", ("cat", "dog", "frog"), ((0,), (1,), (2,)), (8, 6, 6))
    assert Condition.of(("label",), dataset, read) == labels
    asked = ("Eyeglasses", "Smiling")
    found = Condition.of(asked, dataset, values((1, 1), (0, 1), (1, 1), (0, 0)))
    assert found == Condition("attributes", asked, ((0, 0), (0, 1), (1, 1)), (1, 1, 2))
    assert Condition.from_json(json.loads(json.dumps(found.to_json()))) == found
    with pytest.raises(ArtifactError, match="condition is incomplete"):
        Condition.from_json({"kind": "label"})


def test_networks_see_one_hot_classes_and_plain_attributes() -> None:
    """float32, as long as there are classes in the data set, or attributes asked for."""
    assert LABELS.array([[2], [0]]).tolist() == [[0, 0, 1], [1, 0, 0]]
    assert FACES.array([[0, 1], [1, 0]]).tolist() == [[0, 1], [1, 0]]
    assert LABELS.array([[2]]).dtype == FACES.array([[0, 1]]).dtype == np.float32


@pytest.mark.parametrize("first", [0, 12345])
@pytest.mark.parametrize("condition", [LABELS, FACES, Condition("label", ("one",), ((0,),), (1,))])
def test_seeds_have_the_conditions_of_training_exactly(condition: Condition, first: int) -> None:
    """As many consecutive seeds as training pictures have each condition as often; each depends on its seed alone."""
    seeds = range(first, first + sum(condition.counts))
    drawn = condition.drawn(seeds)
    rows = [row for row, count in zip(condition.rows, condition.counts, strict=True) for _ in range(count)]
    assert sorted(drawn.tolist()) == sorted(condition.array(rows).tolist())
    assert drawn.tolist() == [condition.drawn([seed])[0].tolist() for seed in seeds]


def test_few_seeds_come_near_the_proportions() -> None:
    """Of 64 pictures of a large balanced set, each of ten classes has 5 to 8, from any seed on; so has a rare row."""
    balanced = Condition("label", tuple("0123456789"), tuple((label,) for label in range(10)), (5000,) * 10)
    for first in (0, 1, 777, 2**31 - 1):
        counts = balanced.drawn(range(first, first + 64)).sum(0)
        assert 5 <= counts.min() <= counts.max() <= 8
    rare = Condition("attributes", ("Hat",), ((0,), (1,)), (97_000, 3_000))
    assert rare.drawn(range(1000)).sum() == 30


def test_a_grid_has_a_column_for_each_class() -> None:
    """Eight rows; few classes have several columns each, more than ten have the first ten."""
    columns, conditions = LABELS.grid() or (0, np.empty(0))
    assert columns == 8
    assert conditions.argmax(1).reshape(8, 8).tolist() == [[0] * 4 + [2] * 4] * 8
    for classes, expected in ((1, 8), (3, 6), (5, 5), (10, 10), (12, 10)):
        names = tuple(str(number) for number in range(classes))
        many = Condition("label", names, tuple((number,) for number in range(classes)), (7,) * classes)
        columns, conditions = many.grid() or (0, np.empty(0))
        assert columns == expected
        assert conditions.shape == (8 * expected, classes)
    assert FACES.grid() is None


def test_a_class_or_attributes_are_chosen_from_a_run() -> None:
    """By name or number; attributes not named keep their share among the pictures with those that are."""
    assert chosen(LABELS, EvalConfig()) == LABELS
    for text in ("frog", "2"):
        frogs = chosen(LABELS, EvalConfig(sample_class=text))
        assert frogs == dataclasses.replace(LABELS, rows=((2,),), counts=(3,))
        assert frogs.drawn(range(5)).tolist() == [[0, 0, 1]] * 5
    serious = chosen(FACES, EvalConfig(sample_attributes=("Smiling=0",)))
    assert serious == dataclasses.replace(FACES, rows=((0, 0), (0, 1)), counts=(2, 5))
    assert chosen(FACES, EvalConfig(sample_attributes=("Male=0", "Smiling=1"))).rows == ((1, 0),)  # type: ignore[union-attr]


def test_digits_are_names_before_they_are_numbers() -> None:
    """Where classes are called after numbers, a number is a name."""
    odd = Condition("label", ("1", "0"), ((0,), (1,)), (1, 1))
    assert chosen(odd, EvalConfig(sample_class="1")).rows == ((0,),)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("condition", "asked", "message"),
    [
        (None, {"sample_class": "dog"}, "--class dog: this run is unconditional; train one with model.condition=label"),
        (None, {"sample_attributes": ("Male=1",)}, "--attributes Male=1: this run is unconditional"),
        (FACES, {"sample_class": "dog"}, "is conditional on attributes; use --attributes with some of Smiling, Male"),
        (LABELS, {"sample_attributes": ("Male=1",)}, "conditional on classes; use --class with one of cat, dog, frog"),
        (LABELS, {"sample_class": "frogs"}, "unknown class 'frogs' (did you mean 'frog'?); this run's classes, or"),
        (LABELS, {"sample_class": "3"}, "unknown class '3'; this run's classes, or their numbers from 0: cat, dog"),
        (LABELS, {"sample_class": "dog"}, "no training picture had class dog, so the generator has not learned it"),
        (FACES, {"sample_attributes": ("Mal=1",)}, "unknown attribute 'Mal' (did you mean 'Male'?); this run was"),
        (FACES, {"sample_attributes": ("Male",)}, "takes NAME=0 or NAME=1, for example Smiling=1; got 'Male'"),
        (FACES, {"sample_attributes": ("Male=2",)}, "got 'Male=2'"),
        (FACES, {"sample_attributes": ("Male=1", "Smiling=1")}, "no training picture had Male=1,Smiling=1"),
    ],
)
def test_what_a_run_has_not_is_named(condition: Condition | None, asked: dict[str, object], message: str) -> None:
    """Each wrong choice is a ConfigError that says what there is."""
    with pytest.raises(ConfigError) as caught:
        chosen(condition, EvalConfig(**asked))  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_a_data_set_without_the_names_is_refused(dataset: DatasetManifest) -> None:
    """The message names what the data set has."""
    assert names_of(("label",), dataset) == ("cat", "dog", "frog")
    with pytest.raises(
        ConfigError, match=r"no attribute 'Smilin' \(did you mean 'Smiling'\?\); it has the attributes "
    ):
        names_of(("Eyeglasses", "Smilin"), dataset)
    plain = dataclasses.replace(dataset, label_names=(), attribute_names=())
    with pytest.raises(ConfigError, match="has no attribute 'Hat'; it has no attributes and no classes"):
        names_of(("Hat",), plain)
    with pytest.raises(
        ConfigError, match=r"needs classes, and .* has none; prepare a folder of pictures with data.fol"
    ):
        names_of(("label",), plain)


def test_pictures_of_unknown_condition_are_counted_and_refused(dataset: DatasetManifest) -> None:
    """-1, or a class beyond the names, is no condition: the message says of how many pictures, and what to do."""
    with pytest.raises(
        ConfigError, match=r"of 4 training pictures in .*, 2 are of unknown class; training cannot leave"
    ):
        Condition.of(("label",), dataset, values((0,), (-1,), (2,), (3,)))
    with pytest.raises(
        ConfigError, match=r"of 3 training pictures in .*, 1 are of unknown Eyeglasses; training cannot"
    ):
        Condition.of(("Smiling", "Eyeglasses"), dataset, values((0, 1), (1, -1), (1, 0)))
    assert values_of({"label": [-1]}, ("label",), dataset) == [-1]
    assert values_of({}, ("label",), dataset) == [-1]
    assert values_of({"attributes": []}, ("Eyeglasses", "Smiling"), dataset) == [-1, -1]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (("Male", "Male"), "model.condition names each once, got Male, Male"),
        (("label", "Male"), "model.condition is either label or names of attributes, got label, Male"),
        (tuple(f"a{number}" for number in range(11)), "model.condition names 10 attributes at most, got 11"),
    ],
)
def test_conditions_that_make_no_sense_are_refused(condition: tuple[str, ...], message: str) -> None:
    """Before any data set is looked at."""
    with pytest.raises(ConfigError) as caught:
        ModelConfig(condition=condition)
    assert str(caught.value) == message


def test_a_checkpoint_needs_no_data_set(tmp_path: Path) -> None:
    """The condition of a checkpoint comes back from its manifest; that of an unconditional one is None."""
    from gan_core.checkpoints import load_condition, save_checkpoint
    from gan_core.config import RunConfig

    config = RunConfig(preset="test")
    for number, condition in enumerate((FACES, LABELS, None)):
        saved = save_checkpoint(tmp_path, config, number, {}, {}, condition=condition)
        assert load_condition(saved) == condition
