"""The headers of a tar archive: POSIX ustar and pax, GNU's long names, and what older programs wrote.

Python's tarfile takes a damaged header for the end of the archive; here it is an error with its byte.
References: POSIX.1-2017, pax, "ustar Interchange Format"; the GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ReadAt = Callable[[int, int], bytes]
"""(offset, size) -> that part of the archive, shorter only at its end."""

_BLOCK = 512
_MAX_EXTENSION_BYTES = 1 << 20  # of a long name or of pax records; a name has 4,096 at most
_MAX_SIZE_BYTES = 1 << 60  # so that offsets stay numbers that a file can be read at
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_DATALESS = (tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE)
_KINDS = {
    **dict.fromkeys(_REGULAR, "file"),
    tarfile.DIRTYPE: "folder",
    tarfile.LNKTYPE: "hard link",
    tarfile.SYMTYPE: "symbolic link",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "pipe",
    tarfile.GNUTYPE_SPARSE: "sparse file",
}
_NOTHING: dict[str, bytes] = {}
_RECORD = re.compile(rb"([1-9]\d{0,6}) ([^=\0]+)=")


class DamagedTar(Exception):
    """The archive is wrong at byte `offset`, counted from 0 in the unpacked archive."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(offset, why)
        self.offset = offset
        self.why = why


@dataclass(frozen=True, slots=True)
class TarEntry:
    """One entry of an archive.

    Attributes:
        name: as it is written, as bytes.
        kind: file, folder, hard link, symbolic link, sparse file, device, pipe or special.
        offset: first byte of its data in the archive.
        size: bytes of data; of a sparse file, those that are stored.
        modified: its time in seconds, as it is written.
        target: what a link names.
    """

    name: bytes
    kind: str
    offset: int
    size: int
    modified: str
    target: bytes


def tar_entries(read_at: ReadAt) -> Iterator[TarEntry]:
    """Yield the entries in order; their data is not read.

    Raises:
        DamagedTar: a header is damaged, or the archive ends without its end mark.
    """
    offset = 0
    common: dict[str, bytes] = {}
    own: dict[str, bytes] = {}
    long: dict[str, bytes] = {}
    while True:
        block = read_at(offset, _BLOCK)
        if len(block) < _BLOCK:
            raise DamagedTar(offset + len(block), "it ends without the end mark")
        if not block.strip(b"\0"):
            if own or long:
                raise DamagedTar(offset, "a header with a long name has no entry")
            return
        header = _parse(offset, block)
        start = offset + _BLOCK
        if header.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE):
            records = _records(start, _extension(start, header.size, read_at))
            if header.type == tarfile.XGLTYPE:
                common = {**common, **records}
            else:
                own = records
            offset = start + _padded(header.size)
        elif header.type in (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK):
            text = _extension(start, header.size, read_at).partition(b"\0")[0]
            long["path" if header.type == tarfile.GNUTYPE_LONGNAME else "linkpath"] = text
            offset = start + _padded(header.size)
        else:
            start = _after_sparse_map(start, block, read_at)
            entry = _entry(offset, start, header, {**common, **own, **long} if common or own or long else _NOTHING)
            yield entry
            offset = start + (0 if header.type in _DATALESS else _padded(entry.size))
            own, long = {}, {}


def is_header(block: bytes) -> bool:
    """Whether 512 bytes are a tar header with a right checksum."""
    return len(block) == _BLOCK and bool(block.strip(b"\0")) and _checksum_fits(block)


@dataclass(frozen=True, slots=True)
class _Header:
    """The fields of one block that are needed; see the POSIX text for the offsets."""

    name: bytes
    type: bytes
    size: int
    modified: int
    target: bytes


def _parse(offset: int, block: bytes) -> _Header:
    if not _checksum_fits(block):
        raise DamagedTar(offset, "header with a wrong checksum")
    try:
        size, modified = _number(block[124:136]), _number(block[136:148])
    except ValueError:
        raise DamagedTar(offset, "header with a size or time that is no number") from None
    name, kind = _text(block[:100]), block[156:157]
    if block[257:263] == b"ustar\0" and block[345]:  # GNU's magic is "ustar  ", and other things lie there
        name = _text(block[345:500]) + b"/" + name
    if kind == tarfile.AREGTYPE and name.endswith(b"/"):  # a folder, before ustar
        kind = tarfile.DIRTYPE
    return _Header(name, kind, size, modified, _text(block[157:257]))


def _checksum_fits(block: bytes) -> bool:
    """Compare the sum of all bytes, the checksum itself as spaces; old programs summed signed ones."""
    try:
        written = _number(block[148:156])
    except ValueError:
        return False
    others = block[:148] + block[156:]
    total = sum(others) + 8 * 0x20
    return written == total or written == total - 256 * sum(byte > 127 for byte in others)


def _number(field: bytes) -> int:
    """Return a number in octal digits, or in binary where the first byte is 0x80 or 0xff. Raises ValueError."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    return int(field.partition(b"\0")[0].strip() or b"0", 8)


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _entry(offset: int, start: int, header: _Header, records: dict[str, bytes]) -> TarEntry:
    try:
        size = int(records.get("size", header.size))
        modified = records["mtime"].decode("ascii") if "mtime" in records else str(header.modified)
    except ValueError:
        raise DamagedTar(offset, "pax header with a size or time that is no number") from None
    if not 0 <= size < _MAX_SIZE_BYTES:
        raise DamagedTar(offset, f"an entry of {size} bytes")
    kind = _KINDS.get(header.type, "special")
    if any(name.startswith("GNU.sparse.") for name in records):
        kind = "sparse file"
    name = records.get("GNU.sparse.name") or records.get("path") or header.name
    return TarEntry(name, kind, start, size, modified, records.get("linkpath") or header.target)


def _extension(start: int, size: int, read_at: ReadAt) -> bytes:
    if not 0 <= size <= _MAX_EXTENSION_BYTES:
        raise DamagedTar(start - _BLOCK, f"{size} bytes for the name of an entry")
    data = read_at(start, size)
    if len(data) < size:
        raise DamagedTar(start + len(data), "it ends inside a header")
    return data


def _records(start: int, data: bytes) -> dict[str, bytes]:
    """Return pax records: each is "length name=value" and a line feed, the length counting all of it."""
    records, at = {}, 0
    while at < len(data):
        match = _RECORD.match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or end <= match.end() or end > len(data) or data[end - 1 : end] != b"\n":
            raise DamagedTar(start + at, "a pax record of the wrong length")
        records[match[2].decode("utf-8", "replace")] = data[match.end() : end - 1]
        at = end
    return records


def _after_sparse_map(start: int, block: bytes, read_at: ReadAt) -> int:
    """Return where data starts: old GNU sparse headers go on in more blocks, a flag in each says so."""
    if block[156:157] != tarfile.GNUTYPE_SPARSE:
        return start
    more = block[482]
    while more:
        block = read_at(start, _BLOCK)
        if len(block) < _BLOCK:
            raise DamagedTar(start + len(block), "it ends inside a header")
        start, more = start + _BLOCK, block[504]
    return start


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK
