from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from beam_jobs.pixels.images import Reject
from beam_jobs.places.place import Place, open_place
from beam_jobs.sources.registry import look
from gan_core.errors import ConfigError, DataError
from tests.archives import MODIFIED_S, PICTURE, add_entry, folder_config, gzipped, outcomes, pack, write_tar

SHARED = Path(__file__).parents[2] / "../shared/data"


LONG = "/".join(f"folder-{index:03d}-{'x' * 40}" for index in range(6)) + "/picture.png"  # 300 characters


FORMATS = {"v7, ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def everything(place: Place) -> dict[str, bytes]:
    """Return key -> bytes of all pictures."""
    found = place.list()
    return {key: place.read(found.ref(key)) for key in found.stamps}


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
            look(folder_config(path), tmp_path)
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
