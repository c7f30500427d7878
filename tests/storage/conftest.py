from __future__ import annotations

import importlib.util
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan_core.object_store.libraries import file_system
from gan_core.object_store.paths import StorePath
from gan_core.paths import path_of
from tests.storage.servers import SERVERS, Server, program


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield each server in turn; those that are not installed are skipped."""
    library = "gcsfs" if request.param == "fake-gcs-server" else "s3fs"
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed; make storage-test installs it")
    if program(request.param) is None:
        pytest.skip(f"{request.param} is not installed; make storage-test installs it, versitygw and the like with Go")
    with SERVERS[request.param](tmp_path_factory.mktemp(request.param)) as running:
        yield running


@pytest.fixture
def bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a new bucket; this process and those that it starts are clients of the server."""
    for name, value in server.clients().items():
        monkeypatch.setenv(name, value)
    file_system.cache_clear()
    place = path_of(f"{server.scheme}://faces-{uuid.uuid4().hex[:12]}")
    assert isinstance(place, StorePath)
    place.files.mkdir(place.key)
    yield place
    file_system.cache_clear()
