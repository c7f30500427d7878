"""What the launcher does with every name before a picture is read: list, fingerprint, assign, write.

This part has one process, and its memory grows with the number of names: it is the first to limit a very large job.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from beam_jobs.books import WORK, write_names
from beam_jobs.shards import assign
from beam_jobs.sources.base import survey
from beam_jobs.sources.registry import open_source
from gan_core.config import load_config


def count_names(source: Path) -> dict[str, float]:
    """Return what the names of a folder in CelebA's layout cost.

    Returns:
        `names`; seconds of each step; `memory_mib`, the largest size that the process came to above what the imports
        take; `line_bytes`, what is written for the workers; `shards`.
    """
    config = load_config("celeba64", source=source).data
    before_mib, start = _memory_mib("VmRSS"), time.perf_counter()
    _, names = survey(open_source(config, Path(tempfile.gettempdir())), config)
    listed = time.perf_counter()
    shards = assign(names, config)
    placed = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder)
        (draft / WORK).mkdir()
        write_names(draft, shards)
        written = time.perf_counter()
        line_bytes = sum(path.stat().st_size for path in (draft / WORK / "names").iterdir())
    return {
        "names": len(names),
        "list_seconds": round(listed - start, 3),
        "assign_seconds": round(placed - listed, 3),
        "write_seconds": round(written - placed, 3),
        "memory_mib": round(_memory_mib("VmHWM") - before_mib, 1),
        "line_bytes": line_bytes,
        "shards": len(shards),
    }


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
