"""What the launcher does with every name before a picture is read: list, fingerprint, assign, write, group.

This part has one process, and its memory grows with the number of names: it is the first to limit a very large job.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from beam_jobs.books import WORK, read_names, write_names
from beam_jobs.quiet_beam import beam, quiet  # first, so that the imports below are quiet
from beam_jobs.runner import make_pipeline
from beam_jobs.shards import shard_of, shard_totals
from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import open_source
from gan_core.config import load_config


def count_names(source: Path) -> dict[str, float]:
    """Return what the names of a folder in CelebA's layout cost.

    Returns:
        `names`; seconds of each step; `memory_mib`, the largest size that the process came to above what the imports
        take; `shuffle_bytes`, the lines that pass through the GroupByKey, with shard and picture but no pixels;
        `shards`.
    """
    config = load_config("celeba64", source=source).data
    before_mib, start = _memory_mib("VmRSS"), time.perf_counter()
    _, refs = survey(open_source(config, Path(tempfile.gettempdir())), config)
    listed = time.perf_counter()
    totals = shard_totals(Counter(ref.split for ref in refs), config)
    assigned = [(shard_of(ref, totals), ref) for ref in refs]
    placed = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder)
        (draft / WORK).mkdir()
        files = write_names(draft, assigned)
        written = time.perf_counter()
        shuffle_bytes = sum(path.stat().st_size for path in (draft / WORK / "names").iterdir())
        _group(draft, files)
        grouped = time.perf_counter()
    return {
        "names": len(refs),
        "list_seconds": round(listed - start, 3),
        "assign_seconds": round(placed - listed, 3),
        "write_seconds": round(written - placed, 3),
        "group_seconds": round(grouped - written, 3),
        "memory_mib": round(_memory_mib("VmHWM") - before_mib, 1),
        "shuffle_bytes": shuffle_bytes,
        "shards": sum(totals.values()),
    }


def _group(draft: Path, files: Sequence[str]) -> None:
    """Run the beginning of `beam_jobs.pipeline.prepare_shards` on the local runner, up to the GroupByKey."""
    with quiet():
        pipeline = make_pipeline(())
        lines = pipeline | "Files" >> beam.Create(files, reshuffle=False)
        lines |= "Names" >> beam.FlatMap(partial(read_names, draft)).with_output_types(tuple[str, bytes])
        lines | "GroupByShard" >> beam.GroupByKey() | "Forget" >> beam.FlatMap(_nothing)
        pipeline.run().wait_until_finish()


def _nothing(_: tuple[str, Iterable[bytes]]) -> list[str]:
    return []


def _memory_mib(field: str) -> float:
    """Return a size of this process: VmRSS is what it has now, VmHWM the largest that it had."""
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith(f"{field}:")) / 1024


def main() -> None:
    """Print the numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.names", description=__doc__)
    parser.add_argument("source", type=Path, help="a folder in CelebA's layout")
    sys.stdout.write(json.dumps(count_names(parser.parse_args().source)) + "\n")


if __name__ == "__main__":
    main()
