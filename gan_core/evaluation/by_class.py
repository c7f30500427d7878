"""Conditional runs: each measure class by class, and whether samples show what was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_core.class_accuracy import class_accuracy
from gan_core.conditions import Condition
from gan_core.errors import ConfigError
from gan_core.evaluation.collection import Collection, asked_by
from gan_core.evaluation.metrics import Metric
from gan_core.evaluation.sets import PictureSet, Sets
from gan_core.extractors.base import Facts
from gan_core.groups import groups
from gan_core.handoff import DatasetManifest
from gan_core.progress import ReportProgress

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


def accuracy(
    collection: Collection, condition: Condition, dataset: DatasetManifest, report_progress: ReportProgress
) -> dict[str, Any]:
    """Return the share of samples that show what was asked for, by a classifier that is trained where it is not yet.

    See `class_accuracy`; the classifier lies in the data root. Where the data set has too few labelled pictures for
    one, there is no value, and `note` says why.
    """
    from gan_core.classifier import train_classifier  # needs TensorFlow

    found: dict[str, Any] = {"title": "class accuracy", "unit": "share", "better": "higher"}
    images = collection.sets.fake.images
    parameters = {"version": 1, "generated_count": len(images)}
    try:
        classifier = train_classifier(dataset, asked_by(condition), dataset.path.parent.parent, report_progress)
    except ConfigError as error:
        nothing = dict.fromkeys(("value", "error", "floor", "floor_error"))
        return {**found, **nothing, "note": str(error), "parameters": parameters}
    drawn = condition.drawn(collection.seeds[: len(images)])
    return {
        **found,
        **class_accuracy(classifier, images, drawn),
        "parameters": {**parameters, "classifier": classifier.digest},
    }


def _measured(part: Sets, chosen: Mapping[str, Metric], facts: Facts) -> Any:
    for key, metric in chosen.items():
        if metric.needs == "images" and min(len(one.images) for one in (part.half_a, part.half_b, part.fake)) < 2:
            continue
        score = metric.measure(part)
        yield metric.named(key, facts)[0], {field: score.get(field) for field in ("value", "error", "floor")}


def _rows(one: PictureSet) -> Any:
    return np.empty((0, 0), np.int64) if one.rows is None else one.rows
