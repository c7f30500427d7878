from __future__ import annotations

from pathlib import Path

from flows.settings import DEFAULTS, prefect_environment


def test_without_a_word_of_the_user_prefect_lives_below_the_data_root() -> None:
    """Home and results get folders of their own, and no analytics, however Prefect's defaults change."""
    added = prefect_environment(Path("/d"), {})
    assert added == {
        **DEFAULTS,
        "PREFECT_HOME": "/d/.prefect",
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": "/d/.prefect/storage",
    }
    assert (added["PREFECT_SERVER_ANALYTICS_ENABLED"], added["DO_NOT_TRACK"]) == ("false", "1")


def test_what_the_user_set_stays() -> None:
    """A variable of the user's is never overwritten."""
    own = {"PREFECT_HOME": "/mine", "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "7"}
    added = prefect_environment(Path("/d"), own)
    assert not set(added) & set(own)
    assert added["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] == "/mine/storage"


def test_with_a_server_of_the_users_its_home_is_left_alone() -> None:
    """PREFECT_API_URL means that the user runs Prefect: neither home nor results are moved."""
    added = prefect_environment(Path("/d"), {"PREFECT_API_URL": "http://prefect/api"})
    assert added == DEFAULTS
