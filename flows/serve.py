"""`faceloom serve`: server, schedule and runner in one command, for one machine without any set-up."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flows import settings
from flows.least_rights import ALLOWED, places_of
from flows.reports_server import ADDRESS, reports_server
from flows.server import Server, own_server
from flows.stages import Order
from flows.terminal import Terminal
from gan_core import artifacts
from gan_core.errors import ConfigError
from gan_core.paths import is_address

REPORTS_PORT = 4201
_HERE, _LOOPBACK = "http://127.0.0.1", ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is served.

    Attributes:
        flow: retrain or pipeline.
        settings: as of --set.
        poll_seconds: from one look at the source to the next, where new data start runs; 0 is off.
        host: what server and reports listen on.
        reports_port: None is REPORTS_PORT where that is free.
    """

    flow: str
    settings: tuple[str, ...]
    cron: str
    timezone: str
    every_seconds: float
    poll_seconds: float
    host: str
    port: int
    reports_port: int | None


def serve(own: Terminal, preset: str, order: Order, wanted: Wanted) -> None:
    """Serve until Ctrl-C or SIGTERM; a run that is under way then saves and ends."""
    _check_login(wanted)
    artifacts.make_folder(order.data_root)
    root, source = order.data_root.absolute(), order.config.data.path
    os.environ["FACELOOM_DATA_ROOT"] = str(root)
    if source and "://" not in source:
        source = str(Path(source).absolute())
    # The machine's own user named them here, so runs may read them.
    named = [text for texts in places_of(order.config).values() for text in texts if text]
    named += [preset] if preset.endswith(".toml") else []
    absolute = [text if is_address(text) else str(Path(text).expanduser().absolute()) for text in named]
    os.environ[ALLOWED] = os.pathsep.join(filter(None, [os.environ.get(ALLOWED, ""), *absolute]))
    settings.set_up_prefect(root)
    with _reports(root, wanted) as reports, _server(order, wanted) as url, own.display() as display:
        display.note(f"server   {url.removesuffix('/api')}")
        display.note(f"reports  {reports or 'not served here, see --reports-port'}")
        _run(own, preset, order, wanted, source)


def _check_login(wanted: Wanted) -> None:
    """Raise ConfigError for a server that others would reach without a login: it runs what it is told to."""
    if os.environ.get("PREFECT_API_URL"):
        return
    login = os.environ.get("PREFECT_SERVER_API_AUTH_STRING", "")
    if not login and wanted.host not in _LOOPBACK:
        raise ConfigError(
            f"--host {wanted.host} lets others reach the server, and who reaches it can run programs here; set "
            "PREFECT_SERVER_API_AUTH_STRING=user:password, or leave --host out"
        )
    if login:
        os.environ.setdefault("PREFECT_API_AUTH_STRING", login)


@contextlib.contextmanager
def _reports(data_root: Path, wanted: Wanted) -> Iterator[str]:
    """Yield the address of the reports, which runs link to: the user's, or one for as long as this lasts.

    Empty where the UI is on another machine, as links to this one would lead nowhere there; and where nobody named a
    port and REPORTS_PORT is taken, for example by another `faceloom serve`.
    """
    is_here = urlsplit(os.environ.get("PREFECT_API_URL") or _HERE).hostname in _LOOPBACK
    if os.environ.get(ADDRESS) or not is_here:
        yield os.environ.get(ADDRESS, "")
        return
    with contextlib.ExitStack() as stack:
        port = REPORTS_PORT if wanted.reports_port is None else wanted.reports_port
        try:
            os.environ[ADDRESS] = stack.enter_context(reports_server(data_root, wanted.host, port))
            stack.callback(os.environ.pop, ADDRESS)
        except ConfigError:
            if wanted.reports_port is not None:
                raise
        yield os.environ.get(ADDRESS, "")


@contextlib.contextmanager
def _server(order: Order, wanted: Wanted) -> Iterator[str]:
    """Yield the address of the user's server, or of one with a UI for as long as this lasts."""
    if url := os.environ.get("PREFECT_API_URL"):
        Server(url).until_ready()
        from flows.janitor import janitor_thread

        with janitor_thread():  # servers of faceloom have their own
            yield url
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: connections of the last one linger
        try:
            probe.bind((wanted.host, wanted.port))
        except OSError as error:
            raise ConfigError(
                f"--port {wanted.port} of {wanted.host} cannot be used ({error.strerror}); another faceloom serve? "
                "name a free one with --port"
            ) from None
    with own_server(order.data_root, wanted.host, wanted.port, full=True) as server:
        os.environ["PREFECT_API_URL"] = server.url
        server.until_ready()
        yield server.url


def _run(own: Terminal, preset: str, order: Order, wanted: Wanted, source: str) -> None:
    from datetime import timedelta

    from prefect.runner import Runner

    class Ours(Runner):
        async def work(self) -> None:
            self.loop, self.main = asyncio.get_running_loop(), asyncio.current_task()
            await self.start()

        def handle_sigterm(self, *_: Any, **__: Any) -> None:
            """End as at Ctrl-C: Prefect's own would leave the event loop in its middle, with tracebacks.

            Not by SIGINT: what a script starts in the background does not hear that.
            """
            assert self.main is not None, "it was noted in a task"
            self.loop.call_soon_threadsafe(self.main.cancel)

    from flows.deployments import Schedule, deployment

    asked: dict[str, Any] = {
        "preset": preset,
        "source": source,
        "settings": list(wanted.settings),
        "data_root": "",
    }
    every = timedelta(seconds=wanted.every_seconds) if wanted.every_seconds else None
    schedule = Schedule(wanted.cron, wanted.timezone, every)
    runner = Ours(name=f"faceloom serve {preset}", limit=1, pause_on_shutdown=False)
    # Not the name that `faceloom deploy` gives: on a team's server, one would replace the other.
    name = f"{order.config.preset}-serve"
    made = deployment(wanted.flow, order.config.preset, asked, schedule, name=name)
    deployment_id = runner.add_deployment(made)
    own.emit(
        {"deployment": made.full_name, "id": str(deployment_id)},
        f"serving {made.full_name}; runs by hand: the UI, or\n"
        f"  PREFECT_API_URL={os.environ['PREFECT_API_URL']} prefect deployment run {made.full_name}",
    )
    ended = threading.Event()
    if wanted.poll_seconds:
        from flows.new_data import watch

        arguments = (order, deployment_id, wanted.poll_seconds, ended)
        threading.Thread(target=watch, args=arguments, name="faceloom-new-data", daemon=True).start()
    try:
        asyncio.run(runner.work())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
    finally:
        ended.set()
