"""The stage `evaluate`: pictures are looked at once, measured by METRICS, and published with their protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_core import artifacts, protocol
from gan_core.artifacts import Manifest
from gan_core.checkpoints import load_manifest
from gan_core.config import EvalConfig, RunConfig
from gan_core.errors import ConfigError
from gan_core.evaluation import by_class, sheets
from gan_core.evaluation.collection import Collection
from gan_core.evaluation.metrics import Metric, applicable
from gan_core.extractors import registry
from gan_core.extractors.base import Facts, describe
from gan_core.handoff import Checkpoint, DatasetManifest, Scores, scores_digest
from gan_core.options import suggestion
from gan_core.progress import Progress, ReportProgress, silent

_STEPS = 10  # of progress, for each measure


def evaluate(
    config: RunConfig,
    checkpoint: Checkpoint,
    dataset: DatasetManifest,
    report_progress: ReportProgress = silent,
) -> Scores:
    """Measure the averaged generator of a checkpoint by all METRICS and publish `run_dir/scores`.

    Returns at once when the same scores of the same checkpoint are there. `eval.score_count` generated pictures are
    compared with `eval.real_count` real ones, or with as many, and for the floor as many real ones with others; where
    there are too few real pictures, the counts become half of what there is, and the protocol says so.

    Args:
        config: `eval.score_count`, `real_count`, `neighbour_count`, `seed` and what names the extractor are read;
            picture i is generated from seed + i.
        checkpoint: a published checkpoint.
        dataset: the pictures that it was trained on; mirrored copies are left out.
        report_progress: called after each batch of pictures, and after each measure.

    Raises:
        DataError: there are fewer than four real pictures.
        ConfigError: the extractor is not to be had.
        ArtifactError: the checkpoint or the data set is missing or damaged.
    """
    trained = load_manifest(checkpoint)
    digest = scores_digest(config.eval, trained.digest, dataset.digest)
    folder = checkpoint.run_dir / "scores"
    found = artifacts.find(folder, "scores", digest)
    if found is None:
        with artifacts.publishing(folder) as draft:
            found = artifacts.find(folder, "scores", digest)  # from a process that this one had to wait for
            if found is None:
                fields = _evaluate(config.eval, checkpoint, trained, dataset, draft, report_progress)
                artifacts.write_manifest(draft, "scores", digest, fields)
        found = artifacts.read_manifest(folder, "scores")
    return Scores(folder, found.fields["values"], found.fields["protocol"])


def _evaluate(
    config: EvalConfig,
    checkpoint: Checkpoint,
    trained: Manifest,
    dataset: DatasetManifest,
    draft: Path,
    report_progress: ReportProgress,
) -> dict[str, Any]:
    """Return the fields of the manifest of scores, and draw its pictures into `draft`."""
    extractor = registry.open_extractor(registry.asked(config, dataset.path.parent.parent))
    facts, collection = extractor.facts, Collection(config, checkpoint, dataset)
    chosen = applicable(facts, collection.counts.generated)
    course = _Course(collection.steps, len(chosen) + 1, report_progress)
    collection.collect(extractor, course.batch, course.tick)
    common = _protocol(collection, dataset, facts)
    values: dict[str, Any] = {}
    for key, metric in chosen.items():
        name, found = _measured(key, metric, collection, facts, common)
        values[name] = found
        course.measured({name: found["value"]})
    fields: dict[str, Any] = {"values": values}
    if collection.condition:
        fields["per_class"] = by_class.scores(collection.sets, collection.condition, chosen, facts)
        accuracy = by_class.accuracy(collection, collection.condition, dataset, report_progress)
        mine = {**_of_pictures(common), "measure": "class_accuracy", **accuracy.pop("parameters")}
        values["class_accuracy"] = {**accuracy, "protocol": mine, "fingerprint": protocol.fingerprint(mine)}
    fields |= sheets.write(draft, collection)
    course.measured({})
    fields["protocol"] = _whole_protocol(config, collection, common, facts, trained, checkpoint)
    return fields


def measured_on(
    config: EvalConfig,
    checkpoint: Checkpoint,
    dataset: DatasetManifest,
    split: str,
    only: str = "",
    report_progress: ReportProgress = silent,
) -> tuple[str, dict[str, Any]]:
    """Return name and score of one measure of a checkpoint against a split, and publish nothing.

    Args:
        config: as for `evaluate`.
        checkpoint: whose averaged generator draws.
        dataset: where the real pictures are; any that has the checkpoint's resolution and channels.
        split: which of them.
        only: the measure, by its name in the scores or in METRICS; empty is the first one.
        report_progress: called after each batch of pictures.

    Raises:
        ConfigError: there is no such measure, or the extractor is not to be had. DataError: too few real pictures.
    """
    extractor = registry.open_extractor(registry.asked(config, dataset.path.parent.parent))
    collection = Collection(config, checkpoint, dataset, split)
    known = applicable(extractor.facts, collection.counts.generated)
    names = {metric.named(key, extractor.facts)[0]: key for key, metric in known.items()}
    key = names.get(only, only) or next(iter(known))
    if key not in known:
        raise ConfigError(
            f"retrain.measure: there is no measure '{only}'{suggestion(only, names)}; known: {', '.join(names)}"
        )
    course = _Course(collection.steps, 1, report_progress)
    collection.collect(extractor, course.batch, course.tick)
    found = _measured(key, known[key], collection, extractor.facts, _protocol(collection, dataset, extractor.facts))
    course.measured({})
    return found


class _Course:
    """How far an evaluation is: a step for each batch of pictures, and several for each measure."""

    def __init__(self, batches: int, measures: int, report_progress: ReportProgress) -> None:
        self._done, self._report = 0, report_progress
        self._batches, self._total = batches, batches + measures * _STEPS
        self._measures = 0

    def batch(self) -> None:
        """Note a batch of pictures."""
        self._show(min(self._done + 1, self._batches))

    def tick(self, done: int, total: int) -> None:
        """Note that a measure has come from 0 to `done` of `total`; some do so several times."""
        within = min(_STEPS - 1, _STEPS * done // max(1, total))
        self._show(max(self._done, self._batches + self._measures * _STEPS + within))

    def measured(self, figures: Mapping[str, float]) -> None:
        """Note the end of a measure, with its value."""
        self._measures += 1
        self._show(self._batches + self._measures * _STEPS, figures)

    def _show(self, done: int, figures: Mapping[str, float] | None = None) -> None:
        self._done = done
        self._report(Progress("evaluate", done, self._total, "steps", figures or {}))


def _measured(
    key: str, metric: Metric, collection: Collection, facts: Facts, common: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """Return the name and the score of one measure, with its protocol and fingerprint."""
    found = metric.measure(collection.sets)
    name, title = metric.named(key, facts)
    mine = _of_pictures(common) if metric.needs == "images" else dict(common)
    mine |= {"measure": key, **found.pop("parameters")}
    facts_of_it = {"title": title, "unit": metric.unit, "better": metric.better}
    return name, {**facts_of_it, **found, "protocol": mine, "fingerprint": protocol.fingerprint(mine)}


def _of_pictures(common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the protocol of a measure that asks no extractor."""
    unseen = ("extractor", "extractor_digest", "resizing")
    return {field: value for field, value in common.items() if field not in unseen}


