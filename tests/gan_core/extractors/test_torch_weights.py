from __future__ import annotations

import base64
import json
import random
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from gan_core.errors import ArtifactError, ConfigError
from gan_core.extractors import torch_weights
from gan_core.extractors.torch_weights import read_state
from tests.parity import inception
from tests.torch_files import number, pickled, streamed, tensor, text, zipped

ARRAYS = {
    "a.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2) / 8,
    "a.bias": np.array([-1.5, np.pi], np.float32),
    "a.num_batches_tracked": np.array(7, np.int64),
}
FORMS = {"zip": zipped, "stream": streamed}


def write(folder: Path, data: bytes) -> Path:
    """Return the path of a file with these bytes."""
    path = folder / "weights.pth"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("form", ["zip", "stream"])
def test_files_of_torch_save_are_read(tmp_path: Path, form: str) -> None:
    """Both formats, written by PyTorch: a module's state, parameters, parts of storages, any order of axes, nothing."""
    saved = json.loads(inception.GOLDEN.read_text())["saved"][form]
    found = read_state(write(tmp_path, base64.b64decode(saved)))
    assert {name: (str(array.dtype), array.tolist()) for name, array in found.items()} == {
        "0.weight": ("float32", [[0, 0, 0], [0, 0, 0]]),
        "0.bias": ("float32", [1, 1]),
        "1.weight": ("float32", [2, 2]),
        "1.bias": ("float32", [3, 3]),
        "1.running_mean": ("float32", [4, 4]),
        "1.running_var": ("float32", [5, 5]),
        "1.num_batches_tracked": ("int64", 6),
        "turned": ("float32", [[0, 0.5, 1], [0.125, 0.625, 1.125], [0.25, 0.75, 1.25], [0.375, 0.875, 1.375]]),
        "part": ("float32", [[0.625, 0.75], [1.125, 1.25]]),
        "none": ("float32", []),
        "parameter": ("float32", [1.5, -2.5]),
    }
    assert found["none"].shape == (0, 3)
    assert all(array.flags.c_contiguous and array.flags.owndata for array in found.values())


@pytest.mark.parametrize("form", FORMS)
def test_files_of_the_tests_are_read(tmp_path: Path, form: str) -> None:
    """What tests write in place of PyTorch is read as it was written."""
    found = read_state(write(tmp_path, FORMS[form](ARRAYS)))
    assert {name: (array.dtype, array.shape, array.tolist()) for name, array in found.items()} == {
        name: (array.dtype, array.shape, array.tolist()) for name, array in ARRAYS.items()
    }


def one(opcodes: bytes) -> bytes:
    """Return the pickle of a dict with one entry."""
    return b"\x80\x02}" + text("x") + opcodes + b"s."


