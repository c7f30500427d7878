from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from beam_jobs.pixels.rejects import Reject
from beam_jobs.places.listing import MAX_FILE_BYTES
from beam_jobs.places.place import open_place
from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import look, open_source
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from tests.archives import PACKED, PICTURE, folder_config, keys, outcomes, pack, write_files, write_zip


def test_folder_lists_pictures_by_extension(tmp_path: Path) -> None:
    """Pictures at any depth in any case are listed, sorted; other files are counted, hidden ones skipped."""
    write_files(
        tmp_path,
        *("b.JPG", "a.png", "deep/er/c.webp", "deep/ä b.jpeg", "notes.txt", "README", "deep/more.TXT"),
        *(".hidden.png", ".cache/x.png", "__MACOSX/a.png", "Thumbs.db", ".DS_Store"),
    )
    source = open_source(folder_config(tmp_path), tmp_path)
    summary, refs = survey(source, folder_config(tmp_path))
    assert [ref.key for ref in refs] == ["a.png", "b.JPG", "deep/er/c.webp", "deep/ä b.jpeg"]
    assert {ref.split for ref in refs} == {"train"}
    assert summary.counts == {"train": 4}
    assert summary.notes == ("files that are not pictures by their extension: 3 (no extension: 1, .txt: 2)",)
    assert (summary.kind, summary.name) == ("folder", tmp_path.name)


@pytest.mark.parametrize("packed", PACKED)
def test_every_place_lists_and_reads_the_same(tmp_path: Path, packed: str) -> None:
    """A folder, a zip and a tar, plain or compressed, hold the same pictures; nothing is unpacked."""
    files = {"b/c.png": PICTURE, "a.png": PICTURE[:50], "x/ä.jpg": b"12345", "n.txt": b"text", "x/.hidden.png": b"-"}
    path = pack(files, tmp_path / f"pile.{packed}")
    place = open_place(path)
    found = place.list()
    assert sorted(found.stamps) == ["a.png", "b/c.png", "x/ä.jpg"]
    assert {key: place.read(found.ref(key)) for key in found.stamps} == {
        key: files[key] for key in ("a.png", "b/c.png", "x/ä.jpg")
    }
    assert found.notes() == ["files that are not pictures by their extension: 1 (.txt: 1)"]
    with place.open_other("n.txt", found.others["n.txt"]) as stream:
        assert stream.read() == b"text"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("packed", PACKED)
def test_a_narrowed_place_reads_by_shorter_names(tmp_path: Path, packed: str) -> None:
    """Inside a folder, keys leave its name out, and other folders are not there."""
    path = pack({"in/er/a.png": b"1", "in/b.png": b"2", "inside.png": b"3"}, tmp_path / f"pile.{packed}")
    place = open_place(path).inside("in")
    found = place.list()
    assert {key: place.read(found.ref(key)) for key in found.stamps} == {"b.png": b"2", "er/a.png": b"1"}
    deeper = place.inside("er")
    assert [deeper.read(deeper.list().ref(key)) for key in deeper.list().stamps] == [b"1"]


@pytest.mark.parametrize("packed", PACKED)
def test_a_reader_travels_to_other_processes(tmp_path: Path, packed: str) -> None:
    """What is sent to a worker is small, whatever was read before, and reads the same."""
    place = open_place(pack({f"{index}.png": PICTURE for index in range(500)}, tmp_path / f"pile.{packed}"))
    found = place.list()
    assert place.read(found.ref("7.png")) == PICTURE
    code = (
        "import sys, multiprocessing.reduction as r; from gan_core.handoff import ImageRef\n"
        f"place = r.ForkingPickler.loads(sys.stdin.buffer.read()); data = place.read({found.ref('7.png')!r})\n"
        "print(len(data))"
    )
    sent = bytes(ForkingPickler.dumps(place))
    assert len(sent) < 1000
    done = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True)
    assert done.stdout.strip() == str(len(PICTURE)).encode()


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """A file beyond what a picture can need is a reject before it costs memory, in a folder and in a zip."""
    with (tmp_path / "a.png").open("wb") as stream:
        stream.truncate(MAX_FILE_BYTES + 1)
    place = open_place(tmp_path)
    assert outcomes(place, [place.list().ref("a.png")]) == ["too-large"]
    path = write_zip(tmp_path / "x.zip", "b.png")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # uncompressed size in the directory
    data[at : at + 4] = (MAX_FILE_BYTES + 1).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    place = open_place(path)
    assert outcomes(place, [place.list().ref("b.png")]) == ["too-large"]


