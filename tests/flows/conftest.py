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


@pytest.fixture(scope="session")
def prefect_url() -> Iterator[str]:
    """A Prefect server for all tests; its start takes 10 to 30 s."""
    from prefect.settings import get_current_settings
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=None):
        yield str(get_current_settings().api.url)
