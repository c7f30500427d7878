from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.images import Reject
from beam_jobs.sources import SOURCES, ingest, open_source, plan, survey
from beam_jobs.sources.base import key_hash
from gan_core.artifacts import digest_of
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError
from gan_core.handoff import ImageRef
from gan_core.progress import Progress
from tests.celeba import write_celeba
from tests.pictures import encode, scene

PICTURE = encode(scene())


def folder_config(path: Path, **options: object) -> DataConfig:
    """Return a config for the folder or zip at `path`."""
    return DataConfig(kind="folder", path=str(path), **options)  # type: ignore[arg-type]


def listed(config: DataConfig, data_root: Path) -> list[ImageRef]:
    """Return what the source lists, after `data.limit`."""
    return survey(open_source(config, data_root), config)[1]


def keys(path: Path, kind: str = "folder") -> list[str]:
    """Return the keys of the pictures at `path`."""
    return [ref.key for ref in listed(DataConfig(kind=kind, path=str(path)), path)]


def write_files(folder: Path, *names: str, data: bytes = PICTURE) -> Path:
    """Write the same bytes under each name, and return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, *names: str, data: bytes = PICTURE) -> Path:
    """Write an archive with the same bytes under each name, and return its path."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, data)
    return path


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


def test_zip_of_pictures_is_a_folder(tmp_path: Path) -> None:
    """The same rules in an archive, read in place."""
    path = write_zip(tmp_path / "my faces.zip", "x/b.jpg", "a.png", "x/.hidden.png", "__MACOSX/x.png", "n.txt")
    config = folder_config(path)
    source = open_source(config, tmp_path)
    assert source.name == "my faces"
    refs = source.list()
    assert [ref.key for ref in refs] == ["a.png", "x/b.jpg"]
    assert source.reader().read(refs[1]) == PICTURE
    assert list(tmp_path.iterdir()) == [path]


def test_ffhq_tree_is_a_folder(tmp_path: Path) -> None:
    """FFHQ's numbered folders are listed under their paths."""
    write_files(tmp_path, "thumbnails128x128/00000/00001.png", "thumbnails128x128/01000/01000.png", "LICENSE.txt")
    assert keys(tmp_path, "auto") == ["thumbnails128x128/00000/00001.png", "thumbnails128x128/01000/01000.png"]


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
    source = open_source(folder_config(tmp_path / "in"), tmp_path)
    reader, refs = source.reader(), source.list()
    (tmp_path / "in/a.png").unlink()
    (tmp_path / "in/b.png").write_bytes(PICTURE + b"more")
    reasons = []
    for ref in refs:
        try:
            assert reader.read(ref) == PICTURE
            reasons.append("read")
        except Reject as reject:
            reasons.append(reject.reason)
    assert reasons == ["missing", "changed", "read", "missing"]
    shutil.rmtree(tmp_path / "in")
    with pytest.raises(DataError, match=r"in cannot be read any more"):
        reader.read(refs[2])


def test_zip_reader_rejects_what_changed(tmp_path: Path) -> None:
    """The same for archives: a broken entry is unreadable, a replaced archive has changed."""
    path = write_zip(tmp_path / "x.zip", "a.png", "b.png")
    source = open_source(folder_config(path), tmp_path)
    refs = source.list()
    data = path.read_bytes()
    path.write_bytes(data.replace(PICTURE, PICTURE[:-20] + b"\0" * 20, 1))
    with pytest.raises(Reject) as caught:
        source.reader().read(refs[0])
    assert (caught.value.reason, caught.value.detail) == ("unreadable", "x.zip: Bad CRC-32 for file 'a.png'")
    write_zip(path, "a.png", data=PICTURE + b"more")
    reader = open_source(folder_config(path), tmp_path).reader()
    reasons = []
    for ref in refs:
        with pytest.raises(Reject) as caught:
            reader.read(ref)
        reasons.append(caught.value.reason)
    assert reasons == ["changed", "missing"]


