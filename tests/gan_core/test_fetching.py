from __future__ import annotations

import json
from pathlib import Path

import pytest

from gan_core import artifacts
from gan_core.data.fetching import fetch_dataset
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.paths import path_of
from gan_core.progress import Progress
from tests.datasets import make_dataset
from tests.memory_store import bucket, upload

__all__ = ["bucket"]


@pytest.fixture
def remote(bucket: Path, tmp_path: Path) -> DatasetManifest:
    """Return a data set of three shards on a store."""
    local = make_dataset(tmp_path / "datasets/faces-8-0123456789ab", count=6, images_per_shard=2)
    return DatasetManifest.load(upload(local.path, bucket / "gans" / local.path.name))


def names(folder: Path) -> list[str]:
    """Return the visible names in a folder."""
    return sorted(path.name for path in folder.glob("[!.]*"))


def test_a_copy_is_the_same(remote: DatasetManifest, tmp_path: Path) -> None:
    """Every file, the manifest too, has the same bytes; progress counts bytes, and the second call copies nothing."""
    seen: list[Progress] = []
    fetched = fetch_dataset(remote.path, tmp_path / "here", seen.append)
    assert fetched.path == tmp_path / "here/datasets" / remote.path.name
    files = artifacts.read_manifest(remote.path, "dataset").files
    assert names(fetched.path) == sorted([*files, "manifest.json"])
    for name in names(fetched.path):
        assert (fetched.path / name).read_bytes() == (remote.path / name).read_bytes()
    total = sum(facts["bytes"] for facts in files.values())
    assert (seen[-1].done, seen[-1].total, seen[-1].unit) == (total, total, "bytes")
    assert fetch_dataset(remote.path, tmp_path / "here", lambda _: pytest.fail("nothing was to be copied")) == fetched


def test_an_interrupted_copy_goes_on(remote: DatasetManifest, tmp_path: Path) -> None:
    """Nothing is visible before it is complete; files that verify are kept, damaged and foreign ones are not."""
    calls = 0

    def interrupt(_: Progress) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_dataset(remote.path, tmp_path / "here", interrupt)
    assert names(tmp_path / "here/datasets") == []
    (draft,) = (tmp_path / "here/datasets").glob(".*.partial")
    first, second = sorted(path for path in draft.iterdir())
    kept = first.stat().st_mtime_ns, first.stat().st_ino
    second.write_bytes(b"damaged")
    (draft / "stray").write_text("x")
    fetched = fetch_dataset(remote.path, tmp_path / "here")
    now = (fetched.path / first.name).stat()
    assert (now.st_mtime_ns, now.st_ino) == kept
    assert artifacts.find(fetched.path, "dataset") is not None
    assert not (fetched.path / "stray").exists()


def test_what_is_not_what_the_manifest_says(remote: DatasetManifest, tmp_path: Path) -> None:
    """A file with other bytes of the same length is refused by its SHA-256, and nothing is published."""
    shard = remote.path / remote.splits["train"][0].name
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(ArtifactError) as caught:
        fetch_dataset(remote.path, tmp_path / "here")
    assert str(caught.value) == (
        f"{shard} is not what its manifest says (SHA-256); fetch it again, or make the data set again if that does not "
        "help"
    )
    assert names(tmp_path / "here/datasets") == []


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", "a\\..\\x"])
def test_files_that_leave_the_folder(remote: DatasetManifest, tmp_path: Path, name: str) -> None:
    """A manifest cannot make a file be written elsewhere."""
    path = remote.path / "manifest.json"
    document = json.loads(path.read_bytes())
    document["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    path.write_text(json.dumps(document | {"manifest_sha256": None}))
    with pytest.raises(ArtifactError, match="which leaves its folder"):
        fetch_dataset(remote.path, tmp_path / "here")
    assert not (tmp_path / "here").exists()


def test_mistakes(remote: DatasetManifest, bucket: Path, tmp_path: Path) -> None:
    """Both ends must be where they belong, and there must be a data set."""
    with pytest.raises(ConfigError, match="is on this machine already; name a data set at s3:// or gs://"):
        fetch_dataset(tmp_path, tmp_path)
    with pytest.raises(ConfigError, match="--data-root memory://bucket is not on this machine"):
        fetch_dataset(remote.path, bucket)
    with pytest.raises(ConfigError, match="there is no bucket 'memory://none'"):
        fetch_dataset(path_of("memory://none/x"), tmp_path)
    with pytest.raises(ArtifactError, match=r"there is no dataset at memory://bucket/x: manifest\.json is missing"):
        fetch_dataset(bucket / "x", tmp_path)
