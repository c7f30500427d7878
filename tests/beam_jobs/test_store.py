from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from beam_jobs import assembly, pipeline, preprocess
from beam_jobs.monitor import read_progress
from beam_jobs.places.ahead import fetched
from beam_jobs.places.place import open_place
from beam_jobs.preprocess import prepare
from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import open_source
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.errors import ConfigError, DataError, StageFailed
from gan_core.handoff import DatasetManifest, ImageRef
from gan_core.object_store import objects as stores
from tests.archives import PICTURE, contents, outcomes, pack, write_files
from tests.celeba import write_celeba
from tests.ffhq import ffhq_files, metadata
from tests.memory_store import MemoryPath, Refusing, bucket, upload
from tests.pictures import encode, scene
from tests.prepared import shard_bytes, square_config, write_scenes

__all__ = ["bucket"]


def published(dataset: DatasetManifest) -> dict[str, str]:
    """Return name -> SHA-256 of every file of a data set, the manifest too."""
    local = {path.name: path for path in dataset.path.iterdir() if path.is_file()}
    return {name: artifacts.sha256_file(path) for name, path in local.items()}


@pytest.mark.parametrize("packed", ["folder", "zip", "tar", "tar.gz"])
def test_pictures_on_a_store_are_those_of_a_local_copy(bucket: Path, tmp_path: Path, packed: str) -> None:
    """Keys and bytes are the same for a folder and for archives, and so are files that are no pictures."""
    files = {"b/c.png": PICTURE, "a.png": PICTURE[:50], "x/ä #1.jpg": b"12345", "n.txt": b"text", ".x/h.png": b"-"}
    local = pack(files, tmp_path / f"pile.{packed}")
    remote = bucket / local.name
    upload(local, remote) if local.is_dir() else remote.write_bytes(local.read_bytes())
    sources = [open_source(DataConfig(kind="folder", path=str(path)), tmp_path) for path in (local, remote)]
    assert contents(sources[1]) == contents(sources[0])
    assert [source.name for source in sources] == ["pile" + (".folder" if packed == "folder" else "")] * 2
    assert sources[1].notes == sources[0].notes == ["files that are not pictures by their extension: 1 (.txt: 1)"]
    place = open_place(remote)
    with place.open_other("n.txt", place.list().others["n.txt"]) as stream:
        assert stream.read() == b"text"


def celeba(folder: Path) -> Path:
    """Write CelebA's layout."""
    return write_celeba(folder, 6, landmarks=True)


def zipped_celeba(folder: Path) -> Path:
    """Write CelebA's layout with the archive."""
    return write_celeba(folder, 6, zipped=True)


def ffhq(folder: Path) -> Path:
    """Write FFHQ's layout."""
    return pack({**ffhq_files(), "ffhq-dataset-v2.json": metadata()}, folder)


@pytest.mark.parametrize("write", [celeba, zipped_celeba, ffhq])
def test_layouts_are_found_on_a_store(bucket: Path, tmp_path: Path, write: Callable[[Path], Path]) -> None:
    """CelebA with its lists and FFHQ with its metadata say the same there, but for the stamps."""
    local = write(tmp_path / "release")
    remote = upload(local, bucket / "release")
    listed = []
    for path in (local, remote):
        source = open_source(DataConfig(kind="auto", path=str(path)), tmp_path)
        listed.append((source.kind, source.name, [ref._replace(stamp="", span=()) for ref in source.list()]))
        assert source.attribute_names == (("Odd", "Face") if source.kind == "celeba" else ())
    assert listed[1] == listed[0]
    assert listed[0][0] == ("ffhq" if write is ffhq else "celeba")


