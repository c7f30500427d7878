from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from beam_jobs.sources import safe_pickle
from gan_core.errors import DataError
from gan_core.pickles import machine
from tests.python2_pickles import pickled

VALUE: dict[bytes, Any] = {
    b"data": np.arange(512, dtype=np.uint8).reshape(2, 256),
    b"labels": [0, 9, 255, 256, -1, 70_000],
    b"filenames": [b"a'b\"c\\d\n\t\x00\xff.png", b""],
    b"flags": (None, True, False),
}


def text(value: bytes) -> bytes:
    """Return the opcode of a text."""
    return b"X" + struct.pack("<I", len(value)) + value


@pytest.mark.parametrize("protocol", [0, 2, 3])
def test_values_of_both_pythons_are_read(protocol: int) -> None:
    """Arrays, byte strings, numbers, lists, tuples, dicts: in lines, in binary, and as Python 3 writes protocol 2."""
    found = safe_pickle.unpickled(pickled(VALUE, protocol), "x")
    assert found.keys() == VALUE.keys()
    assert found[b"data"].dtype == np.uint8
    np.testing.assert_array_equal(found[b"data"], VALUE[b"data"])
    assert {key: found[key] for key in VALUE if key != b"data"} == {key: VALUE[key] for key in VALUE if key != b"data"}


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["u1", "i4", "i8"])
def test_arrays_that_numpy_pickles_are_read(order: Any, kind: str) -> None:
    """What `ndarray.dumps` of the installed NumPy writes, in both memory orders."""
    array = np.asarray(np.arange(6).reshape(2, 3), kind, order=order)
    found = safe_pickle.unpickled(array.dumps(), "x")
    assert (found.dtype, found.tolist()) == (np.dtype(kind), [[0, 1, 2], [3, 4, 5]])


def test_modern_opcodes_are_read() -> None:
    """Protocol 4: frames, short texts, the memo, long numbers."""
    data = (
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01a\x94\x8a\x03\x00\x00\x01"
        b"\x8c\x01b\x94C\x02\x01\x02\x8c\x01c\x94]\x94(h\x01h\x01eu."
    )
    assert safe_pickle.unpickled(data, "x") == {"a": 65536, "b": b"\x01\x02", "c": ["a", "a"]}


HOSTILE = {
    "os.system": (b"cos\nsystem\n(S'touch owned'\ntR.", "asks for 'os.system'"),
    "posix.system": (b"\x80\x02cposix\nsystem\n" + text(b"touch owned") + b"\x85R.", "asks for 'posix.system'"),
    "eval": (b"c__builtin__\neval\n(S'1'\ntR.", "asks for '__builtin__.eval'"),
    "getattr": (b"cbuiltins\ngetattr\n.", "asks for 'builtins.getattr'"),
    "stack-global": (b"\x80\x04\x8c\x02os\x8c\x06system\x93.", "asks for 'os.system'"),
    "dotted": (b"\x80\x04\x8c\x05numpy\x8c\x10f2py.os.system()\x93.", "asks for 'numpy.f2py.os.system"),
    "bytes": (b"c__builtin__\nbytearray\n(I99999999999\ntR.", "asks for '__builtin__.bytearray'"),
    "instance": (b"(ios\nsystem\n.", r"has the opcode b'i' at byte 1"),
    "object": (b"(cos\nsystem\no.", "asks for 'os.system'"),
    "newobj": (b"\x80\x02cnumpy\nndarray\n)\x81.", r"has the opcode b'\\x81'"),
    "persistent": (b"Psecret\n.", r"has the opcode b'P'"),
    "extension": (b"\x82\x01.", r"has the opcode b'\\x82'"),
    "float": (b"G\x7f\xf0\x00\x00\x00\x00\x00\x00.", r"has the opcode b'G'"),
    "ndarray-called": (b"cnumpy\nndarray\n(I99999999999\ntR.", "calls 'numpy.ndarray' in a way"),
    "string-called": (b"S'numpy.dtype'\n)R.", "calls what is no function"),
    "object-array": (b"cnumpy\ndtype\n(S'O8'\nI0\nI1\ntR.", "has an array of type 'O8'"),
    "state-of-a-name": (b"cnumpy\nndarray\n}b.", "sets the state of what is no array"),
    "state-of-a-dict": (b"}}b.", "sets the state of what is no array"),
    "other-codec": (b"c_codecs\nencode\n(S'x'\nS'rot13'\ntR.", "encodes what is no text"),
    "zip-codec": (b"c_codecs\nencode\n(Vx\nVzlib\ntR.", "encodes what is no text"),
    "other-endian": (b"cnumpy\ndtype\n(S'i4'\nI0\nI1\ntR(I3\nS'>'\ntb.", "has an array of another byte order"),
}