def _protocol(collection: Collection, dataset: DatasetManifest, facts: Facts) -> dict[str, Any]:
    """Return what all measures have in common: numbers of another protocol do not compare."""
    counts = collection.counts
    return {
        "dataset_digest": dataset.digest,
        "split": collection.split,
        "mirrored": False,
        "resolution": dataset.resolution,
        "channels": dataset.channels,
        "crop": dataset.protocol.get("crop"),
        "filter": dataset.protocol.get("filter"),
        "storage": dataset.protocol.get("storage"),
        "real_count": counts.real,
        "generated_count": counts.generated,
        "floor_count": counts.half,
        "extractor": facts.name,
        "extractor_digest": facts.digest,
        "resizing": facts.resizing,
    }


def _whole_protocol(
    config: EvalConfig,
    collection: Collection,
    common: Mapping[str, Any],
    facts: Facts,
    trained: Manifest,
    checkpoint: Checkpoint,
) -> dict[str, Any]:
    """Return what is said once for all scores: the protocol, and which pictures of which checkpoint were measured."""
    counts = collection.counts
    found = {
        **common,
        "requested_count": config.score_count,
        "extractor": describe(facts),
        "checkpoint_digest": trained.digest,
        "images_seen": checkpoint.images_seen,
        "ema": True,
        "seed": config.seed,
    }
    if counts.generated < config.score_count:
        wanted = 2 * config.score_count
        found["note"] = f"{counts.half} pictures a set: of {wanted} real ones asked for there are {counts.available}"
    elif counts.real < config.real_count or counts.half < config.score_count:
        found["note"] = (
            f"{counts.real} real pictures, and halves of {counts.half} for the floor: there are {counts.available}"
        )
    return found
