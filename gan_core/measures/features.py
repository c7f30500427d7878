"""What measures take: float32 or float64 [N, D], finite; and how much of it is worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gan_core.errors import DataError

Features = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Tick = Callable[[int, int], None]  # done, total: what a measure calls as it goes along, in steps of its own

BLOCK_BYTES = 64 << 20


class Estimate(NamedTuple):
    """A measure of a generated set, and one standard error of it over the sampling of that set."""

    value: float
    error: float


def no_tick(done: int, total: int) -> None:
    """Show nothing."""


def check_features(features: npt.NDArray[Any], name: str, *, at_least: int = 2) -> None:
    """Raise DataError unless `features` are float32 or float64 [N >= at_least, D >= 1], all of them finite."""
    if features.ndim != 2 or features.dtype not in (np.float32, np.float64) or not features.shape[1]:
        raise DataError(f"{name} must be float32 or float64 [N, D], got {features.dtype} {features.shape}")
    if len(features) < at_least:
        raise DataError(f"{name} must have at least {at_least} rows, got {len(features)}: measure more pictures")
    for start, block in row_blocks(features):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise DataError(
                f"{name} must be finite, but row {row} of {len(features)} is not: "
                "the extractor overflowed, or the generator has diverged"
            )


def check_pair(first: npt.NDArray[Any], second: npt.NDArray[Any], names: tuple[str, str], *, at_least: int = 2) -> None:
    """Raise DataError unless both are features of one length D."""
    for features, name in zip((first, second), names, strict=True):
        check_features(features, name, at_least=at_least)
    if first.shape[1] != second.shape[1]:
        raise DataError(
            f"{names[0]} and {names[1]} must come from one extractor, "
            f"got vectors of {first.shape[1]} and {second.shape[1]}"
        )


def row_blocks(features: Features) -> Iterator[tuple[int, Features]]:
    """Yield (number of the first row, rows), at most BLOCK_BYTES each as float64."""
    at_once = max(1, BLOCK_BYTES // (8 * features.shape[1]))
    for start in range(0, len(features), at_once):
        yield start, features[start : start + at_once]
