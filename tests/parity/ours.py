"""What gan_core/measures makes of a feature set, under the names that tests/parity/peers.py uses."""

from __future__ import annotations

from gan_core.measures.frechet import frechet_distance
from gan_core.measures.inception_score import inception_score
from gan_core.measures.kernel import kernel_distance
from gan_core.measures.moments import moments_of
from gan_core.measures.neighbours import Manifold, compare
from tests.parity.feature_sets import SUBSETS, Pair


def values(pair: Pair, subset_size: int) -> dict[str, float]:
    """Return measure -> value."""
    kernel = kernel_distance(pair.real, pair.fake, subsets=SUBSETS, subset_size=subset_size)
    score = inception_score(pair.logits)
    balls = compare(Manifold(pair.real), pair.fake, repeats=0)
    return {
        "frechet": frechet_distance(moments_of(pair.real), moments_of(pair.fake)),
        "kernel": kernel.value,
        "kernel deviation": kernel.deviation,
        "inception score": score.value,
        "inception score deviation": score.deviation,
        "precision": balls.precision.value,
        "recall": balls.recall.value,
        "density": balls.density.value,
        "coverage": balls.coverage.value,
        "authenticity": balls.authenticity.value,
    }
