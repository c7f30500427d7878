"""A throw-away PostgreSQL on this machine: a folder, a free port of 127.0.0.1, and a password nobody keeps."""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.postgres.waiting import wait_for

OWNER = "postgres"
# No socket: it would go to a folder of Debian's, beside that of a server of the machine's own.
CONFIG = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
"""


@dataclass
class Database:
    """A cluster of PostgreSQL with a database `prefect`, whose owner `prefect` has no other rights.

    Attributes:
        binaries: the folder of initdb, postgres, psql and pg_isready.
        folder: gets data and log; belongs to `OWNER` where root runs this, as PostgreSQL refuses root.
        port: of 127.0.0.1.
        password: of that owner and of the superuser; it goes through environments and files of mode 600 only.
    """

    binaries: Path
    folder: Path
    port: int
    password: str = field(repr=False)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the address as Prefect's server takes it, with the password."""
        return f"postgresql+asyncpg://prefect:{self.password}@127.0.0.1:{self.port}/prefect"

    def create(self) -> None:
        """Make the cluster, start it, and make the database."""
        self.folder.mkdir()
        if is_root := os.geteuid() == 0:
            shutil.chown(self.folder, OWNER, OWNER)
        secret = self.folder / "password"
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        if is_root:
            shutil.chown(secret, OWNER, OWNER)
        self._run("initdb", f"--username={OWNER}", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync")
        secret.unlink()
        with (self._data / "postgresql.conf").open("a") as stream:
            stream.write(CONFIG.format(port=self.port))
        self.start()
        # By standard input: a command line can be read by everybody.
        self._run(
            "psql",
            *("--host=127.0.0.1", f"--port={self.port}", f"--username={OWNER}", "--set=ON_ERROR_STOP=1", "postgres"),
            text=f"CREATE ROLE prefect LOGIN PASSWORD '{self.password}';\nCREATE DATABASE prefect OWNER prefect;\n",
        )

    def start(self) -> None:
        """Start PostgreSQL and wait until it takes connections."""
        with (self.folder.parent / "postgres.log").open("ab") as log:
            command = [*_as_owner(), str(self.binaries / "postgres"), "-D", str(self._data)]
            # setpriv replaces itself, so that the process is PostgreSQL's own.
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", start_new_session=True)
        ready = [str(self.binaries / "pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}"]
        wait_for("PostgreSQL", lambda: subprocess.run(ready, check=False).returncode == 0)

    def stop(self) -> None:
        """Stop it the fast way: connections are cut, and everything is written."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(60)
            self._process = None

    def version(self) -> str:
        """Return what it says of itself, such as "postgres (PostgreSQL) 15.18"."""
        return subprocess.check_output([self.binaries / "postgres", "--version"], text=True).strip()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        command = [*_as_owner(), str(self.binaries / program), *arguments]
        env = {**os.environ, "PGDATA": str(self._data), "PGPASSWORD": self.password}
        done = subprocess.run(command, env=env, cwd="/", input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{program} ended with status {done.returncode}: {done.stderr.strip()}")


@contextlib.contextmanager
def running_database(folder: Path) -> Iterator[Database]:
    """Yield a new cluster below `folder`, and stop it with the block."""
    database = Database(find_binaries(), folder / "postgres", free_port(), secrets.token_urlsafe(24))
    try:
        database.create()
        yield database
    finally:
        database.stop()


def find_binaries() -> Path:
    """Return the newest folder with PostgreSQL's programs: Debian's, or that of the PATH.

    Raises:
        FileNotFoundError: there is none; the message says what to install.
    """
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if found := shutil.which("initdb"):
        folders.insert(0, Path(found).parent)
    if not folders:
        raise FileNotFoundError("no PostgreSQL here (initdb, postgres); on Debian: apt-get install postgresql")
    return folders[-1]


def free_port() -> int:
    """Return a port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_owner() -> list[str]:
    if os.geteuid() != 0:
        return []
    pwd.getpwnam(OWNER)  # raises KeyError with the name, where Debian's package did not make the user
    return ["setpriv", f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups", "--"]
