"""The six stages: each finds its inputs on disk by digest, calls one function, and says what came of it.

A stage does not know who runs it: a task's child process, or the command line in its own. TensorFlow and Beam
are imported inside the functions, so that a missing input is reported before they are.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gan_core import artifacts, checkpoints, lineage
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError, ConfigError, DataError
from gan_core.handoff import (
    Checkpoint,
    DatasetManifest,
    SourceSummary,
    dataset_digest,
    dataset_folder,
    run_digest,
    run_folder,
)
from gan_core.lineage import ALREADY_DONE, DONE
from gan_core.paths import is_remote, local_root, path_of
from gan_core.progress import ReportProgress
from gan_core.workers import this_worker


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a stage is told. Small and picklable: it goes to the child process.

    Attributes:
        source: what `ingest` found in this run, so that all stages of a run agree; None looks again.
        attempt: counts from 1 within one run of the flow.
        beam_args: options for Beam's pipeline, as on its own command line.
        listed: the source, a `Listed`, where this very process has listed it already; too large for a child's order.
            Any, because Prefect would import what the type names, and that takes a second.
    """

    config: RunConfig
    data_root: Path
    source: SourceSummary | None = None
    attempt: int = 1
    beam_args: tuple[str, ...] = ()
    listed: Any = None


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What came of a stage. `outcome` is "done" or "already done"; `summary` has JSON types only."""

    stage: str
    outcome: str
    path: str
    run_dir: str
    summary: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `StageResult(**saved)` is the inverse."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class Place:
    """Where the work of an order lies: all of it follows from the config and the source's fingerprint.

    `transferred` is the digest of the checkpoint that `train.transfer` names, empty where it names none.
    """

    source: SourceSummary
    dataset_digest: str
    dataset: Path
    run_digest: str
    run_dir: Path
    transferred: str = ""

    def of(self, stage: str) -> Path:
        """Return the folder that a stage publishes, or for `train` publishes into."""
        inside = {"train": "checkpoints", "sample": "samples", "evaluate": "scores", "report": "report"}
        inside |= {"judge": "decision", "promote": "decision"}
        if stage in inside:
            return self.run_dir / inside[stage]
        return self.dataset if stage == "prepare" else path_of(self.source.location)


Stage = Callable[[Order, ReportProgress], StageResult]


def source_of(result: StageResult) -> SourceSummary:
    """Return what `ingest` found, from its result."""
    return SourceSummary(**{**result.summary, "notes": tuple(result.summary["notes"])})


def locate(order: Order) -> Place:
    """Return where the data set and the run of an order lie. Lists the source, and draws nothing.

    Raises:
        ConfigError, DataError: the source, or what `train.transfer` names, is missing or cannot be used.
    """
    from beam_jobs.sources.registry import look

    source = order.source or look(order.config.data, local_root(order.data_root)).summary
    dataset = dataset_digest(order.config.data, source.fingerprint)
    transferred = checkpoints.transferred_digest(order.config)
    return Place(
        source=source,
        dataset_digest=dataset,
        dataset=dataset_folder(order.data_root, order.config.data, source.name, dataset),
        run_digest=run_digest(order.config, dataset, transferred),
        run_dir=run_folder(order.data_root, order.config, dataset, transferred),
        transferred=transferred,
    )


def folder_of(order: Order, stage: str) -> Path:
    """Return what a stage publishes, see `Place.of`; that of `ingest` without listing the source."""
    if stage == "ingest" and order.source is None:
        from beam_jobs.sources.registry import open_source

        return open_source(order.config.data, local_root(order.data_root)).location
    return locate(order).of(stage)


def is_fetched(order: Order, source: SourceSummary) -> bool:
    """Whether faceloom itself draws or downloads the pictures: then they are published below raw/."""
    return Path(source.location).parent == local_root(order.data_root).absolute() / "raw"


def ingest(order: Order, report_progress: ReportProgress) -> StageResult:
    """Bring the pictures here (draw or download them, where they are not the user's own) and list them."""
    from beam_jobs.sources import registry

    with lineage.recorded("ingest", order.attempt) as entry:
        data_root = local_root(order.data_root)
        listed = registry.look(order.config.data, data_root)
        location = path_of(listed.summary.location)
        before = _stamp(location)
        source = registry.fetch(listed, order.config.data, report_progress).summary
        place = locate(dataclasses.replace(order, source=source))
        known = not is_remote(place.run_dir) and lineage.read_run(place.run_dir) is not None
        entry.run_dir = _start_run(order, place)
        if is_fetched(order, source):
            entry.outcome = _outcome(before, location)
        else:  # there is nothing to publish: it was listed before, or not
            entry.outcome = ALREADY_DONE if known else DONE
    return _result(entry, location, dataclasses.asdict(source))


def prepare(order: Order, report_progress: ReportProgress) -> StageResult:
    """Turn the pictures into TFRecord shards, with Beam."""
    from beam_jobs.sources import registry

    listed = order.listed or registry.look(order.config.data, local_root(order.data_root))
    if order.source is not None and order.source.fingerprint != listed.summary.fingerprint:
        raise DataError(f"{listed.summary.location} has changed since it was listed; run again, on what it is now")
    place = locate(dataclasses.replace(order, source=listed.summary))
    with lineage.recorded("prepare", order.attempt, _start_run(order, place)) as entry:
        from beam_jobs import preprocess

        before = _stamp(place.dataset)
        dataset = preprocess.prepare(
            order.config.data,
            order.data_root,
            listed=listed,
            beam_args=order.beam_args,
            report_progress=report_progress,
        )
        entry.outcome = _outcome(before, dataset.path)
        entry.images = _if_done(entry, sum(dataset.source.get("counts", {}).values()))
    splits = {split: dataset.count(split) for split in dataset.splits}
    return _result(entry, dataset.path, {"digest": dataset.digest, "images": splits, "rejects": dict(dataset.rejects)})


def train(order: Order, report_progress: ReportProgress) -> StageResult:
    """Train the two networks, from the newest checkpoint on."""
    place = locate(order)
    dataset = dataset_of(order, place)
    is_chief = this_worker().is_chief
    if is_chief:
        _start_run(order, place)
    with lineage.recorded("train", order.attempt, place.run_dir if is_chief else None) as entry:
        found = checkpoints.finished_checkpoint(place.run_dir, order.config)
        if found is None:
            from gan_core import training

            begun = checkpoints.newest_images(place.run_dir)
            try:
                found = training.train(order.config, dataset, place.run_dir, report_progress)
            finally:  # an interrupted execution has shown some, too
                entry.images = max(0, checkpoints.newest_images(place.run_dir) - begun)
        else:
            entry.outcome = ALREADY_DONE
        entry.note = checkpoints.stopped_early(checkpoints.load_manifest(found)) if is_chief else ""
    entry.run_dir = place.run_dir
    summary = {"images_seen": found.images_seen} | ({"note": entry.note} if entry.note else {})
    return _result(entry, found.path, summary)


def sample(order: Order, report_progress: ReportProgress) -> StageResult:
    """Write pictures from the trained generator, and a grid."""
    place = locate(order)
    checkpoint = checkpoint_of(order, place)
    _start_run(order, place)
    with lineage.recorded("sample", order.attempt, place.run_dir) as entry:
        from gan_core import sampling

        before = _stamp(place.run_dir / "samples")
        samples = sampling.sample(order.config, checkpoint, report_progress)
        entry.outcome = _outcome(before, samples.path)
        entry.images = _if_done(entry, samples.count)
    return _result(entry, samples.path, {"count": samples.count, "seed": samples.seed})


def evaluate(order: Order, report_progress: ReportProgress) -> StageResult:
    """Measure the trained generator against the real pictures."""
    place = locate(order)
    dataset, checkpoint = dataset_of(order, place), checkpoint_of(order, place)
    _start_run(order, place)
    with lineage.recorded("evaluate", order.attempt, place.run_dir) as entry:
        from gan_core.evaluation.evaluate import evaluate as measure

        before = _stamp(place.run_dir / "scores")
        scores = measure(order.config, checkpoint, dataset, report_progress)
        entry.outcome = _outcome(before, scores.path)
        entry.images = _if_done(entry, scores.protocol.get("generated_count"))
    return _result(entry, scores.path, {"scores": {name: dict(facts) for name, facts in scores.values.items()}})


def report(order: Order, report_progress: ReportProgress) -> StageResult:
    """Write the HTML page about the run, with whatever the run has by now, and that over all runs."""
    place = locate(order)
    dataset = dataset_of(order, place)
    _start_run(order, place)
    with lineage.recorded("report", order.attempt, place.run_dir) as entry:
        from gan_core.report import write_index, write_report

        before = _stamp(place.run_dir / "report")
        page = write_report(place.run_dir, dataset)
        entry.outcome = _outcome(before, page.path.parent)
    write_index(order.data_root)  # after the entry: the page says how this stage ended
    return _result(entry, page.path, {})


STAGES: dict[str, Stage] = {
    "ingest": ingest,
    "prepare": prepare,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
    "report": report,
}


def _start_run(order: Order, place: Place) -> Path | None:
    """Note what is to be made; return the run's folder. None on an object store: a run begins where it is trained."""
    if is_remote(place.run_dir):
        return None
    lineage.start_run(
        place.run_dir, order.config, place.run_digest, place.dataset_digest, place.dataset, place.transferred
    )
    return place.run_dir


def dataset_of(order: Order, place: Place) -> DatasetManifest:
    """Return the prepared data set. Raises ConfigError, naming the command that makes it, where there is none."""
    try:
        dataset = DatasetManifest.load(place.dataset)
    except ArtifactError as error:
        if (place.dataset / artifacts.MANIFEST).exists():
            raise
        make = lineage.command("prepare", order.config, order.data_root)
        raise ConfigError(f"{error}; make it with: {make}") from None
    return dataset


def checkpoint_of(order: Order, place: Place) -> Checkpoint:
    """Return the checkpoint to sample and score. Raises ConfigError, naming the command, where none is finished."""
    found = checkpoints.chosen_checkpoint(place.run_dir, order.config)
    if found is None:
        make = lineage.command("train", order.config, order.data_root)
        raise ConfigError(f"there is no finished training at {place.run_dir}; make it with: {make}")
    return found


def _result(entry: lineage.StageEntry, path: Path, summary: Mapping[str, Any]) -> StageResult:
    return StageResult(
        stage=entry.stage, outcome=entry.outcome, path=str(path), run_dir=str(entry.run_dir or ""), summary=summary
    )


def _if_done(entry: lineage.StageEntry, images: int | None) -> int | None:
    """Return how many pictures a stage has worked on, None where it found its work done or counts none."""
    return images or None if entry.outcome == DONE else None


def _stamp(folder: Path) -> tuple[int, int] | None:
    """Return what changes when `folder` is published anew, None where it is not published."""
    try:
        facts = (folder / artifacts.MANIFEST).stat()
    except OSError:
        return None
    return facts.st_ino, facts.st_mtime_ns


def _outcome(before: tuple[int, int] | None, folder: Path) -> str:
    """Tell work from none by what was published: the check itself stays with the stage's own function.

    Asking `artifacts.find` beforehand would read every byte of a data set a second time. Another process may have
    published it meanwhile; then the work was its.
    """
    is_new = before is None or before != _stamp(folder)
    return DONE if is_new and artifacts.was_published_here(folder) else ALREADY_DONE
