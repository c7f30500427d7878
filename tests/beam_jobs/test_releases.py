from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import look, open_source
from gan_core.artifacts import MANIFEST, find
from gan_core.config import DataConfig
from gan_core.downloads.download import Patience, fetch_release
from gan_core.downloads.releases import RELEASES, Release, RemoteFile
from gan_core.errors import ArtifactError, ConfigError
from gan_core.progress import Progress, silent
from tests.http_server import Answer, Site, serving
from tests.idx_files import write_mnist

HURRIED = Patience(rounds=1, timeout_s=0.3)


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has, it is not asked for 127.0.0.1."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.mark.parametrize(
    "mirror",
    ["ftp://example.org/x", "example.org/x", "file:///x", "http://", "http://[x", "http://example.org:port/"],
)
def test_mirror_that_is_no_address(tmp_path: Path, mirror: str) -> None:
    """Only http and https addresses are mirrors."""
    with pytest.raises(ConfigError, match=r"data\.mirrors must have addresses such as https://host/folder"):
        open_source(DataConfig(kind="mnist", mirrors=(mirror,)), tmp_path)


@pytest.mark.parametrize(
    "mirror", ["https://me:secret@example.org/x", "https://example.org/x?key=secret", "https://example.org/#secret"]
)
def test_mirror_with_a_secret_is_refused_without_repeating_it(tmp_path: Path, mirror: str) -> None:
    """What config.json would keep for ever must hold no password."""
    with pytest.raises(ConfigError, match="without user, password") as caught:
        open_source(DataConfig(kind="cifar10", mirrors=(mirror,)), tmp_path)
    assert "secret" not in str(caught.value)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Release, Site]]:
    """A small MNIST under its official names in place of the real release, and a server that has it."""
    folder = write_mnist(tmp_path / "official", 7, 3, packed=True)
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    remote = tuple(RemoteFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in files.items())
    with serving(files) as site:
        small = Release((site.url,), remote, {"train": 7, "test": 3})
        monkeypatch.setitem(RELEASES, "mnist", small)
        yield small, site


def test_source_without_a_path_downloads_its_release(tmp_path: Path, release: tuple[Release, Site]) -> None:
    """`fetch` publishes the files under raw/mnist, reports bytes, and the second time asks nobody."""
    small, site = release
    config = DataConfig(kind="mnist", limit=4)
    source = open_source(config, tmp_path)
    planned = look(config, tmp_path).summary
    assert site.requests == []
    progress: list[Progress] = []
    source.fetch(progress.append)
    summary, names = survey(source, config)
    refs = list(names)
    assert summary == planned
    assert summary.fingerprint == small.fingerprint
    assert len(refs) == sum(planned.counts.values()) == 4
    total = sum(file.size_bytes for file in small.files)
    assert progress[-1] == Progress("ingest", total, total, unit="bytes")
    location = tmp_path / "raw" / "mnist"
    assert {path.name for path in location.iterdir()} == {MANIFEST, *(file.name for file in small.files)}
    assert find(location, "source", small.fingerprint) is not None
    source.fetch(silent)
    assert len(site.requests) == 4
    assert source.reader().read(refs[0]).shape == (28, 28, 1)


def test_plan_needs_no_network(tmp_path: Path) -> None:
    """What the official files are is known from their checksums: kinds, counts, fingerprints."""
    plans = {kind: look(DataConfig(kind=kind), tmp_path).summary for kind in ("cifar10", "mnist", "fashion-mnist")}
    assert {kind: dict(found.counts) for kind, found in plans.items()} == {
        "cifar10": {"train": 50_000, "test": 10_000},
        "mnist": {"train": 60_000, "test": 10_000},
        "fashion-mnist": {"train": 60_000, "test": 10_000},
    }
    assert len({found.fingerprint for found in plans.values()}) == 3
    assert plans["mnist"].location == str(tmp_path / "raw" / "mnist")
    assert list(tmp_path.iterdir()) == []


def test_mirrors_of_the_user_replace_the_usual_ones(tmp_path: Path, release: tuple[Release, Site]) -> None:
    """`data.mirrors` is asked, with or without a last slash, and nobody else."""
    _, usual = release
    with serving({f"my/copy/{name}": data for name, data in usual.files.items()}) as own:
        config = DataConfig(kind="mnist", mirrors=(f"{own.url}/my/copy/",))
        open_source(config, tmp_path).fetch(silent)
    assert len(own.requests) == 4
    assert usual.requests == []


def test_interrupted_release_goes_on(tmp_path: Path, release: tuple[Release, Site]) -> None:
    """A release is published whole or not at all; complete files and parts of the last call are used."""
    small, site = release
    location = tmp_path / "raw" / "mnist"
    site.script = [Answer(), Answer(cut_after=3)]
    with pytest.raises(ArtifactError, match="stopped after 3 of"):
        fetch_release(small, location, small.mirrors, silent, HURRIED)
    assert not location.exists()
    fetch_release(small, location, small.mirrors, silent, HURRIED)
    assert find(location, "source", small.fingerprint) is not None
    assert [wanted for _, wanted, _ in site.requests] == ["", "", "bytes=3-", "", ""]


def test_damaged_release_is_repaired(tmp_path: Path, release: tuple[Release, Site]) -> None:
    """Only the file whose bytes changed is downloaded again."""
    small, site = release
    location = tmp_path / "raw" / "mnist"
    fetch_release(small, location, small.mirrors, silent)
    name = small.files[1].name
    (location / name).write_bytes(b"x")
    fetch_release(small, location, small.mirrors, silent)
    assert (location / name).read_bytes() == site.files[name]
    assert [path for path, _, _ in site.requests[4:]] == [f"/{name}"]


def test_files_put_there_by_hand_are_taken_over(tmp_path: Path, release: tuple[Release, Site]) -> None:
    """Official files that lie where downloads go are not downloaded; foreign files are never deleted."""
    small, site = release
    location = tmp_path / "raw" / "mnist"
    location.mkdir(parents=True)
    for name, data in site.files.items():
        (location / name).write_bytes(data)
    fetch_release(small, location, small.mirrors, silent)
    assert site.requests == []
    assert find(location, "source", small.fingerprint) is not None
    (location / MANIFEST).unlink()
    (location / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"has 'thesis\.txt', which is none; move it away"):
        fetch_release(small, location, small.mirrors, silent)
    assert (location / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("kind", RELEASES)
def test_releases_are_complete(kind: str) -> None:
    """Every release has an address, names without folders, and 64 hex digits for each file."""
    found = RELEASES[kind]
    assert all(mirror.startswith("http") and not mirror.endswith("/") for mirror in found.mirrors)
    assert [file.name for file in found.files if "/" in file.name or len(bytes.fromhex(file.sha256)) != 32] == []
    assert all(file.size_bytes > 0 for file in found.files)
