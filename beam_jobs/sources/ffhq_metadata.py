"""ffhq-dataset-v2.json: licence, author, landmarks and checksums of FFHQ's pictures, read one record at a time.

The official file has 255 MiB. Measured on a generated one of 450 MiB: 2.2 GiB of memory when it is read at once, 50 MiB
(of which 44 are Python and the imports) as it is read here. Its form is described in the README of NVlabs/ffhq-dataset.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from beam_jobs.places.texts import TextFile
from beam_jobs.places.zips import DAMAGE
from gan_core.errors import DataError

METADATA_FILE = "ffhq-dataset-v2.json"
COUNT = 70_000

_CHUNK_BYTES = 1 << 20
_MAX_RECORD_CHARACTERS = 1 << 20  # the longest in the official file has about 6,000
_SPACE = " \t\r\n"


def read_records(file: TextFile) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield (number of the picture, its record) in the file's order, in bounded memory.

    Raises:
        DataError: the file is malformed, and at which character.
    """
    decoder = json.JSONDecoder()
    text = _Text(file)
    text.expect("{")
    if text.peek() == "}":
        return
    while True:
        key = text.value(decoder)
        text.expect(":")
        start = text.position
        record = text.value(decoder)
        if not (
            isinstance(key, str) and key.isascii() and key.isdigit() and len(key) <= 5 and isinstance(record, dict)
        ):
            raise text.malformed(start, "no record of a numbered picture")
        yield int(key), record
        if text.peek() != ",":
            break
        text.expect(",")
    text.expect("}")


def licence_of(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return the licence and the author of a record, "" where it does not say."""
    metadata = _table(record, "metadata")
    return str(metadata.get("license", "")), str(metadata.get("author", ""))


def landmarks_of(record: Mapping[str, Any]) -> tuple[float, ...]:
    """Return five points of the aligned picture as `ImageRef.landmarks` has them; () where the record has none.

    From dlib's 68 points (Sagonas et al. 2013), as download_ffhq.py of NVlabs/ffhq-dataset takes them for its
    alignment: the eyes are the means of points 36 to 41 and 42 to 47, the corners of the mouth are points 48 and 54.
    The nose is its tip, point 30.
    """
    image = _table(record, "image")
    points, size = image.get("face_landmarks"), image.get("pixel_size", [1024, 1024])
    try:
        if points is None or len(points) != 68:
            return ()
        width, height = size
        five = (_mean(points[36:42]), _mean(points[42:48]), points[30], points[48], points[54])
        return tuple(float(value) for x, y in five for value in (x / width, y / height))
    except (TypeError, ValueError, ZeroDivisionError):
        return ()


def checksum_of(record: Mapping[str, Any], form: str) -> tuple[int, str]:
    """Return size in bytes and MD5 of one form of a picture, `image` or `thumbnail`; (-1, "") where it has none."""
    entry = _table(record, form)
    size, digest = entry.get("file_size"), entry.get("file_md5")
    return (size, digest) if isinstance(size, int) and isinstance(digest, str) else (-1, "")


def _table(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = record.get(name)
    return table if isinstance(table, dict) else {}


def _mean(points: Sequence[Sequence[float]]) -> tuple[float, float]:
    return sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)


class _Text:
    """The text of a file, of which little more than one chunk is held."""

    def __init__(self, file: TextFile) -> None:
        self._label = file.label
        self._chunks = _chunks(file)
        self._text = ""
        self._at = 0
        self._dropped = 0

    @property
    def position(self) -> int:
        """The character that comes next, counted from 0."""
        return self._dropped + self._at

    def peek(self) -> str:
        """Return the next character that is no space; "" at the end."""
        while True:
            while self._at < len(self._text):
                if self._text[self._at] not in _SPACE:
                    return self._text[self._at]
                self._at += 1
            if not self._more():
                return ""

    def expect(self, character: str) -> None:
        """Go past a character. Raises DataError where another comes."""
        found = self.peek()
        if found != character:
            raise self.malformed(self.position, f"'{character}' expected, got {found!r}")
        self._at += 1

    def value(self, decoder: json.JSONDecoder) -> Any:
        """Return the next value: a string, or an object, which end visibly."""
        if self.peek() not in ('"', "{"):
            raise self.malformed(self.position, "a text or a record expected")
        while True:
            try:
                value, self._at = decoder.raw_decode(self._text, self._at)
                return value
            except (json.JSONDecodeError, RecursionError) as error:
                if len(self._text) - self._at > _MAX_RECORD_CHARACTERS or not self._more():
                    raise self.malformed(self.position, str(error)) from None

    def malformed(self, position: int, why: str) -> DataError:
        """Return the error for a place in the file."""
        return DataError(f"{self._label} is malformed after character {position} ({why}); download it again")

    def _more(self) -> bool:
        chunk = next(self._chunks, "")
        self._dropped += self._at
        self._text, self._at = self._text[self._at :] + chunk, 0
        return bool(chunk)


def _chunks(file: TextFile) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        with file.open() as stream:
            while data := stream.read(_CHUNK_BYTES):
                if text := decoder.decode(data):
                    yield text
            if text := decoder.decode(b"", final=True):
                yield text
    except UnicodeDecodeError as error:
        raise DataError(f"{file.label} is not a text file ({error.reason}); download it again") from None
    except DAMAGE as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(f"{file.label} cannot be read: {reason}") from None