def test_listing_asks_once(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One listing serves all pictures, and reading one is one request."""
    place = open_place(upload(write_files(tmp_path / "in", *(f"{index}.png" for index in range(50))), bucket / "in"))
    asked: list[str] = []
    files = MemoryPath("/bucket").files

    class Counting:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(files, name)

    monkeypatch.setattr(MemoryPath, "files", Counting())
    found = place.list()
    assert asked == ["find"]
    assert place.read(found.ref("7.png")) == PICTURE
    assert asked == ["find", "cat_file"]


def test_what_changed_on_a_store_is_a_reject(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is gone or has another size is a reject; a source that is gone or refused is an error."""
    place = open_place(upload(write_files(tmp_path / "in", "a.png", "b.png", "c.png"), bucket / "in"))
    refs = [place.list().ref(key) for key in ("a.png", "b.png", "c.png")]
    (bucket / "in/a.png").unlink()
    (bucket / "in/b.png").write_bytes(PICTURE + b"more")
    assert outcomes(place, refs) == ["missing", "changed", "read"]
    with monkeypatch.context() as patched:
        patched.setattr(MemoryPath, "files", Refusing(PermissionError()))
        with pytest.raises(DataError) as caught:
            place.read(refs[2])
    assert str(caught.value) == (
        "memory://bucket/in cannot be read any more (the store refuses it (no permission); check nothing); "
        "run again when it is back"
    )
    stores.remove_tree(bucket / "in")
    with pytest.raises(DataError, match=r"in cannot be read any more \(nothing is there\)"):
        place.read(refs[2])


def test_an_archive_that_was_replaced_is_noticed(bucket: Path, tmp_path: Path) -> None:
    """A tar has no checksums of its own: one that is not the listed one is not read."""
    path = bucket / "x.tar"
    path.write_bytes(pack({"a.png": PICTURE}, tmp_path / "x.tar").read_bytes())
    place = open_place(path)
    refs = [place.list().ref("a.png")]
    assert outcomes(place, refs) == ["read"]
    path.write_bytes(pack({"b.png": PICTURE, "a.png": PICTURE}, tmp_path / "y.tar").read_bytes())
    assert outcomes(replace(open_place(path), facts=(0, 0)), refs) == ["changed"]  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none", "data.path 'memory://bucket/none' does not exist: there is no object of that name, and none below it"),
        ("a.txt", "data.path 'memory://bucket/a.txt' is neither a folder nor a zip or tar archive (.tar, .tar.gz, "),
    ],
)
def test_nothing_there(bucket: Path, name: str, message: str) -> None:
    """What cannot be a source is named with the option."""
    (bucket / "a.txt").write_bytes(b"text")
    with pytest.raises(ConfigError) as caught:
        open_place(bucket / name)
    assert str(caught.value).startswith(message)


def test_names_that_lead_out_are_refused(bucket: Path) -> None:
    """Keys may be any text; one that would leave the folder it is copied to ends the listing."""
    bucket.files.pipe_file("bucket/in/../x.png", PICTURE)  # type: ignore[attr-defined]
    with pytest.raises(DataError, match=r"memory://bucket/in holds the object '\.\./x\.png', which leaves its folder"):
        open_place(bucket / "in").list()


class FileExpired(OSError):
    """As fsspec calls it."""