F = b"FloatStorage"
HOSTILE = {
    "os.system": (one(b"cos\nsystem\n(" + text("touch owned") + b"tR"), "asks for 'os.system'"),
    "eval": (one(b"cbuiltins\neval\n(" + text("1") + b"tR"), "asks for 'builtins.eval'"),
    "torch.load": (one(b"ctorch\nload\n"), "asks for 'torch.load'"),
    "stack global": (one(text("posix") + text("system") + b"\x93"), "asks for 'posix.system'"),
    "object": (one(b"ccollections\nOrderedDict\n)\x81"), "has the opcode"),
    "instance": (one(b"(" + text("x") + b"ios\nsystem\n"), "has the opcode"),
    "extension": (one(b"\x82\x01"), "has the opcode"),
    "half": (one(tensor(b"HalfStorage", "0", 24, 0, (2,), (1,))), "asks for 'torch.HalfStorage'"),
    "behind the storage": (one(tensor(F, "0", 24, 23, (2,), (1,))), "ends at number 24 of a storage of 24"),
    "long strides": (one(tensor(F, "0", 24, 0, (2, 2), (1, 23))), "ends at number 24 of a storage of 24"),
    "before the storage": (one(tensor(F, "0", 24, -1, (2,), (1,))), "impossible shape"),
    "backwards": (one(tensor(F, "0", 24, 3, (2,), (-1,))), "impossible shape"),
    "other strides": (one(tensor(F, "0", 24, 0, (2,), (1, 1))), "impossible shape"),
    "dimensions": (one(tensor(F, "0", 24, 0, (1,) * 9, (1,) * 9)), "has a tensor of 9 dimensions"),
    "much of little": (one(tensor(F, "0", 24, 0, (1 << 30, 1 << 30), (0, 0))), "have more than 134217728 numbers"),
    "negative storage": (one(tensor(F, "0", -1, 0, (0,), (1,))), "refers to what is not in it"),
    "other identity": (one(text("somewhere") + b"Q"), "refers to what is not in it"),
    "size of the storage": (one(tensor(F, "0", 23, 0, (2,), (1,))), "storage 0|other storages|ends after"),
    "no such storage": (one(tensor(F, "../version", 24, 0, (2,), (1,))), "KeyError|other storages"),
    "no tensor": (one(number(1)), "its entry 'x' is no tensor"),
    "no dict": (b"\x80\x02](" + number(1) + b"e.", "holds no dict of tensors"),
    "nothing": (b"\x80\x02}.", "holds no dict of tensors"),
    "nested": (one(pickled(ARRAYS)[2:-1]), "its entry 'x' is no tensor"),
    "no pickle": (b"", "ends after|has the opcode"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", HOSTILE)
def test_anything_but_tensors_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, form: str) -> None:
    """No name is looked up, nothing outside a storage is read, nothing large is made of little."""
    monkeypatch.chdir(tmp_path)
    pickle, problem = HOSTILE[case]
    path = write(tmp_path, FORMS[form](ARRAYS, pickle))
    with pytest.raises(ArtifactError, match=problem) as caught:
        read_state(path)
    assert str(caught.value).startswith(f"{path} is no state dict of PyTorch: ")
    assert [entry.name for entry in tmp_path.iterdir()] == ["weights.pth"]


def test_compressed_archive_is_refused(tmp_path: Path) -> None:
    """PyTorch stores its entries; a compressed one could be a thousand times as large as the file."""
    with pytest.raises(ArtifactError, match="is compressed or too large"):
        read_state(write(tmp_path, zipped(ARRAYS, compression=zipfile.ZIP_DEFLATED)))


def test_other_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no file of PyTorch, too large, or not there, is said in one line."""
    with pytest.raises(ArtifactError, match="begins like none of PyTorch's files; get the file again"):
        read_state(write(tmp_path, b"<html>404</html>"))
    with pytest.raises(ConfigError, match="cannot be read"):
        read_state(tmp_path / "nothing.pth")
    monkeypatch.setattr(torch_weights, "MAX_FILE_BYTES", 100)
    with pytest.raises(ArtifactError, match="has more than 100 bytes"):
        read_state(write(tmp_path, zipped(ARRAYS)))


def test_other_versions_and_byte_orders_are_refused(tmp_path: Path) -> None:
    """A stream of another version or a big-endian machine is not guessed at."""
    honest = streamed(ARRAYS)
    for right, wrong in ((number(1001) + b".", number(1002) + b"."), (b"\x88u.", b"\x89u.")):
        assert honest.count(right) == 1
        with pytest.raises(ArtifactError, match="another byte order"):
            read_state(write(tmp_path, honest.replace(right, wrong)))


@pytest.mark.parametrize("form", FORMS)
def test_damaged_files_never_do_more_than_fail(tmp_path: Path, form: str) -> None:
    """Cut anywhere, or with any bytes changed, a file is read as some state or refused; nothing else happens."""
    honest = FORMS[form](ARRAYS)
    generator = random.Random(7)
    damaged = [honest[:length] for length in range(0, len(honest), 3)]
    for _ in range(1500):
        data = bytearray(honest)
        for _ in range(generator.randint(1, 4)):
            data[generator.randrange(len(data))] = generator.choice(
                (generator.randrange(256), *b".Q(tR\x85cJX\xff\x00")
            )
        damaged.append(bytes(data))
    outcomes = []
    for data in damaged:
        try:
            read_state(write(tmp_path, data))
            outcomes.append("read")
        except ArtifactError:
            outcomes.append("refused")
    assert outcomes[: len(honest) // 3].count("read") == 0
    assert outcomes.count("refused") > 300


def test_numbers_of_the_stream_must_be_there(tmp_path: Path) -> None:
    """A count that is negative, or larger than the file, allocates nothing."""
    honest = streamed(ARRAYS)
    first = struct.pack("<q", 24)
    for count in (-1, 25, 1 << 60):
        with pytest.raises(ArtifactError, match=r"ends after|storage 0"):
            read_state(write(tmp_path, honest.replace(first, struct.pack("<q", count), 1)))
