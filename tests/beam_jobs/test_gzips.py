from __future__ import annotations

import gzip
import itertools
import random
from concurrent.futures import ThreadPoolExecutor

import pytest

from beam_jobs.places import gzips
from beam_jobs.places.gzips import DamagedGzip, GzipWindows


def content(size: int) -> bytes:
    """Return bytes that compress to about a half, no two stretches alike."""
    source = random.Random(1)
    return b"".join(b"%08x" % source.getrandbits(32) for _ in range(size // 8))


def windows_of(packed: bytes) -> GzipWindows:
    """Return what reads a gzip file of these bytes."""
    return GzipWindows(lambda offset, size: packed[offset : offset + size])


def test_any_part_is_read() -> None:
    """Reads at any offset and in any order give the content there; the end is the end."""
    data = content(3 << 20)
    windows = windows_of(gzip.compress(data))
    places = random.Random(2)
    for _ in range(300):
        offset, size = places.randrange(len(data) + 1000), places.randrange(40_000)
        assert windows.read_at(offset, size) == data[offset : offset + size]
    assert windows.read_at(len(data) - 3, 10) == data[-3:]
    assert windows.read_at(len(data) + 10, 10) == b""
    assert windows.read_at(0, len(data)) == data


def test_several_members_are_one_content() -> None:
    """Files that are gzips one after the other, as bgzip and `cat` make them, are read as one; padding is none."""
    data = content(1 << 20)
    parts = [gzip.compress(data[at : at + 100_000]) for at in range(0, len(data), 100_000)]
    windows = windows_of(b"".join(parts) + bytes(100))
    assert windows.read_at(950_000, 10) == data[950_000:950_010]
    assert windows.read_at(99_990, 20) == data[99_990:100_010]
    assert windows.read_at(0, 1 << 21) == data


def test_marks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Marks are kept as reading goes on; beyond the bound every second one goes, and their distance doubles."""
    monkeypatch.setattr(gzips, "_MAX_MARKS", 8)
    monkeypatch.setattr(gzips, "_PIECE_BYTES", 1 << 14)
    monkeypatch.setattr(gzips, "_FIRST_SPACING_BYTES", 1 << 16)
    data = content(4 << 20)
    windows = windows_of(gzip.compress(data))
    windows.check_rest()
    marks = [mark.position for mark in windows._marks]
    assert marks[0] == 0
    assert 4 <= len(marks) <= 8
    assert windows._spacing == 1 << 19
    assert all(1 << 19 <= later - earlier < 1 << 20 for earlier, later in itertools.pairwise(marks))
    for offset in range(0, len(data), 333_333):
        assert windows.read_at(offset, 100) == data[offset : offset + 100]


def test_a_read_starts_at_the_nearest_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    """Going back decompresses from the last mark before the place, not from the start."""
    data = content(8 << 20)
    packed = gzip.compress(data)
    read: list[int] = []

    def read_at(offset: int, size: int) -> bytes:
        read.append(size)
        return packed[offset : offset + size]

    windows = GzipWindows(read_at)
    windows.check_rest()
    read.clear()
    assert windows.read_at(5 << 20, 100) == data[5 << 20 : (5 << 20) + 100]
    assert sum(read) < 512 << 10


def test_threads_take_turns() -> None:
    """Threads that read at once get what they asked for."""
    data = content(1 << 20)
    windows = windows_of(gzip.compress(data))
    offsets = [random.Random(3).randrange(len(data)) for _ in range(200)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda offset: windows.read_at(offset, 50), offsets)) == [
            data[offset : offset + 50] for offset in offsets
        ]


def test_damage_names_the_byte() -> None:
    """What lies before the damage can be read; from there on it is an error, every time."""
    data = content(1 << 20)
    packed = bytearray(gzip.compress(data, 0))
    packed[len(packed) // 2 :] = bytes(len(packed) - len(packed) // 2)
    windows = windows_of(bytes(packed))
    for _ in range(2):
        with pytest.raises(DamagedGzip) as caught:
            windows.read_at(900_000, 10)
        assert 0 <= caught.value.offset - len(packed) // 2 <= 1 << 16
        assert windows.read_at(100, 10) == data[100:110]
