"""What a training says of itself beside its losses: learning rates, loss scales, memory, and who it is."""

from __future__ import annotations

import os
import platform
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from gan_core import artifacts
from gan_core.gan import Gan

PROCESS_FILE = "training.json"
_MIB = 1024**2


def of_gan(gan: Gan) -> dict[str, float]:
    """Return the strength of the augmentation where it follows the discriminator, and what both optimizers say."""
    strength = {"augment_strength": float(gan.strength.numpy())} if gan.is_adaptive else {}
    return strength | of_optimizer("g", gan.optimizer_g) | of_optimizer("d", gan.optimizer_d)


def of_optimizer(owner: str, optimizer: keras.optimizers.Optimizer) -> dict[str, float]:
    """Return `learning_rate_<owner>` as it is now and, under loss scaling, `loss_scale_<owner>`."""
    figures = {f"learning_rate_{owner}": float(getattr(optimizer, "inner_optimizer", optimizer).learning_rate.numpy())}
    scale = getattr(optimizer, "dynamic_scale", None)
    return figures if scale is None else {**figures, f"loss_scale_{owner}": float(scale.numpy())}


def memory() -> dict[str, float]:
    """Return `memory_mib` now and `memory_peak_mib` since the start: the GPU's, as TensorFlow allocated it.

    Of several GPUs that of the fullest; without one, the resident memory of this process.
    """
    gpus = [gpu.name.removeprefix("/device:") for gpu in tf.config.list_logical_devices("GPU")]
    if not gpus:
        return {"memory_mib": _resident_mib(), "memory_peak_mib": _resident_peak_mib()}
    used = [tf.config.experimental.get_memory_info(gpu) for gpu in gpus]
    names = {"memory_mib": "current", "memory_peak_mib": "peak"}
    return {name: round(max(one[key] for one in used) / _MIB, 1) for name, key in names.items()}


def note_process(run_dir: Path, device: str, precision: str) -> None:
    """Write `training.json`: which process trains the run, on what, and since when (UTC)."""
    facts: dict[str, Any] = {
        "device": device,
        "precision": precision,
        "host": platform.node(),
        "pid": os.getpid(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    artifacts.write_json(run_dir / PROCESS_FILE, facts)


def _resident_mib() -> float:
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):  # not Linux: what it was at most
        return _resident_peak_mib()
    return round(pages * os.sysconf("SC_PAGE_SIZE") / _MIB, 1)


def _resident_peak_mib() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / _MIB if sys.platform == "darwin" else peak / 1024, 1)
