"""Nights that take minutes each: `make reliability-test` runs them, `make test` only the short ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.night import Night
from tests.reliability.outcome import outcome_of

LONG = "FACELOOM_LONG_TESTS"


@pytest.fixture(scope="session")
def long_nights() -> None:
    """Skip what takes minutes."""
    if not os.environ.get(LONG):
        pytest.skip("takes minutes: make reliability-test")


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Night]:
    """A folder of its own, in which nothing outlives the test."""
    made = Night(tmp_path / "night", tmp_path / "data")
    try:
        yield made
    finally:
        made.end()


@pytest.fixture(scope="session")
def undisturbed(long_nights: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the preset `smoke` comes to where nothing happens."""
    folder = tmp_path_factory.mktemp("undisturbed")
    quiet = Night(folder / "night", folder / "data")
    try:
        quiet.succeeds("run", "smoke")
    finally:
        quiet.end()
    return outcome_of(quiet.data_root)
