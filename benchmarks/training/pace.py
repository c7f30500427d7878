"""What all drivers share: their arguments, how long they train, what they leave. NumPy and standard library alone."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Images = npt.NDArray[np.uint8]

SAMPLES, REPORT = "samples.npz", "report.json"


def arguments(about: str | None) -> argparse.ArgumentParser:
    """Return a parser of what every driver is told."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--faces", type=Path, required=True, help="uint8 [N, 64, 64, 3] as .npy")
    parser.add_argument("--out", type=Path, required=True, help="an empty folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=128, help="pictures a step")
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    parser.add_argument("--steps", type=int, help="throughput: so many for warming up, and as many timed")
    parser.add_argument("--seconds", type=float, help="quality: from the start of the process to the last step's end")
    parser.add_argument("--samples", type=int, default=2500)
    return parser


def pace(step: Callable[[], None], given: argparse.Namespace) -> dict[str, float]:
    """Take steps as `--steps` or `--seconds` say.

    Returns:
        `images`, `seconds`, and with `--steps` also `images_per_second`.
    """
    if given.steps is not None:
        for _ in range(given.steps):
            step()
        start = time.perf_counter()
        for _ in range(given.steps):
            step()
        seconds, images = time.perf_counter() - start, given.steps * given.batch
        return {"images": images, "seconds": seconds, "images_per_second": images / seconds}
    count = 0
    while process_seconds() < given.seconds:
        step()
        count += 1
    return {"images": count * given.batch, "seconds": process_seconds()}


def process_seconds() -> float:
    """Return how long ago this process was started, imports included."""
    with Path("/proc/self/stat").open() as stream:
        ticks = int(stream.read().rpartition(")")[2].split()[19])  # field 22 of proc(5)
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def batches(images: Images, batch: int, seed: int) -> Callable[[], Images]:
    """Return a function that gives the next batch; every epoch is another permutation, short batches are left out."""
    random = np.random.default_rng(seed)
    waiting: list[npt.NDArray[np.int64]] = []

    def following() -> Images:
        if not waiting:
            order = random.permutation(len(images))
            waiting.extend(order[start : start + batch] for start in range(0, len(order) - batch + 1, batch))
        return np.asarray(images[waiting.pop()])

    return following


def to_pixels(pictures: npt.NDArray[Any], low: float) -> Images:
    """Return pictures in [low, 1] as uint8."""
    levels = np.rint((pictures.astype(np.float32) - low) * (255.0 / (1.0 - low)))
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def leave(given: argparse.Namespace, figures: Mapping[str, Any], samples: Images | None) -> None:
    """Write the report, and samples where there are some."""
    if samples is not None:
        np.savez(given.out / SAMPLES, images=samples)
    (given.out / REPORT).write_text(json.dumps(figures), encoding="utf-8")
