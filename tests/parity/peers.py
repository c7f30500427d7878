"""What other tools make of a feature set. Imports them: run by `make parity` alone."""

from __future__ import annotations

import contextlib
import importlib.metadata
import io

import numpy as np
import torch
from prdc import compute_prdc
from scipy import linalg
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from tests.parity.feature_sets import SUBSETS, Doubles, Pair

PACKAGES = ("torch-fidelity", "prdc", "scipy", "torch", "numpy", "scikit-learn")


def versions() -> dict[str, str]:
    """Return what the values depend on: package -> version."""
    return {name: importlib.metadata.version(name) for name in PACKAGES}


def values(pair: Pair, subset_size: int) -> dict[str, dict[str, float]]:
    """Return measure -> tool -> value. All tools are given float64."""
    real, fake, logits = (torch.from_numpy(values) for values in pair)
    fid = fid_statistics_to_metric(*(fid_features_to_statistics(each) for each in (fake, real)), verbose=False)
    kid = kid_features_to_metric(fake, real, kid_subsets=SUBSETS, kid_subset_size=subset_size, verbose=False)
    isc = isc_features_to_metric(logits)
    prc = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    with contextlib.redirect_stdout(io.StringIO()):
        prdc = {k: compute_prdc(pair.real, pair.fake, k) for k in (3, 5)}
    return {
        "frechet": {"torch-fidelity": fid["frechet_inception_distance"], "scipy": _scipy_distance(*pair[:2])},
        "kernel": {"torch-fidelity": kid["kernel_inception_distance_mean"]},
        "kernel deviation": {"torch-fidelity": kid["kernel_inception_distance_std"]},
        "inception score": {"torch-fidelity": isc["inception_score_mean"]},
        "inception score deviation": {"torch-fidelity": isc["inception_score_std"]},
        "precision": {"torch-fidelity": prc["precision"], "prdc": float(prdc[3]["precision"])},
        "recall": {"torch-fidelity": prc["recall"], "prdc": float(prdc[3]["recall"])},
        "density": {"prdc": float(prdc[5]["density"])},
        "coverage": {"prdc": float(prdc[5]["coverage"])},
        "authenticity": {"definition": _authenticity(pair.real, pair.fake)},
    }


def _scipy_distance(real: Doubles, fake: Doubles) -> float:
    """Return the Frechet distance as pytorch-fid and clean-fid compute it: by the matrix root."""
    a, b = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    step = real.mean(axis=0) - fake.mean(axis=0)
    return float(step @ step + np.trace(a) + np.trace(b) - 2.0 * np.trace(linalg.sqrtm(a @ b).real))


def _authenticity(real: Doubles, fake: Doubles) -> float:
    """Return AuthPct / 100 by its definition, one generated vector after the other."""
    own = []
    for i, vector in enumerate(real):
        distances = np.linalg.norm(real - vector, axis=1)
        own.append(np.delete(distances, i).min())
    authentic = []
    for vector in fake:
        distances = np.linalg.norm(real - vector, axis=1)
        authentic.append(own[int(distances.argmin())] < distances.min())
    return float(np.mean(authentic))
