"""The Beam pipelines: names are shuffled to shards, every shard is written whole by one worker.

    names -> (shard, picture) -> GroupByKey -> PrepareShard
    shards -> FinishShard

No pixels pass through Beam, and nothing comes back through it: what was done is in the draft's receipts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

from beam_jobs import pool
from beam_jobs.books import read_names, record_failure, write_names
from beam_jobs.quiet_beam import beam, quiet
from beam_jobs.remote import job_server
from beam_jobs.runner import make_pipeline
from beam_jobs.shard_writer import ShardJob, finish_shard, prepare_lines
from gan_core.errors import StageFailed
from gan_core.handoff import ImageRef
from gan_core.normalization import Normalization


class ShardByShard(beam.DoFn):  # type: ignore[misc]  # apache_beam has no types
    """Hands each element, a shard and more, to a function: in a local pool of processes, or where it is."""

    def __init__(self, job: ShardJob, function: Callable[..., None], pool_name: str) -> None:
        self.job, self.function, self.pool_name = job, function, pool_name

    def start_bundle(self) -> None:
        """Forget the bundle before."""
        self._running: list[Future[None]] = []

    def process(self, element: tuple[str, Any]) -> None:
        """Start the work on the shard element[0]."""
        name, given = element
        given = list(given) if isinstance(given, Iterable) else given
        try:
            self._running.append(pool.submit(self.pool_name, self.function, self.job, name, given))
        except BrokenProcessPool:
            self._note_dead_worker()

    def finish_bundle(self) -> None:
        """Wait for all of them. Their errors are in the books, but for that of a worker that is no more."""
        try:
            for running in self._running:
                running.result()
        except BrokenProcessPool:
            self._note_dead_worker()

    def _note_dead_worker(self) -> None:
        message = (
            "a worker process of the Beam job was killed (out of memory? the kernel's log says: dmesg); "
            "finished shards are kept, run the same command again"
        )
        record_failure(self.job.draft, "pool", StageFailed(message))


def prepare_shards(
    job: ShardJob, assigned: Iterable[tuple[str, ImageRef]], beam_args: Sequence[str], pool_name: str = ""
) -> None:
    """Prepare all shards that `assigned` names, each from its pictures."""
    files = write_names(job.draft, assigned)
    with quiet(), job_server(beam_args) as args:
        pipeline = make_pipeline(args)
        pictures = (
            pipeline
            | "Files" >> beam.Create(files, reshuffle=False)
            | "Names" >> beam.FlatMap(partial(read_names, job.draft)).with_output_types(tuple[str, bytes])
        )
        grouped = pictures | "GroupByShard" >> beam.GroupByKey()
        grouped | "PrepareShard" >> beam.ParDo(ShardByShard(job, prepare_lines, pool_name))
        _run(pipeline)


def finish_shards(
    job: ShardJob,
    names: Sequence[str],
    normalization: Normalization | None,
    beam_args: Sequence[str],
    pool_name: str = "",
) -> None:
    """Write prepared shards anew, as `shard_writer.finish_shard` says."""
    with quiet(), job_server(beam_args) as args:
        pipeline = make_pipeline(args)
        shards = pipeline | "Shards" >> beam.Create([(name, normalization) for name in names])
        shards | "FinishShard" >> beam.ParDo(ShardByShard(job, finish_shard, pool_name))
        _run(pipeline)


def _run(pipeline: beam.Pipeline) -> None:
    try:
        pipeline.run().wait_until_finish()
    except (RuntimeError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        raise StageFailed(
            f"the Beam job failed: {reason[0]}; finished shards are kept, run the same command again"
        ) from error
