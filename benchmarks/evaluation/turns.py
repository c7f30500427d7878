"""What both extractions share: they wait for their turn, and say how long it took. NumPy and standard library alone."""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of what either is told."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--images", type=int, default=128, help="in a turn (default: %(default)s)")
    parser.add_argument("--side", type=int, default=64, help="pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="pictures (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--channels-last", action="store_true", help="torch: the other order in memory")
    return parser


def take(given: argparse.Namespace, extract: Callable[[Images], None], version: str) -> None:
    """Extract once for warming up, then once for every line of standard input, each answered by a line of JSON."""
    shape = (given.images, given.side, given.side, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    extract(images[: 2 * given.batch])
    _say({"version": version})
    for _ in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        extract(images)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
        peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        _say({"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mib": peak_mib})


def _say(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
