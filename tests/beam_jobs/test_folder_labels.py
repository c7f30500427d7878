from __future__ import annotations

import json
from pathlib import Path

import pytest

from beam_jobs.sources.base import Source
from beam_jobs.sources.registry import look, open_source
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from tests.archives import PACKED, folder_config, pack


def source_of(path: Path, **options: object) -> Source:
    """Return the folder source at `path`."""
    return open_source(folder_config(path, **options), path)


def labels(source: Source) -> dict[str, int]:
    """Return key -> label."""
    return {ref.key: ref.label for ref in source.list()}


@pytest.mark.parametrize("packed", PACKED)
def test_first_level_folders_are_classes(tmp_path: Path, packed: str) -> None:
    """Classes are the first-level folders in the order of their names; a picture beside them has none."""
    names = ["dogs/b/1.png", "cats/2.png", "dogs/3.png", "loose.png", "Apes/4.png", "notes/readme.txt"]
    path = pack(dict.fromkeys(names, b"-"), tmp_path / f"pile.{packed}")
    source = source_of(path, folder_labels=True)
    assert labels(source) == {"Apes/4.png": 0, "cats/2.png": 1, "dogs/3.png": 2, "dogs/b/1.png": 2, "loose.png": -1}
    assert source.label_names == ("Apes", "cats", "dogs")
    assert source.notes == [
        "files that are not pictures by their extension: 1 (.txt: 1)",
        "pictures beside the folders of the classes: 1; their label is -1",
    ]


def test_folders_are_no_classes_unless_asked(tmp_path: Path) -> None:
    """Without data.folder_labels there are no labels."""
    source = source_of(pack({"a/1.png": b"-", "b/2.png": b"-"}, tmp_path))
    assert (labels(source), source.label_names) == ({"a/1.png": -1, "b/2.png": -1}, ())


@pytest.mark.parametrize("packed", ["zip", "tgz"])
def test_the_folder_around_an_archive_is_no_class(tmp_path: Path, packed: str) -> None:
    """LFW's lfw.tgz holds lfw/<person>/<picture>: the classes are the persons, and keys stay as they are."""
    path = pack({"lfw/Ann/1.png": b"-", "lfw/Bob/2.png": b"-", "lfw/3.png": b"-"}, tmp_path / f"lfw.{packed}")
    source = source_of(path, folder_labels=True)
    assert labels(source) == {"lfw/3.png": -1, "lfw/Ann/1.png": 0, "lfw/Bob/2.png": 1}
    assert source.label_names == ("Ann", "Bob")
    flat = source_of(pack({"ann/1.png": b"-", "ann/2.png": b"-"}, tmp_path / f"flat.{packed}"), folder_labels=True)
    assert (labels(flat), flat.label_names) == ({"ann/1.png": 0, "ann/2.png": 0}, ("ann",))


def test_folder_labels_without_folders(tmp_path: Path) -> None:
    """Asking for classes where all pictures lie at the top is a mistake."""
    pack({"1.png": b"-", "2.png": b"-"}, tmp_path)
    with pytest.raises(ConfigError) as caught:
        look(folder_config(tmp_path, folder_labels=True), tmp_path)
    assert str(caught.value) == (
        f"data.folder_labels=true takes the folders in '{tmp_path}' as classes, and all its pictures lie at the top; "
        "put each class in a folder, or set it to false"
    )


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("top", ["", "set/"])
def test_dataset_json(tmp_path: Path, packed: str, top: str) -> None:
    """StyleGAN's labels are taken; pictures without one get -1, lines without a picture are skipped."""
    document = {"labels": [["00000/img00000000.png", 3], ["00000\\img00000001.png", 0], ["gone.png", 1]]}
    names = [f"{top}00000/img0000000{index}.png" for index in range(3)]
    files = {**dict.fromkeys(names, b"-"), f"{top}dataset.json": json.dumps(document).encode()}
    path = pack(files, tmp_path / f"pile.{packed}")
    path = path / top if packed == "folder" else path
    source = source_of(path)
    assert [*labels(source).values()] == [3, 0, -1]
    assert source.label_names == ("0", "1", "2", "3")
    assert source.notes == ["pictures that dataset.json does not label: 1; their label is -1"]


