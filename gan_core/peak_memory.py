"""How much memory a process has taken at most: the cost that stages.jsonl notes."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_KIB, _MIB = 1024, 1024**2


def peak_memory() -> dict[str, float]:
    """Return what this process has taken at most since it began, MiB.

    Returns:
        `peak_memory_mib`: resident memory of this process, or of the largest child that has ended where that was more;
        not their sum, which the system does not keep. `device_peak_memory_mib`: on GPUs, as TensorFlow allocated it,
        of the fullest one; absent without one, and where TensorFlow was not loaded.
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    figures = {"peak_memory_mib": round(max(_own_bytes(), _bytes(children)) / _MIB, 1)}
    device = _device_bytes()
    return figures if device is None else {**figures, "device_peak_memory_mib": round(device / _MIB, 1)}


def _own_bytes() -> int:
    # Not ru_maxrss where there is better: on Linux a child begins with what its parent had when it was started.
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * _KIB
    except (OSError, ValueError, IndexError):
        pass
    return _bytes(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _bytes(maxrss: int) -> int:
    return maxrss if sys.platform == "darwin" else maxrss * _KIB


def _device_bytes() -> int | None:
    # A stage that had nothing to do has not loaded TensorFlow, and this shall not either.
    if (tensorflow := sys.modules.get("tensorflow")) is None:
        return None
    gpus = [gpu.name.removeprefix("/device:") for gpu in tensorflow.config.list_logical_devices("GPU")]
    return max((int(tensorflow.config.experimental.get_memory_info(gpu)["peak"]) for gpu in gpus), default=None)
