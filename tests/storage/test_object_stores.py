"""Sources and data sets on real servers; `make storage-test` brings the servers. The rules are in test_store.py."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from beam_jobs.places import store
from beam_jobs.places.place import open_place
from beam_jobs.preprocess import prepare
from beam_jobs.sources.registry import open_source
from gan_core import artifacts
from gan_core.config import DataConfig
from gan_core.data.fetching import fetch_dataset
from gan_core.data.verification import verify_dataset
from gan_core.errors import ConfigError
from gan_core.object_store import objects as stores
from gan_core.object_store.errors import StoreMissing
from gan_core.object_store.libraries import file_system
from gan_core.object_store.paths import StorePath
from gan_core.paths import path_of
from tests.archives import PICTURE, contents, outcomes, pack
from tests.celeba import write_celeba
from tests.memory_store import upload
from tests.pictures import encode, scene
from tests.prepared import shard_bytes, square_config, write_scenes
from tests.storage.servers import SECRET, Server

ROOT = Path(__file__).parents[2]
CELEBA = ROOT / "../shared/data/celeba"
PICTURES = 400

# gcsfs sends what is larger than a megabyte in one piece, and aiohttp has an opinion on that.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")


def command(*words: str) -> list[str]:
    """Return a command line of faceloom's."""
    return [sys.executable, "-m", "flows.cli", *words]


