"""CelebA's text files: attributes, splits, identities, landmarks; as released (.txt) or as Kaggle has them (.csv).

A picture that a file does not list has unknown attributes (-1), no identity (-1), no landmarks and is in the train
split; a note says how many. Lines for pictures that are not there are skipped: a part of CelebA comes with the lists
of the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from beam_jobs.places.texts import TextFile
from gan_core.errors import DataError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
LANDMARKS = "list_landmarks_align_celeba"
LISTS = (ATTRIBUTES, PARTITION, IDENTITY, LANDMARKS)

WIDTH, HEIGHT = 178, 218  # of the pictures that the landmarks are written for

_COORDINATES = 10
_SPLITS = {"0": "train", "1": "validation", "2": "test"}
_SIGNS = {"1": 1, "-1": 0}


@dataclass(frozen=True)
class Lists:
    """What the text files say, by the picture's name without extension; landmarks in pixels of 178x218.

    A byte for each attribute and whole numbers, which take a quarter of the memory of what `ImageRef` has.
    """

    attribute_names: tuple[str, ...]
    attributes: Mapping[str, bytes]
    splits: Mapping[str, str]
    identities: Mapping[str, int]
    landmarks: Mapping[str, tuple[int, ...]]
    notes: list[str]


def read(find: Callable[[Sequence[str]], TextFile | None], stems: Collection[str]) -> Lists:
    """Read each of the four files that there is; keep the lines of `stems`.

    Args:
        find: returns the first file of the given names that is there.
        stems: names of the pictures, without extension.

    Raises:
        DataError: a line is malformed or a file lists none of the pictures; it names file, line and value.
    """
    files = {name: find((f"{name}.txt", f"{name}.csv")) for name in LISTS}
    attribute_names, attributes = _read_attributes(files[ATTRIBUTES], stems)
    splits = _read_partition(files[PARTITION], stems)
    identities = _read_identities(files[IDENTITY], stems)
    landmarks = _read_landmarks(files[LANDMARKS], stems)
    notes = []
    for name, listed, consequence in (
        (ATTRIBUTES, attributes, "their attributes are -1"),
        (PARTITION, splits, "they are in the train split"),
        (IDENTITY, identities, "their identity is -1"),
        (LANDMARKS, landmarks, "they have no landmarks"),
    ):
        if listed and len(listed) < len(stems):
            notes.append(f"pictures that {name} does not list: {len(stems) - len(listed)}; {consequence}")
    return Lists(attribute_names, attributes, splits, identities, landmarks, notes)


def _read_attributes(file: TextFile | None, stems: Collection[str]) -> tuple[tuple[str, ...], dict[str, bytes]]:
    if file is None:
        return (), {}
    names, lines = _table(file, "the names of the attributes")
    attributes = {}
    for number, stem, values in lines:
        if len(values) != len(names):
            raise _malformed(file, number, f"{len(values)} values", f"{len(names)}, one for each attribute")
        if stem in stems:
            try:
                attributes[stem] = bytes(map(_SIGNS.__getitem__, values))
            except KeyError as error:
                raise _malformed(file, number, error.args[0], "1 or -1") from None
    _check_overlap(file, attributes)
    return tuple(names), attributes


def _read_landmarks(file: TextFile | None, stems: Collection[str]) -> dict[str, tuple[int, ...]]:
    landmarks: dict[str, tuple[int, ...]] = {}
    if file is None:
        return landmarks
    _, lines = _table(file, "the names of the coordinates")
    for number, stem, values in lines:
        if len(values) != _COORDINATES:
            raise _malformed(file, number, f"{len(values)} values", f"{_COORDINATES}, x and y of five points")
        if stem in stems:
            try:
                landmarks[stem] = tuple(map(int, values))
            except ValueError:
                raise _malformed(file, number, " ".join(values), "whole numbers of pixels") from None
    _check_overlap(file, landmarks)
    return landmarks


def _read_partition(file: TextFile | None, stems: Collection[str]) -> dict[str, str]:
    splits = {}
    for number, stem, value in _pairs(file, stems):
        if value not in _SPLITS:
            raise _malformed(file, number, value, "0 (train), 1 (validation) or 2 (test)")
        splits[stem] = _SPLITS[value]
    _check_overlap(file, splits)
    return splits


def _read_identities(file: TextFile | None, stems: Collection[str]) -> dict[str, int]:
    identities = {}
    for number, stem, value in _pairs(file, stems):
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise _malformed(file, number, value, "the number of a person")
        identities[stem] = int(value)
    _check_overlap(file, identities)
    return identities


def _table(file: TextFile, columns: str) -> tuple[list[str], Iterator[tuple[int, str, list[str]]]]:
    """Return the names of the columns, and (line number, picture without extension, values) of the lines below."""
    lines = _rows(file)
    if file.suffix == ".txt":
        number, first = next(lines, (1, []))
        if len(first) != 1 or not first[0].isdigit():
            raise _malformed(file, number, " ".join(first), "the number of pictures")
    number, names = next(lines, (2, []))
    names = names[1:] if file.suffix == ".csv" else names
    if not names:
        raise _malformed(file, number, "", columns)
    return names, ((number, row[0].partition(".")[0], row[1:]) for number, row in lines)


def _pairs(file: TextFile | None, stems: Collection[str]) -> Iterator[tuple[int, str, str]]:
    if file is None:
        return
    lines = _rows(file)
    if file.suffix == ".csv":
        next(lines, None)  # column names
    for number, row in lines:
        if len(row) != 2:
            raise _malformed(file, number, " ".join(row), "a file name and a number")
        if (stem := row[0].partition(".")[0]) in stems:
            yield number, stem, row[1]


def _rows(file: TextFile) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, columns) of every line that is not blank."""
    with_commas = file.suffix == ".csv"
    for number, line in enumerate(file.text().splitlines(), start=1):
        if not with_commas:
            columns = line.split()
        else:
            columns = [column.strip() for column in line.split(",")] if line.strip() else []
        if columns:
            yield number, columns


def _check_overlap(file: TextFile | None, listed: Mapping[str, object]) -> None:
    if file is not None and not listed:
        raise DataError(f"{file.label} lists none of the pictures beside it; it belongs to another data set")


def _malformed(file: TextFile | None, number: int, value: str, wanted: str) -> DataError:
    label = file.label if file else ""
    return DataError(f"{label}, line {number}: expected {wanted}, got '{value}'; download the file again")
