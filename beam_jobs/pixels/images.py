"""Named squares of a picture, and resizing: pure functions on uint8 arrays [height, width, channels].

The named crops are those of published protocols; docs/data.md has the table with their origins.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from PIL import Image

from beam_jobs.pixels.colours import as_picture
from beam_jobs.pixels.filters import Pixels
from beam_jobs.pixels.rejects import Reject
from beam_jobs.pixels.resampling import resample

CELEBA_WIDTH, CELEBA_HEIGHT = 178, 218


@dataclass(frozen=True)
class Box:
    """A part of a picture: pixels [top, top + height) x [left, left + width)."""

    left: int
    top: int
    width: int
    height: int

    @classmethod
    def square(cls, left: int, top: int, side: int) -> Box:
        """Return the square of this side."""
        return cls(left, top, side, side)


# On the 178x218 pictures of CelebA "Align&Cropped".
CELEBA_BOXES = {
    "celeba-108": Box.square(35, 55, 108),  # DCGAN: centre, round((218 - 108) / 2)
    "celeba-128": Box.square(25, 57, 128),  # Progressive GAN, dataset_tool.py: centre x = 89, y = 121
    "celeba-140": Box.square(19, 39, 140),  # CenterCrop(140)
    "celeba-148": Box.square(15, 35, 148),  # CenterCrop(148)
    "celeba-160": Box.square(9, 29, 160),  # CenterCrop(160)
    "celeba-178": Box.square(0, 20, 178),  # CenterCrop(178), the full width
}

FILTERS = {
    "lanczos": Image.Resampling.LANCZOS,
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
    "area": Image.Resampling.BOX,
}


def crop(image: Pixels, name: str) -> Pixels:
    """Return the named part, a view; see `crop_box`. uint8 [H, W, C] -> uint8 [h, w, C]."""
    return cut(image, crop_box(image.shape[1], image.shape[0], name))


def cut(image: Pixels, box: Box) -> Pixels:
    """Return the pixels of a box, a view. uint8 [H, W, C] -> uint8 [box.height, box.width, C]."""
    return image[box.top : box.top + box.height, box.left : box.left + box.width]


@functools.lru_cache(maxsize=64)  # one source has few sizes
def crop_box(width: int, height: int, name: str) -> Box:
    """Return what the crop `name` takes from a picture of width x height pixels; any name but `landmarks`.

    `center` is the largest centred square, left = (W - S) // 2 and top = (H - S) // 2; `none` is the whole picture,
    square or not. A `celeba-*` box is defined on 178x218 and scales with pictures of that shape: every number n becomes
    floor(n * W / 178 + 1/2) (top: n * H / 218), moved back inside where rounding would leave the picture.

    Raises:
        Reject: `wrong-aspect`, for a `celeba-*` box where the width is a pixel or more away from H * 178 / 218.
    """
    if name == "center":
        side = min(width, height)
        return Box.square((width - side) // 2, (height - side) // 2, side)
    if name == "none":
        return Box(0, 0, width, height)
    if abs(width * CELEBA_HEIGHT - height * CELEBA_WIDTH) >= CELEBA_HEIGHT:
        raise Reject("wrong-aspect", f"{width}x{height} has not the shape of 178x218")
    box = CELEBA_BOXES[name]
    side = min(_scaled(box.width, width, CELEBA_WIDTH), width, height)
    left = min(_scaled(box.left, width, CELEBA_WIDTH), width - side)
    return Box.square(left, min(_scaled(box.top, height, CELEBA_HEIGHT), height - side), side)


def resize(image: Pixels, side: int, filter: str = "lanczos") -> Pixels:
    """Resize to a square with a filter of Pillow, antialiased. uint8 [H, W, C] -> uint8 [side, side, C].

    A picture that is not square is stretched to one.
    """
    height, width = image.shape[:2]
    return resize_box(as_picture(image), Box(0, 0, width, height), side, filter)


def resize_box(picture: Image.Image, box: Box, side: int, filter: str = "lanczos", reduction: int = 1) -> Pixels:
    """Cut out a box and resize it to a square. Mode L or RGB -> uint8 [side, side, 1 or 3].

    Args:
        picture: the picture, or one that is `reduction` times smaller, see `decoding.Decoded`.
        box: in pixels of the whole picture.
        side: of the result, pixels.
        filter: a key of FILTERS.
        reduction: 1, 2, 4 or 8; where the edges of the box are then inside of pixels, these count in part.
    """
    left, top = box.left // reduction, box.top // reduction
    right, bottom = -(-(box.left + box.width) // reduction), -(-(box.top + box.height) // reduction)
    part = picture.crop((left, top, right, bottom))
    x, y = box.left / reduction - left, box.top / reduction - top
    inner = (x, y, x + box.width / reduction, y + box.height / reduction)
    return resample(part, side, FILTERS[filter], inner)


def flip(image: Pixels) -> Pixels:
    """Mirror left and right. uint8 [H, W, C] -> uint8 [H, W, C], a view."""
    return image[:, ::-1]


def gray_world(image: Pixels) -> Pixels:
    """Scale each channel so that its mean becomes the mean of all three, rounded half up and clipped.

    Colour constancy under the assumption that the world is grey on average: G. Buchsbaum, "A spatial processor model
    for object colour perception", 1980. A black channel stays black, and a picture of one channel as it is.
    uint8 [H, W, C] -> uint8 [H, W, C].
    """
    channels = image.shape[2]
    if channels == 1:
        return image
    sums = image.sum(axis=(0, 1), dtype=np.int64)
    # value * mean_of_all / mean_of_channel in integers, the same on every machine.
    divisors = np.maximum(sums * channels, 1)
    scaled = (2 * np.arange(256)[:, np.newaxis] * sums.sum() + divisors) // (2 * divisors)
    table = np.clip(scaled, 0, 255).astype(np.uint8)
    table[:, sums == 0] = 0
    return np.stack([table[image[:, :, channel], channel] for channel in range(channels)], axis=2)


def _scaled(number: int, length: int, original: int) -> int:
    return (2 * number * length + original) // (2 * original)
