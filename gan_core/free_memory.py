"""How much memory is free: of the machine within its control groups, and of a GPU. Without TensorFlow."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_CUDA = "libcuda.so.1"


def host_free_bytes(root: Path = Path("/")) -> int | None:
    """Return what this process may still take without swapping, or None where nothing says it.

    The least of MemAvailable (Linux counts caches that it can drop) and, for the control group of this process and all
    above it, limit - usage + file cache that was not used lately. Containers are such groups. Without /proc: all the
    memory there is.

    Args:
        root: where /proc and /sys are.
    """
    found = [*_available(root), *_left_in_groups(root)]
    if found:
        return max(0, min(found))
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def gpu_free_bytes(cuda: Any = None) -> int | None:
    """Return the free memory of the first GPU that CUDA shows, as its driver counts it, or None where none answers.

    CUDA_VISIBLE_DEVICES holds here as for TensorFlow, and the context is the one that TensorFlow uses. What this
    process has taken already is not free.

    Args:
        cuda: the driver's library; None loads it.
    """
    if cuda is None:
        try:
            cuda = ctypes.CDLL(_CUDA)
        except OSError:
            return None
    device, context = ctypes.c_int(), ctypes.c_void_p()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    if cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0):
        return None
    if cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device):
        return None
    try:
        if cuda.cuCtxPushCurrent_v2(context):
            return None
        failed = cuda.cuMemGetInfo_v2(ctypes.byref(free), ctypes.byref(total))
        cuda.cuCtxPopCurrent_v2(ctypes.byref(context))
        return None if failed else int(free.value)
    finally:
        cuda.cuDevicePrimaryCtxRelease_v2(device)


def _available(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/meminfo").splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            yield int(value.split()[0]) * 1024


def _left_in_groups(root: Path) -> Iterator[int]:
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            top, names = root / "sys/fs/cgroup", ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            top = root / "sys/fs/cgroup/memory"
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        # A container may be told the path outside of it: what is not here is passed over, the top is always asked.
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield from _left(folder, *names)


def _left(folder: Path, limit_name: str, usage_name: str, cache_name: str) -> Iterator[int]:
    limit, usage = _text(folder / limit_name).strip(), _text(folder / usage_name).strip()
    if not (limit.isdecimal() and usage.isdecimal()):  # "max", or not there
        return
    fields = dict(line.split() for line in _text(folder / "memory.stat").splitlines())
    yield int(limit) - int(usage) + int(fields.get(cache_name, 0))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""
