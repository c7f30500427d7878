"""State dicts as `torch.save` writes them, in both formats, from NumPy's arrays: what tests need of PyTorch."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = Mapping[str, npt.NDArray[Any]]

_STORAGES = {"float32": b"FloatStorage", "int64": b"LongStorage", "float16": b"HalfStorage"}
_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def text(value: str) -> bytes:
    """Return the opcode of a text."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """Return the opcode of a number."""
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    """Return the opcodes of a tuple."""
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(
    storage: bytes,
    key: str,
    count: int,
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    more: bytes = b"",
) -> bytes:
    """Return the opcodes of a tensor; `more` ends the identity of its storage."""
    identity = b"(" + text("storage") + b"ctorch\n" + storage + b"\n" + text(key) + text("cpu") + number(count) + more
    view = number(offset) + numbers(shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + identity + b"tQ" + view + b"tR"


def pickled(arrays: Arrays, more: bytes = b"") -> bytes:
    """Return the pickle of a state dict; array number i has storage "i"."""
    items = b""
    for key, (name, array) in enumerate(arrays.items()):
        strides = tuple(int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim))
        items += text(name) + tensor(_STORAGES[str(array.dtype)], str(key), array.size, 0, array.shape, strides, more)
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def zipped(arrays: Arrays, pickle: bytes | None = None, compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return the format of today; `pickle` in place of the right one."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled(arrays) if pickle is None else pickle)
        archive.writestr("archive/byteorder", "little")
        for key, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


def streamed(arrays: Arrays, pickle: bytes | None = None) -> bytes:
    """Return the format before PyTorch 1.6; `pickle` in place of the right one."""
    facts = b"\x80\x02}(" + text("protocol_version") + number(1001) + text("little_endian") + b"\x88u."
    keys = b"\x80\x02](" + b"".join(text(str(key)) for key in range(len(arrays))) + b"e."
    state = pickled(arrays, more=b"N") if pickle is None else pickle
    raws = b"".join(struct.pack("<q", array.size) + array.tobytes() for array in arrays.values())
    return _MAGIC + b"\x80\x02" + number(1001) + b"." + facts + state + keys + raws
