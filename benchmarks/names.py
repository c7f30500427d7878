"""What the launcher does with every name before a picture is read: list, fingerprint, assign to a shard, write down.

This part has one process, and its memory grows with the number of names: it is the first to limit a very large job.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from beam_jobs.books import WORK, write_names
from beam_jobs.shards import shard_of, shard_totals
from beam_jobs.sources import open_source, survey
from benchmarks.pictures import Input
from gan_core.config import load_config


def measure(pictures: Input) -> dict[str, Any]:
    """Return the numbers of `count_names`, from a process of its own: memory that was used once is not given back."""
    command = [sys.executable, "-m", "benchmarks.names", str(pictures.source)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], check=True, capture_output=True)
    return dict(json.loads(done.stdout))


def count_names(source: Path) -> dict[str, float]:
    """Return how many names a CelebA folder has, seconds of each step, MiB of all names, and bytes that are shuffled.

    `shuffle_bytes` are the lines that pass through the GroupByKey, shard's name and picture; no pixels.
    """
    config = load_config("celeba64", source=source).data
    before_mib, start = _rss_mib(), time.perf_counter()
    _, refs = survey(open_source(config, source), config)
    listed = time.perf_counter()
    totals = shard_totals(Counter(ref.split for ref in refs), config)
    assigned = [(shard_of(ref, totals), ref) for ref in refs]
    grouped = time.perf_counter()
    memory_mib = _rss_mib() - before_mib
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder)
        (draft / WORK).mkdir()
        write_names(draft, assigned)
        written = time.perf_counter()
        lines_bytes = sum(path.stat().st_size for path in (draft / WORK / "names").iterdir())
    return {
        "names": len(refs),
        "list_seconds": round(listed - start, 3),
        "assign_seconds": round(grouped - listed, 3),
        "write_seconds": round(written - grouped, 3),
        "memory_mib": round(memory_mib, 1),
        "shuffle_bytes": lines_bytes,
        "shards": sum(totals.values()),
    }


def _rss_mib() -> float:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS")) / 1024


def main() -> None:
    """Print the numbers as JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.names", description=__doc__)
    parser.add_argument("source", type=Path, help="a folder in CelebA's layout")
    sys.stdout.write(json.dumps(count_names(parser.parse_args().source)) + "\n")


if __name__ == "__main__":
    main()
