"""Objects as they were listed: read by one request each, or found to be others by now."""

from __future__ import annotations

import errno
import importlib
import time
from typing import Any

from gan_core.object_store.errors import StoreTrouble
from gan_core.object_store.paths import StorePath


def read_version(folder: StorePath, name: str, version: str) -> bytes:
    """Return the bytes of the object `name` below a folder, by one request, if it is still the listed version.

    Args:
        folder: where it was listed.
        name: below the folder, by text: a path would take doubled slashes for one; to a store they are another name.
        version: `ObjectFacts.version` of the listing: ETag or generation.

    Raises:
        StoreMissing: it is not there; on Google also where it was replaced.
        StoreTrouble: with errno.ESTALE where it was replaced; or the store does not give it.
    """
    key = f"{folder.key}/{name}"
    with folder.errors():
        if folder.scheme == "s3":
            return _read_tagged(folder, key, version)
        return bytes(folder.files.cat_file(key, **({"generation": version} if folder.scheme == "gs" else {})))


def _read_tagged(folder: StorePath, key: str, tag: str) -> bytes:
    """As cat_file of s3fs, with its retries; it does not hand out the ETag, which comes along with the bytes.

    If-Match would not do: some stores do not know it, and where a store has no ETag for an object it fails.
    """
    files = folder.files
    bucket, name, _ = files.split_path(key)
    passing = importlib.import_module("s3fs.core").S3_RETRYABLE_ERRORS
    sync = importlib.import_module("fsspec.asyn").sync
    for attempt in range(files.retries):
        answer = files.call_s3("get_object", Bucket=bucket, Key=name)
        try:
            data: bytes | None = sync(files.loop, _take, answer, tag)
        except passing:
            if attempt + 1 == files.retries:
                raise
            time.sleep(0.1 * 1.7**attempt)
            continue
        if data is None:
            break
        return data
    raise StoreTrouble(errno.ESTALE, "it was replaced after the listing", str(folder))


async def _take(answer: dict[str, Any], tag: str) -> bytes | None:
    """Return the bytes of an answer of S3, or None where they are those of another version."""
    body, found = answer["Body"], answer.get("ETag")
    try:
        return bytes(await body.read()) if not found or _bare(found) == _bare(tag) else None
    finally:
        body.close()


def _bare(tag: str) -> str:
    return tag.removeprefix("W/").strip('"')  # stores differ in what they put around it
