"""Which pictures are refused for what they are: size, shape, sharpness."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from beam_jobs.pixels.rejects import Reject
from gan_core.config import DataConfig

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Bounds:
    """What width and height of a picture must be, in pixels of the upright picture; an aspect of 0 is no bound."""

    max_pixels: int = 120_000_000
    min_side: int = 1
    min_aspect: float = 0.0
    max_aspect: float = 0.0

    @classmethod
    def of(cls, config: DataConfig) -> Bounds:
        """Return the bounds that `data.max_megapixels`, `min_side`, `min_aspect` and `max_aspect` ask for."""
        return _bounds(config.max_megapixels, config.min_side, config.min_aspect, config.max_aspect)

    def check_size(self, width: int, height: int) -> None:
        """Raise Reject `too-large` or `too-small`."""
        if width * height > self.max_pixels:
            found, bound = width * height / 1e6, self.max_pixels / 1e6
            raise Reject("too-large", f"{width}x{height} is {found:.1f} megapixels, data.max_megapixels is {bound:g}")
        if min(width, height) < self.min_side:
            raise Reject("too-small", f"{width}x{height}, data.min_side is {self.min_side}")

    def check_aspect(self, width: int, height: int) -> None:
        """Raise Reject `wrong-aspect` where width / height is outside the bounds, which are inclusive."""
        aspect = width / height
        if aspect < self.min_aspect:
            raise Reject("wrong-aspect", f"{width}x{height} is {aspect:.3f}, data.min_aspect is {self.min_aspect:g}")
        if 0 < self.max_aspect < aspect:
            raise Reject("wrong-aspect", f"{width}x{height} is {aspect:.3f}, data.max_aspect is {self.max_aspect:g}")


@functools.lru_cache(maxsize=4)  # the same for all pictures of a data set
def _bounds(max_megapixels: float, min_side: int, min_aspect: float, max_aspect: float) -> Bounds:
    return Bounds(round(max_megapixels * 1_000_000), min_side, min_aspect, max_aspect)


def luminance(image: Pixels) -> Pixels:
    """Return ITU-R 601-2 luminance as Pillow's mode L has it. uint8 [H, W, 1 or 3] -> uint8 [H, W]."""
    return image[:, :, 0] if image.shape[2] == 1 else np.asarray(Image.fromarray(image).convert("L"))


def sharpness(image: Pixels) -> float:
    """Return the variance of the Laplacian of the luminance, in grey levels squared. uint8 [H, W, 1 or 3].

    The kernel is 0 1 0 / 1 -4 1 / 0 1 0, and only pixels with four neighbours count; 0.0 where there is none. The sums
    are of integers, so the value is the same on every machine. Pech-Pacheco et al. 2000, "Diatom autofocusing in
    brightfield microscopy: a comparative study".
    """
    grey = luminance(image).astype(np.int64)
    if min(grey.shape) < 3:
        return 0.0
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    edges = neighbours - 4 * grey[1:-1, 1:-1]
    count, total, squares = edges.size, int(edges.sum()), int((edges * edges).sum())
    return (count * squares - total * total) / (count * count)


def check_sharpness(image: Pixels, min_sharpness: float) -> None:
    """Raise Reject `blurry` where `sharpness(image)` is below `min_sharpness`; 0 is no bound."""
    if min_sharpness and (found := sharpness(image)) < min_sharpness:
        raise Reject("blurry", f"sharpness {found:.1f}, data.min_sharpness is {min_sharpness:g}")
