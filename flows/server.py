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
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from multiprocessing.context import SpawnProcess
from pathlib import Path

from flows.child import detach
from flows.output import new_log, redirected
from gan_core.errors import StageFailed

_STOP_SECONDS = 5.0
_POLL_SECONDS = 0.2


@contextlib.contextmanager
def temporary_server(data_root: Path) -> Iterator[str]:
    """Yield the API's URL of a server that is still starting; wait for it with `until_ready`.

    Nothing is started where PREFECT_API_URL names a server.
    """
    if url := os.environ.get("PREFECT_API_URL"):
        yield url
        return
    port = _free_port()
    arguments = (port, new_log(data_root, "prefect"), os.getpid())
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=arguments, name="faceloom-prefect")
    server.start()
    os.environ["PREFECT_API_URL"] = f"http://127.0.0.1:{port}/api"
    try:
        yield os.environ["PREFECT_API_URL"]
    finally:
        del os.environ["PREFECT_API_URL"]
        _stop(server)


def until_ready(url: str) -> None:
    """Return once the server at `url` answers.

    Raises:
        StageFailed: it does not within PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS.
    """
    seconds = float(os.environ.get("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120"))
    deadline = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=10):
                return
        except (OSError, urllib.error.URLError) as error:
            if time.monotonic() > deadline:
                raise StageFailed(
                    f"the Prefect server at {url} did not answer for {seconds:g} s ({error}); "
                    "check PREFECT_API_URL, or unset it to let faceloom start a server"
                ) from None
        time.sleep(_POLL_SECONDS)


def drain() -> None:
    """Send what Prefect still holds back in this process, logs and states, before the server goes."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=_STOP_SECONDS)
    EventsWorker.drain_all(timeout=_STOP_SECONDS)


def _serve(port: int, log: Path, parent: int) -> None:
    detach(parent, _STOP_SECONDS)
    # What Prefect sets for its own temporary server: no UI, and only the services that record runs.
    os.environ["PREFECT__SERVER_EPHEMERAL"] = os.environ["PREFECT__SERVER_FINAL"] = "1"
    os.environ["PREFECT_UI_ENABLED"] = "0"
    with redirected(log):
        import uvicorn

        factory = "prefect.server.api.server:create_app"
        uvicorn.run(factory, factory=True, host="127.0.0.1", port=port, log_level="error", lifespan="on")


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
