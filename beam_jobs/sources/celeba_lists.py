"""CelebA's text files: attributes, splits, identities, landmarks; as released (.txt) or as Kaggle has them (.csv).

A picture that a file does not list has unknown attributes (-1), no identity (-1), no landmarks and is in the train
split; a note says how many. Lines for pictures that are not there are skipped: a part of CelebA comes with the lists
of the whole.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from beam_jobs.places.texts import TextFile
from gan_core.errors import DataError
from gan_core.handoff import SPLITS

ATTRIBUTES, PARTITION, IDENTITY = "list_attr_celeba", "list_eval_partition", "identity_CelebA"
LANDMARKS = "list_landmarks_align_celeba"
LISTS = (ATTRIBUTES, PARTITION, IDENTITY, LANDMARKS)

WIDTH, HEIGHT = 178, 218  # of the pictures that the landmarks are written for

_COORDINATES = 10
_PARTITION = {name: SPLITS.index(split) for name, split in (("0", "train"), ("1", "validation"), ("2", "test"))}
_BLOCK_CHARACTERS = 1 << 20
_SIGNS = {"1": 1, "-1": 0}
_VALUES = bytes.maketrans(b"01", b"\0\1")


class Column:
    """The same number of whole numbers for each picture that a list names, in one array.

    For 202,599 pictures they take a sixth of the memory of tuples by name.
    """

    def __init__(self, typecode: str, width: int, pictures: int) -> None:
        self._values = array(typecode, [0]) * (width * pictures)
        self._width = width
        self._listed = bytearray(pictures)

    def put(self, row: int, values: Iterable[int]) -> None:
        """Set the numbers of one picture. Raises OverflowError when one is too large."""
        self._values[row * self._width : (row + 1) * self._width] = array(self._values.typecode, values)
        self._listed[row] = 1

    def get(self, row: int) -> tuple[int, ...]:
        """Return the numbers of one picture; () where it is not listed."""
        return tuple(self._values[row * self._width : (row + 1) * self._width]) if self._listed[row] else ()

    def one(self, row: int, unlisted: int) -> int:
        """Return the number of one picture in a column of width 1; `unlisted` where it is not listed."""
        return self._values[row] if self._listed[row] else unlisted

    def listed(self) -> int:
        """Return how many pictures are."""
        return sum(self._listed)


@dataclass(frozen=True)
class Lists:
    """What the text files say, by the picture's row; landmarks in pixels of 178x218.

    Attributes:
        splits: an index into SPLITS.
    """

    attribute_names: tuple[str, ...]
    attributes: Column
    splits: Column
    identities: Column
    landmarks: Column
    notes: list[str]


def read(find: Callable[[Sequence[str]], TextFile | None], rows: Mapping[str, int]) -> Lists:
    """Read each of the four files that there is; keep the lines of the pictures that there are.

    Args:
        find: returns the first file of the given names that is there.
        rows: name of each picture, without extension -> its row, from 0.

    Raises:
        DataError: a line is malformed or a file lists none of the pictures; it names file, line and value.
    """
    files = {name: find((f"{name}.txt", f"{name}.csv")) for name in LISTS}
    attribute_names, attributes = _read_attributes(files[ATTRIBUTES], rows)
    splits = _read_partition(files[PARTITION], rows)
    identities = _read_identities(files[IDENTITY], rows)
    landmarks = _read_landmarks(files[LANDMARKS], rows)
    notes = []
    for name, listed, consequence in (
        (ATTRIBUTES, attributes, "their attributes are -1"),
        (PARTITION, splits, "they are in the train split"),
        (IDENTITY, identities, "their identity is -1"),
        (LANDMARKS, landmarks, "they have no landmarks"),
    ):
        if 0 < listed.listed() < len(rows):
            notes.append(f"pictures that {name} does not list: {len(rows) - listed.listed()}; {consequence}")
    return Lists(attribute_names, attributes, splits, identities, landmarks, notes)


def _read_attributes(file: TextFile | None, rows: Mapping[str, int]) -> tuple[tuple[str, ...], Column]:
    if file is None:
        return (), Column("B", 0, len(rows))
    names, lines = _table(file, "the names of the attributes")
    attributes = Column("B", len(names), len(rows))
    separator = "," if file.suffix == ".csv" else " "
    for number, line in lines:
        stem, signs = _signs(line, len(names), separator) or _checked_signs(file, number, line, len(names))
        if (row := rows.get(stem)) is not None:
            attributes.put(row, signs)
    _check_overlap(file, attributes)
    return tuple(names), attributes


def _signs(line: str, count: int, separator: str) -> tuple[str, bytes] | None:
    """Return the picture without extension, and 1 for each "1" and 0 for each "-1", a third as long as by columns.

    None where the line is anything but a name and `count` of these, with a separator (and a space beside -1) between.
    """
    name, _, rest = line.partition(separator)
    text = rest.replace("-1", "0").replace("  ", " ").strip()
    signs = text[::2].encode()
    if not name or "0" in rest or len(signs) != count or signs.strip(b"01"):
        return None
    if text[1::2] != separator * (count - 1):
        return None
    return name.partition(".")[0], signs.translate(_VALUES)


def _checked_signs(file: TextFile, number: int, line: str, count: int) -> tuple[str, bytes]:
    """Return the same of any line that is well-formed. Raises DataError for others."""
    name, *signs = _columns(file, line)
    if len(signs) != count:
        raise _malformed(file, number, f"{len(signs)} values", f"{count}, one for each attribute")
    try:
        return name.partition(".")[0], bytes(map(_SIGNS.__getitem__, signs))
    except KeyError as error:
        raise _malformed(file, number, error.args[0], "1 or -1") from None


def _read_landmarks(file: TextFile | None, rows: Mapping[str, int]) -> Column:
    landmarks = Column("q", _COORDINATES, len(rows))
    if file is None:
        return landmarks
    _, lines = _table(file, "the names of the coordinates")
    for number, line in lines:
        name, *values = _columns(file, line)
        if len(values) != _COORDINATES:
            raise _malformed(file, number, f"{len(values)} values", f"{_COORDINATES}, x and y of five points")
        if (row := rows.get(name.partition(".")[0])) is not None:
            try:
                landmarks.put(row, map(int, values))
            except (ValueError, OverflowError):
                raise _malformed(file, number, " ".join(values), "whole numbers of pixels") from None
    _check_overlap(file, landmarks)
    return landmarks


def _read_partition(file: TextFile | None, rows: Mapping[str, int]) -> Column:
    splits = Column("B", 1, len(rows))
    for number, row, value in _pairs(file, rows):
        if value not in _PARTITION:
            raise _malformed(file, number, value, "0 (train), 1 (validation) or 2 (test)")
        splits.put(row, (_PARTITION[value],))
    _check_overlap(file, splits)
    return splits


def _read_identities(file: TextFile | None, rows: Mapping[str, int]) -> Column:
    identities = Column("q", 1, len(rows))
    for number, row, value in _pairs(file, rows):
        if not (value.isascii() and value.isdigit() and len(value) < 19):
            raise _malformed(file, number, value, "the number of a person")
        identities.put(row, (int(value),))
    _check_overlap(file, identities)
    return identities


def _table(file: TextFile, columns: str) -> tuple[list[str], Iterator[tuple[int, str]]]:
    """Return the names of the columns, and (line number, line) of the lines below."""
    lines = _numbered(file)
    if file.suffix == ".txt":
        number, first = next(lines, (1, ""))
        if not first.strip().isdigit():
            raise _malformed(file, number, first.strip(), "the number of pictures")
    number, head = next(lines, (2, ""))
    names = _columns(file, head)
    names = names[1:] if file.suffix == ".csv" else names
    if not names:
        raise _malformed(file, number, "", columns)
    return names, lines


def _pairs(file: TextFile | None, rows: Mapping[str, int]) -> Iterator[tuple[int, int, str]]:
    """Yield (line number, row of the picture, value)."""
    if file is None:
        return
    lines = _numbered(file)
    if file.suffix == ".csv":
        next(lines, None)  # column names
    for number, line in lines:
        columns = _columns(file, line)
        if len(columns) != 2:
            raise _malformed(file, number, " ".join(columns), "a file name and a number")
        if (row := rows.get(columns[0].partition(".")[0])) is not None:
            yield number, row, columns[1]


def _numbered(file: TextFile) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) of every line that is not blank."""
    for number, line in enumerate(_lines(file.text()), start=1):
        if line and not line.isspace():
            yield number, line


def _columns(file: TextFile, line: str) -> list[str]:
    return line.split() if file.suffix != ".csv" else [column.strip() for column in line.split(",")]


def _lines(text: str) -> Iterator[str]:
    """Yield what `text.splitlines()` returns, without a list of 200,000 lines."""
    start = 0
    while start < len(text):
        stop = text.find("\n", start + _BLOCK_CHARACTERS) + 1 or len(text)
        yield from text[start:stop].splitlines()
        start = stop


def _check_overlap(file: TextFile | None, listed: Column) -> None:
    if file is not None and not listed.listed():
        raise DataError(f"{file.label} lists none of the pictures beside it; it belongs to another data set")


def _malformed(file: TextFile | None, number: int, value: str, wanted: str) -> DataError:
    label = file.label if file else ""
    return DataError(f"{label}, line {number}: expected {wanted}, got '{value}'; download the file again")
