"""Measures that look at features: what an extractor made of the pictures."""

from __future__ import annotations

import math
from typing import Any

from gan_core.evaluation.sets import PictureSet, Sets
from gan_core.measures.features import Estimate, Tick
from gan_core.measures.frechet import FrechetInfinity, frechet_infinity
from gan_core.measures.inception_score import SPLITS, inception_score
from gan_core.measures.kernel import SUBSET_SIZE, SUBSETS, KernelDistance, kernel_distance
from gan_core.measures.neighbours import DENSITY_K, PRECISION_K

_ENOUGH_TO_PART = 16  # pictures; of fewer, parts say nothing of the error of recall and coverage
_THOUSANDTH = 1000.0  # kernel distances are shown times 1000


def frechet(sets: Sets) -> dict[str, Any]:
    """Return the Fréchet distance; see `measures.frechet`. Biased: too large by about a constant / N."""
    value = sets.reference.frechet.estimate(sets.fake.features)
    floor = sets.half_a.frechet.estimate(sets.half_b.features)
    return {**_beside(value, floor), **_warned(sets), "parameters": {"version": 1}}


def frechet_at_infinity(sets: Sets) -> dict[str, Any]:
    """Return the Fréchet distance of endlessly many generated pictures; see `measures.frechet.frechet_infinity`."""
    value = _infinity(sets.reference, sets.fake, sets.tick)
    floor = _infinity(sets.half_a, sets.half_b, sets.tick)
    return {
        **_beside(Estimate(value.value, value.error), Estimate(floor.value, floor.error)),
        **_warned(sets),
        "parameters": {"version": 1, "sizes": list(value.sizes), "seed": 0},
    }


def kernel(sets: Sets) -> dict[str, Any]:
    """Return the kernel distance x1000; see `measures.kernel`. Unbiased: a perfect generator is as often below 0."""
    value = kernel_distance(sets.reference.features, sets.fake.features, tick=sets.tick)
    floor = kernel_distance(sets.half_a.features, sets.half_b.features, tick=sets.tick)
    return {
        **_beside(_thousandfold(value), _thousandfold(floor)),
        **_deviations(value, floor),
        "parameters": {
            "version": 1,
            "subsets": SUBSETS,
            "subset_size": min(SUBSET_SIZE, value.subset_size),
            "kernel": "(x.y / D + 1)^3",
            "seed": 2020,
        },
    }


def class_score(sets: Sets) -> dict[str, Any]:
    """Return the Inception Score of whatever classes the extractor has; the floor is that of real pictures."""
    if sets.fake.logits is None or sets.half_a.logits is None:
        raise ValueError("a class score needs logits")
    value, floor = inception_score(sets.fake.logits), inception_score(sets.half_a.logits)
    return {
        **_beside(Estimate(value.value, value.error), Estimate(floor.value, floor.error)),
        "parts": {"deviation over splits": {"value": value.deviation, "floor": floor.deviation}},
        "note": "the floor is what real pictures get, and the most that makes sense; faces are no classes of ImageNet",
        "parameters": {"version": 1, "splits": SPLITS, "seed": 2020},
    }


def precision(sets: Sets) -> dict[str, Any]:
    """Return the share of generated pictures that lie among real ones; see `measures.neighbours`."""
    value, floor = sets.compared
    return {**_beside(value.precision, floor.precision), "parameters": {"version": 1, "k": PRECISION_K}}


def recall(sets: Sets) -> dict[str, Any]:
    """Return the share of real pictures that lie among generated ones."""
    value, floor = sets.compared
    return {
        **_beside(_sure(value.recall, sets), _sure(floor.recall, sets)),
        "parameters": {"version": 1, "k": PRECISION_K},
    }


def density(sets: Sets) -> dict[str, Any]:
    """Return how many real neighbourhoods a generated picture lies in, over k; real ones lie in about 1."""
    value, floor = sets.compared
    return {**_beside(value.density, floor.density), "parameters": {"version": 1, "k": DENSITY_K}}


def coverage(sets: Sets) -> dict[str, Any]:
    """Return the share of real neighbourhoods that have a generated picture in them."""
    value, floor = sets.compared
    return {
        **_beside(_sure(value.coverage, sets), _sure(floor.coverage, sets)),
        "parameters": {"version": 1, "k": DENSITY_K},
    }


def authenticity(sets: Sets) -> dict[str, Any]:
    """Return the share of samples that are no nearer to a training picture than its own neighbour (AuthPct / 100).

    `parts` has the memorised share, what is missing to 1. Real pictures have about a half: only what lies below the
    floor is copied.
    """
    value, floor = sets.copied
    memorised = {"value": 1.0 - value.authenticity.value, "floor": 1.0 - floor.authenticity.value}
    return {
        **_beside(value.authenticity, floor.authenticity),
        "parts": {"memorised share": memorised},
        "note": "well below the floor, samples are copies of training pictures; above it, they are unlike them",
        "parameters": {"version": 1, "known_count": len(sets.known)},
    }


def _sure(found: Estimate, sets: Sets) -> Estimate:
    """Leave out the error where there are too few pictures to part them."""
    return found if min(len(sets.fake), len(sets.half_b)) >= _ENOUGH_TO_PART else found._replace(error=math.nan)


def _beside(value: Estimate, floor: Estimate) -> dict[str, Any]:
    errors = [None if math.isnan(one.error) else one.error for one in (value, floor)]
    return {"value": value.value, "error": errors[0], "floor": floor.value, "floor_error": errors[1]}


def _warned(sets: Sets) -> dict[str, Any]:
    """Say where a Fréchet distance is mostly bias."""
    count, dimensions = sets.fake.features.shape
    if count > 2 * dimensions:
        return {}
    few = f"{count:,} pictures for {dimensions:,} dimensions leave the covariance uncertain"
    return {"warnings": [f"{few}: much of the distance is bias; look at the kernel distance"]}


def _infinity(real: PictureSet, other: PictureSet, tick: Tick) -> FrechetInfinity:
    error = real.frechet.estimate(other.features).error
    return frechet_infinity(real.frechet, other.features, error=error, tick=tick)


def _thousandfold(found: KernelDistance) -> Estimate:
    return Estimate(_THOUSANDTH * found.value, _THOUSANDTH * found.error)


def _deviations(value: KernelDistance, floor: KernelDistance) -> dict[str, Any]:
    """Return the deviations that other tools show; none where a subset is the whole of both sets."""
    if not value.deviation:
        return {}
    shown = {"value": _THOUSANDTH * value.deviation, "floor": _THOUSANDTH * floor.deviation}
    return {"parts": {"deviation over subsets": shown}}
