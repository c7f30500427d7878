"""`faceloom doctor`: what this machine has, what it lacks, what for, and how to get it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan_core import artifacts, lineage
from gan_core.advice import bf16_of, cpu_flags
from gan_core.errors import ConfigError
from gan_core.object_store.objects import check_bucket
from gan_core.paths import SCHEMES, is_remote, local_root

IMPORT_SECONDS = 180.0
_GIB = 1024**3
_NEEDED_DISK_GIB, _NEEDED_MEMORY_GIB = 2.0, 3.0
_PREFECT_FIX = "pip install 'prefect>=3.8.8,<3.9' 'fastapi<0.155'"
_REINSTALL = "install faceloom again: make setup, or pip install faceloom"

_TENSORFLOW = """
import json, tensorflow as tf
gpus = tf.config.list_physical_devices("GPU")
names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
print(json.dumps({"version": tf.__version__, "gpus": names, "cuda": tf.test.is_built_with_cuda()}))
"""
_BEAM = "import json, apache_beam; print(json.dumps({'version': apache_beam.__version__}))"
# The server's modules as well: with a fastapi that is too new, only they fail.
_PREFECT = "import json, prefect, prefect.server.api.server; print(json.dumps({'version': prefect.__version__}))"


@dataclass(frozen=True)
class Check:
    """One finding: `state` is ok, warning (something optional lacks) or missing (the main job cannot run)."""

    name: str
    state: str
    detail: str
    fix: str = ""

    def to_json(self) -> dict[str, str]:
        """Return plain JSON types."""
        return asdict(self)


def examine(data_root: Path) -> list[Check]:
    """Look at everything; imports happen in processes of their own, at the same time."""
    with ThreadPoolExecutor() as pool:
        probes = {
            name: pool.submit(probe, code)
            for name, code in (("tf", _TENSORFLOW), ("beam", _BEAM), ("prefect", _PREFECT))
        }
        tensorflow, beam, prefect = (probes[name].result() for name in ("tf", "beam", "prefect"))
    return [
        Check("faceloom", "ok", lineage.versions().get("faceloom", "from a checkout, not installed")),
        _python(),
        _library("TensorFlow", "training", tensorflow),
        _gpu(tensorflow),
        processor(cpu_flags()),
        _library("Apache Beam", "prepare", beam),
        _library("Prefect", "run", prefect, _PREFECT_FIX),
        _java(),
        _ffmpeg(),
        object_stores(),
        _data_root(data_root),
        _disk(local_root(data_root)),
        _memory(),
    ]


def probe(code: str) -> dict[str, Any]:
    """Run Python code that prints one JSON line, in a process of its own; return it, or `error`."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=IMPORT_SECONDS,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"error": f"the import did not end within {IMPORT_SECONDS:g} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return dict(json.loads(lines[-1]))
    reasons = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return {"error": reasons[-1]}


def text_of(checks: Sequence[Check]) -> str:
    """Return a line a check, with the fix below where there is one, and the verdict."""
    lines = []
    for check in checks:
        lines.append(f"{check.state:<9}{check.name:<12}{check.detail}")
        if check.fix:
            lines.append(f"{'':<21}-> {check.fix}")
    verdict = "faceloom run can not work here" if exit_code(checks) else "faceloom run can work here"
    return "\n".join([*lines, "", verdict])


def exit_code(checks: Sequence[Check]) -> int:
    """Return 0 when the whole flow can run here, else 1."""
    return int(any(check.state == "missing" for check in checks))


def _python() -> Check:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Check("Python", "ok", f"{version} at {sys.executable}")
    return Check("Python", "missing", f"{version} at {sys.executable}", "use Python 3.11, 3.12 or 3.13")


def _library(name: str, purpose: str, found: dict[str, Any], fix: str = "") -> Check:
    if "error" in found:
        return Check(name, "missing", f"needed for {purpose}: {found['error']}", fix or _REINSTALL)
    return Check(name, "ok", str(found["version"]))


