"""tf.train.Example and TFRecord without TensorFlow: deterministic bytes out, checked bytes in.

Beam workers must not import TensorFlow, and `Example.SerializeToString` does not promise the order of its map. The
wire format is that of tensorflow/core/example/{example,feature}.proto and tensorflow/core/lib/io/record_writer.h.
"""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

import google_crc32c
import numpy as np
import numpy.typing as npt

from gan_core.errors import ArtifactError

Feature = bytes | Sequence[int] | Sequence[float] | npt.NDArray[np.float32]

_LENGTH_HEADER_BYTES = 12  # uint64 length, uint32 masked CRC of it
_FOOTER_BYTES = 4  # uint32 masked CRC of the data
_BYTES_LIST, _FLOAT_LIST, _INT64_LIST = 1, 2, 3  # field numbers in feature.proto
_FIELD_1 = b"\x0a"
_FLOAT32 = np.dtype("<f4")


def encode_example(features: Mapping[str, Feature]) -> bytes:
    """Return a serialized tf.train.Example: bytes -> bytes_list of one, ints -> int64_list, floats -> float_list.

    Features are written in the order of their names, so equal mappings give equal bytes. An empty sequence is an empty
    int64_list, an empty float32 array an empty float_list.

    Raises:
        TypeError: a sequence that starts with an int holds something else.
        ValueError: an int does not fit into 64 bits.
    """
    parts: list[bytes] = []
    for name in _in_order(tuple(features)):
        kind, payload = _payload(features[name])
        parts += (_frame(name, kind, len(payload)), payload)
    return b"".join((_FIELD_1, _varint(sum(map(len, parts))), *parts))


def decode_example(data: bytes) -> dict[str, bytes | list[int] | list[float]]:
    """Return the features of a serialized tf.train.Example; the inverse of `encode_example`.

    Raises:
        ArtifactError: the bytes are not an Example.
    """
    view = memoryview(data)
    try:
        features: dict[str, bytes | list[int] | list[float]] = {}
        for _, features_message in _messages(view):
            for _, entry in _messages(features_message):
                name, feature = (payload for _, payload in _messages(entry))
                features[bytes(name).decode()] = _decode_feature(feature)
    except (ValueError, IndexError, struct.error) as error:
        raise ArtifactError(f"not a tf.train.Example: {error}") from None
    return features


def write_record(stream: BinaryIO, data: bytes) -> None:
    """Append one TFRecord: length, masked CRC-32C of the length, data, masked CRC-32C of the data."""
    length = struct.pack("<Q", len(data))
    stream.write(b"".join((length, _masked_crc(length), data, _masked_crc(data))))


def read_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield (offset of the data in the file, data) of every TFRecord in `path`.

    Raises:
        ArtifactError: a CRC does not match or the file ends inside a record; it names the file and the byte.
    """
    with path.open("rb") as stream:
        offset = 0
        while header := stream.read(_LENGTH_HEADER_BYTES):
            if len(header) < _LENGTH_HEADER_BYTES or _masked_crc(header[:8]) != header[8:]:
                raise ArtifactError(f"{path}: damaged record length at byte {offset}")
            (length,) = struct.unpack("<Q", header[:8])
            data = stream.read(length)
            if len(data) < length or _masked_crc(data) != stream.read(_FOOTER_BYTES):
                raise ArtifactError(f"{path}: damaged record data at byte {offset + _LENGTH_HEADER_BYTES}")
            yield offset + _LENGTH_HEADER_BYTES, data
            offset += _LENGTH_HEADER_BYTES + length + _FOOTER_BYTES


def _masked_crc(data: bytes) -> bytes:
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def _payload(value: Feature) -> tuple[int, bytes]:
    """Return the kind of a list, and what its only field holds."""
    if isinstance(value, bytes):
        return _BYTES_LIST, value
    if isinstance(value, np.ndarray):
        return _FLOAT_LIST, value.astype(_FLOAT32, copy=False).tobytes()
    if value and isinstance(value[0], float):
        return _FLOAT_LIST, struct.pack(f"<{len(value)}f", *value)
    return _INT64_LIST, _pack_int64(cast(Sequence[int], value))


@functools.lru_cache(maxsize=64)
def _in_order(names: tuple[str, ...]) -> list[str]:
    return sorted(names)


@functools.lru_cache(maxsize=1024)  # the same from record to record, but for lengths of keys and of compressed pixels
def _frame(name: str, kind: int, size: int) -> bytes:
    """Return what comes before the `size` bytes of a payload: the entry, its key, and feature, list and value of it."""
    listed = _header(kind, _header(1, b"", size), size)
    key = name.encode()
    return _header(1, _header(1, b"", len(key)) + key + _header(2, listed, size), size)


def _header(number: int, inner: bytes, size: int) -> bytes:
    """Return the beginning of a length-delimited protobuf field (wire type 2) of `inner` and `size` bytes more."""
    return _varint(number << 3 | 2) + _varint(len(inner) + size) + inner


def _pack_int64(values: Sequence[int]) -> bytes:
    if len(values) == 1:
        return _varint(_twos_complement(operator.index(values[0])))
    try:
        packed = bytes(values)
    except (ValueError, TypeError):  # one is no byte, or no int
        pass
    else:
        if packed.isascii():
            return packed  # each is its own varint: forty attributes at a stroke
    return b"".join(_varint(_twos_complement(operator.index(value))) for value in values)


def _decode_feature(feature: memoryview) -> bytes | list[int] | list[float]:
    ((kind, message),) = _messages(feature)
    values = [payload for _, payload in _messages(message)]
    if kind == _BYTES_LIST:
        (value,) = values
        return bytes(value)
    packed = b"".join(bytes(value) for value in values)
    if kind == _FLOAT_LIST:
        return list(struct.unpack(f"<{len(packed) // 4}f", packed))
    return _unpack_int64(packed)


def _unpack_int64(packed: bytes) -> list[int]:
    numbers, position, view = [], 0, memoryview(packed)
    while position < len(packed):
        number, position = _read_varint(view, position)
        numbers.append(number - (1 << 64) if number >> 63 else number)
    return numbers


def _twos_complement(number: int) -> int:
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError(f"{number} does not fit into an int64")
    return number & 0xFFFFFFFFFFFFFFFF


def _messages(view: memoryview) -> Iterator[tuple[int, memoryview]]:
    position = 0
    while position < len(view):
        tag, position = _read_varint(view, position)
        if tag & 7 != 2:
            raise ValueError(f"wire type {tag & 7} where a length-delimited field was expected")
        length, position = _read_varint(view, position)
        if position + length > len(view):
            raise ValueError("a field is longer than its message")
        yield tag >> 3, view[position : position + length]
        position += length


@functools.lru_cache(maxsize=1024)  # tags and lengths, which are the same from record to record
def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(view: memoryview, position: int) -> tuple[int, int]:
    number, shift = 0, 0
    while True:
        byte = view[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise ValueError("a varint is longer than 64 bits")
