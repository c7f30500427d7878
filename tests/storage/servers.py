"""Servers that speak the languages of object stores, as processes of their own on this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KEY, SECRET = "AKIDFORTESTS", "wJalrXUtnFEMIK7MDENGbPxRfiCYsecret"
_START_SECONDS = 60.0
_TAKEN = ("AWS_", "STORAGE_EMULATOR_HOST", "GOOGLE_")


@dataclass(frozen=True)
class Server:
    """A running one.

    Attributes:
        scheme: s3 or gs.
        environment: what its clients need, besides this process's own variables.
        checks_keys: whether it refuses those who sign with another key.
    """

    scheme: str
    environment: dict[str, str]
    checks_keys: bool

    def clients(self, **changes: str) -> dict[str, str]:
        """Return the environment of a client; nothing of the user's own configuration gets through."""
        own = {name: value for name, value in os.environ.items() if not name.startswith(_TAKEN)}
        return {**own, **self.environment, **changes}


def program(name: str) -> str | None:
    """Return the path of a server's program: beside Python, or where the shell finds it."""
    beside = Path(sys.executable).with_name(name)
    return str(beside) if beside.is_file() else shutil.which(name)


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Server]:
    """Moto's S3, in memory."""
    port = _free_port()
    with _running([program("moto_server") or "", "-H", "127.0.0.1", "-p", str(port)], port, folder):
        yield Server("s3", _s3(port), checks_keys=False)


@contextlib.contextmanager
def versitygw(folder: Path) -> Iterator[Server]:
    """Versity's S3 gateway over a folder; it checks signatures."""
    port = _free_port()
    (folder / "buckets").mkdir()
    command = [program("versitygw") or "", "--port", f"127.0.0.1:{port}", "posix", str(folder / "buckets")]
    with _running(command, port, folder, ROOT_ACCESS_KEY=KEY, ROOT_SECRET_KEY=SECRET):
        yield Server("s3", _s3(port), checks_keys=True)


@contextlib.contextmanager
def fake_gcs_server(folder: Path) -> Iterator[Server]:
    """Fsouza's emulator of Google Cloud Storage, in memory."""
    port = _free_port()
    address = f"127.0.0.1:{port}"
    command = [program("fake-gcs-server") or "", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port)]
    command += ["-backend", "memory", "-public-host", address]
    with _running(command, port, folder):
        yield Server("gs", {"STORAGE_EMULATOR_HOST": f"http://{address}"}, checks_keys=False)


SERVERS = {"moto_server": moto, "versitygw": versitygw, "fake-gcs-server": fake_gcs_server}
"""Name of the program -> what starts it."""


def _s3(port: int) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def _running(command: list[str], port: int, folder: Path, **environment: str) -> Iterator[None]:
    with (
        (folder / "server.log").open("wb") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment}) as process,
    ):
        try:
            _wait_for(port, process)
            yield
        finally:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.1)
    raise RuntimeError(f"the server does not start: {process.args!r}")
