from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from gan_core.free_memory import gpu_free_bytes, host_free_bytes


def write(root: Path, files: dict[str, str]) -> Path:
    """Write files below a root, and return it."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


MEMINFO = {"proc/meminfo": "MemTotal:  9000 kB\nMemFree:  100 kB\nMemAvailable:  5000 kB\n"}


def group(folder: str, limit: str, usage: int, cache: int) -> dict[str, str]:
    """Return the files of a control group, version 2."""
    files = {
        "memory.max": f"{limit}\n",
        "memory.current": f"{usage}\n",
        "memory.stat": f"anon 1\ninactive_file {cache}\n",
    }
    return {f"sys/fs/cgroup/{folder}{name}": text for name, text in files.items()}


def test_without_groups_it_is_what_linux_calls_available(tmp_path: Path) -> None:
    """MemAvailable, in KiB, and not MemFree."""
    assert host_free_bytes(write(tmp_path, MEMINFO)) == 5000 * 1024


def test_the_narrowest_group_counts(tmp_path: Path) -> None:
    """Limits of the process's group and of those above it; file cache that can go is free; "max" is no limit."""
    own = {"proc/self/cgroup": "0::/pod/box\n"}
    root = write(tmp_path, MEMINFO | own | group("pod/", "100000", 70000, 5000) | group("pod/box/", "max", 7, 7))
    assert host_free_bytes(root) == 35000
    write(tmp_path, group("pod/box/", "90000", 60001, 1))
    assert host_free_bytes(root) == 30000
    write(tmp_path, group("", "80000", 79999, 0))
    assert host_free_bytes(root) == 1


def test_a_group_beyond_its_limit_leaves_nothing(tmp_path: Path) -> None:
    """What is free is never negative."""
    own = {"proc/self/cgroup": "0::/\n"}
    assert host_free_bytes(write(tmp_path, MEMINFO | own | group("", "10", 20, 0))) == 0


def test_a_container_of_the_first_version_is_asked_at_the_top(tmp_path: Path) -> None:
    """It is told a path that exists only outside; its own limit stands at the top."""
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "4000",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "3000",
        "sys/fs/cgroup/memory/memory.stat": "total_inactive_file 500",
    }
    assert host_free_bytes(write(tmp_path, MEMINFO | files)) == 1500


def test_without_proc_it_is_all_there_is(tmp_path: Path) -> None:
    """Where nothing tells what is free, the size of the memory bounds it."""
    free = host_free_bytes(tmp_path)
    here = host_free_bytes()
    assert free is not None
    assert here is not None
    assert free >= here > 0


class FakeDriver:
    """CUDA's driver with one GPU, where one function may fail; it notes what it was asked."""

    def __init__(self, failing: str = "") -> None:
        self.failing, self.called = failing, []  # type: str, list[str]

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> int:
            self.called.append(name)
            if name == self.failing:
                return 2
            if name == "cuMemGetInfo_v2":
                for argument, value in zip(arguments, (123, 456), strict=True):
                    ctypes.cast(argument, ctypes.POINTER(ctypes.c_size_t))[0] = value
            return 0

        return function


def test_a_gpu_is_asked_through_its_driver() -> None:
    """The free bytes of the first GPU; the context is given back."""
    driver = FakeDriver()
    assert gpu_free_bytes(driver) == 123
    assert driver.called[-2:] == ["cuCtxPopCurrent_v2", "cuDevicePrimaryCtxRelease_v2"]


@pytest.mark.parametrize(
    "failing", ["cuInit", "cuDeviceGet", "cuDevicePrimaryCtxRetain", "cuCtxPushCurrent_v2", "cuMemGetInfo_v2"]
)
def test_a_gpu_that_does_not_answer_is_unknown(failing: str) -> None:
    """Whatever fails, the figure is unknown, and what was taken is given back."""
    driver = FakeDriver(failing)
    assert gpu_free_bytes(driver) is None
    took = failing in ("cuCtxPushCurrent_v2", "cuMemGetInfo_v2")
    assert ("cuDevicePrimaryCtxRelease_v2" in driver.called) == took


def test_a_machine_without_a_driver_has_no_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    """No library of the driver, no answer, no error."""

    def missing(_: str) -> None:
        raise OSError("no such file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert gpu_free_bytes() is None
