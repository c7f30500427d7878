"""Reports over HTTP, read-only: browsers open no file:// link from a page of http://, and so not from Prefect's UI.

Of the data root it gives `runs/index.html` and the files of `runs/<run>/report/`, under the same relative addresses,
and nothing else.
"""

from __future__ import annotations

import contextlib
import mimetypes
import os
import socket
import threading
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from gan_core.errors import ConfigError

ADDRESS = "FACELOOM_REPORTS_URL"
_INDEX = "index.html"
_EVERYWHERE = ("0.0.0.0", "::", "")


def report_address(run: str, page: str) -> str:
    """Return the address of a page of a run's report, empty where nobody has said that reports are served.

    FACELOOM_REPORTS_URL is where `<data root>/runs` is: by `faceloom serve`, or a web server or bucket of the user's.
    """
    base = os.environ.get(ADDRESS, "")
    if not base.startswith(("http://", "https://")):
        return ""
    return f"{base.rstrip('/')}/{quote(run)}/report/{quote(page)}"


def find(runs: Path, asked: str) -> Path | None:
    """Return the file that a request asks for, None where there is none or it may not be given.

    Nothing is given through a link, wherever it leads, except that `runs` itself may be one.

    Args:
        runs: `<data root>/runs`.
        asked: the target of the request, such as "/smoke-0123456789ab/report/index.html?x".
    """
    try:
        names = [name for name in unquote(urlsplit(asked).path, errors="strict").split("/") if name] or [_INDEX]
        if names != [_INDEX] and (len(names) < 3 or names[1] != "report"):
            return None
        if any(name.startswith(".") or "\\" in name for name in names):
            return None
        wanted = runs.resolve().joinpath(*names)
        return wanted if wanted.resolve() == wanted and wanted.is_file() else None
    except (OSError, ValueError):  # a name too long, a NUL, no UTF-8
        return None


@contextlib.contextmanager
def reports_server(data_root: Path, host: str, port: int) -> Iterator[str]:
    """Serve the reports of a data root in a thread, and yield their address.

    Args:
        data_root: where runs/ lies; it need not be there yet.
        host: what it listens on. Where that is every address of the machine, links have the machine's name.
        port: in [1, 65535]; 0 for a free one.

    Raises:
        ConfigError: the port cannot be used.
    """
    try:
        server = ThreadingHTTPServer((host, port), partial(_Handler, data_root / "runs"))
    except OSError as error:
        raise ConfigError(
            f"--reports-port {port} of {host} cannot be used ({error.strerror}); name a free one with --reports-port"
        ) from None
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="faceloom-reports", daemon=True).start()
    try:
        yield f"http://{socket.gethostname() if host in _EVERYWHERE else host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; http.server answers all else with 501."""

    timeout = 60  # seconds for a whole request

    def __init__(self, runs: Path, *arguments: Any) -> None:
        self._runs = runs
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Send a file, or 404."""
        found = find(self._runs, self.path)
        try:
            body = found.read_bytes() if found else None
        except OSError:
            body = None  # a report that is being replaced
        if found is None or body is None:
            self.send_error(HTTPStatus.NOT_FOUND, "there is no such report")
            return
        kind = mimetypes.guess_type(found.name)[0] or "application/octet-stream"
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", f"{kind}; charset=utf-8" if kind.startswith("text/") else kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Send what GET would, without the file."""
        self.do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal belongs to the runs."""
