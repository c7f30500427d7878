"""What happens to a picture, from the bytes of its file to the pixels of its record."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_jobs.pixels.colours import as_picture, with_channels
from beam_jobs.pixels.decoding import Decoded, decode_reduced
from beam_jobs.pixels.filters import Bounds, Pixels, check_sharpness
from beam_jobs.pixels.images import crop_box, flip, gray_world, resize_box
from beam_jobs.pixels.landmarks import Landmarks, boxed, cut_face, face_square, mirrored, scaled
from beam_jobs.pixels.rejects import Reject
from gan_core.config import DataConfig

REDUCED_SIDE = 4
"""Sides of a JPEG that libjpeg scales stay at least so many times the target: see the bound in docs/data.md."""


@dataclass(frozen=True)
class Prepared:
    """What a record holds of a picture.

    Attributes:
        pixels: uint8 [resolution, resolution, channels].
        landmarks: x and y of the five points in the plane of `pixels`, see landmarks.py: 0 and resolution are the outer
            edges of the outermost pixels. They may lie outside; empty where unknown.
    """

    pixels: Pixels
    landmarks: Landmarks = ()

    def mirrored(self) -> Prepared:
        """Return the mirrored picture: x becomes resolution - x, left and right of eyes and mouth are exchanged."""
        return Prepared(np.ascontiguousarray(flip(self.pixels)), mirrored(self.landmarks, self.pixels.shape[1]))


def prepare_picture(data: bytes | Pixels, config: DataConfig, landmarks: Landmarks = ()) -> Prepared:
    """Return what a record holds of a picture: checked, decoded, cropped, resized.

    Args:
        data: the bytes of a picture file, or the pixels of a source that has no files, uint8 [H, W, 1 or 3].
        config: crop, filter, bounds and channels.
        landmarks: x / width and y / height of five points of the upright picture, 0 and 1 being its outer edges; empty
            where unknown.

    Raises:
        Reject: with one of REASONS.
    """
    if config.crop == "landmarks" and not landmarks:
        raise Reject("no-landmarks", "data.crop=landmarks, and the source has none for it")
    prepared = _place(_decode(data, config), config, landmarks)
    check_sharpness(prepared.pixels, config.min_sharpness)
    return Prepared(gray_world(prepared.pixels), prepared.landmarks) if config.gray_world else prepared


def _decode(data: bytes | Pixels, config: DataConfig) -> Decoded:
    bounds = Bounds.of(config)
    if isinstance(data, np.ndarray):
        height, width = data.shape[:2]
        bounds.check_size(width, height)
        bounds.check_aspect(width, height)
        return Decoded(with_channels(as_picture(data), config.channels), width, height)
    # The boxes of CelebA and of landmarks may be a small part of the picture; and `area` counts whole pixels only, so
    # which ones it takes would change.
    may_reduce = config.crop in ("center", "none") and config.filter != "area"
    keep_side = REDUCED_SIDE * config.resolution if may_reduce else 0
    return decode_reduced(data, config.channels, config.background, bounds, keep_side=keep_side)


def _place(decoded: Decoded, config: DataConfig, landmarks: Landmarks) -> Prepared:
    width, height = decoded.width, decoded.height
    side, points = config.resolution, scaled(landmarks, width, height)
    if config.crop == "landmarks":
        square = face_square(landmarks, width, height)
        return Prepared(cut_face(decoded.pixels, square, side, config.filter), square.place(points, side))
    box = crop_box(width, height, config.crop)
    return Prepared(resize_box(decoded.picture, box, side, config.filter, decoded.reduction), boxed(points, box, side))