def test_limit_takes_the_smallest_hashes(tmp_path: Path) -> None:
    """`data.limit` is a fixed sample by the hash of the keys, and grows by adding pictures."""
    write_files(tmp_path, *(f"{index}.png" for index in range(20)))
    config = folder_config(tmp_path)
    everything = [ref.key for ref in listed(config, tmp_path)]
    five = [ref.key for ref in listed(replace(config, limit=5), tmp_path)]
    assert five == sorted(sorted(everything, key=key_hash)[:5])
    assert set(five) < {ref.key for ref in listed(replace(config, limit=8), tmp_path)}
    assert len(listed(replace(config, limit=100), tmp_path)) == 20


def test_fingerprint_changes_with_the_pictures(tmp_path: Path) -> None:
    """Name, bytes, time and number of the pictures are in the fingerprint; other files are not."""
    write_files(tmp_path, "a.png", "b.png")
    config = folder_config(tmp_path)
    seen = [plan(config, tmp_path).fingerprint]
    write_files(tmp_path, "notes.txt")
    assert plan(config, tmp_path).fingerprint == seen[0]
    write_files(tmp_path, "c.png")
    seen.append(plan(config, tmp_path).fingerprint)
    (tmp_path / "c.png").rename(tmp_path / "d.png")
    seen.append(plan(config, tmp_path).fingerprint)
    os.utime(tmp_path / "d.png", ns=(1, 1))
    seen.append(plan(config, tmp_path).fingerprint)
    assert len(set(seen)) == 4


def test_celeba_layouts_are_the_same_pictures(tmp_path: Path) -> None:
    """Release folder, picture folder, zip, official subfolders and Kaggle's copy list the same references."""
    release = write_celeba(tmp_path / "release", count=6)
    zipped = write_celeba(tmp_path / "zipped", count=6, zipped=True)
    official = tmp_path / "official"
    for folder, name in [
        ("Img", "img_align_celeba"),
        ("Anno", "list_attr_celeba.txt"),
        ("Anno", "identity_CelebA.txt"),
        ("Eval", "list_eval_partition.txt"),
    ]:
        (official / folder).mkdir(parents=True, exist_ok=True)
        (release / name).rename(official / folder / name)
    shutil.copytree(official / "Img/img_align_celeba", release / "img_align_celeba")
    for path in [*official.glob("Anno/*"), *official.glob("Eval/*")]:
        shutil.copy(path, release)
    paths = [
        release,
        release / "img_align_celeba",
        zipped,
        zipped / "img_align_celeba.zip",
        official,
        official / "Img/img_align_celeba",
    ]
    for kind in ("auto", "celeba"):
        for path in paths:
            config = DataConfig(kind=kind, path=str(path))
            summary, refs = survey(open_source(config, tmp_path), config)
            assert (summary.kind, summary.name) == ("celeba", "celeba")
            assert summary.counts == {"train": 4, "validation": 1, "test": 1}, path
            assert [replace(ref, stamp="") for ref in refs] == [
                ImageRef(f"{index:06d}.jpg", split, "", (index % 2, 1), 100 + index)
                for index, split in enumerate(["train"] * 4 + ["validation", "test"], start=1)
            ]
    assert open_source(DataConfig(path=str(zipped)), tmp_path).list()[0].stamp.count("-") == 1


def test_celeba_from_kaggle(tmp_path: Path) -> None:
    """A doubly nested folder and .csv lists are CelebA as well."""
    write_files(tmp_path / "img_align_celeba/img_align_celeba", "000001.jpg", "000002.jpg")
    (tmp_path / "list_attr_celeba.csv").write_text("image_id,Bald,Young\n000001.jpg,-1,1\n000002.jpg,1,-1\n")
    (tmp_path / "list_eval_partition.csv").write_text("image_id,partition\n000001.jpg,0\n000002.jpg,2\n")
    source = open_source(DataConfig(path=str(tmp_path)), tmp_path)
    assert [(ref.key, ref.split, ref.attributes) for ref in source.list()] == [
        ("000001.jpg", "train", (0, 1)),
        ("000002.jpg", "test", (1, 0)),
    ]
    assert source.attribute_names == ("Bald", "Young")


