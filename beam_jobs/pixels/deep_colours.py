"""16 bits a channel -> 8, scaled and rounded: Pillow alone keeps the upper 8 bits of colours and forgets the rest."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from beam_jobs.pixels.rejects import Reject

Pixels = npt.NDArray[np.uint8]

# Pillow unpacks "RGB;16B" by taking the first of every two bytes and "RGB;16L" by taking the second, into the same
# 8-bit mode. The raw mode of the wrong byte order is therefore a picture of the lower bytes.
_OTHER_BYTE = {"16B": "16L", "16L": "16B", "16N": "16B" if sys.byteorder == "little" else "16L"}
_BANDS = frozenset({"RGB", "RGBA", "RGBX", "CMYK", "R", "G", "B", "A", "C", "M", "Y", "K"})
_DEEP_FORMATS = frozenset({"PNG", "TIFF"})
_ROW_BLOCK_PIXELS = 1 << 19


def by_rows(function: Callable[[npt.NDArray[np.generic]], Pixels], pixels: npt.NDArray[np.generic]) -> Pixels:
    """Apply `function` to blocks of rows, and return all: large pictures must not need wide copies of themselves."""
    rows = max(1, _ROW_BLOCK_PIXELS // pixels.shape[1])
    return np.concatenate([function(pixels[top : top + rows]) for top in range(0, len(pixels), rows)])


def is_deep_colour(image: Image.Image) -> bool:
    """Whether an opened picture, not loaded yet, has 16 bits in each of several channels (PNG, TIFF)."""
    return image.format in _DEEP_FORMATS and _lower_tiles(image) is not None


def merge_deep(upper: ImageFile.ImageFile, lower: ImageFile.ImageFile) -> Image.Image:
    """Return the 8-bit picture of one with 16 bits a channel: value * 255 / 65535, rounded to the nearest.

    Args:
        upper: the opened picture, not loaded yet.
        lower: the same file, opened once more and not loaded.

    Returns:
        L, LA, RGB, RGBA or CMYK. A colour that the PNG's tRNS chunk declares transparent has become alpha, by all of
        its 16 bits; for grey (mode I;16) and colour alike.
    """
    tiles = _lower_tiles(lower)
    assert tiles is not None
    lower.tile, grey_alpha = tiles
    if grey_alpha:
        # Two 16-bit channels are four bytes a pixel, which are read as if they were red, green, blue and alpha.
        quads = np.asarray(lower)
        return Image.fromarray(by_rows(_from_byte_pairs, quads.reshape(*quads.shape[:2], 2, 2)), "LA")
    key = upper.info.get("transparency")
    pairs = np.stack([np.asarray(upper), np.asarray(lower)], axis=-1)
    merged = by_rows(_from_byte_pairs, pairs)
    if isinstance(key, tuple) and upper.mode == "RGB":
        opaque = (pairs[..., 0].astype(np.uint16) << np.uint16(8) | pairs[..., 1]) != np.array(key, np.uint16)
        merged = np.dstack([merged, opaque.any(axis=2).astype(np.uint8) * np.uint8(255)])
        return Image.fromarray(merged, "RGBA")
    return Image.fromarray(merged, upper.mode)


def from_16_bit(values: npt.NDArray[np.generic]) -> Pixels:
    """Return integers of 0 to 65535 as uint8, value * 255 / 65535 rounded, same shape.

    Raises:
        Reject: `unsupported`, beyond that range: nobody can say what its white is.
    """
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise Reject("unsupported", f"integer pixels from {low} to {high}; white is defined for 8 and 16 bit only")
    return by_rows(lambda block: _scaled(block.astype(np.uint32)), values)


def from_float(values: npt.NDArray[np.generic]) -> Pixels:
    """Return floats of 0 to 1, or to 255 where one exceeds 1, as rounded uint8 of the same shape.

    Raises:
        Reject: `unsupported`, beyond that range or not a number.
    """
    low, high = float(values.min()), float(values.max())
    if not 0 <= low <= high <= 255:  # false for NaN as well
        raise Reject("unsupported", f"float pixels from {low:g} to {high:g}; white is defined as 1 or as 255 only")
    white = 255 if high <= 1 else 1
    return by_rows(lambda block: np.floor(block.astype(np.float64) * white + 0.5).astype(np.uint8), values)


def _from_byte_pairs(pairs: npt.NDArray[np.generic]) -> Pixels:
    """uint8 [..., 2], upper byte first -> uint8 [...]."""
    wide = pairs.astype(np.uint32)
    return _scaled(wide[..., 0] << np.uint32(8) | wide[..., 1])


def _scaled(wide: npt.NDArray[np.uint32]) -> Pixels:
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _lower_tiles(image: Image.Image) -> tuple[list[ImageFile._Tile], bool] | None:
    """Return the tiles that decode the lower bytes, and whether they are grey with alpha; None where there are none."""
    tiles = list(getattr(image, "tile", ()))
    swapped = []
    for tile in tiles:
        args = tile.args if isinstance(tile.args, tuple) else (tile.args,)
        raw = args[0] if args and isinstance(args[0], str) else ""
        if raw == "LA;16B" and len(tiles) == 1:
            return [tile._replace(args=_like(tile.args, ("RGBA", *args[1:])))], True
        bands, _, depth = raw.partition(";")
        if bands not in _BANDS or depth not in _OTHER_BYTE:
            return None
        swapped.append(tile._replace(args=_like(tile.args, (f"{bands};{_OTHER_BYTE[depth]}", *args[1:]))))
    return (swapped, False) if swapped else None


def _like(original: object, args: tuple[object, ...]) -> object:
    return args if isinstance(original, tuple) else args[0]