def faceloom(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command line in a folder of its own."""
    folder.mkdir(exist_ok=True)
    everything = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(
        command(*words), cwd=folder, env=everything, capture_output=True, text=True, check=False, timeout=250
    )


def job(source: Path, data_root: Path) -> list[str]:
    """Return the words of a job of two processes and 16 shards."""
    options = ["data.crop=center", "data.resolution=32", "data.shard_mib=0.09", "data.kind=folder"]
    words = ["prepare", "smoke", "--source", str(source), "--data-root", str(data_root)]
    return [*words, *(word for option in options for word in ("--set", option)), "--", "--direct_num_workers=2"]


def files_of(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of every file of a data set, wherever it is."""
    local = not isinstance(folder, StorePath)
    names = [path.name for path in folder.iterdir()] if local else stores.listing(folder)
    return {name: artifacts.sha256_file(folder / name) for name in names}


def secrets_in(folder: Path) -> list[Path]:
    """Return the files below a folder that hold the secret key."""
    return [path for path in folder.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]


def test_paths(bucket: Path) -> None:
    """An object is written, read, listed and deleted; markers of folders are no files."""
    path = bucket / "in/ä b#1?.txt"
    assert not (bucket / "in").exists()
    path.write_text("one\ntwo\n")
    assert (path.is_file(), (bucket / "in").is_dir(), path.read_text(), path.stat().st_size) == (
        *(True, True, "one\ntwo\n", 8),
    )
    assert isinstance(bucket, StorePath)
    bucket.files.pipe_file(f"{bucket.key}/in/deep/", b"")
    (bucket / "in/deep/x").write_bytes(b"")
    assert sorted(stores.listing(bucket / "in")) == ["deep/x", "ä b#1?.txt"]
    assert [one.name for one in (bucket / "in").iterdir()] == ["deep", "ä b#1?.txt"]
    stores.copy(path, bucket / "copy")
    with (bucket / "copy").open("rb") as stream:
        stream.seek(4)
        assert stream.read() == b"two\n"
    assert stores.read_all([path, bucket / "none", bucket / "copy"]) == {
        path: b"one\ntwo\n",
        bucket / "copy": b"one\ntwo\n",
    }
    stores.remove_tree(bucket / "in")
    assert list(stores.listing(bucket)) == ["copy"]
    with pytest.raises(StoreMissing):
        path.stat()


@pytest.mark.parametrize("packed", ["folder", "zip", "tar", "tar.gz"])
def test_sources(bucket: Path, tmp_path: Path, packed: str) -> None:
    """A folder and archives hold the same pictures as a local copy."""
    files = {"b/c.png": PICTURE, "a.png": PICTURE[:50], "x/ä.jpg": b"12345" * 300_000, "n.txt": b"text"}
    local = pack(files, tmp_path / f"pile.{packed}")
    remote = bucket / local.name
    upload(local, remote) if local.is_dir() else remote.write_bytes(local.read_bytes())
    sources = [open_source(DataConfig(kind="folder", path=str(path)), tmp_path) for path in (local, remote)]
    assert contents(sources[1]) == contents(sources[0])


def test_what_changed(bucket: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that is gone or was replaced after the listing is a reject; so is all of an archive."""
    keys = ("a.png", "b.png", "c.png", "d.png")
    place = open_place(upload(pack(dict.fromkeys(keys, PICTURE), tmp_path / "in"), bucket / "in"))
    refs = [place.list().ref(key) for key in keys]
    (bucket / "in/a.png").unlink()
    (bucket / "in/b.png").write_bytes(PICTURE + b"more")
    (bucket / "in/c.png").write_bytes(PICTURE[::-1])  # of the same size
    assert outcomes(place, refs) == ["missing", "changed", "changed", "read"]
    monkeypatch.setattr(store, "_CHECK_EVERY_SECONDS", 0.0)
    path = bucket / "x.tar"
    path.write_bytes(pack({"a.png": PICTURE, "b.png": b"x" * (3 << 20)}, tmp_path / "x.tar").read_bytes())
    archive = open_place(path)
    found = archive.list()
    path.write_bytes(pack({"a.png": b"y" * (3 << 20), "b.png": PICTURE}, tmp_path / "y.tar").read_bytes())
    assert outcomes(archive, [found.ref("b.png")])[0] in ("changed", "unreadable")


@pytest.mark.skipif(not CELEBA.is_dir(), reason="the real pictures are not beside the checkout")
def test_celeba(bucket: Path, tmp_path: Path) -> None:
    """The real release, as the archive and its lists: 500 pictures give the shards that the local copy gives."""
    remote = bucket / "celeba"
    for path in CELEBA.iterdir():
        (remote / path.name).write_bytes(path.read_bytes())
    config = DataConfig(kind="celeba", path=str(CELEBA), limit=500, resolution=32, shard_mib=0.5)
    dataset = prepare(replace(config, path=str(remote)), bucket / "gans")
    assert shard_bytes(dataset) == shard_bytes(prepare(config, tmp_path))


def test_layout_of_celeba(bucket: Path, tmp_path: Path) -> None:
    """Found by its folder names, with its lists."""
    local = write_celeba(tmp_path / "release", 6)
    remote = upload(local, bucket / "release")
    listed = [open_source(DataConfig(path=str(path)), tmp_path).list() for path in (local, remote)]
    assert [ref._replace(stamp="") for ref in listed[1]] == [ref._replace(stamp="") for ref in listed[0]]


def test_data_set(bucket: Path, tmp_path: Path) -> None:
    """Two processes write the bytes of a local job; verified, fetched, found by the same command, in CLI and API."""
    folder = write_scenes(tmp_path / "in", PICTURES)
    first = faceloom(tmp_path / "here", *job(folder, bucket / "gans"))
    assert (first.returncode, SECRET in first.stdout + first.stderr) == (0, False), first.stderr
    again = faceloom(tmp_path / "here", *job(folder, bucket / "gans"))
    assert "prepare   already done" in again.stdout
    assert faceloom(tmp_path / "there", *job(folder, tmp_path / "data")).returncode == 0
    (local,) = (tmp_path / "data/datasets").glob("[!.]*")
    remote = bucket / "gans/datasets" / local.name
    assert files_of(remote) == files_of(local)
    assert len([name for name in files_of(remote) if name.endswith(".tfrecord")]) == 16
    checked = faceloom(tmp_path / "here", "data", "verify", str(remote), "--json")
    assert json.loads(checked.stdout)[0]["good"] is True, checked.stderr
    fetched = faceloom(tmp_path / "here", "data", "fetch", str(remote))
    assert (fetched.returncode, fetched.stdout.strip()) == (0, f"fetched: data/datasets/{local.name}")
    assert files_of(tmp_path / "here/data/datasets" / local.name) == files_of(local)
    assert secrets_in(tmp_path) == []
    assert [name for name in files_of(remote) if SECRET.encode() in (remote / name).read_bytes()] == []


def test_kill(bucket: Path, tmp_path: Path) -> None:
    """After kill -9 of all processes there is no data set; finished shards stay, and the bytes are the same."""
    picture = encode(scene(900, 900), "JPEG")
    folder = pack({f"{index:03d}.jpg": picture + b"\0" * index for index in range(PICTURES)}, tmp_path / "in")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    words = command(*job(folder, bucket))
    with subprocess.Popen(words, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL, process_group=0) as running:
        receipts: set[str] = set()
        while len(receipts) < 2 and running.poll() is None:
            time.sleep(0.05)
            receipts = {name for name in stores.listing(bucket) if "/.work/receipts/" in name}
        os.killpg(running.pid, signal.SIGKILL)
    there = stores.listing(bucket)
    names = {name.rpartition("/")[2].removesuffix(".json") for name in there if "/.work/receipts/" in name}
    assert 2 <= len(names) < 16
    final = bucket / "datasets" / next(iter(there)).split("/")[1]
    assert artifacts.find(final, "dataset") is None
    before = {name: (final / name).stat().st_mtime_ns for name in names}
    time.sleep(1.1)  # S3 tells the second in which an object was written
    assert faceloom(tmp_path / "here", *job(folder, bucket)).returncode == 0
    assert {name: (final / name).stat().st_mtime_ns for name in names} == before
    assert faceloom(tmp_path / "here", *job(folder, tmp_path / "data")).returncode == 0
    assert files_of(final) == files_of(tmp_path / "data/datasets" / final.name)
    assert verify_dataset(final).good


def test_fetching(bucket: Path, tmp_path: Path) -> None:
    """An interrupted fetch goes on; what is not what the manifest says is not published."""
    dataset = prepare(square_config(write_scenes(tmp_path / "in", 30), per_shard=10), bucket)

    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_dataset(dataset.path, tmp_path, interrupt)
    assert list((tmp_path / "datasets").glob("[!.]*")) == []
    fetched = fetch_dataset(dataset.path, tmp_path)
    assert files_of(fetched.path) == files_of(dataset.path)
    shard = dataset.path / dataset.splits["train"][0].name
    data = bytearray(shard.read_bytes())
    data[100] ^= 1
    shard.write_bytes(bytes(data))
    with pytest.raises(artifacts.ArtifactError, match=r"is not what its manifest says \(SHA-256\)"):
        fetch_dataset(dataset.path, tmp_path / "other")
    assert list((tmp_path / "other/datasets").glob("[!.]*")) == []


def test_a_bucket_that_is_not_there(bucket: Path, server: Server, tmp_path: Path) -> None:
    """One line and exit code 2, for a source and for a data root."""
    nothing = f"{server.scheme}://no-such-bucket-here"
    folder = write_scenes(tmp_path / "in", 3)
    for words, option in (
        (["prepare", "celeba64", "--source", f"{nothing}/faces"], f"data.path '{nothing}/faces'"),
        (job(folder, path_of(f"{nothing}/gans"))[:-2], f"--data-root '{nothing}/gans'"),
    ):
        done = faceloom(tmp_path / "here", *words)
        assert (done.returncode, done.stderr) == (
            2,
            f"faceloom: error: {option}: there is no bucket '{nothing}'; create it, or name another\n",
        )


def test_keys_that_are_refused(bucket: Path, server: Server, tmp_path: Path) -> None:
    """One line and exit code 2, without the key, and no file has it."""
    if not server.checks_keys:
        pytest.skip("this server takes any key")
    words = ["prepare", "celeba64", "--source", f"{bucket}/faces"]
    wrong = f"{SECRET}2"
    done = faceloom(tmp_path / "here", *words, AWS_SECRET_ACCESS_KEY=wrong)
    assert done.returncode == 2
    assert done.stderr.startswith(f"faceloom: error: data.path '{bucket}/faces': the store refuses it (")
    assert done.stderr.endswith("check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE\n")
    assert len(done.stderr.splitlines()) == 1
    done = faceloom(tmp_path / "here", *words[:2], "--source", f"s3://AKID:{SECRET}@{bucket.name}/faces")
    assert (done.returncode, len(done.stderr.splitlines()), SECRET in done.stderr + done.stdout) == (2, 1, False)
    assert secrets_in(tmp_path) == []


def test_nothing_answers(bucket: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the library's own retries there is one line, without what the endpoint's address holds."""
    dead = f"http://user:{SECRET}@127.0.0.1:9"
    monkeypatch.setenv("AWS_ENDPOINT_URL", dead)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9")
    file_system.cache_clear()
    with pytest.raises(ConfigError) as caught:
        open_place(bucket / "in")
    assert str(caught.value).startswith(f"data.path '{bucket}/in': the store cannot be reached (")
    assert SECRET not in str(caught.value)
