"""A web server in a thread that behaves badly on command: one `Answer` for each request, honest ones after that."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Answer:
    """How one request is answered; the defaults are honest.

    Attributes:
        status: instead of 200 or 206.
        body: instead of the file.
        headers: more of them.
        announce: the Content-Length, where it is to be a lie; -1 leaves it out.
        cut_after: bytes after which the connection is closed.
        stall_after: bytes after which nothing more comes.
        drip_s: seconds between single bytes.
        ignore_range: give the whole file, whatever part was asked for.
        range_from: the first byte that Content-Range claims, where it is to be a lie.
        etag: the file's version; empty for none.
    """

    status: int = 0
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    announce: int | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    drip_s: float = 0.0
    ignore_range: bool = False
    range_from: int | None = None
    etag: str = '"1"'


@dataclass
class Site:
    """What is served.

    Attributes:
        url: the base address.
        files: path below it -> bytes.
        script: how the next requests are answered, in order.
        requests: (path, its Range header, its If-Range header) of every request.
    """

    url: str
    files: dict[str, bytes]
    script: list[Answer] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(files: dict[str, bytes]) -> Iterator[Site]:
    """Serve `files` (path without its first slash -> bytes) on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    site = Site(f"http://127.0.0.1:{server.server_port}", files)
    server.site = site  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        site: Site = self.server.site  # type: ignore[attr-defined]
        wanted, condition = self.headers.get("Range", ""), self.headers.get("If-Range", "")
        site.requests.append((self.path, wanted, condition))
        answer = site.script.pop(0) if site.script else Answer()
        whole = site.files.get(self.path.removeprefix("/")) if answer.body is None else answer.body
        if answer.status or whole is None:
            status, start, whole = answer.status or 404, 0, whole if answer.body is not None else b"no\n"
        else:
            use_range = wanted and not answer.ignore_range and condition in ("", answer.etag)
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if use_range else 0
            status = 206 if use_range else 200
            if use_range and start >= len(whole):
                status, start, whole = 416, 0, b""
        body = whole[start:]
        self.send_response(status)
        if status == 206:
            claimed = start if answer.range_from is None else answer.range_from
            self.send_header("Content-Range", f"bytes {claimed}-{len(whole) - 1}/{len(whole)}")
        if answer.etag:
            self.send_header("ETag", answer.etag)
        if answer.announce != -1:
            self.send_header("Content-Length", str(len(body) if answer.announce is None else answer.announce))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._send(body, answer, site)
        self.close_connection = True

    def _send(self, body: bytes, answer: Answer, site: Site) -> None:
        try:
            if answer.drip_s:
                for index in range(len(body)):
                    self.wfile.write(body[index : index + 1])
                    if site.closing.wait(answer.drip_s):
                        return
            elif answer.stall_after is not None:
                self.wfile.write(body[: answer.stall_after])
                self.wfile.flush()
                site.closing.wait(30)
            else:
                self.wfile.write(body[: answer.cut_after])
        except OSError:  # the other side has lost its patience
            pass

    def log_message(self, format: str, *args: object) -> None:
        pass
