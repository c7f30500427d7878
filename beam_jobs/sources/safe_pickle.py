"""Pickles of arrays, bytes, text and numbers, as CIFAR-10 and CIFAR-100 are published.

The form of an array's state is numpy's `ndarray.__reduce__`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_core.errors import DataError
from gan_core.pickles.machine import Machine
from gan_core.pickles.values import Name, Refused, text

_RECONSTRUCT = frozenset({"numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"})
_NDARRAY, _DTYPE, _ENCODE = "numpy.ndarray", "numpy.dtype", "_codecs.encode"
_NAMES = _RECONSTRUCT | {_NDARRAY, _DTYPE, _ENCODE}

_DTYPES = {"u1": "u1", "uint8": "u1", "i4": "<i4", "int32": "<i4", "i8": "<i8", "int64": "<i8"}
_MAX_DIMENSIONS = 4


def unpickled(data: bytes, name: str) -> Any:
    """Return what a pickle of protocol 0 to 4 holds, as Python 2 or 3 wrote it.

    Args:
        data: the pickle. Text of Python 2 becomes bytes.
        name: what messages call it.

    Returns:
        dict, list, tuple, bytes, str, int, bool, None, or a read-only numpy array of uint8, int32 or int64.

    Raises:
        DataError: it is damaged, or asks for anything else; the message names what.
    """
    try:
        return _ArrayMachine(data).run()
    except Refused as refused:
        raise DataError(f"{name} cannot be read: {refused}; get the official file again") from None


@dataclass(eq=False)
class _ArrayToCome:
    """What numpy's `_reconstruct` would return: an array that its state will fill."""


@dataclass(eq=False)
class _Dtype:
    """The type of an array's items, as numpy writes it, little-endian."""

    code: str


class _ArrayMachine(Machine):
    names = _NAMES
    kinds = "arrays, text and numbers"

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._encoded_bytes = 0

    def reduced(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == _ENCODE:
            return self._encode(arguments)
        if name == _DTYPE:
            return _dtype(arguments)
        if name in _RECONSTRUCT and arguments[:1] == (Name(_NDARRAY),):
            return _ArrayToCome()
        return super().reduced(name, arguments)

    def built(self, target: Any, state: Any) -> Any:
        if isinstance(target, _Dtype):
            if not isinstance(state, tuple) or state[1:2] not in ((b"|",), ("|",), (b"<",), ("<",)):
                raise Refused("the pickle has an array of another byte order")
            return target
        if isinstance(target, _ArrayToCome):
            return _array(state)
        raise Refused("the pickle sets the state of what is no array")

    def _encode(self, arguments: tuple[Any, ...]) -> bytes:
        """Return the bytes that Python 3 wrote as text for protocols without bytes."""
        match arguments:
            case (str(text), str("latin1")):
                # One text may be encoded again and again; the file can be honest only once.
                self._encoded_bytes += len(text)
                if self._encoded_bytes > len(self.data):
                    raise Refused("the pickle makes more bytes than it has")
                try:
                    return text.encode("latin-1")
                except UnicodeEncodeError as error:
                    raise Refused(f"the pickle has text that is no bytes ({error.reason})") from None
        raise Refused("the pickle encodes what is no text, or not as latin1")


def _dtype(arguments: tuple[Any, ...]) -> _Dtype:
    """Return the type that numpy's dtype would make of these arguments."""
    code = text(arguments[0]) if arguments and isinstance(arguments[0], str | bytes) else ""
    if code not in _DTYPES:
        raise Refused(f"the pickle has an array of type '{code[:20]}', and only {', '.join(_DTYPES)} are let in")
    return _Dtype(_DTYPES[code])


def _array(state: Any) -> Any:
    """Return the array of numpy's state (version, shape, dtype, is Fortran's order, bytes), without a copy."""
    match state:
        case (int(), tuple(shape), _Dtype(code), bool() | int() as fortran, bytes(raw)):
            pass
        case _:
            raise Refused("the pickle has an array in another form than numpy's")
    if len(shape) > _MAX_DIMENSIONS or not all(isinstance(side, int) and side >= 1 for side in shape):
        raise Refused("the pickle has an array of impossible shape")
    wanted = np.dtype(code).itemsize
    for side in shape:
        wanted *= side
    if wanted != len(raw):
        raise Refused(f"the pickle has an array that needs {wanted} bytes and has {len(raw)}")
    return np.frombuffer(raw, code).reshape(shape, order="F" if fortran else "C")
