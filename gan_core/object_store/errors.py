"""What object stores and their libraries complain about, as errors that callers of a file system know.

No text of a library or a server gets through: only what it was about, in words of ours, and codes. Texts may repeat an
address with a password, or a signed request.
"""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from typing import Any

from gan_core.errors import ArtifactError

_LIBRARIES = frozenset(
    {"aiobotocore", "aiohttp", "botocore", "fsspec", "gcsfs", "google", "requests", "s3fs", "urllib3"}
)
_REFUSED = frozenset(
    {"401", "403", "AccessDenied", "ExpiredToken", "Forbidden", "InvalidAccessKeyId", "InvalidToken"}
    | {"SignatureDoesNotMatch", "Unauthorized"}
)
_NO_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName"})
_MISSING = frozenset({"404", "NoSuchKey", "NotFound"}) | _NO_BUCKET
_CHANGED = frozenset({"412", "PreconditionFailed"})
_NO_CREDENTIALS = frozenset(
    {"CredentialRetrievalError", "DefaultCredentialsError", "NoCredentialsError", "PartialCredentialsError"}
    | {"ProfileNotFound", "RefreshError", "TokenRetrievalError", "UnauthorizedSSOTokenError"}
)
_UNREACHABLE = ("Connect", "HTTPClient", "Timeout", "SSL", "Proxy", "Payload", "Disconnected")
_CODE = re.compile(r"[A-Za-z0-9]{1,40}")


class StoreTrouble(ArtifactError, OSError):
    """An object store does not do what was asked.

    An OSError, for code that reads files wherever they lie; and an error with a message for the user, for everything
    that has no better one.
    """

    def __str__(self) -> str:
        return f"{self.filename}: {self.strerror}"


class StoreMissing(StoreTrouble, FileNotFoundError):
    """There is no such object or bucket."""


class StoreRefused(StoreTrouble, PermissionError):
    """There are no credentials, or they do not allow it."""


class StoreUnreachable(StoreTrouble, ConnectionError):
    """Nothing answers."""


@contextlib.contextmanager
def store_errors(address: object, credentials: str) -> Iterator[None]:
    """Turn what a library raises in the block into a StoreTrouble.

    Args:
        address: what is worked on; it holds no credentials.
        credentials: where they come from, for the message.
    """
    try:
        yield
    except StoreTrouble:
        raise
    except Exception as error:
        if not _is_of_a_store(error):
            raise
        raise _described(error, str(address), credentials) from None


def _is_of_a_store(error: Exception) -> bool:
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in _LIBRARIES


def _described(error: Exception, address: str, credentials: str) -> StoreTrouble:
    name, code = type(error).__name__, _code(error)
    if name in _NO_CREDENTIALS:
        return StoreRefused(errno.EACCES, f"there are no usable credentials ({name}); set {credentials}", address)
    if code in _NO_BUCKET:
        return StoreMissing(errno.ENOENT, "there is no such bucket", address)
    if isinstance(error, FileNotFoundError) or code in _MISSING:
        return StoreMissing(errno.ENOENT, "there is no such object or bucket", address)
    if isinstance(error, PermissionError) or code in _REFUSED:
        reason = f"the store refuses it ({code or 'no permission'}); check {credentials}"
        return StoreRefused(errno.EACCES, reason, address)
    if name == "FileExpired" or code in _CHANGED:
        return StoreTrouble(errno.ESTALE, "it was replaced while it was read", address)
    if isinstance(error, ConnectionError | TimeoutError) or any(word in name for word in _UNREACHABLE):
        return StoreUnreachable(errno.EHOSTUNREACH, f"the store cannot be reached ({name}); try again later", address)
    return StoreTrouble(errno.EIO, f"the store failed ({code or name}); try again later", address)


def _code(error: Exception) -> str:
    """Return the code of the server's answer: that of a botocore error behind an OSError of s3fs, or gcsfs's own."""
    response: Any = getattr(error.__cause__ or error, "response", None)
    found = response.get("Error", {}).get("Code", "") if isinstance(response, dict) else getattr(error, "code", "")
    return str(found) if _CODE.fullmatch(str(found)) else ""
