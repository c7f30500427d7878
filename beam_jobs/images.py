"""How a picture becomes a square: pure functions on uint8 arrays [height, width, channels].

The named crops are those of published protocols; docs/data.md has the table with their origins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from beam_jobs.decoding import (
    EXTENSIONS,
    FORMATS,
    REASONS,
    TRANSIENT_REASONS,
    Pixels,
    Reject,
    decode,
    quiet_pillow,
)
from gan_core.config import DataConfig

__all__ = [
    "CELEBA_BOXES",
    "EXTENSIONS",
    "FILTERS",
    "FORMATS",
    "NORMALIZATIONS",
    "REASONS",
    "TRANSIENT_REASONS",
    "Box",
    "Pixels",
    "Reject",
    "crop",
    "crop_box",
    "decode",
    "denormalize",
    "flip",
    "normalize",
    "prepare_picture",
    "quiet_pillow",
    "resize",
]

CELEBA_WIDTH, CELEBA_HEIGHT = 178, 218


@dataclass(frozen=True)
class Box:
    """A square inside a picture: pixels [top, top + side) x [left, left + side)."""

    left: int
    top: int
    side: int


# On the 178x218 pictures of CelebA "Align&Cropped".
CELEBA_BOXES = {
    "celeba-108": Box(35, 55, 108),  # DCGAN: centre, round((218 - 108) / 2)
    "celeba-128": Box(25, 57, 128),  # Progressive GAN, dataset_tool.py: centre x = 89, y = 121
    "celeba-140": Box(19, 39, 140),  # CenterCrop(140)
    "celeba-148": Box(15, 35, 148),  # CenterCrop(148)
    "celeba-160": Box(9, 29, 160),  # CenterCrop(160)
    "celeba-178": Box(0, 20, 178),  # CenterCrop(178), the full width
}

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
}

# What training sees is pixel * scale + offset.
NORMALIZATIONS: dict[str, tuple[float, float]] = {"[-1,1]": (2 / 255, -1.0)}


def prepare_picture(data: bytes, config: DataConfig) -> Pixels:
    """Return the record's pixels: bytes of a picture file -> uint8 [resolution, resolution, channels].

    Raises:
        Reject: with one of REASONS.
    """
    image = decode(
        data,
        config.channels,
        config.background,
        round(config.max_megapixels * 1_000_000),
        min_side=config.min_side,
        # CelebA's boxes count whole pixels of the original; only free crops may be decoded smaller.
        shrink_to=2 * config.resolution if config.crop in ("center", "none") else 0,
    )
    return resize(crop(image, config.crop), config.resolution, config.filter)


def crop(image: Pixels, name: str) -> Pixels:
    """Return the named square, a view; see `crop_box`. uint8 [H, W, C] -> uint8 [S, S, C]."""
    height, width = image.shape[:2]
    box = crop_box(width, height, name)
    return image[box.top : box.top + box.side, box.left : box.left + box.side]


def crop_box(width: int, height: int, name: str) -> Box:
    """Return the square that the crop `name` takes from a picture of width x height pixels.

    `center` is the largest centred square, left = (W - S) // 2 and top = (H - S) // 2; `none` takes square
    pictures only. A `celeba-*` box is defined on 178x218 and scales with pictures of that shape: every number
    n becomes floor(n * W / 178 + 1/2) (top: n * H / 218), moved back inside where rounding would leave the
    picture.

    Raises:
        Reject: `not-square`, or `wrong-aspect` where the width is a pixel or more away from H * 178 / 218.
    """
    if name == "center":
        side = min(width, height)
        return Box((width - side) // 2, (height - side) // 2, side)
    if name == "none":
        if width != height:
            raise Reject("not-square", f"{width}x{height}")
        return Box(0, 0, width)
    if abs(width * CELEBA_HEIGHT - height * CELEBA_WIDTH) >= CELEBA_HEIGHT:
        raise Reject("wrong-aspect", f"{width}x{height} has not the shape of 178x218")
    box = CELEBA_BOXES[name]
    side = min(_scaled(box.side, width, CELEBA_WIDTH), width, height)
    left = min(_scaled(box.left, width, CELEBA_WIDTH), width - side)
    return Box(left, min(_scaled(box.top, height, CELEBA_HEIGHT), height - side), side)


def resize(image: Pixels, side: int, filter: str = "lanczos") -> Pixels:
    """Resize with a filter of Pillow, antialiased. uint8 [H, W, C] -> uint8 [side, side, C]."""
    if image.shape[:2] == (side, side):
        return np.ascontiguousarray(image)
    channels = image.shape[2]
    picture = Image.fromarray(image[:, :, 0] if channels == 1 else image)
    return np.asarray(picture.resize((side, side), FILTERS[filter])).reshape(side, side, channels)


def flip(image: Pixels) -> Pixels:
    """Mirror left and right. uint8 [H, W, C] -> uint8 [H, W, C], a view."""
    return image[:, ::-1]


def normalize(image: Pixels, name: str = "[-1,1]") -> npt.NDArray[np.float32]:
    """Return what training sees: pixel * scale + offset, float32, same shape."""
    scale, offset = NORMALIZATIONS[name]
    return image.astype(np.float32) * np.float32(scale) + np.float32(offset)


def denormalize(image: npt.NDArray[np.float32], name: str = "[-1,1]") -> Pixels:
    """Return uint8 pixels of normalized ones, rounded and clipped: the exact inverse for all 256 values."""
    scale, offset = NORMALIZATIONS[name]
    pixels = np.rint((image.astype(np.float64) - offset) / scale)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def _scaled(number: int, length: int, original: int) -> int:
    return (2 * number * length + original) // (2 * original)
