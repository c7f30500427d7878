"""Opening an address: http and https only, redirects included, and failures in words that hold no secret."""

from __future__ import annotations

import http.client
import ssl
import urllib.request
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request

from gan_core.errors import ConfigError

_SCHEMES = ("http", "https")
_FOLDER = "their folder with --source"
_LATER = frozenset({408, 416, 425, 429})  # of the 4xx, those that another try may end otherwise


class TransferFailed(Exception):
    """The attempt failed.

    Attributes:
        final: the same address would fail the same way.
        retry_after_s: how long the server asks to be left alone, 0 where it does not say.
        status: of the HTTP answer, 0 where there was none.
    """

    def __init__(self, text: str, *, final: bool = False, retry_after_s: float = 0.0, status: int = 0) -> None:
        super().__init__(text)
        self.status = status
        self.final = final
        self.retry_after_s = retry_after_s


def shown(url: str) -> str:
    """Return the address without user, password, query and fragment: for messages and notes."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def check_address(url: str, option: str = "data.mirrors", instead: str = _FOLDER) -> str:
    """Return an address without its last slash. `option` is where a user wrote it, `instead` what else to write.

    Raises:
        ConfigError: it is no plain http or https address. Its text is not repeated: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in _SCHEMES:
        raise ConfigError(f"{option} must have addresses such as https://host/folder, and one of them is none")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            f"{option} must have addresses without user, password, ? and #, and that of '{host}' has one; "
            f"download the files yourself and name {instead}"
        )
    return url.rstrip("/")


def open_url(request: Request, timeout_s: float) -> Any:
    """Return the response to a request, its headers read; status 200 to 299.

    Raises:
        TransferFailed: nothing answers, or it answers with an error. `status` is the answer's, where there is one.
    """
    try:
        return _opener().open(request, timeout=timeout_s)
    except HTTPError as error:
        with error:
            wait_s = str(error.headers.get("Retry-After", ""))
            raise TransferFailed(
                answer(error.code),
                final=error.code < 500 and error.code not in _LATER,
                retry_after_s=float(wait_s) if wait_s.isdecimal() else 0.0,
                status=error.code,
            ) from None
    except URLError as error:
        untrusted = isinstance(error.reason, ssl.SSLCertVerificationError)
        raise TransferFailed(f"cannot be reached ({described(error.reason)})", final=untrusted) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise TransferFailed(f"does not answer as it should ({described(error)})") from None


def answer(status: int) -> str:
    """Return an HTTP status in words."""
    known = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return f"answers {status} {known}".rstrip()


def described(error: object) -> str:
    """Return an error in a few words; only the operating system's texts, others may repeat an address."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__ if isinstance(error, BaseException) else "no reason given"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects to http and https only, and to no address with a user or password in it."""

    def redirect_request(self, req: Request, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Request | None:
        parts = urlsplit(newurl)
        if parts.scheme not in _SCHEMES or parts.username is not None:
            fp.close()
            raise TransferFailed("redirects to what is no plain http or https address", final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    # Not build_opener(): its openers read file: and ftp: too.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener
