"""CelebA's text files: attributes, splits, identities; as released (.txt) or as Kaggle has them (.csv).

A picture that a file does not list has unknown attributes (-1), no identity (-1) and is in the train split; a
note says how many. Lines for pictures that are not there are skipped: a part of CelebA comes with the lists
of the whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_core.errors import DataError

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_CelebA"

_SPLITS = {"0": "train", "1": "validation", "2": "test"}
_SIGNS = {"1": 1, "-1": 0}


@dataclass(frozen=True)
class Lists:
    """What the text files say, by the picture's name without extension."""

    attribute_names: tuple[str, ...]
    attributes: Mapping[str, tuple[int, ...]]
    splits: Mapping[str, str]
    identities: Mapping[str, int]
    notes: list[str]


def read(folders: Sequence[Path], stems: Collection[str]) -> Lists:
    """Read each of the three files from the first of `folders` that has it; keep the lines of `stems`.

    Raises:
        DataError: a line is malformed or a file lists none of the pictures; it names file, line and value.
    """
    attribute_names, attributes = _read_attributes(_find(folders, ATTRIBUTES), stems)
    splits = _read_partition(_find(folders, PARTITION), stems)
    identities = _read_identities(_find(folders, IDENTITY), stems)
    notes = []
    for name, listed, consequence in (
        (ATTRIBUTES, attributes, "their attributes are -1"),
        (PARTITION, splits, "they are in the train split"),
        (IDENTITY, identities, "their identity is -1"),
    ):
        if listed and len(listed) < len(stems):
            notes.append(f"pictures that {name} does not list: {len(stems) - len(listed)}; {consequence}")
    return Lists(attribute_names, attributes, splits, identities, notes)


def _find(folders: Sequence[Path], name: str) -> Path | None:
    candidates = (folder / f"{name}{extension}" for folder in folders for extension in (".txt", ".csv"))
    return next((path for path in candidates if path.is_file()), None)


def _read_attributes(path: Path | None, stems: Collection[str]) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]]]:
    if path is None:
        return (), {}
    lines = _rows(path)
    if path.suffix == ".txt":
        number, first = next(lines, (1, []))
        if len(first) != 1 or not first[0].isdigit():
            raise _malformed(path, number, " ".join(first), "the number of pictures")
    number, names = next(lines, (2, []))
    names = names[1:] if path.suffix == ".csv" else names
    if not names:
        raise _malformed(path, number, "", "the names of the attributes")
    attributes = {}
    for number, (name, *values) in lines:
        if len(values) != len(names):
            raise _malformed(path, number, f"{len(values)} values", f"{len(names)}, one for each attribute")
        if (stem := name.partition(".")[0]) in stems:
            try:
                attributes[stem] = tuple(_SIGNS[value] for value in values)
            except KeyError as error:
                raise _malformed(path, number, error.args[0], "1 or -1") from None
    _check_overlap(path, attributes)
    return tuple(names), attributes


def _read_partition(path: Path | None, stems: Collection[str]) -> dict[str, str]:
    splits = {}
    for number, stem, value in _pairs(path, stems):
        if value not in _SPLITS:
            raise _malformed(path, number, value, "0 (train), 1 (validation) or 2 (test)")
        splits[stem] = _SPLITS[value]
    _check_overlap(path, splits)
    return splits


def _read_identities(path: Path | None, stems: Collection[str]) -> dict[str, int]:
    identities = {}
    for number, stem, value in _pairs(path, stems):
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise _malformed(path, number, value, "the number of a person")
        identities[stem] = int(value)
    _check_overlap(path, identities)
    return identities


def _pairs(path: Path | None, stems: Collection[str]) -> Iterator[tuple[int, str, str]]:
    if path is None:
        return
    lines = _rows(path)
    if path.suffix == ".csv":
        next(lines, None)  # column names
    for number, row in lines:
        if len(row) != 2:
            raise _malformed(path, number, " ".join(row), "a file name and a number")
        if (stem := row[0].partition(".")[0]) in stems:
            yield number, stem, row[1]


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number from 1, columns) of every line that is not blank."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not a text file (byte {error.start}); download it again") from None
    separator = "," if path.suffix == ".csv" else None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            yield number, [column.strip() for column in line.split(separator)]


def _check_overlap(path: Path | None, listed: Mapping[str, object]) -> None:
    if path is not None and not listed:
        raise DataError(f"{path} lists none of the pictures beside it; it belongs to another data set")


def _malformed(path: Path | None, number: int, value: str, wanted: str) -> DataError:
    return DataError(f"{path}, line {number}: expected {wanted}, got '{value}'; download the file again")
