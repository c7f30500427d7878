"""Class labels of a folder of pictures: its first-level folders, or a dataset.json as StyleGAN's tools write it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from beam_jobs.places.texts import TextFile
from gan_core.errors import DataError

LABELS_FILE = "dataset.json"

_MAX_CLASSES = 100_000


@dataclass(frozen=True)
class Labels:
    """What is known about classes.

    Attributes:
        names: name of each class.
        of: key -> index into `names`; pictures without a class are absent.
        notes: remarks for the user, one line each.
    """

    names: tuple[str, ...] = ()
    of: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def labels_from_folders(keys: Collection[str], top: str = "") -> Labels:
    """Return the first-level folders as classes, in the order of their names.

    Args:
        keys: the pictures.
        top: a folder around everything that is no class itself; "" for none.
    """
    start = len(top) + 1 if top else 0
    folders = {key: key[start:].partition("/")[0] for key in keys if "/" in key[start:]}
    names = sorted(set(folders.values()))
    number = {name: index for index, name in enumerate(names)}
    loose = len(keys) - len(folders)
    notes = (f"pictures beside the folders of the classes: {loose}; their label is -1",) if loose else ()
    return Labels(tuple(names), {key: number[name] for key, name in folders.items()}, notes)


def labels_from_file(file: TextFile, keys: Collection[str], top: str = "") -> Labels:
    """Read a dataset.json: {"labels": [["00000/img00000000.png", 3], ...]}, or null instead of the list.

    This is what dataset_tool.py of StyleGAN2-ADA and StyleGAN3 writes and ImageFolderDataset reads. Labels that are
    vectors (continuous conditions) are ignored with a note. Lines for pictures that are not there are skipped.

    Args:
        file: the JSON.
        keys: the pictures.
        top: the folder of the file, which its names leave out; "" for none.

    Raises:
        DataError: it is malformed; the message says where.
    """
    labels = _read(file)
    if labels is None:
        return Labels()
    vectors = sum(isinstance(label, list) for label in labels.values())
    if vectors == len(labels):
        return Labels(notes=(f"{file.label} has vectors instead of classes; they are ignored",) if labels else ())
    if vectors:
        raise _malformed(file, f"{vectors} of its {len(labels)} labels are lists and the others are numbers")
    prefix = f"{top}/" if top else ""
    known = {key: labels[name] for key in keys if (name := key.removeprefix(prefix)) in labels}
    if not known:
        raise DataError(
            f"{file.label} labels none of the pictures; remove it, or put the one that belongs to them there"
        )
    names = tuple(str(number) for number in range(max(labels.values()) + 1))
    missing = len(keys) - len(known)
    notes = (f"pictures that {LABELS_FILE} does not label: {missing}; their label is -1",) if missing else ()
    return Labels(names, known, notes)


def _read(file: TextFile) -> dict[str, Any] | None:
    """Return name -> label (an int or a list of numbers), None where the file has no labels."""
    try:
        document = json.loads(file.text())
    except (json.JSONDecodeError, RecursionError) as error:
        raise _malformed(file, f"it is no JSON: {error}") from None
    if not isinstance(document, dict) or "labels" not in document:
        raise _malformed(file, "it has no 'labels'")
    entries = document["labels"]
    if entries is None:
        return None
    if not isinstance(entries, list):
        raise _malformed(file, f"'labels' is a {type(entries).__name__}")
    labels: dict[str, Any] = {}
    for index, entry in enumerate(entries):
        if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
            raise _malformed(file, f"labels[{index}] is {_shown(entry)} instead of a name and a label")
        name, label = entry
        if not (_is_class(label) or _is_vector(label)):
            raise _malformed(
                file, f"the label of '{name}' is {_shown(label)} instead of a number from 0 to {_MAX_CLASSES - 1}"
            )
        labels[name.replace("\\", "/")] = label
    return labels


def _is_class(label: object) -> bool:
    return isinstance(label, int) and not isinstance(label, bool) and 0 <= label < _MAX_CLASSES


def _is_vector(label: object) -> bool:
    return isinstance(label, list) and all(isinstance(value, int | float) for value in label)


def _shown(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _malformed(file: TextFile, why: str) -> DataError:
    return DataError(
        f"{file.label} is malformed: {why}; make it again, or remove it to use the pictures without labels"
    )
