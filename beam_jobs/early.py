"""The first thing that a preparation does: to start its processes, where the source seems to have work for them.

To look at the source properly takes a tenth of a second for the imports alone, and 20 microseconds a picture.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from beam_jobs.pool import cores, warm
from gan_core.config import DataConfig
from gan_core.paths import is_address

# Below this many pictures, processes cost more than they save, even where each picture is large: on two cores they
# start while Beam is imported, and slow that down by 0.3 s.
MIN_PICTURES_FOR_PROCESSES = 64

_SMALLEST_ARCHIVE_BYTES = 256 << 10  # of as many small JPEGs


@contextlib.contextmanager
def processes(config: DataConfig, beam_args: Sequence[str]) -> Iterator[None]:
    """Have processes ready for `preprocess.prepare` within the block, unless Beam's options or the source say no."""
    with warm(cores()) if cores() > 1 and not beam_args and seems_large(config) else contextlib.nullcontext():
        yield


def seems_large(config: DataConfig) -> bool:
    """Whether the source seems to have enough pictures for several processes: a glance, right for most."""
    if config.kind == "synthetic":
        return config.synthetic_count >= MIN_PICTURES_FOR_PROCESSES
    if not config.path or is_address(config.path):
        return False  # it may have to be downloaded first, or be far away
    path = Path(config.path).expanduser()
    if 0 < config.limit < MIN_PICTURES_FOR_PROCESSES:
        return False
    try:
        if path.is_dir():
            return len(list(islice(_files(path), MIN_PICTURES_FOR_PROCESSES))) == MIN_PICTURES_FOR_PROCESSES
        return path.stat().st_size >= _SMALLEST_ARCHIVE_BYTES
    except OSError:
        return False  # who looks at it properly says what is wrong


def _files(folder: str | Path) -> Iterator[str]:
    """Yield files as they come: the first of a folder of 200,000 are there at once."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(entry.path)
            else:
                yield entry.name
