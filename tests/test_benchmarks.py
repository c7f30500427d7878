"""The arithmetic of the benchmarks, and that the loop does what faceloom does. Nothing here is timed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_jobs.images import prepare_picture
from benchmarks import markdown, pages, pictures, pillow_loop, scale, summary
from benchmarks.measure import Run
from benchmarks.process_memory import Curve
from benchmarks.summary import Line, Ratio, Results
from gan_core.config import DataConfig
from gan_core.records import decode_example, read_records
from tests.pictures import face, jpeg

RUN = Run("faceloom", "178x218 JPEG", 100, 64, 1, 1.0, 2.0, 100, 1_250_000)


def runs(contender: str, pictures: int, seconds: Sequence[float]) -> list[Run]:
    """Return one run for each of `seconds`, numbered from 1."""
    return [
        replace(RUN, contender=contender, pictures=pictures, number=number, seconds=second, made=pictures)
        for number, second in enumerate(seconds, start=1)
    ]
