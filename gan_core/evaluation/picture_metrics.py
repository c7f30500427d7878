"""Measures that look at pixels: they need no extractor."""

from __future__ import annotations

from typing import Any

from gan_core import distances, similarity
from gan_core.evaluation.sets import Sets


def swd(sets: Sets) -> dict[str, Any]:
    """Return the sliced Wasserstein distance x1000, mean over the levels; see `distances.sliced_wasserstein`.

    Both distances are of sets of one size, as many pictures as the smallest has in memory. `parts` has each level.
    """
    count = min(len(one.images) for one in (sets.reference, sets.fake, sets.half_a, sets.half_b))
    real, others = sets.half_a.images[:count], (sets.half_b.images[:count], sets.fake.images[:count])
    floor, value = distances.sliced_wasserstein_to_each(real, others)
    levels = value.by_level
    return {
        "value": value.mean,
        "error": value.error,
        "floor": floor.mean,
        "floor_error": floor.error,
        "parts": {str(level): {"value": levels[level], "floor": floor.by_level[level]} for level in levels},
        "parameters": {
            "real_count": count,
            "generated_count": count,
            "floor_count": count,
            "levels": list(levels),
            "window": distances.WINDOW,
            "windows_per_image": distances.WINDOWS_PER_IMAGE,
            "directions": distances.DIRECTIONS,
            "seed": 0,
        },
    }


def ms_ssim(sets: Sets) -> dict[str, Any]:
    """Return the mean MS-SSIM of pairs within a set, how alike its pictures are; see `similarity`.

    `floor` is the mean of the two real halves, and `parts` has each half's own.
    """
    first, second = (similarity.ms_ssim_diversity(half.images) for half in (sets.half_a, sets.half_b))
    found = similarity.ms_ssim_diversity(sets.fake.images)
    count = len(sets.fake.images)
    return {
        "value": found.mean,
        "error": found.error,
        "floor": (first.mean + second.mean) / 2,
        "floor_error": (first.error**2 + second.error**2) ** 0.5 / 2,
        "parts": {"real_a": first.mean, "real_b": second.mean},
        "note": "above the floor: less diverse than real pictures; far below it: disorder, not diversity",
        "parameters": {
            "real_count": len(sets.half_a.images),
            "generated_count": count,
            "floor_count": len(sets.half_b.images),
            "pairs": min(similarity.MAX_PAIRS, count * (count - 1) // 2),
            "weights": similarity.scale_weights(sets.fake.images.shape[1]),
            "colour": "mean over the channels",
            "seed": 0,
        },
    }