def test_another_version_is_a_reject(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that says that it has another version by now is believed, whatever the size; nothing else is asked."""
    place = open_place(upload(write_files(tmp_path / "in", "a.png"), bucket / "in"))
    refs = [place.list().ref("a.png")]
    monkeypatch.setattr(MemoryPath, "files", Refusing(FileExpired("a.png")))
    assert outcomes(place, refs) == ["changed"]


class Slow:
    """A reader that says which pictures it was asked for."""

    waits = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def read(self, ref: ImageRef) -> bytes:
        """Fail for 5."""
        self.asked.append(ref.key)
        if ref.key == "5":
            raise ValueError(ref.key)
        return ref.key.encode()


def test_pictures_are_fetched_ahead_in_order() -> None:
    """What takes long to answer is asked for before it is needed, not all at once, and fails where it belongs."""
    reader, refs = Slow(), [ImageRef(str(number)) for number in range(100)]
    seen = []
    for ref, read in fetched(reader, refs):
        try:
            seen.append((ref.key, read()))
        except ValueError as error:
            seen.append((ref.key, b"failed " + str(error).encode()))
        if ref.key == "0":
            assert 1 <= len(reader.asked) <= 32
    assert seen == [(str(number), b"failed 5" if number == 5 else b"%d" % number) for number in range(100)]


def test_a_data_set_is_published_on_a_store(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file is that of a local job, to the byte; nothing else is left, and the second call finds it."""
    config = square_config(write_scenes(tmp_path / "in", 20), per_shard=6, duplicates="exact")
    local = prepare(config, tmp_path)
    remote = prepare(config, bucket / "gans")
    assert str(remote.path) == f"memory://bucket/gans/datasets/{local.path.name}"
    assert published(remote) == published(local)
    assert set(stores.listing(remote.path)) == published(local).keys()
    assert len(stores.listing(bucket)) == len(published(local))
    monkeypatch.setattr(pipeline, "run_shards", lambda *_: pytest.fail("there was nothing to do"))
    assert prepare(config, bucket / "gans") == remote == DatasetManifest.load(remote.path)


def test_a_source_on_a_store_gives_the_same_shards(bucket: Path, tmp_path: Path) -> None:
    """Only what names the pictures' versions differs; float32 by mean and deviation is written twice there too."""
    folder = write_scenes(tmp_path / "in", 12)
    config = square_config(folder, per_shard=4, storage="float32", normalize="mean-deviation")
    remote = replace(config, path=str(upload(folder, bucket / "in")))
    assert shard_bytes(prepare(remote, bucket / "gans")) == shard_bytes(prepare(config, tmp_path))


def test_a_job_on_a_store_goes_on(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a crash there is no data set; shards with a receipt and their size are kept, others made again."""
    config = square_config(write_scenes(tmp_path / "in", 30), per_shard=5)
    clean = prepare(config, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(preprocess, "finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            prepare(config, bucket)
    final = bucket / "datasets" / clean.path.name
    assert artifacts.find(final, "dataset") is None
    names = sorted(shard_bytes(clean))
    before = {name: (final / name).stat().st_ino for name in names}
    (final / names[1]).write_bytes((final / names[1]).read_bytes()[:-1])
    (final / ".work/receipts" / f"{names[2]}.json").unlink()
    (final / names[3]).unlink()
    (final / ".work/receipts" / f"{names[4]}.json").write_text("{ half")
    resumed = prepare(config, bucket)
    assert [name for name in names if (final / name).stat().st_ino == before[name]] == [names[0], names[5]]
    assert published(resumed) == published(clean)


def test_the_manifest_comes_last(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until every other file is there, nobody finds the data set; the books go after it."""
    config = square_config(write_scenes(tmp_path / "in", 6))
    seen: list[list[str]] = []
    original = artifacts.write_manifest

    def look(folder: Path, *arguments: Any) -> None:
        seen.append(sorted(stores.listing(folder)))
        original(folder, *arguments)
        seen.append(sorted(stores.listing(folder)))

    monkeypatch.setattr(assembly.artifacts, "write_manifest", look)
    dataset = prepare(config, bucket)
    assert set(seen[1]) - set(seen[0]) == {"manifest.json"}
    assert {name for name in seen[1] if not name.startswith(".work/")} == published(dataset).keys()
    assert any(name.startswith(".work/receipts/") for name in seen[1])


def test_shards_of_an_earlier_data_set_are_copied_by_the_store(
    bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When pictures are added, unchanged shards are taken over without reading them."""
    folder = write_scenes(tmp_path / "in", 40)
    config = square_config(folder, per_shard=5)
    prepare(config, bucket)
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    copied: list[str] = []
    original = stores.copy
    monkeypatch.setattr(stores, "copy", lambda path, target: (copied.append(target.name), original(path, target)))
    grown = prepare(config, bucket)
    assert 0 < len(copied) < len(shard_bytes(grown))
    assert shard_bytes(grown) == shard_bytes(prepare(config, tmp_path))


def test_a_second_job_takes_over(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no lock: of two jobs the later one goes on, the earlier one stops, and neither spoils the other."""
    config = square_config(write_scenes(tmp_path / "in", 12), per_shard=4)
    original = pipeline.run_shards

    def meanwhile(*arguments: Any) -> None:
        monkeypatch.setattr(pipeline, "run_shards", original)
        prepare(config, bucket)
        original(*arguments)

    monkeypatch.setattr(pipeline, "run_shards", meanwhile)
    with pytest.raises(StageFailed, match="run the same command again"):
        prepare(config, bucket)
    assert published(prepare(config, bucket)) == published(prepare(config, tmp_path))


def test_a_damaged_data_set_is_made_again(bucket: Path, tmp_path: Path) -> None:
    """A shard of another size, or none, is found by listing."""
    config = square_config(write_scenes(tmp_path / "in", 6))
    dataset = prepare(config, bucket)
    shard = dataset.path / dataset.splits["train"][0].name
    shard.write_bytes(b"scribble")
    assert artifacts.find(dataset.path, "dataset") is None
    assert prepare(config, bucket) == dataset
    assert artifacts.sha256_file(shard) == dataset.splits["train"][0].sha256


def test_drawn_pictures_stay_on_this_machine(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a remote data root, raw/ lies in ./data, and the data set is the same."""
    monkeypatch.chdir(tmp_path)
    config = DataConfig(kind="synthetic", synthetic_count=16, resolution=32)
    remote = prepare(config, bucket)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert published(remote) == published(prepare(config, tmp_path / "data"))


def test_progress_is_fetched_where_it_is_news(bucket: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers of shards that have not moved are not read again."""
    folder = bucket / ".work/progress"
    for name, text in (("a", "10 1"), ("b", "5 0")):
        (folder / name).write_text(text)
    known: dict[str, tuple[int, str]] = {}
    assert read_progress(folder, known) == (15, 1)
    (folder / "b").write_text("7 2")
    read: list[str] = []
    original = stores.read_all

    def noted(paths: Iterable[Path]) -> dict[Path, bytes]:
        wanted = list(paths)
        read.extend(path.name for path in wanted)
        return original(wanted)

    monkeypatch.setattr(stores, "read_all", noted)
    assert read_progress(folder, known) == (17, 3)
    assert read == ["b"]
    (folder / "a").unlink()
    assert read_progress(folder, known) == (7, 2)


def test_a_store_that_fails_is_one_error(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that cannot be sent ends the job with the store's reason, and the same call finishes it."""
    config = square_config(write_scenes(tmp_path / "in", 6))

    def refuse(file: Path, path: Path) -> None:
        with MemoryPath("/bucket").errors():
            raise PermissionError

    with monkeypatch.context() as patched:
        patched.setattr(stores, "send", refuse)
        with pytest.raises(artifacts.ArtifactError) as caught:
            prepare(config, bucket)
    assert str(caught.value) == "memory://bucket: the store refuses it (no permission); check nothing"
    assert survey(open_source(config, tmp_path), config)[0].counts == {"train": prepare(config, bucket).count("train")}
