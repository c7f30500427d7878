"""The Beam pipeline: shards, and what a worker does with each.

No pixels and no names pass through Beam, and nothing comes back through it: what is to do and what was done is in the
draft's books. So a shard is prepared whole by one worker, and the bytes are the same on every runner.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beam_jobs.quiet_beam import beam, quiet
from beam_jobs.remote import job_server
from beam_jobs.runner import make_pipeline
from gan_core.errors import StageFailed


def run_shards(work: Callable[[str], None], shards: Sequence[str], beam_args: Sequence[str]) -> None:
    """Call `work` with each of the shards, on the runner that `beam_args` name; return when all are done.

    Args:
        work: picklable; notes its own errors in the books.
        shards: names.
        beam_args: Beam's options, as after `--` on the command line.

    Raises:
        ConfigError: the options do not fit. StageFailed: the runner failed.
    """
    with quiet(), job_server(beam_args) as args:
        pipeline = make_pipeline(args)
        # Create reshuffles, so that a runner spreads the shards over its workers.
        pipeline | "Shards" >> beam.Create(list(shards)) | "Work" >> beam.Map(work)
        try:
            pipeline.run().wait_until_finish()
        except (RuntimeError, OSError, ValueError) as error:
            reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
            raise StageFailed(
                f"the Beam job failed: {reason[0]}; finished shards are kept, run the same command again"
            ) from error
