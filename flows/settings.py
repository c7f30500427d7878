"""How faceloom sets up Prefect: by environment variables, before its import, never over the user's own."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from gan_core.errors import ConfigError

DEFAULTS: Mapping[str, str] = {
    # 10 to 30 s on two cores; Prefect's own 20 s would be too short.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
    # With it, a fresh SQLite database answered "database is locked"; and nobody asked the user.
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # On the terminal only what needs attention; the server still gets everything from INFO on.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "WARNING",
    "PREFECT_SERVER_LOGGING_LEVEL": "ERROR",
    "PREFECT_LOGGING_COLORS": "false",
    # Prefect's own 180 s would let a dead flow run look alive for ten minutes; 30 is its least.
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    # A server that has lost PostgreSQL answers 500, which Prefect's clients do not try again as they do 503.
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",
    # Two minutes without server, where Prefect's own 5 are one: a restart on a busy machine takes longer.
    "PREFECT_CLIENT_MAX_RETRIES": "6",
    # faceloom's own manifests are the only cache.
    "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
}


def prefect_environment(data_root: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables to add to `environment` before Prefect is imported.

    Prefect gets a home of its own below the data root, so that runs are kept with the data and no other
    project's database or profile is touched; unless the user named a home or a server.
    """
    added = dict(DEFAULTS)
    if not environment.get("PREFECT_API_URL"):
        home = data_root.absolute() / ".prefect"
        added["PREFECT_HOME"] = str(home)
        added["PREFECT_RESULTS_LOCAL_STORAGE_PATH"] = str(Path(environment.get("PREFECT_HOME", home)) / "storage")
    return {name: value for name, value in added.items() if name not in environment}


def set_up_prefect(data_root: Path) -> None:
    """Add what `prefect_environment` says to this process's environment, and so to its children's."""
    os.environ.update(prefect_environment(data_root, os.environ))


def seconds_of_environment(name: str, otherwise: float, least: float) -> float:
    """Return the seconds that an environment variable says, in [least, 86400], or what holds without it.

    Raises:
        ConfigError: it is no such number.
    """
    text = os.environ.get(name) or str(otherwise)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not least <= seconds <= 86_400:
        raise ConfigError(f"{name} must be a number in [{least:g}, 86400], got '{text}'")
    return seconds


def quiet_run_logs() -> None:
    """Keep the logs of flow and task runs off the terminal: they repeat, with tracebacks, what faceloom says.

    They still go to the server. Prefect's own warnings and errors stay on the terminal.
    """
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logging.getLogger(name).propagate = False
