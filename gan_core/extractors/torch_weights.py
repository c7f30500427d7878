"""Reading what `torch.save` wrote of a network's state, without PyTorch and without running anything in it.

Both formats are known: the zip archive that PyTorch writes since 1.6, and the stream of pickles that it wrote before
(torch/serialization.py). The pickles are read by a machine that calls nothing; of the names that they may have, the
longest list is here.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core.errors import ArtifactError, ConfigError
from gan_core.pickles.machine import Machine
from gan_core.pickles.values import Name, Refused

State = dict[str, npt.NDArray[Any]]

MAX_FILE_BYTES = 1 << 30
_MAX_PICKLE_BYTES = 1 << 25
_MAX_ELEMENTS = 1 << 27  # of all tensors together: strides of 0 make much of little
_MAX_DIMENSIONS = 8
_DTYPES = {"torch.FloatStorage": "<f4", "torch.LongStorage": "<i8"}
_DICT, _TENSOR, _PARAMETER = (
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
)
_ZIP, _LEGACY = b"PK\x03\x04", b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
_LEGACY_VERSION = 1001
_BROKEN_ZIP = (
    zipfile.BadZipFile, zlib.error, struct.error,
    EOFError, IndexError, KeyError, NotImplementedError, OSError, RuntimeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True)
class _Storage:
    """Numbers that lie behind the pickle: `count` of type `code`, under `key`."""

    key: str
    code: str
    count: int


@dataclass(frozen=True)
class _Tensor:
    """A view into a storage, counted in numbers."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    def array(self, raw: bytes) -> npt.NDArray[Any]:
        """Return it as an array of its own, in C's order, of the bytes of its storage."""
        if len(raw) != self.storage.count * np.dtype(self.storage.code).itemsize:
            raise Refused(
                f"its storage {self.storage.key[:20]} has {len(raw)} bytes, which is not what its tensors need"
            )
        values = np.frombuffer(raw, self.storage.code)[self.offset :]
        strides = [stride * values.itemsize for stride in self.strides]
        return np.lib.stride_tricks.as_strided(values, self.shape, strides, writeable=False).copy("C")


class _StateMachine(Machine):
    names = frozenset({_DICT, _TENSOR, _PARAMETER, *_DTYPES})
    kinds = "tensors of float32 and int64 in a dict"

    def reduced(self, name: str, arguments: tuple[Any, ...]) -> Any:
        match name, arguments:
            case str(found), () if found == _DICT:
                return {}
            case str(found), (_Storage(), offset, shape, strides, *_) if found == _TENSOR:
                return _tensor(arguments[0], offset, shape, strides)
            case str(found), (_Tensor(), *_) if found == _PARAMETER:
                return arguments[0]
        return super().reduced(name, arguments)

    def built(self, target: Any, state: Any) -> Any:
        if isinstance(target, dict) and isinstance(state, dict):
            return target  # the state of an OrderedDict: versions of its modules
        return super().built(target, state)

    def persistent(self, identity: Any) -> Any:
        match identity:
            case ("storage", Name(kind), str(key), str(), int(count)) | (
                "storage", Name(kind), str(key), str(), int(count), None,
            ) if kind in _DTYPES and count >= 0:  # fmt: skip
                return _Storage(key, _DTYPES[kind], count)
        return super().persistent(identity)


