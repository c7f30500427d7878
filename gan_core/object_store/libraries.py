"""What speaks to object stores: s3fs and gcsfs, imported when an address is used for the first time."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import logging
import os
from collections.abc import Callable
from typing import Any

from gan_core.errors import ConfigError
from gan_core.object_store.errors import store_errors


def _s3_options() -> dict[str, Any]:
    # With more than one, s3fs asks for the size of an object before it reads it, to fetch parts of it at once: two
    # requests for each picture. Pictures are fetched at once by threads.
    return {"max_concurrency": 1, "config_kwargs": {"connect_timeout": 10, "max_pool_connections": 32}}


def _gs_options() -> dict[str, Any]:
    # Else gcsfs asks a second service, by gRPC and for a minute where it does not answer, which kind of bucket it is.
    # Who has zonal buckets sets it to true.
    os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
    # An emulator takes everybody; to look for credentials takes seconds where there are none.
    return {"token": "anon"} if os.environ.get("STORAGE_EMULATOR_HOST") else {}


@dataclasses.dataclass(frozen=True)
class Library:
    """What speaks to a kind of store.

    Attributes:
        scheme: of its addresses.
        module: that must be installed.
        class_name: its file system.
        extra: of faceloom, which installs it.
        credentials: where it finds them, for messages.
        loggers: that are silenced: failures are told as errors, and logs repeat requests.
        options: returns more arguments for its constructor; nothing secret.
    """

    scheme: str
    module: str
    class_name: str
    extra: str
    credentials: str
    loggers: tuple[str, ...] = ()
    options: Callable[[], dict[str, Any]] = dict


S3 = Library(
    "s3",
    "s3fs",
    "S3FileSystem",
    "s3",
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    ("s3fs", "aiobotocore", "botocore"),
    _s3_options,
)

GS = Library(
    "gs", "gcsfs", "GCSFileSystem", "gcs", "GOOGLE_APPLICATION_CREDENTIALS", ("gcsfs", "google.auth"), _gs_options
)


@functools.cache
def file_system(library: Library) -> Any:
    """Return this process's file system for a kind of store; threads share it.

    Raises:
        ConfigError: the library is not installed.
    """
    options = library.options()  # before the import, which reads the environment
    try:
        module = importlib.import_module(library.module)
    except ImportError:
        raise ConfigError(f"{library.scheme}:// needs the extra: pip install 'faceloom[{library.extra}]'") from None
    for name in library.loggers:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with store_errors(f"{library.scheme}://", library.credentials):
        # fsspec's own cache keeps an instance for each thread, with connections of its own.
        return getattr(module, library.class_name)(use_listings_cache=False, skip_instance_cache=True, **options)
