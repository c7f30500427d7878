"""`make postgres-test`: a team's server with PostgreSQL and two workers, of which parts are killed. For real.

Needs PostgreSQL's programs. Takes about ten minutes, and is not part of `make test`.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx

from tests.postgres import processes, trials
from tests.postgres.data_root import DataRoot
from tests.postgres.database import find_binaries, running_database
from tests.postgres.team import Team, running_team
from tests.postgres.waiting import wait_for

DISTURBED: dict[str, Callable[[Team, DataRoot], str]] = {
    "worker": trials.worker_killed,
    "server": trials.server_killed,
    "database": trials.database_away,
}


def attempt(name: str, step: Callable[[], str]) -> bool:
    """Run one trial and say what came of it; return whether all is well."""
    start = time.monotonic()
    try:
        verdict, is_well = step(), True
    except (trials.Wrong, RuntimeError, OSError, httpx.HTTPError) as error:
        verdict, is_well = f"{name}: {type(error).__name__}: {error}", False
    say(f"{'ok' if is_well else 'not ok'}  {verdict} ({time.monotonic() - start:.0f} s)")
    return is_well


def try_all(folder: Path, only: list[str]) -> list[bool]:
    """Start everything, run the trials, end everything."""
    with running_database(folder) as database, running_team(folder, database) as team:
        passed = [attempt("start", lambda: start(team))]
        reference: list[DataRoot] = []

        def undisturbed() -> str:
            text, data = trials.undisturbed(team)
            reference.append(data)
            return text

        if passed[0]:
            passed.append(attempt("undisturbed", undisturbed))
        if reference:
            passed += [attempt(name, partial(DISTURBED[name], team, reference[0])) for name in only]
            passed.append(attempt("nothing left", lambda: trials.nothing_left(team)))
    passed.append(attempt("end", lambda: gone(folder)))
    return passed


def start(team: Team) -> str:
    """Start the server, deploy, start the workers."""
    team.start_server()
    trials.require("the UI", team.api.shows_pages(), True)
    trials.require("answer without the login", team.api.status_without_login(), httpx.codes.UNAUTHORIZED)
    team.deploy()
    for worker in team.workers.values():
        worker.start()
    return f"{team.database.version()}, Prefect's server with UI and login, two deployments, two workers"


def gone(folder: Path) -> str:
    """Nothing that the test started is there any more."""
    with contextlib.suppress(TimeoutError):
        wait_for("the end of all processes", lambda: not processes.named(folder), seconds=60)
    trials.require("processes after the end", processes.named(folder), {})
    return "no process left after the end"


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Run everything; return 0 when all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=DISTURBED, default=list(DISTURBED), help="which kills")
    parser.add_argument("--keep", action="store_true", help="keep logs and data, and say where they are")
    given = parser.parse_args()
    try:
        find_binaries()
    except FileNotFoundError as error:
        parser.error(str(error))
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="faceloom-postgres-"))
    folder.chmod(0o711)  # PostgreSQL runs as another user where root runs this
    with contextlib.ExitStack() as stack:
        if given.keep:
            stack.callback(say, f"kept: {folder}")
        else:
            stack.callback(_remove, folder)
        passed = try_all(folder, given.only)
    say(f"{passed.count(True)} passed, {passed.count(False)} failed in {time.monotonic() - begun:.0f} s")
    return 0 if all(passed) else 1


def _remove(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
