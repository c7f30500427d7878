"""The process of a Prefect server: `python -m flows.server_process HOST PORT [--full]`, or a function to spawn."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path

from flows.child import detach
from flows.output import redirected

APP = "prefect.server.api.server:create_app"

# What every server of ours has: the slots of the GPU survive its restart, and its database stays small.
_ALWAYS: Mapping[str, str] = {
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    # How long a request waits for SQLite; with Prefect's 10 s, a busy machine answered "database is locked".
    "PREFECT_API_DATABASE_TIMEOUT": "60",
    # Heart-beats, by far most events, are looked at for minutes.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": '{"prefect.flow-run.heartbeat": 86400}',
}
# A server for commands has nobody to show pages to, and schedules nothing. Not PREFECT__SERVER_EPHEMERAL, with which
# Prefect leaves out the service that frees the slots of killed processes.
_FOR_COMMANDS: Mapping[str, str] = {
    "PREFECT_SERVER_UI_ENABLED": "false",
    "PREFECT_API_BLOCKS_REGISTER_ON_START": "false",
    "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_PAUSE_EXPIRATIONS_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_FOREMAN_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CANCELLATION_CLEANUP_ENABLED": "false",
    "PREFECT_SERVER_SERVICES_CLEANUP_RECONCILER_ENABLED": "false",
}


def server_environment(environment: Mapping[str, str], *, full: bool) -> dict[str, str]:
    """Return what to add to the environment of a server's process; never over the user's own.

    Args:
        environment: the environment that is there.
        full: with UI, schedules and automations, for `faceloom serve`; else what commands need.
    """
    # The pages ask the address that they came from; Prefect would send them to port 4200, whatever the port is.
    wanted = {**_ALWAYS, "PREFECT_SERVER_UI_API_URL": "/api"} if full else {**_ALWAYS, **_FOR_COMMANDS}
    return {name: value for name, value in wanted.items() if name not in environment}


def run_server(host: str, port: int, *, full: bool) -> None:
    """Be a Prefect server until SIGTERM; a full one has a janitor.

    Raises:
        SystemExit: it could not start; why is printed.
    """
    os.environ["PREFECT__SERVER_FINAL"] = "1"
    # Its own pages ask from there; Prefect would let any page that a browser shows ask as well.
    os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", f"http://{host}:{port}")
    import uvicorn

    try:
        with _janitor(host, port) if full else contextlib.nullcontext():
            uvicorn.run(
                APP, factory=True, host=host, port=port, log_level="error", lifespan="on", timeout_keep_alive=30
            )
    except Exception:
        traceback.print_exc()  # here into the log; let out, it would be printed on the terminal
        sys.exit(1)


def _janitor(host: str, port: int) -> contextlib.AbstractContextManager[None]:
    # Both before Prefect is imported. Without the login a server that asks for one would refuse its own janitor.
    os.environ["PREFECT_API_URL"] = f"http://{host}:{port}/api"
    if login := os.environ.get("PREFECT_SERVER_API_AUTH_STRING"):
        os.environ.setdefault("PREFECT_API_AUTH_STRING", login)
    from flows.janitor import janitor_thread

    return janitor_thread()


def run_as_child(host: str, port: int, log: Path, stop_seconds: float, full: bool) -> None:
    """Be a Prefect server that dies with the process that spawned it."""
    detach(stop_seconds)
    os.environ.update(server_environment(os.environ, full=full))
    with redirected(log):
        run_server(host, port, full=full)


if __name__ == "__main__":
    is_full = "--full" in sys.argv
    os.environ.update(server_environment(os.environ, full=is_full))
    run_server(sys.argv[1], int(sys.argv[2]), full=is_full)
