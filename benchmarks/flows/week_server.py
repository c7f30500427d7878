"""The server of faceloom, whose cleaning is ahead of time: `python -m benchmarks.flows.week_server PORT`.

Prefect keeps a finished flow run for an hour at least. A week of minutes shows what a long life does to the database
only if the cleaning sees older runs: its clock, and nothing else, goes AHEAD.
"""

from __future__ import annotations

import datetime
import os
import sys

RETENTION_SECONDS = 300
_LEAST_SECONDS = 3601
AHEAD = datetime.timedelta(seconds=_LEAST_SECONDS - RETENTION_SECONDS)
ENVIRONMENT = {
    "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(_LEAST_SECONDS),
    "PREFECT_SERVER_SERVICES_DB_VACUUM_LOOP_SECONDS": "30",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ORPHAN_CLEANUP_LOOP_SECONDS": "60",
    "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"PT{_LEAST_SECONDS}S",
    "PREFECT_SERVER_SERVICES_DB_VACUUM_EVENT_RETENTION_OVERRIDES": '{"prefect.flow-run.heartbeat": 3601}',
}


def main() -> None:
    """Be the server."""
    from flows.server_process import run_server, server_environment

    os.environ.update(ENVIRONMENT)
    os.environ.update(server_environment(os.environ, full=True))
    from prefect.server.services import db_vacuum

    now = db_vacuum.now
    db_vacuum.now = lambda zone="UTC": now(zone) + AHEAD
    run_server("127.0.0.1", int(sys.argv[1]), full=True)


if __name__ == "__main__":
    main()
