from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from beam_jobs.places.place import open_place
from beam_jobs.sources.registry import look
from gan_core.errors import DataError
from tests.archives import PICTURE, add_entry, folder_config, gzipped, outcomes, pack, write_tar


def flipped(path: Path, at: int) -> Path:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x41
    path.write_bytes(bytes(data))
    return path


DAMAGE = {
    "first header": (10, "header with a wrong checksum"),
    "second header": (1024 + 10, "header with a wrong checksum"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_headers(tmp_path: Path, name: str) -> None:
    """A wrong byte in a header is found by its checksum, and is not taken for the archive's end."""
    at, message = DAMAGE[name]
    path = flipped(pack({"a.png": b"a", "b.png": b"b"}, tmp_path / "x.tar"), at)
    for damaged, place in ((path, ""), (gzipped(path), " of the unpacked archive")):
        with pytest.raises(DataError) as caught:
            look(folder_config(damaged), tmp_path)
        assert (
            str(caught.value)
            == f"{damaged} is damaged at byte {at // 512 * 512}{place} ({message}); copy or download it again"
        )


@pytest.mark.parametrize(
    ("size", "message"),
    [
        (0, "is damaged at byte 0 (it ends without the end mark)"),
        (500, "is damaged at byte 500 (it ends without the end mark)"),
        (600, "is damaged at byte 600 (it ends inside a.png)"),
        (1024, "is damaged at byte 1024 (it ends inside a.png)"),
        (1536, "is damaged at byte 1536 (it ends without the end mark)"),
    ],
)
def test_truncated_archives(tmp_path: Path, size: int, message: str) -> None:
    """An archive that was not copied to its end is refused, wherever it ends: half a data set looks like a whole."""
    path = pack({"a.png": b"a" * 900}, tmp_path / "x.tar")
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError) as caught:
        look(folder_config(path), tmp_path)
    assert str(caught.value) == f"{path} {message}; copy or download it again"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (b"99 path=a.png\n", "a pax record of the wrong length"),
        (b"x path=a.png\n", "a pax record of the wrong length"),
        (b"13 size=-400\n", "an entry of -400 bytes"),
        (b"28 size=9999999999999999999\n", "an entry of 9999999999999999999 bytes"),
        (b"11 size=ab\n", "pax header with a size or time that is no number"),
    ],
)
def test_damaged_pax_records(tmp_path: Path, records: bytes, message: str) -> None:
    """Nonsense in an extended header is an error, not a name or a size."""
    place = write_tar(tmp_path / "x.tar", ("p", records, {"type": tarfile.XHDTYPE}), ("a.png", b"a", {}))
    with pytest.raises(DataError, match=message):
        place.list()


def test_a_name_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    """The size in the header of a long name is bounded."""
    path = tmp_path / "x.tar"
    with tarfile.open(path, "w") as archive:
        add_entry(archive, "././@LongLink", b"", type=tarfile.GNUTYPE_LONGNAME)
    entry = tarfile.TarInfo("././@LongLink")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 5 << 30
    path.write_bytes(entry.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(DataError, match=r"is damaged at byte 0 \(5368709120 bytes for the name of an entry\)"):
        open_place(path).list()


def test_damaged_gzip(tmp_path: Path) -> None:
    """A wrong byte in the compressed data is found while listing, and after that by every read."""
    files = {f"{index}.png": os.urandom(50_000) for index in range(20)}
    path = pack(files, tmp_path / "x.tar.gz")
    whole = path.read_bytes()
    place = open_place(path)
    refs = [place.list().ref(key) for key in sorted(files)]
    times = path.stat()
    flipped(path, len(whole) // 3)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DataError, match=r"is damaged at byte \d+ \(gzip: .*\); copy or download it again"):
        open_place(path).list()
    reasons = outcomes(open_place(path), refs)
    assert reasons.count("read") < len(refs)
    assert set(reasons) <= {"read", "changed", "unreadable"}
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"gzip: the file ends before its content does"):
        open_place(path).list()
    path.write_bytes(b"\x1f\x8c" + whole[2:])
    with pytest.raises(DataError, match=r"gzip: .*incorrect header check"):
        open_place(path).list()


def test_the_checksum_behind_the_last_entry_is_read(tmp_path: Path) -> None:
    """The CRC-32 of a gzip file is its last word, after tar's end mark; it counts."""
    path = pack({"a.png": PICTURE}, tmp_path / "x.tgz")
    flipped(path, len(path.read_bytes()) - 6)
    with pytest.raises(DataError, match=r"gzip: .*incorrect data check"):
        open_place(path).list()


@pytest.mark.parametrize("extension", ["tar", "tar.gz"])
def test_readers_reject_what_changed(tmp_path: Path, extension: str) -> None:
    """An archive that was touched or replaced after it was listed gives no pixels; one that is gone is an error."""
    path = pack({"a.png": b"a" * 3000, "b.png": b"b" * 3000}, tmp_path / f"x.{extension}")
    place = open_place(path)
    refs = [place.list().ref(key) for key in ("a.png", "b.png")]
    assert outcomes(place, refs) == ["read", "read"]
    os.utime(path, ns=(1, 1))
    assert outcomes(place, refs) == ["changed", "changed"]
    fresh = open_place(path)
    assert outcomes(fresh, [fresh.list().ref("a.png")]) == ["read"]
    os.truncate(path, 700)
    assert set(outcomes(place, refs)) <= {"changed", "unreadable"}
    path.unlink()
    gone = open_place(pack({"a.png": b"1"}, path))
    path.unlink()
    with pytest.raises(DataError, match="cannot be read any more"):
        gone.read(refs[0])


def test_an_archive_that_grows_while_it_is_listed(tmp_path: Path) -> None:
    """An archive that is still being written is not listed half."""
    path = pack({"a.png": PICTURE}, tmp_path / "x.tar")
    place = open_place(path)
    with path.open("ab") as stream:
        stream.write(bytes(512))
    with pytest.raises(DataError, match="changed while it was listed; run again when it is complete"):
        place.list()
