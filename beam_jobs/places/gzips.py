"""Any part of a gzip file without unpacking the rest: states of the decompressor are kept on the way."""

from __future__ import annotations

import bisect
import threading
import zlib
from collections.abc import Callable
from typing import Any

_GZIP = 31  # zlib.decompressobj: gzip header and trailer, the CRC-32 and the length are checked
_CHUNK_BYTES = 1 << 16
_PIECE_BYTES = 1 << 18
_FIRST_SPACING_BYTES = 1 << 18
_MAX_MARKS = 1024


class DamagedGzip(Exception):
    """The compressed bytes are wrong. `offset` counts bytes of the file; the damage lies at or before it."""

    def __init__(self, offset: int, why: str) -> None:
        super().__init__(f"damaged at byte {offset} of the compressed file ({why})")
        self.offset = offset
        self.why = why


class GzipWindows:
    """Reads a gzip file at any offset of its content. Threads take turns.

    Whenever reading comes by a new place, a copy of the decompressor (its last 32 KiB of content and its tables) is
    kept, first every 256 KiB of content; with 1,024 of them every second one is dropped and the distance doubles. So
    memory stays near 45 MiB however large the file, and a read costs the decompression of less than two distances:
    1.3 GB of CelebA have a mark every 2 MiB. The same idea with an index on disk is zlib's examples/zran.c.
    """

    def __init__(self, read_at: Callable[[int, int], bytes]) -> None:
        """Take what reads the compressed file: (offset, size) -> bytes, fewer at its end only."""
        self._read_compressed = read_at
        self._lock = threading.Lock()
        self._spacing = _FIRST_SPACING_BYTES
        self._end: int | None = None
        start = _Cursor(0, 0, zlib.decompressobj(_GZIP))
        self._cursor = start.copy()
        self._marks = [start]

    def read_at(self, offset: int, size: int) -> bytes:
        """Return up to `size` bytes of the content from `offset`: fewer at its end.

        Raises:
            DamagedGzip: the file is damaged or ends early, no further than where the read ends.
            OSError: the file cannot be read.
        """
        with self._lock:
            self._go_to(offset)
            parts, wanted = [], size
            while wanted > 0 and self._fill():
                part = self._cursor.take(wanted)
                parts.append(part)
                wanted -= len(part)
            return b"".join(parts)

    def check_rest(self) -> None:
        """Read on to the end, which checks the CRC-32. Raises DamagedGzip and OSError."""
        with self._lock:
            while self._fill():
                self._cursor.take(_PIECE_BYTES)

    def _go_to(self, offset: int) -> None:
        mark = self._marks[bisect.bisect_right(self._marks, offset, key=lambda mark: mark.position) - 1]
        if not mark.position <= self._cursor.position <= offset:
            self._cursor = mark.copy()
        while self._cursor.position < offset and self._fill():
            self._cursor.take(offset - self._cursor.position)

    def _fill(self) -> bool:
        """Make sure that the cursor has content; False at the end."""
        cursor = self._cursor
        while not cursor.ahead:
            if cursor.position >= self._marks[-1].position + self._spacing and not cursor.decompressor.eof:
                self._mark(cursor)
            data = self._read_compressed(cursor.consumed, _CHUNK_BYTES)
            if cursor.decompressor.eof:
                # A gzip file may have several members; zeros after the last are padding, else it is no gzip any more.
                if not data.startswith(b"\x1f\x8b"):
                    return False
                cursor.decompressor = zlib.decompressobj(_GZIP)
            try:
                cursor.put(cursor.decompressor.decompress(data, _PIECE_BYTES))
            except zlib.error as error:
                raise DamagedGzip(cursor.consumed + len(data), str(error)) from None
            left = cursor.decompressor.unused_data or cursor.decompressor.unconsumed_tail
            cursor.consumed += len(data) - len(left)
            if not data and not cursor.ahead:
                raise DamagedGzip(cursor.consumed, "the file ends before its content does")
        return True

    def _mark(self, cursor: _Cursor) -> None:
        self._marks.append(cursor.copy())
        if len(self._marks) > _MAX_MARKS:
            self._marks = self._marks[::2]
            self._spacing *= 2


class _Cursor:
    """A place in the content: its offset, the compressed bytes that led there, and what is decompressed ahead."""

    def __init__(self, position: int, consumed: int, decompressor: Any) -> None:
        self.position = position
        self.consumed = consumed
        self.decompressor = decompressor
        self._piece = b""
        self._taken = 0

    @property
    def ahead(self) -> int:
        """How many bytes are decompressed and not taken."""
        return len(self._piece) - self._taken

    def copy(self) -> _Cursor:
        """Return a cursor at the same place; nothing may be ahead."""
        return _Cursor(self.position, self.consumed, self.decompressor.copy())

    def put(self, piece: bytes) -> None:
        """Take in the next piece; nothing may be ahead."""
        self._piece, self._taken = piece, 0

    def take(self, size: int) -> bytes:
        """Return up to `size` of the bytes ahead, and move on."""
        taken = self._piece[self._taken : self._taken + size]
        self._taken += len(taken)
        self.position += len(taken)
        return taken
