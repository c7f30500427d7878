from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from beam_jobs.images import Reject
from beam_jobs.sources import plan
from beam_jobs.sources.places import Place, open_place
from gan_core.errors import ConfigError, DataError
from tests.archives import MODIFIED_S, PICTURE, add_entry, folder_config, outcomes, pack

SHARED = Path(__file__).parents[2] / "../shared/data"
LONG = "/".join(f"folder-{index:03d}-{'x' * 40}" for index in range(6)) + "/picture.png"  # 300 characters
FORMATS = {"v7, ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def everything(place: Place) -> dict[str, bytes]:
    """Return key -> bytes of all pictures."""
    found = place.list()
    return {key: place.read(found.ref(key)) for key in found.stamps}


def write_tar(path: Path, *entries: tuple[str, bytes, dict[str, object]], mode: str = "w") -> Place:
    """Write an archive of entries (name, data, fields of TarInfo), and open it."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data, fields in entries:
            add_entry(archive, name, data, **fields)
    return open_place(path)


def gzipped(path: Path) -> Path:
    """Write the compressed copy of a tar beside it, and return its path."""
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    return packed


def flipped(path: Path, at: int) -> Path:
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 0x41
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("form", FORMATS)
def test_long_names_and_unknown_letters(tmp_path: Path, form: str) -> None:
    """Names beyond 100 characters and beyond ASCII are read in every format that can hold them."""
    path = tmp_path / "x.tar"
    names = ["a.png", "ä/ß.png", LONG] if form != "v7, ustar" else ["a.png", LONG[:99] + "/b.png"]
    with tarfile.open(path, "w", format=FORMATS[form]) as archive:
        for name in names:
            add_entry(archive, name, name.encode())
    for place in (open_place(path), open_place(gzipped(path))):
        assert everything(place) == {name: name.encode() for name in names}


def test_what_tar_itself_writes(tmp_path: Path) -> None:
    """The archive that `tar -c .` makes of a folder lists the folder: `./`, folders, times and hard links included."""
    folder = tmp_path / "in"
    pack({"b/c.png": PICTURE, "a.png": b"1", "n.txt": b"2"}, folder)
    os.link(folder / "a.png", folder / "again.png")
    os.utime(folder / "a.png", ns=(0, 1_234_567_890_123_456_789))
    (folder / "soft.png").symlink_to("a.png")
    for form in ("gnu", "pax"):
        path = tmp_path / f"{form}.tar"
        subprocess.run(["tar", f"--format={form}", "-cf", path, "-C", folder, "."], check=True)
        for place in (open_place(path), open_place(gzipped(path))):
            assert everything(place) == {"a.png": b"1", "again.png": b"1", "b/c.png": PICTURE}
            assert place.list().notes() == [
                "files that are not pictures by their extension: 1 (.txt: 1)",
                "entries of the archive that are not read: 1 (symbolic link: 1)",
            ]
    stamps = open_place(tmp_path / "pax.tar").list().stamps
    assert stamps["a.png"] == stamps["again.png"] == "1-1234567890.123456789"


def test_stamps_and_spans(tmp_path: Path) -> None:
    """A plain tar stamps size and time, a compressed one CRC-32 and size; the span is where the data lies."""
    path = pack({"a.png": b"0123456789", "b.png": b"xyz"}, tmp_path / "x.tar")
    found = open_place(path).list()
    assert found.stamps == {"a.png": f"10-{MODIFIED_S}", "b.png": f"3-{MODIFIED_S}"}
    assert found.spans == {"a.png": (512, 10), "b.png": (1536, 3)}
    packed = open_place(gzipped(path)).list()
    assert packed.stamps == {"a.png": "a684c7c6-10", "b.png": "eb8eba67-3"}
    assert packed.spans == found.spans


def test_of_a_name_that_comes_twice_the_last_counts(tmp_path: Path) -> None:
    """As when tar unpacks; the note says that there was another."""
    place = write_tar(tmp_path / "x.tar", ("a.png", b"old", {}), ("b.png", b"b", {}), ("./a.png", b"newer", {}))
    assert everything(place) == {"a.png": b"newer", "b.png": b"b"}
    assert place.list().notes() == ["entries of the archive that are not read: 1 (name that comes again later: 1)"]


def test_entries_that_are_no_files(tmp_path: Path) -> None:
    """Links out of the folder, devices and pipes are counted and never followed."""
    place = write_tar(
        tmp_path / "x.tar",
        ("a.png", b"a", {}),
        ("out.png", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}),
        ("up.png", b"", {"type": tarfile.SYMTYPE, "linkname": "../../x.png"}),
        ("lost.png", b"", {"type": tarfile.LNKTYPE, "linkname": "nowhere.png"}),
        ("disk.png", b"", {"type": tarfile.BLKTYPE}),
        ("tty.png", b"", {"type": tarfile.CHRTYPE}),
        ("pipe.png", b"", {"type": tarfile.FIFOTYPE}),
        ("odd.png", b"data", {"type": b"V"}),
        ("hard.png", b"", {"type": tarfile.LNKTYPE, "linkname": "./a.png"}),
    )
    assert everything(place) == {"a.png": b"a", "hard.png": b"a"}
    assert place.list().notes() == [
        "entries of the archive that are not read: 7 "
        "(device: 2, hard link to nothing in the archive: 1, pipe: 1, special: 1, symbolic link: 2)"
    ]


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("/abs.png", {}),
        ("../up.png", {}),
        ("a/../../up.png", {}),
        ("C:\\x.png", {}),
        ("a\\..\\..\\up.png", {}),
        ("ok.png", {"type": tarfile.LNKTYPE, "linkname": "../secret.png"}),
    ],
)
def test_entries_that_leave_their_folder(tmp_path: Path, name: str, fields: dict[str, object]) -> None:
    """Such an archive was made to do harm: it is refused as a whole, by the name of the entry."""
    place = write_tar(tmp_path / "evil.tar", ("a.png", b"a", {}), (name, b"", fields))
    shown = fields.get("linkname", name)
    for path in (tmp_path / "evil.tar", gzipped(tmp_path / "evil.tar")):
        with pytest.raises(DataError) as caught:
            plan(folder_config(path), tmp_path)
        assert str(caught.value) == (
            f"{path} holds the entry '{shown}', which leaves its folder; make the archive again without it"
        )
    assert place.is_archive


def test_sparse_files_are_rejects(tmp_path: Path) -> None:
    """A file with holes is listed and rejected, in both ways that tar stores it; its neighbours are read."""
    folder = tmp_path / "in"
    pack({"a.png": PICTURE, "c.png": PICTURE}, folder)
    with (folder / "b.png").open("wb") as stream:
        for position in range(30):  # more pieces than the first header has room for
            stream.seek(position << 16)
            stream.write(b"x" * 4096)
        stream.truncate(40 << 16)
    for form in ("gnu", "pax"):
        path = tmp_path / f"{form}.tar"
        names = ["a.png", "b.png", "c.png"]
        subprocess.run(["tar", f"--format={form}", "--sparse", "-cf", path, "-C", folder, *names], check=True)
        place = open_place(path)
        found = place.list()
        assert outcomes(place, [found.ref(name) for name in names]) == ["read", "unreadable", "read"]
        with pytest.raises(Reject, match="stores it as a sparse file"):
            place.read(found.ref("b.png"))


DAMAGE = {
    "first header": (10, "header with a bad checksum"),
    "second header": (1024 + 10, "header with a bad checksum"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damaged_headers(tmp_path: Path, name: str) -> None:
    """A wrong byte in a header is found by its checksum, and is not taken for the archive's end."""
    at, message = DAMAGE[name]
    path = flipped(pack({"a.png": b"a", "b.png": b"b"}, tmp_path / "x.tar"), at)
    for damaged, place in ((path, ""), (gzipped(path), " of the unpacked archive")):
        with pytest.raises(DataError) as caught:
            plan(folder_config(damaged), tmp_path)
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
        plan(folder_config(path), tmp_path)
    assert str(caught.value) == f"{path} {message}; copy or download it again"


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (b"99 path=a.png\n", "a pax record of the wrong length"),
        (b"x path=a.png\n", "a pax record of the wrong length"),
        (b"13 size=-400\n", "pax header with the size -400"),
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


def test_tars_are_known_by_their_content(tmp_path: Path) -> None:
    """A wrong or missing extension does not matter; a file of zeros is no archive."""
    path = pack({"a.png": PICTURE}, tmp_path / "x.tar")
    assert everything(open_place(shutil.copy(gzipped(path), tmp_path / "faces"))) == {"a.png": PICTURE}
    assert everything(open_place(shutil.copy(path, tmp_path / "faces.tgz"))) == {"a.png": PICTURE}
    (tmp_path / "zeros.bin").write_bytes(bytes(4096))
    with pytest.raises(ConfigError, match="is neither a folder nor a zip or tar archive"):
        open_place(tmp_path / "zeros.bin")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
def test_real_faces_from_every_archive(tmp_path: Path) -> None:
    """2,000 faces of CelebA's zip, packed as tar and tar.gz, are the same bytes, read forwards and backwards."""
    zipped = open_place(SHARED / "celeba/img_align_celeba.zip")
    found = zipped.list()
    names = sorted(found.stamps)[::5]
    files = {name: zipped.read(found.ref(name)) for name in names}
    for extension in ("tar", "tar.gz"):
        place = open_place(pack(files, tmp_path / f"x.{extension}"))
        listed = place.list()
        assert sorted(listed.stamps) == names
        for name in [*names[::7], *names[::-11]]:
            assert place.read(listed.ref(name)) == files[name]
