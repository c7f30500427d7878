"""Pickles as Python 2 wrote them, byte by byte: no unpickler is at work here, and no pickler."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import numpy.typing as npt


def pickled(value: Any, protocol: int = 2) -> bytes:
    """Return the pickle of a dict, list, tuple, bytes (Python 2's str), int, bool, None or uint8 array.

    Args:
        value: what is pickled.
        protocol: 2 as the official files have it; 0 is the same in lines of text; 3 stands for protocol 2 as
            Python 3 writes it, with bytes as text that `_codecs.encode` turns back.
    """
    start = b"" if protocol == 0 else b"\x80\x02"
    return start + {0: _lines, 2: _binary, 3: _of_python_3}[protocol](value) + b"."


def _binary(value: Any) -> bytes:
    match value:
        case bytes():
            short = len(value) < 256
            return b"U" + bytes([len(value)]) + value if short else b"T" + struct.pack("<i", len(value)) + value
        case _:
            return _shared(value, _binary)


def _of_python_3(value: Any) -> bytes:
    match value:
        case bytes():
            text = value.decode("latin-1").encode()
            return b"c_codecs\nencode\nX" + struct.pack("<I", len(text)) + text + b"X\x06\x00\x00\x00latin1\x86R"
        case _:
            return _shared(value, _of_python_3)


def _shared(value: Any, inner: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"\x88" if value else b"\x89"
        case int():
            return b"K" + bytes([value]) if 0 <= value < 256 else b"J" + struct.pack("<i", value)
        case tuple():
            return b"(" + b"".join(map(inner, value)) + b"t"
        case list():
            return b"](" + b"".join(map(inner, value)) + b"e"
        case dict():
            return b"}(" + b"".join(inner(key) + inner(item) for key, item in value.items()) + b"u"
        case np.ndarray():
            return _array(value, inner)
    raise TypeError(value)


def _lines(value: Any) -> bytes:
    match value:
        case None:
            return b"N"
        case bool():
            return b"I01\n" if value else b"I00\n"
        case bytes():
            return b"S" + repr(value).removeprefix("b").encode() + b"\n"
        case int():
            return b"I%d\n" % value
        case tuple():
            return b"(" + b"".join(map(_lines, value)) + b"t"
        case list():
            return b"(l" + b"".join(_lines(item) + b"a" for item in value)
        case dict():
            return b"(d" + b"".join(_lines(key) + _lines(item) + b"s" for key, item in value.items())
        case np.ndarray():
            return _array(value, _lines)
    raise TypeError(value)


def _array(value: npt.NDArray[Any], inner: Any) -> bytes:
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + inner((0,)) + inner(b"b") + b"tR"
    kind = b"cnumpy\ndtype\n" + inner((b"u1", 0, 1)) + b"R" + inner((3, b"|", None, None, None, -1, -1, 0)) + b"b"
    return made + b"(" + inner(1) + inner(value.shape) + kind + inner(False) + inner(value.tobytes()) + b"tb"
