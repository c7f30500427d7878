"""What s3fs makes of a server's answers when a picture is read; the server is a script."""

from __future__ import annotations

import contextlib
import importlib.util
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import pytest

from beam_jobs.pixels.decoding import Reject
from beam_jobs.places.store import Store
from gan_core.handoff import ImageRef
from gan_core.object_store.libraries import file_system
from gan_core.paths import path_of

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("s3fs") is None, reason="s3fs is not installed; make storage-test installs it"
)

DATA = b"0123456789"
REF = ImageRef("a//ä.png", stamp="10-abc")
GET = "GET /bucket/in/a//%C3%A4.png"


class Answer(NamedTuple):
    """What the server says once: a tag of "" is not sent, and of the body only `sent` bytes are."""

    tag: str = '"abc"'
    body: bytes = DATA
    sent: int | None = None
    status: int = 200


LISTING = Answer(
    body=b"<ListBucketResult><KeyCount>1</KeyCount><IsTruncated>false</IsTruncated><Contents><Key>in/b.png</Key>"
    b"<Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents></ListBucketResult>"
)
SLOW_DOWN = Answer(status=503, body=b"<Error><Code>SlowDown</Code><Message>secret</Message></Error>")
BROKEN = Answer(status=400, body=b"<Error><Code>InvalidRequest</Code><Message>secret</Message></Error>")


@contextlib.contextmanager
def answering(*answers: Answer) -> Iterator[list[str]]:
    """Run a server that gives these answers, one after the other; yield the lines of the requests it gets."""
    left, asked = list(answers), []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            answer = left.pop(0) if left else BROKEN
            self.send_response(answer.status)
            if answer.tag:
                self.send_header("ETag", answer.tag)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.sent])
            self.close_connection = True

        def do_HEAD(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, pytest.MonkeyPatch.context() as patched:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patched.setenv(name, "x")
        patched.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patched.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        file_system.cache_clear()
        try:
            yield asked
        finally:
            file_system.cache_clear()
            server.shutdown()
    assert left == []


def read() -> bytes:
    """Read a picture that was listed with 10 bytes and the tag abc."""
    return Store(path_of("s3://bucket/in")).read(REF)


@pytest.mark.parametrize("tag", ['"abc"', "abc", 'W/"abc"', ""], ids=["usual", "bare", "weak", "none"])
def test_a_picture_is_one_request(tag: str) -> None:
    """However the store writes the tag; where it tells none, nothing can be compared."""
    with answering(Answer(tag)) as asked:
        assert read() == DATA
    assert asked == [GET]


def test_another_tag_is_a_reject() -> None:
    """A picture of the same size with another tag was replaced; its bytes are not used, and nothing else is asked."""
    with answering(Answer('"abd"')) as asked, pytest.raises(Reject) as caught:
        read()
    assert (caught.value.reason, caught.value.detail) == ("changed", "it was replaced after the listing")
    assert asked == [GET]


def test_another_size_is_a_reject() -> None:
    """Where there is no tag, the size tells."""
    with answering(Answer("", DATA[1:])), pytest.raises(Reject) as caught:
        read()
    assert (caught.value.reason, caught.value.detail) == ("changed", "its size differs from the listing")


def test_what_passes_is_tried_again() -> None:
    """A server that is busy, and an answer that ends early, cost time; the tag is looked at each time."""
    with answering(SLOW_DOWN, Answer(sent=4), Answer(sent=0), Answer()) as asked:
        assert read() == DATA
    assert asked == [GET] * 4
    with answering(Answer(sent=4), Answer('"abd"')), pytest.raises(Reject) as caught:
        read()
    assert caught.value.reason == "changed"


def test_what_does_not_pass_is_told() -> None:
    """After five answers that end early, and at once where the server refuses, in words of ours."""
    with answering(*[Answer(sent=4)] * 5, LISTING) as asked, pytest.raises(Reject) as caught:
        read()
    assert (caught.value.reason, asked.count(GET), len(asked)) == ("unreadable", 5, 6)
    assert caught.value.detail == "the store cannot be reached (ClientPayloadError); try again later"
    with answering(BROKEN, LISTING) as asked, pytest.raises(Reject) as caught:
        read()
    assert (caught.value.reason, asked.count(GET), len(asked)) == ("unreadable", 1, 2)
    assert caught.value.detail == "the store failed (InvalidRequest); try again later"