def test_a_file_that_comes_in_pieces_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may give less than was asked for; what is missing at the end is a change of the file."""
    (tmp_path / "a.png").write_bytes(bytes(range(100)))
    config = folder_config(tmp_path)
    _, names = survey(open_source(config, tmp_path), config)
    (ref,), reader, read = list(names), open_source(config, tmp_path).reader(), os.read
    monkeypatch.setattr(os, "read", lambda file, size: read(file, min(size, 33)))
    assert reader.read(ref) == bytes(range(100))
    monkeypatch.setattr(os, "read", lambda file, size: b"")
    with pytest.raises(Reject, match="size or modification time differ"):
        reader.read(ref)


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """Links are followed, a folder is listed once, and a circle of links does not hang."""
    write_files(tmp_path / "real", "a.png", "sub/b.png")
    (tmp_path / "real/sub/up").symlink_to(tmp_path / "real")
    (tmp_path / "zz-link").symlink_to(tmp_path / "real")
    (tmp_path / "self.png").symlink_to(tmp_path / "self.png")
    assert keys(tmp_path) == ["real/a.png", "real/sub/b.png", "self.png"]


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    """A named pipe with a picture's name would block its reader for ever; it is not listed."""
    write_files(tmp_path, "a.png")
    os.mkfifo(tmp_path / "b.png")
    assert keys(tmp_path) == ["a.png"]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    """A Latin-1 file name becomes a key of plain text, and the file can still be read by it."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")).write_bytes(PICTURE)
    source = open_source(folder_config(tmp_path), tmp_path)
    (ref,) = source.list()
    assert ref.key == "caf\\xe9.png"
    assert source.reader().read(ref) == PICTURE


def test_reader_rejects_what_changed(tmp_path: Path) -> None:
    """A picture that is gone, unreadable or another by now is a reject; a vanished source is an error."""
    write_files(tmp_path / "in", "a.png", "b.png", "c.png")
    (tmp_path / "in/d.png").symlink_to("nowhere")
    reader = open_place(tmp_path / "in")
    refs = list(open_source(folder_config(tmp_path / "in"), tmp_path).list())
    (tmp_path / "in/a.png").unlink()
    (tmp_path / "in/b.png").write_bytes(PICTURE + b"more")
    assert outcomes(reader, refs) == ["missing", "changed", "read", "missing"]
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(DataError, match=r"in cannot be read any more"):
        reader.read(refs[2])


Build = Callable[[Path], Path]


MISTAKES: dict[str, tuple[str, Build, type[Exception], str]] = {
    "missing": (
        "auto",
        lambda root: write_files(root, "faces/a.png") / "face",
        ConfigError,
        "data.path '{path}' does not exist (did you mean 'faces'?)",
    ),
    "missing, nothing near": (
        "folder",
        lambda root: write_files(root, "a.png") / "xyz/deeper",
        ConfigError,
        "data.path '{path}' does not exist; '{root}' has a.png",
    ),
    "empty": (
        "auto",
        lambda root: root,
        DataError,
        "there is no picture in '{path}': no picture file, and nothing else; "
        "name a folder with .jpg, .png or .webp files",
    ),
    "no pictures": (
        "folder",
        lambda root: write_files(root, "a.txt", "b.txt", "c.tar.gz"),
        DataError,
        "there is no picture in '{path}': no picture file, 1 .gz, 2 .txt; name a folder with .jpg, .png or .webp files",
    ),
    "no archive": (
        "auto",
        lambda root: write_files(root, "faces.rar") / "faces.rar",
        ConfigError,
        "data.path '{path}' is neither a folder nor a zip or tar archive (.tar, .tar.gz, .tgz); "
        "unpack it and name the folder",
    ),
    "not celeba": (
        "celeba",
        lambda root: write_files(root, "me.png", "you.png", "a.txt"),
        ConfigError,
        "data.kind=celeba does not fit '{path}': it has 2 pictures such as me.png; 1 .txt, and no "
        "img_align_celeba with 000001.jpg, 000002.jpg, ...; "
        "set data.kind=folder and data.crop=center for other pictures",
    ),
    "sequential": (
        "auto",
        lambda root: write_files(root, "faces.tar.xz") / "faces.tar.xz",
        ConfigError,
        "data.path '{path}' is compressed with xz, which can be read from its start only; "
        "make it a .tar or .tar.gz, or unpack it and name the folder",
    ),
    "leaves its folder": (
        "folder",
        lambda root: write_zip(root / "evil.zip", "../../evil.png"),
        DataError,
        "{path} holds the entry '../../evil.png', which leaves its folder; make the archive again without it",
    ),
    "absolute": (
        "folder",
        lambda root: write_zip(root / "evil.zip", "/evil.png"),
        DataError,
        "{path} holds the entry '/evil.png', which leaves its folder; make the archive again without it",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_clear_line(tmp_path: Path, name: str) -> None:
    """What was asked, what is there, and the fix, in one line."""
    kind, build, error, message = MISTAKES[name]
    path = build(tmp_path)
    with pytest.raises(error) as caught:
        look(DataConfig(kind=kind, path=str(path)), tmp_path)
    assert str(caught.value) == message.format(path=path, root=tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    """A folder that may not be read is named."""
    write_files(tmp_path / "in", "a.png")
    (tmp_path / "in").chmod(0)
    try:
        with pytest.raises(ConfigError, match="cannot be read: no permission"):
            look(folder_config(tmp_path / "in"), tmp_path)
    finally:
        (tmp_path / "in").chmod(0o755)
