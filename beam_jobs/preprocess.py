"""The preprocessing job: names are shuffled to shards by Beam, every shard is written whole by one worker.

    source.list() -> (shard, picture) -> GroupByKey -> PrepareShard -> receipts -> manifest

The same input gives the same bytes on every runner and with any number of workers, and a job that was
interrupted goes on with the shards that are not finished yet.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from beam_jobs.assembly import check_rejects, finish, manifest_fields
from beam_jobs.books import (
    WORK,
    Receipt,
    failure,
    finished,
    parse_name,
    read_names,
    read_receipt,
    start_work,
    write_names,
)
from beam_jobs.local_workers import quiet_threads
from beam_jobs.monitor import run_watched
from beam_jobs.quiet_beam import beam, quiet
from beam_jobs.runner import check_beam_args, make_pipeline
from beam_jobs.shards import ShardJob, prepare_shard, shard_of, shard_order, shard_totals
from beam_jobs.sources import Source, open_source, survey
from gan_core import artifacts
from gan_core.config import DataConfig, load_config
from gan_core.errors import FaceloomError, StageFailed
from gan_core.handoff import DatasetManifest, ImageRef, dataset_digest, dataset_folder
from gan_core.progress import ReportProgress, silent


class PrepareShard(beam.DoFn):  # type: ignore[misc]  # apache_beam has no types
    """Adapts `prepare_shard`. Yields nothing: what was done is in the draft's receipts."""

    def __init__(self, job: ShardJob) -> None:
        self.job = job

    def process(self, element: tuple[str, Iterable[bytes]]) -> None:
        """Write the shard element[0] from the names element[1]."""
        name, lines = element
        prepare_shard(self.job, name, map(parse_name, lines))


def prepare(
    config: DataConfig,
    data_root: Path,
    *,
    beam_args: Sequence[str] = (),
    report_progress: ReportProgress = silent,
) -> DatasetManifest:
    """Make the data set that `config` describes, below data_root/datasets; return at once where it is there.

    Args:
        config: source, crop, resolution, ... (see docs/data.md).
        data_root: the folder of raw/, datasets/, runs/.
        beam_args: options for Beam, as on a command line: `--runner=FlinkRunner`, `--direct_num_workers=4`.
        report_progress: called about twice a second, from the calling thread.

    Raises:
        ConfigError: the source or a Beam option does not fit. DataError: no pictures, no training pictures,
        or too large a share of rejects; nothing is published then. ArtifactError: the disk is full.
        StageFailed: the runner failed; the same command continues.
    """
    check_beam_args(beam_args)
    data_root = data_root.absolute()
    source = open_source(config, data_root)
    listed = None if source.planned() else survey(source, config)
    summary = listed[0] if listed else source.planned()
    assert summary is not None
    digest = dataset_digest(config, summary.fingerprint)
    final = dataset_folder(data_root, config, summary.name, digest)
    if (done := artifacts.find(final, "dataset", digest)) is not None:
        return DatasetManifest.from_manifest(done)
    source.fetch(report_progress)
    summary, refs = listed or survey(source, config)
    with artifacts.publishing(final, resume=True) as draft:
        if artifacts.find(final, "dataset", digest) is None:  # else the process that held the lock has made it
            receipts = _make_shards(config, source, refs, draft, beam_args, report_progress)
            check_rejects(config, summary, receipts, draft)
            fields = manifest_fields(config, summary, source.attribute_names, receipts)
            finish(draft, receipts, fields, digest)
    return DatasetManifest.load(final)


def _make_shards(
    config: DataConfig,
    source: Source,
    refs: Sequence[ImageRef],
    draft: Path,
    beam_args: Sequence[str],
    report_progress: ReportProgress,
) -> list[Receipt]:
    """Run the Beam job for the shards that are not finished; return all receipts in reading order."""
    owner = start_work(draft)
    totals = shard_totals(Counter(ref.split for ref in refs), config.images_per_shard)
    names = sorted({shard_of(ref, totals) for ref in refs}, key=shard_order)
    unfinished = {name for name in names if finished(draft, name) is None}
    for name in unfinished:
        (draft / WORK / "progress" / name).unlink(missing_ok=True)
    todo = [ref for ref in refs if shard_of(ref, totals) in unfinished]
    if todo:
        job = ShardJob(draft, config, source.reader(), owner)
        run_watched(lambda: _run_pipeline(job, todo, totals, beam_args), draft, len(refs), report_progress)
    if (error := failure(draft)) is not None:
        raise error
    receipts = [receipt for name in names if (receipt := read_receipt(draft, name)) is not None]
    if len(receipts) < len(names):
        raise StageFailed(
            f"{len(names) - len(receipts)} of {len(names)} shards are missing in {draft}; "
            "the workers of a remote runner must see this folder, otherwise run the same command again"
        )
    return receipts


def _run_pipeline(job: ShardJob, refs: Sequence[ImageRef], totals: Mapping[str, int], beam_args: Sequence[str]) -> None:
    names = write_names(job.draft, [(shard_of(ref, totals), ref) for ref in refs])
    with quiet(), quiet_threads():
        pipeline = make_pipeline(check_beam_args(beam_args), beam_args, len(refs))
        pictures = (
            pipeline
            | "Files" >> beam.Create(names, reshuffle=False)
            | "Names" >> beam.FlatMap(partial(read_names, job.draft)).with_output_types(tuple[str, bytes])
        )
        pictures | "GroupByShard" >> beam.GroupByKey() | "PrepareShard" >> beam.ParDo(PrepareShard(job))
        try:
            pipeline.run().wait_until_finish()
        except (RuntimeError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise StageFailed(
                f"the Beam job failed: {reason[0]}; finished shards are kept, run the same command again"
            ) from error


def run(argv: Sequence[str] | None = None) -> int:
    """Prepare a data set from the command line; everything after `--` is Beam's.

    Returns:
        the exit code: 0, or that of the error (gan_core/errors.py).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.preprocess", description=run.__doc__, allow_abbrev=False)
    parser.add_argument("preset", help="a preset's name, or the path of a TOML file")
    parser.add_argument("--source", type=Path, help="folder or zip of the pictures")
    parser.add_argument("--data-root", type=Path, default=Path("data"))
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides")
    given = parser.parse_args(arguments[:split])
    try:
        config = load_config(given.preset, given.overrides, source=given.source)
        manifest = prepare(config.data, given.data_root, beam_args=arguments[split + 1 :])
    except FaceloomError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{manifest.path}\n")
    return 0


if __name__ == "__main__":
    # The import gives PrepareShard its real module name; workers could not find it in `__main__`.
    from beam_jobs.preprocess import run as run_as_module

    sys.exit(run_as_module())
