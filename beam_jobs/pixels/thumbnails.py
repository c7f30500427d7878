"""Small pictures of what was rejected: as far as it can be decoded, within the same bound of pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from beam_jobs.pixels.colours import as_picture, with_channels
from beam_jobs.pixels.decoding import decode_reduced, open_picture
from beam_jobs.pixels.filters import Bounds, Pixels
from beam_jobs.pixels.rejects import Reject

TILE_PIXELS = 64
SHOWN_REASONS = (
    "too-small",
    "wrong-aspect",
    "no-landmarks",
    "blurry",
    "duplicate",
    "near-duplicate",
    "truncated",
    "damaged",
)
"""Reasons that leave something to see. Not `too-large`: nothing of such a picture is decoded."""
_BROKEN_REASONS = frozenset({"truncated", "damaged"})
_BACKDROP = (224, 224, 224)


def thumbnail(data: bytes | Pixels, reason: str, max_pixels: int, background: str = "white") -> Pixels | None:
    """Return the whole picture, uint8 [64, 64, 3], or as much of a broken one as can be decoded; None for nothing.

    Larger pictures are shrunk, smaller ones magnified by whole factors; what is not square stands before light grey.

    Args:
        data: the bytes of a picture file, or pixels, uint8 [H, W, 1 or 3].
        reason: why it was rejected, one of SHOWN_REASONS.
        max_pixels: a picture with more is not decoded.
        background: white, black or gray, what shows through transparent pixels.
    """
    try:
        if isinstance(data, np.ndarray):
            return _tile(with_channels(as_picture(data), 3))
        bounds = Bounds(max_pixels)
        try:
            return _tile(decode_reduced(data, 3, background, bounds, keep_side=TILE_PIXELS).picture)
        except Reject:
            return _partly(data, bounds) if reason in _BROKEN_REASONS else None
    except (Reject, MemoryError):
        return None


def _partly(data: bytes, bounds: Bounds) -> Pixels | None:
    """Decode up to where a file is broken. What follows is black, or whatever its decoder leaves there."""
    with open_picture(data, bounds.max_pixels) as image:
        bounds.check_size(*image.size)
        image.draft("RGB", (TILE_PIXELS, TILE_PIXELS))
        try:
            try:
                image.load()
            except Exception:  # Pillow's plugins raise a dozen types; the pixels so far are in the picture
                image.tile = []
            picture = image.convert("RGB")
        except Exception:
            return None
    is_blank = picture.getcolors(1) is not None
    return None if is_blank else _tile(picture)


def _tile(picture: Image.Image) -> Pixels:
    width, height = picture.size
    longest = max(width, height)
    if longest > TILE_PIXELS:
        width, height = (max(1, round(side * TILE_PIXELS / longest)) for side in (width, height))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=2.0)
    else:
        factor = TILE_PIXELS // longest
        picture = picture.resize((width * factor, height * factor), Image.Resampling.NEAREST)
    tile = Image.new("RGB", (TILE_PIXELS, TILE_PIXELS), _BACKDROP)
    tile.paste(picture, ((TILE_PIXELS - picture.width) // 2, (TILE_PIXELS - picture.height) // 2))
    return np.asarray(tile)