def test_folders_win_over_dataset_json(tmp_path: Path) -> None:
    """With data.folder_labels the file is one more file that is no picture."""
    pack({"b/1.png": b"-", "dataset.json": b'{"labels": [["b/1.png", 7]]}'}, tmp_path)
    source = source_of(tmp_path, folder_labels=True)
    assert (labels(source), source.label_names) == ({"b/1.png": 0}, ("b",))
    assert source.notes == ["files that are not pictures by their extension: 1 (.json: 1)"]


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ('{"labels": null}', []),
        ('{"labels": []}', []),
        (
            '{"labels": [["1.png", [0.5, 1]]]}',
            ["{path}/dataset.json has vectors instead of classes; they are ignored"],
        ),
    ],
)
def test_dataset_json_without_classes(tmp_path: Path, text: str, notes: list[str]) -> None:
    """No labels, or continuous ones, leave the pictures without classes."""
    source = source_of(pack({"1.png": b"-", "dataset.json": text.encode()}, tmp_path))
    assert (labels(source), source.label_names) == ({"1.png": -1}, ())
    assert source.notes == [note.format(path=tmp_path) for note in notes]


MALFORMED = {
    "no JSON": ("{", "it is no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    "a list": ("[]", "it has no 'labels'"),
    "no labels": ('{"label": []}', "it has no 'labels'"),
    "an object": ('{"labels": {"1.png": 0}}', "'labels' is a dict"),
    "no pair": (
        '{"labels": [["1.png", 0], ["1.png"]]}',
        'labels[1] is ["1.png"] instead of a name and a label',
    ),
    "no name": ('{"labels": [[1, 0]]}', "labels[0] is [1, 0] instead of a name and a label"),
    "a text": (
        '{"labels": [["1.png", "cat"]]}',
        "the label of '1.png' is \"cat\" instead of a number from 0 to 99999",
    ),
    "negative": ('{"labels": [["1.png", -1]]}', "the label of '1.png' is -1 instead of a number from 0 to 99999"),
    "huge": (
        '{"labels": [["1.png", 100000]]}',
        "the label of '1.png' is 100000 instead of a number from 0 to 99999",
    ),
    "a float": ('{"labels": [["1.png", 1.0]]}', "the label of '1.png' is 1.0 instead of a number from 0 to 99999"),
    "true": ('{"labels": [["1.png", true]]}', "the label of '1.png' is true instead of a number from 0 to 99999"),
    "mixed": (
        '{"labels": [["1.png", 0], ["2.png", [1, 2]]]}',
        "1 of its 2 labels are lists and the others are numbers",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_dataset_json(tmp_path: Path, name: str) -> None:
    """A file that says it has labels and has none is an error with the place, not a data set without labels."""
    text, message = MALFORMED[name]
    pack({"1.png": b"-", "dataset.json": text.encode()}, tmp_path)
    with pytest.raises(DataError) as caught:
        look(folder_config(tmp_path), tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/dataset.json is malformed: {message}; "
        "make it again, or remove it to use the pictures without labels"
    )


def test_dataset_json_of_other_pictures(tmp_path: Path) -> None:
    """Labels for none of the pictures belong to something else."""
    pack({"1.png": b"-", "dataset.json": b'{"labels": [["2.png", 0]]}'}, tmp_path)
    with pytest.raises(DataError, match=r"dataset.json labels none of the pictures; remove it"):
        look(folder_config(tmp_path), tmp_path)


def test_folder_labels_of_other_kinds_are_refused(tmp_path: Path) -> None:
    """Only folders have classes by folders; anything else would be passed over."""
    with pytest.raises(ConfigError) as caught:
        look(DataConfig(kind="synthetic", folder_labels=True), tmp_path)
    assert str(caught.value) == "data.folder_labels=true needs data.kind=folder, got synthetic; set one or the other"
