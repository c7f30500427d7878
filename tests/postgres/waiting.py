"""Waiting for conditions, never for a time."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

import httpx

T = TypeVar("T")

# The machine may have other work; what is broken is mostly broken at once.
WAIT_SECONDS = 300.0


def wait_for(what: str, found: Callable[[], T | None], seconds: float = WAIT_SECONDS) -> T:
    """Return the first true answer of `found`; a server that does not answer is a no. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, httpx.HTTPError):
            if answer := found():
                return answer
        time.sleep(0.2)
    raise TimeoutError(f"{what}: not within {seconds:g} s")
