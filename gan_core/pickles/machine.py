"""A pickle machine that can build bytes, text, numbers, lists, tuples and dicts, and cannot call anything.

It does not import Python's own unpickler: names that a pickle asks for are compared with a short list and never looked
up, so there is nothing to escape from. What is allocated comes from the bytes of the pickle itself, once. What a kind
of file needs besides, such as arrays, is in a subclass that says which names there are and what is made of them.
Opcodes as in CPython's Lib/pickletools.py.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, ClassVar

from gan_core.pickles import values
from gan_core.pickles.values import Name, Refused

MAX_OPCODES = 4_000_000  # an official batch of CIFAR-10 has 5 for each picture
_MAX_NUMBER_BYTES = 9  # a signed 64-bit integer


class _Stack:
    """The bytes, the stack and the memo."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > len(self.data):
            raise Refused(f"the pickle ends after {len(self.data)} bytes, and {count} more belong to byte {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def skip(self, count: int) -> None:
        self.take(count)

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Refused(f"the pickle ends within a line at byte {self.at}")
        return self.take(end + 1 - self.at)[:-1]

    def number(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        if len(self._stack) <= (self._marks[-1] if self._marks else 0):
            raise Refused(f"the pickle takes more than it made at byte {self.at}")
        return self._stack.pop()

    def mark(self) -> None:
        self._marks.append(len(self._stack))

    def pop_to_mark(self) -> list[Any]:
        if not self._marks:
            raise Refused(f"the pickle misses a mark at byte {self.at}")
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def put(self, index: int) -> None:
        value = self.pop()
        self._memo[index] = value
        self.push(value)

    def memoize(self) -> None:
        self.put(len(self._memo))

    def get(self, index: int) -> None:
        if index not in self._memo:
            raise Refused(f"the pickle refers to {index}, which it never made")
        self.push(self._memo[index])

    def append(self, items: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, list):
            raise Refused("the pickle appends to what is no list")
        target.extend(items)
        self.push(target)

    def set_items(self, items: list[Any]) -> None:
        target = self.pop()
        if not isinstance(target, dict) or len(items) % 2:
            raise Refused("the pickle sets items of what is no dict")
        self.push(values.fill(target, items))


class Machine(_Stack):
    """The stack, the memo and the position of one pickle of protocol 0 to 4, as Python 2 or 3 wrote it.

    Text of Python 2 becomes bytes.

    Attributes:
        names: the globals that the pickle may name, "module.attribute".
        kinds: what these are good for, for messages.
        at: the byte behind what was read.
    """

    names: ClassVar[frozenset[str]] = frozenset()
    kinds: ClassVar[str] = "text and numbers"

    def reduced(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """Return what a call of one of `names` would make. Raises Refused."""
        raise Refused(f"the pickle calls '{name}' in a way that it does not know")

    def built(self, target: Any, state: Any) -> Any:
        """Return what `target` becomes by its state. Raises Refused."""
        raise Refused("the pickle sets the state of what has none")

    def persistent(self, identity: Any) -> Any:
        """Return what lies outside the pickle under this identity. Raises Refused."""
        raise Refused("the pickle refers to what is not in it")

    def run(self) -> Any:
        """Return dict, list, tuple, bytes, str, int, bool, None, or what the methods above make. Raises Refused."""
        for _ in range(MAX_OPCODES):
            start = self.at
            opcode = self.take(1)
            if opcode == b".":
                return self.pop()
            act = _OPCODES.get(opcode)
            if act is None:
                raise Refused(f"the pickle has the opcode {opcode!r} at byte {start}, which none of these files has")
            act(self)
        raise Refused(f"the pickle has more than {MAX_OPCODES} opcodes")

    def _name(self, module: Any, attribute: Any) -> None:
        text = f"{values.text(module)}.{values.text(attribute)}"
        if text not in self.names:
            raise Refused(f"the pickle asks for '{text[:100]}', and only {self.kinds} are let in")
        self.push(Name(text))

    def _reduce(self) -> None:
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Name) or not isinstance(arguments, tuple):
            raise Refused("the pickle calls what is no function")
        self.push(self.reduced(called.text, arguments))

    def _build(self) -> None:
        state, target = self.pop(), self.pop()
        self.push(self.built(target, state))


def _long(machine: Machine, count: int) -> int:
    if count > _MAX_NUMBER_BYTES:
        raise Refused(f"the pickle has a number of {count} bytes")
    return int.from_bytes(machine.take(count), "little", signed=True)


def _protocol(machine: Machine) -> None:
    version = machine.number("<B")
    if version > 4:
        raise Refused(f"the pickle has protocol {version}, and 0 to 4 are known")


def _stack_name(machine: Machine) -> None:
    attribute, module = machine.pop(), machine.pop()
    machine._name(module, attribute)


def _last(machine: Machine, count: int) -> tuple[Any, ...]:
    return tuple(machine.pop() for _ in range(count))[::-1]


_OPCODES: dict[bytes, Callable[[Machine], None]] = {
    b"\x80": _protocol,
    b"\x95": lambda m: m.skip(8),  # FRAME: how much to read ahead
    # Values.
    b"N": lambda m: m.push(None),
    b"\x88": lambda m: m.push(True),
    b"\x89": lambda m: m.push(False),
    b"I": lambda m: m.push(values.decimal(m.line())),
    b"L": lambda m: m.push(values.decimal(m.line())),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: m.push(_long(m, m.number("<B"))),
    b"\x8b": lambda m: m.push(_long(m, m.number("<i"))),
    b"S": lambda m: m.push(values.quoted(m.line())),
    b"T": lambda m: m.push(m.take(m.number("<i"))),
    b"U": lambda m: m.push(m.take(m.number("<B"))),
    b"B": lambda m: m.push(m.take(m.number("<I"))),
    b"C": lambda m: m.push(m.take(m.number("<B"))),
    b"\x8e": lambda m: m.push(m.take(m.number("<Q"))),
    b"V": lambda m: m.push(values.decoded(m.line(), "raw-unicode-escape")),
    b"X": lambda m: m.push(values.decoded(m.take(m.number("<I")), "utf-8")),
    b"\x8c": lambda m: m.push(values.decoded(m.take(m.number("<B")), "utf-8")),
    b"\x8d": lambda m: m.push(values.decoded(m.take(m.number("<Q")), "utf-8")),
    # Containers.
    b"(": lambda m: m.mark(),
    b")": lambda m: m.push(()),
    b"t": lambda m: m.push(tuple(m.pop_to_mark())),
    b"\x85": lambda m: m.push(_last(m, 1)),
    b"\x86": lambda m: m.push(_last(m, 2)),
    b"\x87": lambda m: m.push(_last(m, 3)),
    b"]": lambda m: m.push([]),
    b"l": lambda m: m.push(m.pop_to_mark()),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_to_mark()),
    b"}": lambda m: m.push({}),
    b"d": lambda m: m.push(values.dict_of(m.pop_to_mark())),
    b"s": lambda m: m.set_items(list(_last(m, 2))),
    b"u": lambda m: m.set_items(m.pop_to_mark()),
    # What was made before.
    b"p": lambda m: m.put(values.decimal(m.line())),
    b"q": lambda m: m.put(m.number("<B")),
    b"r": lambda m: m.put(m.number("<I")),
    b"\x94": lambda m: m.memoize(),
    b"g": lambda m: m.get(values.decimal(m.line())),
    b"h": lambda m: m.get(m.number("<B")),
    b"j": lambda m: m.get(m.number("<I")),
    # Names, the two things that may be done with them, and what lies elsewhere.
    b"c": lambda m: m._name(m.line(), m.line()),
    b"\x93": _stack_name,
    b"R": lambda m: m._reduce(),
    b"b": lambda m: m._build(),
    b"Q": lambda m: m.push(m.persistent(m.pop())),
}
