from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from beam_jobs.pixels.images import Reject
from beam_jobs.places.place import open_place
from beam_jobs.sources.registry import look, open_source
from gan_core.errors import ConfigError, DataError
from tests.archives import PICTURE, folder_config, outcomes, write_zip


def test_zip_of_pictures_is_a_folder(tmp_path: Path) -> None:
    """The same rules in an archive, read in place."""
    path = write_zip(tmp_path / "my faces.zip", "x/b.jpg", "a.png", "x/.hidden.png", "__MACOSX/x.png", "n.txt")
    config = folder_config(path)
    source = open_source(config, tmp_path)
    assert source.name == "my faces"
    refs = list(source.list())
    assert [ref.key for ref in refs] == ["a.png", "x/b.jpg"]
    assert source.reader().read(refs[1]) == PICTURE
    assert list(tmp_path.iterdir()) == [path]


def test_zip_entries_that_are_no_files(tmp_path: Path) -> None:
    """Links are counted and not read; of a name that comes twice the last entry counts; `./` is no folder."""
    path = tmp_path / "x.zip"
    link = zipfile.ZipInfo("link.png")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(link, "/etc/passwd")
        archive.writestr("./a.png", b"first")
        archive.writestr("b.png", b"first")
        archive.writestr("b.png", b"second")
        archive.writestr("c//d.png", b"third")
    place = open_place(path)
    found = place.list()
    assert {key: place.read(found.ref(key)) for key in found.stamps} == {
        "a.png": b"first",
        "b.png": b"second",
        "c/d.png": b"third",
    }
    assert found.notes() == [
        "entries of the archive that are not read: 2 (name that comes again later: 1, symbolic link: 1)"
    ]


def test_zip64(tmp_path: Path) -> None:
    """An archive with the 64-bit fields of large ones is read like any other."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.png", "w", force_zip64=True) as stream:
        stream.write(PICTURE)
    place = open_place(path)
    assert place.read(place.list().ref("a.png")) == PICTURE


def test_zip_reader_rejects_what_changed(tmp_path: Path) -> None:
    """The same for archives: a broken entry is unreadable, a replaced archive has changed."""
    path = write_zip(tmp_path / "x.zip", "a.png", "b.png")
    source = open_source(folder_config(path), tmp_path)
    refs = list(source.list())
    data = path.read_bytes()
    path.write_bytes(data.replace(PICTURE, PICTURE[:-20] + b"\0" * 20, 1))
    with pytest.raises(Reject) as caught:
        source.reader().read(refs[0])
    assert (caught.value.reason, caught.value.detail) == ("unreadable", "x.zip: Bad CRC-32 for file 'a.png'")
    write_zip(path, "a.png", data=PICTURE + b"more")
    assert outcomes(open_place(path), refs) == ["changed", "missing"]


def test_truncated_archive(tmp_path: Path) -> None:
    """Half a zip is no archive; one with a damaged directory cannot be read."""
    path = write_zip(tmp_path / "half.zip", "a.png", "b.png")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigError, match="is neither a folder nor a zip or tar archive"):
        look(folder_config(path), tmp_path)
    path.write_bytes(data.replace(b"PK\x01\x02", b"XXXX"))
    with pytest.raises(DataError, match=r"is not a readable zip archive \(Bad magic number for central directory\)"):
        look(folder_config(path), tmp_path)


def test_encrypted_archive(tmp_path: Path) -> None:
    """An encrypted zip is refused while it is listed, not picture by picture."""
    path = write_zip(tmp_path / "secret.zip", "a.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"is encrypted \(entry 'a.png'\); unpack it and name the folder"):
        look(folder_config(path), tmp_path)
