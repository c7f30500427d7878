"""Prefect's temporary server, for as long as one command runs, where the user has no server of their own.

Prefect starts one by itself as well. Ours differs in three ways: it starts while Prefect is still being
imported; it is in a process group of its own, so that after Ctrl-C it can still note that the run was
interrupted; and it dies with us.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import sys
import time
import traceback
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.context import SpawnProcess
from pathlib import Path

from flows.child import detach
from flows.output import new_log, redirected
from gan_core.errors import ConfigError, StageFailed
from gan_core.spawning import lean_start

_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.2
_OTHERS_ANSWER_SECONDS = 15.0


@dataclass(frozen=True)
class Server:
    """A Prefect server: `process` and `log` are None for one of the user's."""

    url: str
    process: SpawnProcess | None = None
    log: Path | None = None

    def until_ready(self) -> None:
        """Return once the server answers.

        Raises:
            StageFailed: it ended, or did not answer in time.
        """
        own = float(os.environ["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"])
        seconds = own if self.process else _OTHERS_ANSWER_SECONDS
        deadline = time.monotonic() + seconds
        while not _answers(self.url):
            if self.process and not self.process.is_alive():
                raise StageFailed(f"Prefect's server ended at its start; why is in {self.log}; see faceloom doctor")
            if time.monotonic() > deadline:
                hint = f"its output is in {self.log}" if self.log else "unset PREFECT_API_URL to let faceloom start one"
                raise StageFailed(f"the Prefect server at {self.url} did not answer for {seconds:g} s; {hint}")
            time.sleep(_POLL_SECONDS)


@contextlib.contextmanager
def temporary_server(data_root: Path) -> Iterator[Server]:
    """Yield a server that may still be starting; it ends with the block.

    Nothing is started where PREFECT_API_URL names a server.

    Raises:
        ConfigError: PREFECT_API_URL is no address.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"PREFECT_API_URL must be like http://127.0.0.1:4200/api, got '{url}'")
        yield Server(url.rstrip("/"))
        return
    port, log = _free_port(), new_log(data_root, "prefect")
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_serve, args=(port, log), name="faceloom-prefect")
    with lean_start():
        process.start()
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        yield Server(os.environ["PREFECT_API_URL"], process, log)
    finally:
        del os.environ["PREFECT_API_URL"]
        _stop(process)


def drain() -> None:
    """Send what Prefect still holds back in this process, logs and states, before the server goes."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=_STOP_SECONDS)
    EventsWorker.drain_all(timeout=_STOP_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10):
            return True
    except urllib.error.HTTPError:
        return True  # it asks for a login, for example, which Prefect's client knows about
    except OSError:
        return False


def _serve(port: int, log: Path) -> None:
    detach(_STOP_SECONDS)
    # What Prefect sets for its own temporary server: no UI, and only the services that record runs.
    os.environ["PREFECT__SERVER_EPHEMERAL"] = os.environ["PREFECT__SERVER_FINAL"] = "1"
    os.environ["PREFECT_UI_ENABLED"] = "0"
    with redirected(log):
        import uvicorn

        factory = "prefect.server.api.server:create_app"
        try:
            uvicorn.run(factory, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")
        except Exception:
            traceback.print_exc()  # here into the log; let out, it would be printed on the terminal
            sys.exit(1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _stop(server: SpawnProcess) -> None:
    server.terminate()
    server.join(_STOP_SECONDS)
    if server.is_alive():
        server.kill()
        server.join()
