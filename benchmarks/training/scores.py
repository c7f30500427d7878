"""How far samples are from real faces that nobody trained on, by two distances that know nothing of each other.

`swd` has no weights: `gan_core.distances`, the mean over the levels. `faces` is the Fréchet distance between what a
face recognition network makes of the two sets (face_features.py), each taken as a normal distribution: Heusel et al.
2017, arXiv:1706.08500, with another network. It says whether these are faces, and as many different persons as there
are in the real set; the network was trained to overlook light, sharpness and background, so `swd` must speak for those.
Its numbers compare with no published FID.

The floor of a distance is that of as many pictures that were trained on: what a generator would get that shows them.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import ROOT
from benchmarks.training.pace import SAMPLES, Images
from gan_core.distances import sliced_wasserstein
from gan_core.similarity import ms_ssim_diversity

Features = npt.NDArray[np.float64]
DISTANCES = ("swd", "faces")


@dataclass(frozen=True)
class FaceNetwork:
    """A Python with dlib, and the weights."""

    python: str
    model: Path

    def features(self, pictures: Path, count: int, out: Path) -> Features:
        """Return float64 [count, 128] for the first pictures of a file."""
        command = [self.python, "-m", "benchmarks.training.face_features", "--model", str(self.model)]
        command += ["--pictures", str(pictures), "--count", str(count), "--out", str(out)]
        subprocess.run(command, check=True, cwd=ROOT)
        return np.asarray(np.load(out))


class Scorer:
    """Scores samples against the held-out faces; what concerns real pictures alone is kept in `OUT/faces`."""

    def __init__(self, out: Path, count: int, network: FaceNetwork) -> None:
        """`count` pictures of each set are compared. Raises SystemExit where there are fewer."""
        self.count, self._network, self._folder = count, network, out / "faces"
        self._real: Images = np.load(self._folder / "held_out.npy")[:count]
        self._trained: Images = np.load(self._folder / "train.npy")[:count]
        if min(len(self._real), len(self._trained)) < count:
            raise SystemExit(f"{count} samples need {count} faces held out, and there are {len(self._real)}")
        self._real_features = self._kept("held_out")
        self._floors = self._kept_floors()

    def score(self, folder: Path) -> dict[str, Any]:
        """Return value and floor of `swd`, `faces` and `ms_ssim` (the guard: how alike the samples are)."""
        samples: Images = np.load(folder / SAMPLES)["images"][: self.count]
        features = self._network.features(folder / SAMPLES, self.count, folder / "features.npy")
        values = {
            "swd": _swd(self._real, samples),
            "faces": frechet(self._real_features, features),
            "ms_ssim": ms_ssim_diversity(samples).mean,
        }
        return {name: {"value": value, "floor": self._floors[name]} for name, value in values.items()}

    def _kept_floors(self) -> dict[str, float]:
        path = self._folder / f"floors-{self.count}.json"
        if not path.exists():
            found = {
                "swd": _swd(self._real, self._trained),
                "faces": frechet(self._real_features, self._kept("train")),
                "ms_ssim": ms_ssim_diversity(self._real).mean,
            }
            path.write_text(json.dumps(found), encoding="utf-8")
        floors: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return floors

    def _kept(self, name: str) -> Features:
        path = self._folder / f"{name}-features-{self.count}.npy"
        if path.exists():
            return np.asarray(np.load(path))
        return self._network.features(self._folder / f"{name}.npy", self.count, path)


def frechet(a: Features, b: Features) -> float:
    """Return |mean difference|^2 + tr(A + B - 2 (A B)^(1/2)) of the rows' means and covariances A, B; 0 is equal.

    The trace of the root is the sum of the roots of the eigenvalues of A B, which are those of a matrix that is
    symmetric and not negative: what falls below 0 or leaves the real line is rounding.
    """
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(first @ second).real, 0.0, None))
    difference = a.mean(axis=0) - b.mean(axis=0)
    return float(difference @ difference + np.trace(first) + np.trace(second) - 2 * roots.sum())


def _swd(real: Images, other: Images) -> float:
    return float(np.mean(list(sliced_wasserstein(real, other).values())))
