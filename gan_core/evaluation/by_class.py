"""Conditional runs: each measure class by class, and whether samples show what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_core.conditions import Condition
from gan_core.evaluation.metrics import Metric
from gan_core.evaluation.sets import PictureSet, Sets
from gan_core.extractors.base import Facts
from gan_core.groups import groups

MINIMUM = 16  # pictures of a class in each set: with fewer, a number says nothing
CLASSES = 20  # the most that are measured, those with most training pictures


def scores(
    sets: Sets, condition: Condition, chosen: Mapping[str, Metric], facts: Facts
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return class -> measure -> value, error and floor, of the classes that have enough pictures in every set.

    Real and generated pictures of one class are compared. At most CLASSES classes, those that training had most of.
    """
    all_sets = (sets.reference, sets.fake, sets.half_a, sets.half_b, sets.known)
    kinds = [groups(condition, _rows(one)) for one in all_sets]
    most = sorted(zip(condition.counts, kinds[0], strict=True), key=lambda pair: -pair[0])[:CLASSES]
    wanted = {name for _, name in most}
    found = {}
    for name in kinds[0]:
        places = [kind[name] for kind in kinds]
        if name not in wanted or min(map(len, places)) < MINIMUM:
            continue
        parts = [one.at(chosen_places) for one, chosen_places in zip(all_sets, places, strict=True)]
        reference, fake, half_a, half_b, known = parts
        half_a = reference if sets.half_a is sets.reference else half_a
        known = half_a if sets.known is sets.half_a else known
        part = Sets(reference, fake, half_a, half_b, known)
        found[name] = dict(_measured(part, chosen, facts))
    return found


def _measured(part: Sets, chosen: Mapping[str, Metric], facts: Facts) -> Any:
    for key, metric in chosen.items():
        if metric.needs == "images" and min(len(one.images) for one in (part.half_a, part.half_b, part.fake)) < 2:
            continue
        score = metric.measure(part)
        yield metric.named(key, facts)[0], {field: score.get(field) for field in ("value", "error", "floor")}


def _rows(one: PictureSet) -> Any:
    return np.empty((0, 0), np.int64) if one.rows is None else one.rows
