"""What every pickle may hold, made from its parts: names, texts, numbers and dicts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_MAX_DIGITS = 20  # a signed 64-bit integer
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.|$)", re.DOTALL)
_ESCAPED = {b"\\": b"\\", b"'": b"'", b'"': b'"', b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Refused(Exception):
    """The pickle is damaged or asks for something that it must not have; the text says what."""


@dataclass(frozen=True)
class Name:
    """A global that the pickle names: a text, never the object."""

    text: str


def fill(target: dict[Any, Any], values: list[Any]) -> dict[Any, Any]:
    """Put key, value, key, value, ... into `target`, and return it."""
    for key, value in zip(values[::2], values[1::2], strict=True):
        if not isinstance(key, str | bytes):
            raise Refused("the pickle has a dict with other keys than text")
        target[key] = value
    return target


def dict_of(values: list[Any]) -> dict[Any, Any]:
    """Return the dict of key, value, key, value, ..."""
    if len(values) % 2:
        raise Refused("the pickle has a dict with a key and no value")
    return fill({}, values)


def text(value: Any) -> str:
    """Return a name as text, whichever Python wrote it."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, str):
        return value
    raise Refused("the pickle has a name that is no text")


def decoded(raw: bytes, encoding: str) -> str:
    """Return text of UTF-8 or raw-unicode-escape."""
    try:
        return raw.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
    except UnicodeError:
        raise Refused("the pickle has text that cannot be decoded") from None


def quoted(line: bytes) -> bytes:
    """Return the bytes of Python 2's repr of a str: protocol 0."""
    if len(line) < 2 or line[:1] not in (b"'", b'"') or line[-1:] != line[:1]:
        raise Refused("the pickle has a text without its quotes")
    return _ESCAPE.sub(_unescaped, line[1:-1])


def _unescaped(escape: re.Match[bytes]) -> bytes:
    found = escape[1]
    if len(found) == 3:
        return bytes.fromhex(found[1:].decode())
    if found not in _ESCAPED:
        raise Refused("the pickle has a text with an unknown escape")
    return _ESCAPED[found]


def decimal(line: bytes) -> int | bool:
    """Return the number of a line of digits."""
    if line in (b"00", b"01"):  # protocol 0's way to say False and True
        return line == b"01"
    digits = line.removesuffix(b"L")
    if len(digits) > _MAX_DIGITS or not digits.removeprefix(b"-").isdigit():
        raise Refused("the pickle has a number that is none, or too long")
    return int(digits)
