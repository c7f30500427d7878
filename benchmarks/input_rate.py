"""How many times faster pictures come than a training step takes them, from each place that they can lie in.

    python -m benchmarks.input_rate data/datasets/NAME --preset quickstart --set train.batch_size=16

Rounds of all places and of the step, in one process; the ratio of a round compares what ran within seconds. A batch of
input is the order, the pixels, and the queue of the thread that reads ahead; for `device`, picking rows and bringing
them to the machine, which a step does not.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from gan_core.config import load_config
from gan_core.dataset import Images, Pictures, open_pictures, shown_indices
from gan_core.device_pictures import DevicePictures
from gan_core.gan import Gan
from gan_core.handoff import DatasetManifest
from gan_core.read_ahead import ReadAhead


def seconds_of(work: Callable[[], object], least_seconds: float) -> float:
    """Return what one call takes, by as many as fill the time."""
    calls, start = 0, time.perf_counter()
    while time.perf_counter() - start < least_seconds:
        work()
        calls += 1
    return (time.perf_counter() - start) / calls


def main() -> None:
    """Print a table: pictures a second from each place, and how many times the step's."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.input_rate", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("dataset", type=Path, help="folder of a prepared data set")
    parser.add_argument("--preset", default="quickstart", help="whose step (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], help="section.key=value, as for faceloom")
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement (default: %(default)s)")
    given = parser.parse_args()
    config, dataset = load_config(given.preset, given.set), DatasetManifest.load(given.dataset)
    batch, side, channels = config.train.batch_size, dataset.resolution, dataset.channels
    places: dict[str, Pictures] = {
        "device": DevicePictures(dataset, "train"),
        **{name: open_pictures(dataset, "train", name) for name in ("memory", "stream")},
    }
    gan = Gan(config)
    fixed = np.zeros((1, batch, side, side, channels), np.uint8)

    def step() -> None:
        gan.train_steps(fixed, tf.constant(0, tf.int64))
        gan.sums.numpy()

    step()  # compiles
    rates: dict[str, list[float]] = {name: [] for name in places}
    ratios: dict[str, list[float]] = {name: [] for name in places}
    for _ in range(given.rounds):
        step_seconds = seconds_of(step, given.seconds)
        for name, pictures in places.items():
            input_seconds = _input_seconds(pictures, batch, given.seconds)
            rates[name].append(batch / input_seconds)
            ratios[name].append(step_seconds / input_seconds)
    sys.stdout.write("| place | pictures/s | times the step's (least to most) |\n|---|---|---|\n")
    for name in places:
        low, middle, high = min(ratios[name]), statistics.median(ratios[name]), max(ratios[name])
        rate = statistics.median(rates[name])
        sys.stdout.write(f"| {name} | {rate:,.0f} | {middle:,.0f} ({low:,.0f} to {high:,.0f}) |\n")


def _input_seconds(pictures: Pictures, batch: int, least_seconds: float) -> float:
    """Return what the loop waits for a batch when it does nothing else."""

    def read(step: int) -> Images:
        return pictures.read(shown_indices(step * batch, batch, len(pictures), 0))

    # The queue is as short as it gets: batches that wait from before would be counted as read in no time.
    with ReadAhead(read, 0, 2**40, 2**40) as ahead:
        ahead.take(4)
        return seconds_of(lambda: ahead.take(1), least_seconds)


if __name__ == "__main__":
    main()