def test_celeba_without_lists(tmp_path: Path) -> None:
    """Without the text files all pictures are in train, and nothing is known of them."""
    write_files(tmp_path / "img_align_celeba", "000001.jpg")
    (ref,) = listed(DataConfig(path=str(tmp_path)), tmp_path)
    assert (ref.split, ref.attributes, ref.identity) == ("train", (), -1)


def test_celeba_lists_that_miss_pictures(tmp_path: Path) -> None:
    """A picture that is not listed is in train with unknown labels, and a note counts them."""
    root = write_celeba(tmp_path, count=6)
    for name in ("list_eval_partition.txt", "identity_CelebA.txt", "list_attr_celeba.txt"):
        lines = (root / name).read_text().splitlines()
        (root / name).write_text("\n".join(lines[:-2]) + "\n")
    config = DataConfig(path=str(root))
    summary, refs = survey(open_source(config, root), config)
    assert [(ref.split, ref.attributes, ref.identity) for ref in refs[-2:]] == [("train", (-1, -1), -1)] * 2
    assert summary.notes == (
        "pictures that list_attr_celeba does not list: 2; their attributes are -1",
        "pictures that list_eval_partition does not list: 2; they are in the train split",
        "pictures that identity_CelebA does not list: 2; their identity is -1",
    )


@pytest.mark.parametrize(
    ("name", "line", "text", "message"),
    [
        (
            "list_eval_partition.txt",
            2,
            "000002.jpg 3",
            "line 2: expected 0 (train), 1 (validation) or 2 (test), got '3'",
        ),
        ("list_eval_partition.txt", 2, "000002.jpg", "line 2: expected a file name and a number, got '000002.jpg'"),
        ("list_attr_celeba.txt", 1, "six", "line 1: expected the number of pictures, got 'six'"),
        ("list_attr_celeba.txt", 4, "000002.jpg 1", "line 4: expected 2, one for each attribute, got '1 values'"),
        ("list_attr_celeba.txt", 4, "000002.jpg 1 0", "line 4: expected 1 or -1, got '0'"),
        ("identity_CelebA.txt", 6, "000006.jpg x7", "line 6: expected the number of a person, got 'x7'"),
    ],
)
def test_celeba_malformed_lists(tmp_path: Path, name: str, line: int, text: str, message: str) -> None:
    """The error names the file, the line and the value."""
    root = write_celeba(tmp_path, count=6)
    lines = (root / name).read_text().splitlines()
    lines[line - 1] = text
    (root / name).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError) as caught:
        plan(DataConfig(path=str(root)), root)
    assert str(caught.value) == f"{root / name}, {message}; download the file again"


