from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.settings import prefect_environment

# Prefect reads its settings when it is imported, which the test modules do.
_HOME = tempfile.TemporaryDirectory(prefix="faceloom-tests-")
os.environ.update(prefect_environment(Path(_HOME.name), os.environ))
# A server of a command ends with it, so that tests leave nothing behind.
os.environ["FACELOOM_SERVER_LINGER_SECONDS"] = "0"


@pytest.fixture(scope="session")
def own_prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server as faceloom starts it for itself, and its home: unlike Prefect's for tests, it frees lost slots."""
    from flows.server import own_server

    home = tmp_path_factory.mktemp("prefect")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_HOME", str(home))
        patch.setenv("PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS", "1")
        with own_server(home) as server:
            patch.undo()
            server.until_ready()
            yield server.url, home


@pytest.fixture(scope="session")
def prefect_url() -> Iterator[str]:
    """A Prefect server for all tests; its start takes 10 to 30 s."""
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=None):
        yield str(get_current_settings().api.url)
