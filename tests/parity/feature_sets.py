"""Feature sets that golden values are computed on, drawn from seeds: no arrays are kept.

`RandomState` and not `default_rng`, because NumPy promises that its numbers stay.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


class Pair(NamedTuple):
    """Features of real and of generated pictures, [N, D] each, and logits of the generated ones, [N, K]."""

    real: Doubles
    fake: Doubles
    logits: Doubles


def _pair(seed: int, real: int, fake: int, dimensions: int, shift: float, scale: float) -> Pair:
    random = np.random.RandomState(seed)
    spectrum = np.arange(1, dimensions + 1) ** -0.5
    a = random.standard_normal((real, dimensions)) * spectrum + 1.0
    b = random.standard_normal((fake, dimensions)) * spectrum * scale + 1.0 + shift * spectrum
    return Pair(a, b, b @ random.standard_normal((dimensions, 50)) * 3.0)


def _clustered(seed: int, real: int, fake: int, dimensions: int) -> Pair:
    """As an Inception network's pooled features: clusters, not negative, many values of 0 or nearly 0."""
    random = np.random.RandomState(seed)
    centres = random.standard_normal((12, dimensions)) - 0.3
    mix = random.standard_normal((dimensions, dimensions)) / dimensions**0.5

    def drawn(count: int, of: int, spread: float) -> Doubles:
        around = centres[random.randint(0, of, count)]
        return np.maximum(around + spread * random.standard_normal((count, dimensions)) @ mix, 0.0)

    a, b = drawn(real, 12, 0.5), drawn(fake, 9, 0.45)
    return Pair(a, b, b @ random.standard_normal((dimensions, 50)))


def _single(pair: Pair) -> Pair:
    """Return the same with the precision of float32."""
    return Pair(*(values.astype(np.float32).astype(np.float64) for values in pair))


PAIRS = {
    "near": lambda: _pair(1, 500, 500, 32, 0.0, 1.0),
    "far": lambda: _pair(2, 400, 300, 64, 1.0, 0.7),
    "unequal": lambda: _pair(3, 1200, 160, 64, 0.3, 0.9),
    "few": lambda: _pair(4, 60, 50, 128, 0.2, 0.9),
    "few generated": lambda: _pair(5, 700, 90, 128, 0.2, 1.1),
    "float32": lambda: _single(_pair(6, 350, 350, 64, 0.1, 1.0)),
    "clustered": lambda: _single(_clustered(7, 700, 600, 128)),
    "large": lambda: _single(_clustered(8, 1300, 1100, 256)),
}
SUBSETS, SUBSET_SIZES = 10, {"large": 1000, "few": 50, "few generated": 90}
SUBSET_SIZE = 100
