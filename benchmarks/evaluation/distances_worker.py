"""Runs one measure of one tool on random features, and prints what it took as JSON; `distances.py` starts it.

In a Python with the tool: faceloom's needs NumPy alone, so that both can be run by the peers' own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Singles = npt.NDArray[np.float32]
Prepared = Callable[[], Any]  # what is timed; all before it is not


def features(seed: int, count: int, dimensions: int) -> Singles:
    """Return features as Inception's are: not negative, half of them 0, of falling deviations."""
    drawn = np.random.default_rng(seed).standard_normal((count, dimensions), dtype=np.float32)
    drawn *= (np.arange(1, dimensions + 1) ** -0.3).astype(np.float32)
    return np.maximum(drawn, 0.0, out=drawn)


def faceloom(task: str, real: Singles, fake: Singles) -> Prepared:
    """Return what is timed of faceloom."""
    moments = importlib.import_module("gan_core.measures.moments")
    frechet = importlib.import_module("gan_core.measures.frechet")
    if task == "covariance":
        return lambda: moments.moments_of(fake)
    if task == "frechet":
        a, b = moments.moments_of(real), moments.moments_of(fake)
        return lambda: frechet.FrechetReference(a).distance(b)
    if task == "frechet with error":
        reference = frechet.FrechetReference(moments.moments_of(real))
        return lambda: reference.estimate(fake).value
    if task == "kernel":
        kernel = importlib.import_module("gan_core.measures.kernel")
        return lambda: kernel.kernel_distance(real, fake).value
    neighbours = importlib.import_module("gan_core.measures.neighbours")
    repeats = 20 if task == "neighbours with errors" else 0
    return lambda: neighbours.compare(neighbours.Manifold(real), fake, repeats=repeats).precision.value


def torch_fidelity(task: str, real: Singles, fake: Singles) -> Prepared:
    """Return what is timed of torch-fidelity."""
    torch = importlib.import_module("torch")
    a, b = torch.from_numpy(fake), torch.from_numpy(real)
    if task in ("covariance", "frechet"):
        fid = importlib.import_module("torch_fidelity.metric_fid")
        if task == "covariance":
            return lambda: fid.fid_features_to_statistics(a)
        statistics = [fid.fid_features_to_statistics(each) for each in (a, b)]
        return lambda: fid.fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    if task == "kernel":
        kid = importlib.import_module("torch_fidelity.metric_kid")
        return lambda: kid.kid_features_to_metric(a, b, verbose=False)["kernel_inception_distance_mean"]
    prc = importlib.import_module("torch_fidelity.metric_prc")
    return lambda: prc.prc_features_to_metric(a, b, save_cpu_ram=True, verbose=False)["precision"]


def prdc(task: str, real: Singles, fake: Singles) -> Prepared:
    """Return what is timed of prdc: precision, recall, density and coverage at k = 3."""
    compute = importlib.import_module("prdc").compute_prdc
    return lambda: compute(real, fake, 3)["precision"]


TOOLS = {"faceloom": faceloom, "torch-fidelity": torch_fidelity, "prdc": prdc}


def main() -> None:
    """Read tool, task, count, dimensions and the limit of memory in GiB; print seconds, MiB before and at most, value."""
    tool, task, count, dimensions, limit_gib = sys.argv[1:]
    limit = int(float(limit_gib) * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    real, fake = (features(seed, int(count), int(dimensions)) for seed in (1, 2))
    with contextlib.redirect_stdout(sys.stderr):
        timed = TOOLS[tool](task, real, fake)
        before = _peak_mib()
        start = time.perf_counter()
        value = timed()
        seconds = time.perf_counter() - start
    found = {"seconds": seconds, "before_mib": before, "peak_mib": _peak_mib(), "threads": os.cpu_count()}
    found["value"] = float(value) if isinstance(value, float | np.floating) else None
    sys.stdout.write(json.dumps(found) + "\n")


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
