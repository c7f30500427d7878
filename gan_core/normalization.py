"""What training sees of a pixel: x = pixel * scale + offset, channel by channel, and the exact way back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Normalization:
    """One scale and one offset for each channel."""

    scale: tuple[float, ...]
    offset: tuple[float, ...]

    def apply(self, images: Pixels) -> npt.NDArray[np.float32]:
        """Return what training sees: uint8 [..., C] -> float32 [..., C]."""
        scale, offset = np.asarray(self.scale, np.float32), np.asarray(self.offset, np.float32)
        return images.astype(np.float32) * scale + offset

    def invert(self, values: npt.NDArray[np.floating[Any]]) -> Pixels:
        """Return the pixels of normalized values, rounded and clipped; the exact inverse of `apply`.

        float [..., C] -> uint8 [..., C].
        """
        scale, offset = np.asarray(self.scale, np.float64), np.asarray(self.offset, np.float64)
        pixels = np.rint((values.astype(np.float64) - offset) / scale)
        return np.clip(pixels, 0, 255).astype(np.uint8)

    def to_json(self) -> dict[str, list[float]]:
        """Return the manifest's form; `from_json` is the inverse."""
        return {"scale": list(self.scale), "offset": list(self.offset)}

    @classmethod
    def from_json(cls, saved: Mapping[str, Sequence[float]]) -> Normalization:
        """Read the manifest's form."""
        return cls(tuple(saved["scale"]), tuple(saved["offset"]))


def _by_statistics(mean: Sequence[float], deviation: Sequence[float]) -> Normalization:
    # A channel without any variation is only shifted.
    scale = tuple(1.0 / one if one > 0 else 1.0 for one in deviation)
    return Normalization(scale, tuple(-center * factor for center, factor in zip(mean, scale, strict=True)))


# data.normalize -> what makes it of mean and deviation per channel, in [0, 255], of the training pixels.
NORMALIZATIONS: dict[str, Callable[[Sequence[float], Sequence[float]], Normalization]] = {
    "[-1,1]": lambda mean, _: Normalization((2.0 / 255.0,) * len(mean), (-1.0,) * len(mean)),
    "[0,1]": lambda mean, _: Normalization((1.0 / 255.0,) * len(mean), (0.0,) * len(mean)),
    "mean-deviation": _by_statistics,
}
