"""Where things lie: folders of this machine, and addresses such as s3://bucket/faces.

Local paths stay `pathlib.Path`. An address becomes a `StorePath`, which does what a `Path` does as far as faceloom asks
for it, and is handed around as one.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import cast

from gan_core.errors import ConfigError
from gan_core.object_store.paths import GsPath, S3Path, StorePath

DEFAULT_DATA_ROOT = Path("data")

SCHEMES: dict[str, type[StorePath]] = {"s3": S3Path, "gs": GsPath}

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def is_address(text: str) -> bool:
    """Whether a text names a place by scheme, such as s3://bucket, instead of a path of this machine."""
    return "://" in text


def path_of(text: str) -> Path:
    """Return the place that a text names: a `Path`, or a `StorePath` for an address.

    Nothing is looked up, and no library of an object store is imported.

    Raises:
        ConfigError: another scheme, no bucket, or credentials in the address. Its text is not repeated: it may hold a
            password.
    """
    if not is_address(text):
        return Path(text)
    scheme, _, rest = text.partition("://")
    known = ", ".join(f"{name}://" for name in SCHEMES)
    if scheme not in SCHEMES:
        shown = f"{scheme}://" if scheme.isalnum() else "this address"
        raise ConfigError(f"{shown} cannot be read; addresses start with one of {known}")
    bucket = rest.partition("/")[0]
    if "@" in bucket or ":" in bucket:
        raise ConfigError(
            f"an address must not hold credentials, and that with {scheme}:// does; leave them out and set "
            f"{SCHEMES[scheme].library.credentials}"
        )
    if not _BUCKET.fullmatch(bucket):
        raise ConfigError(f"an address looks like {scheme}://bucket/folder, and this one names no bucket")
    return cast(Path, SCHEMES[scheme](f"/{rest}"))


def is_remote(path: PurePath) -> bool:
    """Whether a place lies on an object store."""
    return isinstance(path, StorePath)


def local_root(data_root: Path) -> Path:
    """Return where raw/, logs and the like belong: the data root, and ./data where that is on an object store."""
    return DEFAULT_DATA_ROOT if is_remote(data_root) else data_root