def read_state(path: Path) -> State:
    """Return name -> tensor of a state dict, float32 or int64, in C's order.

    Raises:
        ConfigError: there is no such file.
        ArtifactError: it is damaged, too large, or holds anything but a dict of tensors; the message says what.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ArtifactError(f"{path} has more than {MAX_FILE_BYTES} bytes; name a file of network weights")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror}); name a file of network weights") from None
    try:
        if data.startswith(_ZIP):
            return _from_zip(data)
        if data.startswith(_LEGACY):
            return _from_stream(data)
        raise Refused("it begins like none of PyTorch's files")
    except Refused as refused:
        raise ArtifactError(f"{path} is no state dict of PyTorch: {refused}; get the file again") from None


def _tensor(storage: _Storage, offset: Any, shape: Any, strides: Any) -> _Tensor:
    numbers = (offset, *shape, *strides) if isinstance(shape, tuple) and isinstance(strides, tuple) else (None,)
    if not all(type(number) is int and number >= 0 for number in numbers) or len(shape) != len(strides):
        raise Refused("it has a tensor of impossible shape")
    if len(shape) > _MAX_DIMENSIONS:
        raise Refused(f"it has a tensor of {len(shape)} dimensions")
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if math.prod(shape) and last >= storage.count:
        raise Refused(f"it has a tensor that ends at number {last} of a storage of {storage.count}")
    return _Tensor(storage, offset, shape, strides)


def _tensors(value: Any) -> dict[str, _Tensor]:
    if not isinstance(value, dict) or not value:
        raise Refused("it holds no dict of tensors")
    for key, tensor in value.items():
        if not isinstance(key, str) or not isinstance(tensor, _Tensor):
            raise Refused(f"its entry '{str(key)[:50]}' is no tensor")
    if sum(tensor.elements for tensor in value.values()) > _MAX_ELEMENTS:
        raise Refused(f"its tensors have more than {_MAX_ELEMENTS} numbers")
    return value


def _from_zip(data: bytes) -> State:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            pickles = [name for name in archive.namelist() if name.count("/") == 1 and name.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise Refused("its archive has no data.pkl")
            folder = pickles[0].removesuffix("data.pkl")
            if f"{folder}byteorder" in archive.namelist() and _entry(archive, f"{folder}byteorder", 20) != b"little":
                raise Refused("it is of a machine with another byte order")
            tensors = _tensors(_StateMachine(_entry(archive, pickles[0], _MAX_PICKLE_BYTES)).run())
            # Once each: a small file may have many tensors of one large storage.
            keys = {tensor.storage.key for tensor in tensors.values()}
            raws = {key: _entry(archive, f"{folder}data/{key}", len(data)) for key in keys}
            return {name: tensor.array(raws[tensor.storage.key]) for name, tensor in tensors.items()}
    except _BROKEN_ZIP as error:
        raise Refused(f"its archive is damaged ({type(error).__name__})") from None


def _entry(archive: zipfile.ZipFile, name: str, max_bytes: int) -> bytes:
    """Return an entry, which PyTorch never compresses: so none is larger than the file."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > max_bytes:
        raise Refused(f"its entry {name[:50]} is compressed or too large")
    return archive.read(info)


def _from_stream(data: bytes) -> State:
    at, found = len(_LEGACY), []
    for _ in range(4):  # version, facts of the machine, the state, keys of its storages
        machine = _StateMachine(data, at)
        found.append(machine.run())
        at = machine.at
    version, facts, state, keys = found
    if version != _LEGACY_VERSION or not isinstance(facts, dict) or facts.get("little_endian") is not True:
        raise Refused("it is of an unknown version, or of a machine with another byte order")
    tensors = _tensors(state)
    items = {tensor.storage.key: np.dtype(tensor.storage.code).itemsize for tensor in tensors.values()}
    if not isinstance(keys, list) or len(keys) != len(items) or {str(key) for key in keys} != items.keys():
        raise Refused("it lists other storages than its tensors have")
    raws = {}
    for key in keys:
        if at + 8 > len(data):
            raise Refused(f"it ends after {len(data)} bytes")
        (count,) = struct.unpack_from("<q", data, at)
        end = at + 8 + count * items[key]
        if count < 0 or end > len(data):
            raise Refused(f"it ends after {len(data)} bytes, and {end} were to come")
        raws[key] = data[at + 8 : end]
        at = end
    return {name: tensor.array(raws[tensor.storage.key]) for name, tensor in tensors.items()}