def test_celeba_lists_of_another_data_set(tmp_path: Path) -> None:
    """A list without any of the pictures is refused, and so is one that is no text."""
    root = write_celeba(tmp_path, count=2)
    (root / "identity_CelebA.txt").write_text("999999.jpg 5\n")
    with pytest.raises(DataError, match=r"identity_CelebA.txt lists none of the pictures beside it"):
        plan(DataConfig(path=str(root)), root)
    (root / "identity_CelebA.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"identity_CelebA.txt is not a text file \(byte 0\)"):
        plan(DataConfig(path=str(root)), root)


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
    "no zip": (
        "auto",
        lambda root: write_files(root, "faces.tar") / "faces.tar",
        ConfigError,
        "data.path '{path}' is neither a folder nor a zip archive; unpack it and name the folder",
    ),
    "not celeba": (
        "celeba",
        lambda root: write_files(root, "me.png", "you.png", "a.txt"),
        ConfigError,
        "data.kind=celeba does not fit '{path}': it has 2 pictures such as me.png; 1 .txt, and no "
        "img_align_celeba with 000001.jpg, 000002.jpg, ...; "
        "set data.kind=folder and data.crop=center for other pictures",
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
        plan(DataConfig(kind=kind, path=str(path)), tmp_path)
    assert str(caught.value) == message.format(path=path, root=tmp_path)


def test_truncated_archive(tmp_path: Path) -> None:
    """Half a zip is no archive; one with a damaged directory cannot be read."""
    path = write_zip(tmp_path / "half.zip", "a.png", "b.png")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(ConfigError, match="is neither a folder nor a zip archive"):
        plan(folder_config(path), tmp_path)
    path.write_bytes(data.replace(b"PK\x01\x02", b"XXXX"))
    with pytest.raises(DataError, match=r"is not a readable zip archive \(Bad magic number for central directory\)"):
        plan(folder_config(path), tmp_path)


def test_encrypted_archive(tmp_path: Path) -> None:
    """An encrypted zip is refused while it is listed, not picture by picture."""
    path = write_zip(tmp_path / "secret.zip", "a.png")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"is encrypted \(entry 'a.png'\); unpack it and name the folder"):
        plan(folder_config(path), tmp_path)


def test_empty_path_names_both_ways_out() -> None:
    """Without a path there is nothing to look at."""
    with pytest.raises(ConfigError) as caught:
        plan(DataConfig(), Path("data"))
    assert str(caught.value) == (
        "data.path is empty and data.kind=auto reads pictures of yours; "
        "give --source PATH, or data.kind=synthetic to let faceloom draw them"
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    """A folder that may not be read is named."""
    write_files(tmp_path / "in", "a.png")
    (tmp_path / "in").chmod(0)
    try:
        with pytest.raises(ConfigError, match="cannot be read: no permission"):
            plan(folder_config(tmp_path / "in"), tmp_path)
    finally:
        (tmp_path / "in").chmod(0o755)


def test_synthetic_is_planned_without_drawing(tmp_path: Path) -> None:
    """Fingerprint and counts are known before; drawing gives just those, once, and reports progress."""
    import PIL

    from beam_jobs.sources.synthetic import PORTRAITS_VERSION

    config = DataConfig(kind="synthetic", synthetic_count=16, synthetic_seed=3, limit=10)
    planned = plan(config, tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert planned.fingerprint == digest_of(
        {"portraits": PORTRAITS_VERSION, "seed": 3, "count": 16, "pillow": PIL.__version__}
    )
    assert Path(planned.location) == tmp_path / "raw" / f"synthetic-{planned.fingerprint[:12]}"
    reported: list[Progress] = []
    assert ingest(config, tmp_path, reported.append) == planned
    assert reported[-1] == Progress("ingest", 16, 16, unit="portraits")
    reported.clear()
    assert ingest(config, tmp_path, reported.append) == planned
    assert reported == []
    assert sum(planned.counts.values()) == 10
    refs = listed(config, tmp_path)
    assert len(refs) == 10
    assert {len(ref.attributes) for ref in refs} == {40}


def test_synthetic_pictures_that_were_damaged_are_drawn_again(tmp_path: Path) -> None:
    """The drawn pictures are verified before they are used."""
    config = DataConfig(kind="synthetic", synthetic_count=16)
    picture = Path(ingest(config, tmp_path).location) / "img_align_celeba/000003.jpg"
    before = picture.read_bytes()
    picture.write_bytes(b"scribble")
    ingest(config, tmp_path)
    assert picture.read_bytes() == before


def test_sources_import_neither_beam_nor_tensorflow() -> None:
    """The command line checks sources before it pays for Beam."""
    code = "import sys, beam_jobs.sources, beam_jobs.images; print({'apache_beam', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_says_what_it_is(kind: str) -> None:
    """A source is listed under its own name."""
    assert SOURCES[kind].kind == kind