@pytest.mark.parametrize(("data", "problem"), HOSTILE.values(), ids=HOSTILE)
def test_nothing_else_can_be_built(data: bytes, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a pickle asks for beyond arrays, text and numbers, it is refused by name and nothing has happened."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        DataError, match=rf"batch 1 cannot be read: the pickle {problem}.*; get the official file again"
    ):
        safe_pickle.unpickled(data, "batch 1")
    assert list(tmp_path.iterdir()) == []


def array_of(shape: bytes, raw: bytes) -> bytes:
    """Return a protocol 0 pickle of a uint8 array that claims `shape`."""
    return (
        b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n"
        + shape
        + b"cnumpy\ndtype\n(S'u1'\nI0\nI1\ntR(I3\nS'|'\ntbI00\n"
        + raw
        + b"tb."
    )


HUGE = {
    "bytes": (b"B\xff\xff\xff\xffx.", "4294967295 more"),
    "bytes-8": (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x0fx.", "1152921504606846975 more"),
    "negative": (b"T\xff\xff\xff\xffx.", "-1 more"),
    "number": (b"\x8b\xff\xff\xff\x7fx.", "number of 2147483647 bytes"),
    "digits": (b"I" + b"9" * 5000 + b"\n.", "number that is none, or too long"),
    "shape": (array_of(b"(I4000000000\nI4000000000\nt", b"S'x'\n"), "needs 16000000000000000000 bytes and has 1"),
    "empty-shape": (array_of(b"(I4000000000\nI0\nt", b"S''\n"), "impossible shape"),
    "negative-shape": (array_of(b"(I-1\nI-1\nt", b"S'x'\n"), "impossible shape"),
    "dimensions": (array_of(b"(" + b"I1\n" * 33 + b"t", b"S'x'\n"), "impossible shape"),
    "copies": (
        b"\x80\x02](c_codecs\nencode\nq\x00" + text(b"x" * 9000) + b"q\x01" + text(b"latin1") + b"\x86q\x02R"
        b"h\x00h\x02Re.",
        "makes more bytes than it has",
    ),
    "reference": (b"j\xff\xff\xff\x7f.", "refers to 2147483647, which it never made"),
    "nothing-left": (b"N0.", "has the opcode b'0'"),
    "no-mark": (b"Nt.", "misses a mark"),
    "below-mark": (b"N(a.", "takes more than it made"),
    "no-end": (b"N", "ends after 1 bytes"),
    "no-line-end": (b"S'x'", "ends within a line"),
    "empty": (b"", "ends after 0 bytes"),
    "protocol": (b"\x80\x05N.", "has protocol 5"),
    "key": (b"}]Ns.", "a dict with other keys than text"),
    "odd-dict": (b"(Nd.", "a key and no value"),
    "escape": (b"S'\\q'\n.", "an unknown escape"),
    "quotes": (b"Sx\n.", "without its quotes"),
    "utf-8": (text(b"\xff") + b".", "text that cannot be decoded"),
}


@pytest.mark.parametrize(("data", "problem"), HUGE.values(), ids=HUGE)
def test_damage_and_promises_are_refused(data: bytes, problem: str) -> None:
    """A damaged pickle is an error of one line, and one that promises much allocates no more than it has."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=problem):
            safe_pickle.unpickled(data, "x")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_number_of_opcodes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each opcode may make an object many times its size, so that there must not be any number of them."""
    monkeypatch.setattr(machine, "MAX_OPCODES", 100)
    assert safe_pickle.unpickled(b"](" + b"N" * 96 + b"e.", "x") == [None] * 96
    with pytest.raises(DataError, match="more than 100 opcodes"):
        safe_pickle.unpickled(b"](" + b"N" * 97 + b"e.", "x")


def test_every_flipped_byte_is_read_or_refused() -> None:
    """1,500 damaged pickles give a value or a DataError, and nothing else."""
    random = np.random.default_rng(3)
    outcomes = set()
    for protocol in (0, 2, 3):
        whole = pickled(VALUE, protocol)
        for _ in range(500):
            data = bytearray(whole)
            data[random.integers(len(data))] ^= 1 << int(random.integers(8))
            try:
                safe_pickle.unpickled(bytes(data), "x")
                outcomes.add("read")
            except DataError:
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}