def _gpu(tensorflow: dict[str, Any]) -> Check:
    hardware = nvidia_gpus()
    if tensorflow.get("gpus"):
        return Check("GPU", "ok", ", ".join(hardware or tensorflow["gpus"]))
    if hardware and "error" not in tensorflow:
        fix = "pip install 'faceloom[gpu]'" if tensorflow.get("cuda") else "install a TensorFlow with CUDA"
        return Check(
            "GPU",
            "warning",
            f"{', '.join(hardware)}, but TensorFlow does not see it; training runs on the CPU",
            fix,
        )
    return Check("GPU", "warning", "none found; training runs on the CPU, which is enough for smoke and quickstart")


def nvidia_gpus() -> list[str]:
    """Return name and memory of each NVIDIA GPU that the driver knows; empty without a driver."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    query = [command, "--query-gpu=name,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()] if done.returncode == 0 else []


def processor(flags: frozenset[str]) -> Check:
    """Say whether the processor, by its features, computes with bfloat16."""
    bf16 = bf16_of(flags)
    told = f"bfloat16 ({bf16}): train.precision=mixed_bfloat16 may be faster" if bf16 else "no bfloat16 instructions"
    return Check("processor", "ok", f"{os.cpu_count()} cores, {told}")


def _java() -> Check:
    found = shutil.which("java")
    if found:
        return Check("Java", "ok", f"{found}; Beam can use Flink and Spark")
    return Check(
        "Java",
        "warning",
        "not found; only Beam's Flink and Spark runners need it",
        "install a Java runtime, 11 or newer",
    )


def _ffmpeg() -> Check:
    found = shutil.which("ffmpeg")
    if found:
        return Check("ffmpeg", "ok", f"{found}; a training also leaves training.mp4")
    return Check(
        "ffmpeg", "warning", "not found; a training leaves training.gif, no training.mp4", "install ffmpeg, any version"
    )


def object_stores() -> Check:
    """Say whether the libraries for s3:// and gs:// are installed."""
    extras = {kind.library.extra: kind.library.module for kind in SCHEMES.values()}
    lacking = [extra for extra, module in extras.items() if importlib.util.find_spec(module) is None]
    if not lacking:
        return Check("object store", "ok", f"{' and '.join(extras.values())} are installed, for s3:// and gs://")
    return Check(
        "object store",
        "warning",
        f"{' and '.join(extras[extra] for extra in lacking)} not installed; only addresses such as s3:// need it",
        f"pip install 'faceloom[{','.join(lacking)}]'",
    )


def _data_root(data_root: Path) -> Check:
    try:
        if is_remote(data_root):
            check_bucket(data_root, "--data-root")
            return Check("data root", "ok", f"{data_root} answers")
        if data_root.exists():
            artifacts.make_folder(data_root)
        elif not os.access(_existing(data_root), os.W_OK | os.X_OK):
            raise ConfigError(f"the folder {data_root} cannot be created below {_existing(data_root)}")
    except ConfigError as error:
        return Check("data root", "missing", str(error), "choose another with --data-root or FACELOOM_DATA_ROOT")
    return Check("data root", "ok", f"{data_root.absolute()} is writable")


def _disk(data_root: Path) -> Check:
    free = shutil.disk_usage(_existing(data_root)).free / _GIB
    if free >= _NEEDED_DISK_GIB:
        return Check("disk", "ok", f"{free:.1f} GiB free")
    return Check(
        "disk",
        "missing",
        f"{free:.1f} GiB free, {_NEEDED_DISK_GIB:g} needed",
        "make room, or choose another --data-root",
    )


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    if total >= _NEEDED_MEMORY_GIB:
        return Check("memory", "ok", f"{total:.1f} GiB")
    return Check("memory", "missing", f"{total:.1f} GiB, {_NEEDED_MEMORY_GIB:g} needed", "use a larger machine")


def _existing(path: Path) -> Path:
    """Return the nearest folder on the way up that exists."""
    return next(folder for folder in (path.absolute(), *path.absolute().parents) if folder.is_dir())
