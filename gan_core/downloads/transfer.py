"""One attempt to get one file over HTTP: it goes on where the last attempt ended, and never waits for ever."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from urllib.request import Request

from gan_core.downloads.part import Part
from gan_core.downloads.web import TransferFailed, answer, described, open_url, shown

_BLOCK_BYTES = 1 << 16
_MAX_ANNOUNCED_BYTES = 2 << 30


def transfer(
    url: str,
    part: Part,
    size_bytes: int | None,
    *,
    timeout_s: float,
    min_bytes_per_s: float,
    report: Callable[[int], None],
) -> bool:
    """Complete `part` with what `url` gives.

    Args:
        url: http or https, also after redirects.
        part: what is here already stays, where the server can go on and says that its file is the same.
        size_bytes: of the whole file, at least 1; None takes what the server announces, up to 2 GiB.
        timeout_s: for the connection, and for every wait for the next bytes.
        min_bytes_per_s: a server that is slower over `timeout_s` seconds is taken as stalled.
        report: called with the bytes that are here, now and then.

    Returns:
        Whether bytes of an earlier attempt are part of it.

    Raises:
        TransferFailed: what came is kept where it can be of use.
        ArtifactError: the disk is full or cannot be written.
    """
    offset = part.size_bytes
    if size_bytes is not None and offset > size_bytes:
        part.discard()
        offset = 0
    with _asked(url, part, offset, timeout_s) as response:
        if response.status == HTTPStatus.OK:
            offset = 0
        elif response.status != HTTPStatus.PARTIAL_CONTENT:
            raise TransferFailed(answer(response.status), final=True)
        if size_bytes is None:
            size_bytes = _announced_bytes(response.headers, offset)
        if response.status == HTTPStatus.PARTIAL_CONTENT:
            _check_range(response.headers, part, offset, size_bytes)
        announced = response.headers.get("Content-Length")
        if announced is not None and announced != str(size_bytes - offset):
            raise TransferFailed(
                f"announces {announced[:20]} bytes where {size_bytes - offset} are missing; that is another file",
                final=True,
            )
        received = _append(response, url, part, offset, size_bytes, timeout_s, min_bytes_per_s, report)
    if received < size_bytes:
        raise TransferFailed(f"stopped after {received} of {size_bytes} bytes")
    return offset > 0


def _asked(url: str, part: Part, offset: int, timeout_s: float) -> Any:
    headers = {"User-Agent": "faceloom", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        version = part.version(shown(url))
        if version:
            headers["If-Range"] = version
    try:
        return open_url(Request(url, headers=headers), timeout_s)
    except TransferFailed as failed:
        if failed.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            part.discard()
        raise


def _announced_bytes(headers: Mapping[str, str], offset: int) -> int:
    """Return the size of the whole file as the server tells it."""
    announced = headers.get("Content-Length", "")
    if not announced.isdecimal() or not 0 < int(announced) + offset <= _MAX_ANNOUNCED_BYTES:
        raise TransferFailed(f"does not say that its file has 1 to {_MAX_ANNOUNCED_BYTES} bytes", final=True)
    return int(announced) + offset


def _check_range(headers: Mapping[str, str], part: Part, offset: int, size_bytes: int) -> None:
    """Raise TransferFailed where the server gives another range than the missing one."""
    found = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("Content-Range", ""))
    if found is None or int(found[1]) != offset:
        part.discard()
        raise TransferFailed("goes on at another byte than asked for")
    if found[3] not in ("*", str(size_bytes)):
        raise TransferFailed(f"has a file of {found[3][:20]} bytes, not of {size_bytes}", final=True)


def _version(headers: Mapping[str, str]) -> str:
    """Return what If-Range may compare: a strong ETag, or a date (RFC 9110, section 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _append(
    response: Any,
    url: str,
    part: Part,
    offset: int,
    size_bytes: int,
    timeout_s: float,
    min_bytes_per_s: float,
    report: Callable[[int], None],
) -> int:
    """Write what comes behind the first `offset` bytes of the part; return how many it has then."""
    received, since, seen = offset, time.monotonic(), offset
    with part.open_at(offset, shown(url), _version(response.headers)) as write:
        try:
            # read1 returns what one packet brought; read would wait for a whole block, however slowly bytes come.
            # Nothing is asked for behind the announced end: some servers do not close the connection.
            while block := response.read1(min(_BLOCK_BYTES, size_bytes - received)):
                write(block)
                received += len(block)
                report(received)
                if received == size_bytes:
                    break
                waited_s = time.monotonic() - since
                if waited_s > timeout_s:
                    if received - seen < min_bytes_per_s * waited_s:
                        raise TransferFailed(f"stalled: {received - seen} bytes in {waited_s:.0f} s")
                    since, seen = time.monotonic(), received
        except (OSError, http.client.HTTPException) as error:
            raise TransferFailed(f"broke off after {received} of {size_bytes} bytes ({described(error)})") from None
    return received
