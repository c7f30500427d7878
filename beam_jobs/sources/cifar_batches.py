"""Bytes of CIFAR-10's batch files -> pixels and labels (Krizhevsky 2009, www.cs.toronto.edu/~kriz/cifar.html)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from beam_jobs.pixels.decoding import Pixels
from beam_jobs.sources import safe_pickle
from gan_core.errors import DataError

SIDE = 32
_PIXEL_BYTES = 3 * SIDE * SIDE
_RECORD_BYTES = 1 + _PIXEL_BYTES

Labels = npt.NDArray[np.integer[Any]]


def from_binary(data: bytes, name: str) -> tuple[Pixels, Labels]:
    """Read a batch of the binary version: records of a label and three planes.

    Returns:
        uint8 [N, 32, 32, 3] and uint8 [N], views of `data`.

    Raises:
        DataError: it is no whole number of records.
    """
    if not data or len(data) % _RECORD_BYTES:
        raise DataError(
            f"{name} has {len(data)} bytes, not a multiple of {_RECORD_BYTES} as CIFAR-10's binary batches have; "
            "get the official file again"
        )
    records = np.frombuffer(data, np.uint8).reshape(-1, _RECORD_BYTES)
    return _upright(records[:, 1:]), records[:, 0]


def from_pickle(data: bytes, name: str) -> tuple[Pixels, Labels]:
    """Read a batch of the python version: a dict with `data`, uint8 [N, 3072], and `labels`, N integers.

    Returns:
        uint8 [N, 32, 32, 3] and integers [N].

    Raises:
        DataError: it has another form, or is a pickle that asks for more than arrays, text and numbers.
    """
    batch = _by_text(safe_pickle.unpickled(data, name), name)
    pixels, labels = batch.get("data"), batch.get("labels")
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.shape[1:] != (_PIXEL_BYTES,):
        raise DataError(f"{name} has no array 'data' of uint8 [N, {_PIXEL_BYTES}]; get the official file again")
    if isinstance(labels, list) and labels and all(type(label) is int and 0 <= label <= 255 for label in labels):
        labels = np.array(labels)
    if not isinstance(labels, np.ndarray) or labels.ndim != 1:
        raise DataError(f"{name} has no list 'labels' of numbers from 0 to 9; get the official file again")
    return _upright(pixels), labels


def names_of_text(data: bytes) -> tuple[str, ...]:
    """Return the names of the classes from batches.meta.txt: one a line."""
    return tuple(line.strip() for line in data.decode("utf-8", "replace").splitlines() if line.strip())


def names_of_pickle(data: bytes, name: str) -> tuple[str, ...]:
    """Return the names of the classes from batches.meta. Raises DataError when there are none."""
    names = _by_text(safe_pickle.unpickled(data, name), name).get("label_names")
    if not isinstance(names, list) or not names or not all(isinstance(text, str | bytes) for text in names):
        raise DataError(f"{name} has no list 'label_names'; get the official file again")
    return tuple(_text(text) for text in names)


def _upright(planes: Pixels) -> Pixels:
    """Return uint8 [N, 32, 32, 3] of uint8 [N, 3072], red, green and blue planes one after the other."""
    return planes.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)


def _by_text(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{name} holds no dict; get the official file again")
    return {_text(key): item for key, item in value.items()}


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
