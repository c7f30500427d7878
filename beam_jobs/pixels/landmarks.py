"""Faces by their five points: where points go when a picture is cut, and the upright square around a face.

A point lies in the plane of a picture of W x H pixels: x in [0, W] from the left edge of the leftmost pixel to the
right edge of the rightmost one, y likewise from top to bottom; the centre of the first pixel is (0.5, 0.5). The five
are left eye, right eye, nose, left and right corner of the mouth, left and right as one sees them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from beam_jobs.pixels.colours import as_picture, as_pixels
from beam_jobs.pixels.filters import Pixels
from beam_jobs.pixels.images import FILTERS, Box
from beam_jobs.pixels.rejects import Reject
from beam_jobs.pixels.resampling import resample

Landmarks = tuple[float, ...]
"""x and y of the five points, one after the other; empty where unknown."""

_MIRRORED = (1, 0, 2, 4, 3)  # eyes and corners of the mouth change places
_FARTHEST = (-1.0, 2.0)  # relative coordinates; beyond them a point is a mistake of its list
_SHRINK_GAP = 3  # as Pillow's reducing_gap: the box filter leaves this much for the good one
_MARGIN_PIXELS = 3  # what bicubic interpolation reads beyond the square


@dataclass(frozen=True)
class FaceSquare:
    """A square in the plane of a picture: its centre, and the way from there to the middle of its right side."""

    x: float
    y: float
    right_x: float
    right_y: float

    @property
    def side(self) -> float:
        """Length of a side, pixels of the picture."""
        return 2 * math.hypot(self.right_x, self.right_y)

    def shrunk(self, factor: int) -> FaceSquare:
        """Return the same square on a picture that is `factor` times smaller."""
        return FaceSquare(self.x / factor, self.y / factor, self.right_x / factor, self.right_y / factor)

    def place(self, points: Landmarks, side: int) -> Landmarks:
        """Return where points of the picture come to lie in the square of `side` pixels."""
        scale = side / self.side**2 * 2
        placed = []
        for x, y in _pairs(points):
            dx, dy = x - self.x, y - self.y
            placed.append((dx * self.right_x + dy * self.right_y) * scale + side / 2)
            placed.append((dy * self.right_x - dx * self.right_y) * scale + side / 2)
        return tuple(placed)


def scaled(landmarks: Landmarks, width: int, height: int) -> Landmarks:
    """Return points in pixels, of points relative to width and height."""
    return tuple([value for x, y in _pairs(landmarks) for value in (x * width, y * height)])


def boxed(points: Landmarks, box: Box, side: int) -> Landmarks:
    """Return where points of a picture come to lie when `box` is cut out and resized to `side` x `side` pixels."""
    left, top, width, height = box.left, box.top, box.width, box.height
    placed = [value for x, y in _pairs(points) for value in ((x - left) * side / width, (y - top) * side / height)]
    return tuple(placed)


def mirrored(points: Landmarks, width: int) -> Landmarks:
    """Return the points of the mirrored picture: x becomes width - x, and left and right change their names."""
    pairs = _pairs(points)
    return tuple(value for index in _MIRRORED[: len(pairs)] for value in (width - pairs[index][0], pairs[index][1]))


def face_square(landmarks: Landmarks, width: int, height: int) -> FaceSquare:
    """Return the upright square around a face, as FFHQ is cut; see docs/data.md.

    With e the way from the left to the right eye and m the way from between the eyes to between the corners of the
    mouth: the direction to the right is e + m turned by 90 degrees, half a side is max(2 |e|, 1.8 |m|), and the centre
    is between the eyes + m / 10. Karras et al. 2019, arXiv:1812.04948, `recreate_aligned_images` in
    ffhq-dataset/download_ffhq.py, which takes the means of six points of an eye for that eye.

    Args:
        landmarks: relative to width and height.
        width: of the picture, pixels.
        height: of the picture, pixels.

    Raises:
        Reject: `no-landmarks` where they are unknown, far outside of the picture, or in one place.
    """
    if not landmarks:
        raise Reject("no-landmarks", "data.crop=landmarks, and the source has none for it")
    low, high = _FARTHEST
    if not all(low <= value <= high for value in landmarks):  # true for NaN as well
        found = ", ".join(f"{value:.3g}" for value in landmarks)
        raise Reject("no-landmarks", f"points far outside of the picture, relative to its sides: {found}")
    (left_x, left_y), (right_x, right_y), _, (corner_x, corner_y), (other_x, other_y) = _pairs(
        scaled(landmarks, width, height)
    )
    eyes_x, eyes_y = (left_x + right_x) / 2, (left_y + right_y) / 2
    across_x, across_y = right_x - left_x, right_y - left_y  # from eye to eye
    down_x, down_y = (corner_x + other_x) / 2 - eyes_x, (corner_y + other_y) / 2 - eyes_y  # and to the mouth
    towards_x, towards_y = across_x + down_y, across_y - down_x
    half = max(2.0 * math.hypot(across_x, across_y), 1.8 * math.hypot(down_x, down_y))
    length = math.hypot(towards_x, towards_y)
    if half < 1 or length < 1e-6 * half:
        raise Reject("no-landmarks", f"points that span no face: {', '.join(f'{value:.3g}' for value in landmarks)}")
    scale = half / length
    return FaceSquare(eyes_x + 0.1 * down_x, eyes_y + 0.1 * down_y, towards_x * scale, towards_y * scale)


def cut_face(image: Pixels, square: FaceSquare, side: int, filter: str = "lanczos") -> Pixels:
    """Turn, scale and cut out a square, antialiased. uint8 [H, W, C] -> uint8 [side, side, C].

    What lies outside of the picture is its reflection (the outermost pixels are not repeated). Pixels are interpolated
    with the bicubic kernel (a = -0.5) at two or more times the density of the result, then resized with `filter`. From
    six times the result on, whole blocks of pixels are averaged first.
    """
    factor = max(1, int(square.side / (_SHRINK_GAP * side)))
    square = square.shrunk(factor)
    dense = side * max(2, math.ceil(square.side / side))
    return resample(_turned(image, factor, square, dense), side, FILTERS[filter], (0, 0, dense, dense))


def _turned(image: Pixels, factor: int, square: FaceSquare, side: int) -> Image.Image:
    """Return the square of the picture that is `factor` times smaller. uint8 [H, W, C] -> mode L or RGB."""
    reach = abs(square.right_x) + abs(square.right_y) + _MARGIN_PIXELS
    left, top = math.floor(square.x - reach), math.floor(square.y - reach)
    columns = range(left, math.ceil(square.x + reach) + 1)
    patch = _patch(image, factor, columns, range(top, math.ceil(square.y + reach) + 1))
    x, y, a, b = square.x - left, square.y - top, square.right_x, square.right_y
    # Where the point (u, v) of the result comes from: centre + right * (2u/side - 1) + down * (2v/side - 1).
    affine = (2 * a / side, -2 * b / side, x - a + b, 2 * b / side, 2 * a / side, y - a - b)
    return patch.transform((side, side), Image.Transform.AFFINE, affine, FILTERS["bicubic"])


def _patch(image: Pixels, factor: int, columns: range, rows: range) -> Image.Image:
    """Return a part of the picture that is `factor` times smaller, reflected where it reaches out of it."""
    height, width = (-(-length // factor) for length in image.shape[:2])
    inside = columns[0] >= 0 and rows[0] >= 0 and columns[-1] < width and rows[-1] < height
    across, down = _reflected(columns, width), _reflected(rows, height)
    left, top = across.min(), down.min()
    # Whole blocks of what is needed: they are averaged one by one.
    part = image[top * factor : (down.max() + 1) * factor, left * factor : (across.max() + 1) * factor]
    picture = as_picture(part).reduce(factor) if factor > 1 else None
    if inside:
        return picture or as_picture(part)
    pixels = as_pixels(picture) if picture else part
    return as_picture(pixels.take(down - top, axis=0).take(across - left, axis=1))


def _reflected(indices: range, length: int) -> npt.NDArray[np.int_]:
    """Return which of `length` pixels is seen at any index: 0 1 2 3 2 1 0 1 ... in both directions."""
    period = max(1, 2 * (length - 1))
    inside = np.arange(indices.start, indices.stop) % period
    return np.minimum(inside, period - inside) if length > 1 else np.zeros_like(indices)


def _pairs(values: Sequence[float]) -> list[tuple[float, float]]:
    return list(zip(values[::2], values[1::2], strict=True))
