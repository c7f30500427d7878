"""A Prefect server for commands, where the user has none.

Prefect starts one by itself as well. Ours differs: it starts while Prefect is still being imported; it is in a process
group of its own, so that after Ctrl-C it can still note that the run was interrupted; and it is the same one for all
commands of a data root that follow each other within a minute or run at once (flows/shared_server.py), as two servers
on one SQLite file answer "database is locked".
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import random
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

from flows.output import new_log
from flows.server_process import run_as_child
from flows.settings import seconds_of_environment
from flows.shared_server import shared_server
from gan_core.errors import ConfigError, StageFailed
from gan_core.spawning import lean_start

LINGER_SECONDS = 60.0
_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.05
_OTHERS_ANSWER_SECONDS = 15.0
# Below those that systems give to outgoing connections: whoever asks a server that still starts could be given the
# server's own port, would be connected to itself, and the server would find its port taken.
PORTS = range(20_000, 32_768)


@dataclass(frozen=True)
class Server:
    """A Prefect server: `alive` is None for one of the user's, `log` where its output is not ours."""

    url: str
    alive: Callable[[], bool] | None = None
    log: Path | None = None

    def until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            StageFailed: it ended, or did not answer in time.
        """
        own = float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"])
        seconds = own if self.alive else _OTHERS_ANSWER_SECONDS
        deadline = time.monotonic() + seconds
        while not _answers(self.url):
            if self.alive and not self.alive():
                raise StageFailed(f"Prefect's server ended at its start; why is in {self.log}; see faceloom doctor")
            if time.monotonic() > deadline:
                hint = (
                    f"its output is in {self.log}"
                    if self.log
                    else "start it (faceloom serve), or unset PREFECT_API_URL to let faceloom start one"
                )
                raise StageFailed(f"the Prefect server at {self.url} did not answer for {seconds:g} s; {hint}")
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def temporary_server(data_root: Path) -> Iterator[Server]:
    """Yield a server that may still be starting: the user's, the one of this data root, or one for this block alone.

    Nothing is started where PREFECT_API_URL names a server. One that is shared ends itself once nobody has used it
    for FACELOOM_SERVER_LINGER_SECONDS; with 0 none is shared, and ours ends with the block.

    Raises:
        ConfigError: PREFECT_API_URL is no address, or FACELOOM_SERVER_LINGER_SECONDS no number.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"PREFECT_API_URL must be like http://127.0.0.1:4200/api, got '{url}'")
        yield Server(url.rstrip("/"))
        return
    seconds = linger_seconds()
    with contextlib.ExitStack() as stack:
        if seconds > 0:
            home, log = Path(os.environ["PREFECT_HOME"]), new_log(data_root, "prefect")
            shared = stack.enter_context(shared_server(home, free_port(), log, seconds))
            server = Server(shared.url, shared.alive, shared.log)
        else:
            server = stack.enter_context(own_server(data_root))
        os.environ["PREFECT_API_URL"] = server.url
        try:
            yield server
        finally:
            del os.environ["PREFECT_API_URL"]


@contextlib.contextmanager
def own_server(data_root: Path, host: str = "127.0.0.1", port: int = 0, *, full: bool = False) -> Iterator[Server]:
    """Yield a server that may still be starting, and that ends with the block or with this process.

    Args:
        data_root: the folder below which its log goes.
        host: the address it listens on; localhost unless told otherwise.
        port: its port, in [1, 65535]; 0 for a free one.
        full: with UI, schedules and automations.
    """
    port, log = port or free_port(), new_log(data_root, "prefect")
    spawn = multiprocessing.get_context("spawn")
    arguments = (host, port, log, _STOP_SECONDS, full)
    process = spawn.Process(target=run_as_child, args=arguments, name="faceloom-prefect")
    with lean_start():
        process.start()
    try:
        yield Server(f"http://{host}:{port}/api", process.is_alive, log)
    finally:
        _stop(process)


def linger_seconds() -> float:
    """Return FACELOOM_SERVER_LINGER_SECONDS, in [0, 86400], or LINGER_SECONDS.

    Raises:
        ConfigError: it is no such number.
    """
    return seconds_of_environment("FACELOOM_SERVER_LINGER_SECONDS", LINGER_SECONDS, 0.0)


def drain() -> None:
    """Send what Prefect still holds back in this process, logs and states, before the server goes."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=_STOP_SECONDS)
    EventsWorker.drain_all(timeout=_STOP_SECONDS)


def free_port() -> int:
    """Return a port of this machine that nobody listens on now, in PORTS.

    Raises:
        StageFailed: of many that were tried none is free.
    """
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise StageFailed(f"of 100 ports in [{PORTS[0]}, {PORTS[-1]}] none is free; end some servers of this machine")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10):
            return True
    except urllib.error.HTTPError:
        return True  # it asks for a login, for example, which Prefect's client knows about
    except OSError:
        return False


def _stop(server: SpawnProcess) -> None:
    server.terminate()
    server.join(_STOP_SECONDS)
    if server.is_alive():
        server.kill()
        server.join()
