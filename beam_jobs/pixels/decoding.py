"""Bytes of any picture file -> upright uint8 pixels, or a reject with its reason."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from dataclasses import dataclass

from PIL import Image, ImageFile, UnidentifiedImageError

from beam_jobs.pixels.checksums import check_pngs
from beam_jobs.pixels.colours import as_pixels, to_srgb8, with_channels
from beam_jobs.pixels.deep_colours import is_deep_colour, merge_deep
from beam_jobs.pixels.filters import Bounds, Pixels
from beam_jobs.pixels.formats import EXTENSIONS, FORMATS, LEFT_OUT
from beam_jobs.pixels.rejects import REASONS, TRANSIENT_REASONS, Reject

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "LEFT_OUT",
    "REASONS",
    "TRANSIENT_REASONS",
    "Bounds",
    "Decoded",
    "Pixels",
    "Reject",
    "decode",
    "decode_reduced",
    "open_picture",
    "quiet_pillow",
]

# EXIF 2.3, tag 0x0112: what undoes the camera's orientation.
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_LYING = frozenset({5, 6, 7, 8})  # orientations that exchange width and height
_SAYS_ORIENTATION = frozenset({"exif", "xmp"})  # where Pillow looks for it in a JPEG
_PILLOW_LIMIT = threading.Lock()
_ICO_SIGNATURE = b"\0\0\1\0"
_LOW_GREY_STEPS = {"L;2": 85, "L;4": 17}  # PNG: 2-bit and 4-bit greys -> grey levels


@dataclass(frozen=True)
class Decoded:
    """An upright picture of `width` x `height` pixels, of which libjpeg may have made fewer.

    Attributes:
        picture: mode L or RGB, ceil(width / reduction) x ceil(height / reduction) pixels; each stands for reduction x
            reduction pixels of the file, the last ones for fewer. Pillow's own form, because crop and resize want it:
            turning it into an array and back takes an eighth of the whole work on a CelebA picture.
        width: of the file's picture, upright.
        height: of the file's picture, upright.
        reduction: 1, 2, 4 or 8.
    """

    picture: Image.Image
    width: int
    height: int
    reduction: int = 1

    @property
    def pixels(self) -> Pixels:
        """The picture as uint8 [H, W, C]."""
        return as_pixels(self.picture)


def decode(data: bytes, channels: int = 3, background: str = "white", bounds: Bounds | None = None) -> Pixels:
    """Return all pixels of a picture file, uint8 [H, W, channels]; see `decode_reduced`."""
    return decode_reduced(data, channels, background, bounds).pixels


def decode_reduced(
    data: bytes, channels: int = 3, background: str = "white", bounds: Bounds | None = None, *, keep_side: int = 0
) -> Decoded:
    """Decode a picture file, upright, opaque and in sRGB; of an animation, the first frame.

    EXIF orientation is applied, transparency is laid over `background`, an embedded colour profile other than sRGB is
    converted, 16 bits a channel are scaled by 255/65535 and rounded. Every CRC-32 of a PNG is verified.

    Args:
        data: the bytes of a file in one of FORMATS.
        channels: 3 for RGB, 1 for luminance (ITU-R 601-2, as Pillow's mode L).
        background: white, black or gray, what shows through transparent pixels.
        bounds: pictures outside are rejected, by their header as far as it tells.
        keep_side: let libjpeg scale by 1/2, 1/4 or 1/8 while both sides stay at least this long; 0 is off.

    Raises:
        Reject: with one of REASONS.
    """
    bounds = bounds or Bounds()
    if not data:
        raise Reject("empty", "0 bytes")
    check_pngs(data)
    with open_picture(data, bounds.max_pixels) as image:
        bounds.check_size(*image.size)
        _check_aspect_early(image, bounds)
        try:
            return _decoded(image, data, channels, background, bounds, keep_side)
        except (Reject, MemoryError):
            raise
        except Exception as error:  # Pillow's plugins raise a dozen types on damaged files
            text = _describe(error)
            raise Reject("truncated" if "truncated" in text.lower() else "damaged", text) from None


def quiet_pillow() -> None:
    """Keep Pillow's remarks on single pictures off stderr (broken EXIF, say); what matters is a reject."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    # Sizes are bounded here, by data.max_megapixels.
    warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def open_picture(data: bytes, max_pixels: int) -> ImageFile.ImageFile:
    """Read the header of a picture file; of an icon, which is decoded with it, no more than twice `max_pixels`.

    Raises:
        Reject: `not-a-picture`, `too-large` or `damaged`.
    """
    try:
        # Pillow warns and raises at fixed sizes while it opens; the bound here is data.max_megapixels. An ICO is
        # decoded while it is opened: there Pillow's own check must hold, which raises at twice the given number.
        with _PILLOW_LIMIT:
            saved = Image.MAX_IMAGE_PIXELS
            Image.MAX_IMAGE_PIXELS = max_pixels if data.startswith(_ICO_SIGNATURE) else None
            try:
                return Image.open(io.BytesIO(data), formats=tuple(FORMATS))
            finally:
                Image.MAX_IMAGE_PIXELS = saved
    except UnidentifiedImageError:
        raise Reject("not-a-picture", f"{len(data)} bytes that start with {data[:8]!r}") from None
    except Image.DecompressionBombError as error:
        raise Reject("too-large", _describe(error)) from None
    except Exception as error:
        raise Reject("damaged", _describe(error)) from None


def _decoded(
    image: ImageFile.ImageFile, data: bytes, channels: int, background: str, bounds: Bounds, keep_side: int
) -> Decoded:
    size = image.size
    reduction = _reduce(image, keep_side)
    loaded = _load(image, data, bounds.max_pixels)
    if reduction == 1:
        size = loaded.size  # an icon may hold a larger picture than it says
        bounds.check_size(*size)
    orientation = _orientation(image)
    width, height = size[::-1] if orientation in _LYING else size
    bounds.check_aspect(width, height)
    picture = to_srgb8(_turned(loaded, orientation), background)
    return Decoded(with_channels(picture, channels), width, height, reduction)


def _reduce(image: ImageFile.ImageFile, keep_side: int) -> int:
    """Have libjpeg decode at 1 / (what is returned); depends on header and argument alone."""
    width, height = image.size
    possible = [by for by in (2, 4, 8) if keep_side and min(width, height) >= by * keep_side]
    if not possible:
        return 1
    reduction = possible[-1]
    if (width % reduction or height % reduction) and _orientation(image) != 1:
        return 1  # the last pixels, which stand for fewer, would come to lie first
    return reduction if image.draft(image.mode, (width // reduction, height // reduction)) else 1


def _load(image: ImageFile.ImageFile, data: bytes, max_pixels: int) -> Image.Image:
    """Decode the pixels; the result has `image`'s colour profile and transparency."""
    if is_deep_colour(image):
        with open_picture(data, max_pixels) as again:
            merged = merge_deep(image, again)
        if profile := image.info.get("icc_profile"):
            merged.info["icc_profile"] = profile
        return merged
    if image.format == "PNG" and image.mode == "L" and image.tile and "transparency" in image.info:
        # Pillow scales the pixels to 0 to 255, and leaves the transparent grey as the file has it.
        image.info["transparency"] *= _LOW_GREY_STEPS.get(str(image.tile[0].args), 1)
    image.load()
    return image


def _check_aspect_early(image: Image.Image, bounds: Bounds) -> None:
    """Reject by the header, in the orientation that it says, or where neither orientation would do."""
    if not (bounds.min_aspect or bounds.max_aspect):
        return
    upright, lying = image.size, image.size[::-1]
    if image.format == "TIFF":  # Pillow turns it when it loads it, and gives the turned size before.
        bounds.check_aspect(*upright)
    elif image.format == "PNG" and "exif" not in image.info:
        # It may be said after the pixels, and Pillow would decode them to find out.
        try:
            bounds.check_aspect(*lying)
        except Reject:
            bounds.check_aspect(*upright)
    else:
        bounds.check_aspect(*(lying if _orientation(image) in _LYING else upright))


def _describe(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _orientation(image: Image.Image) -> int:
    if image.format == "JPEG" and _SAYS_ORIENTATION.isdisjoint(image.info):
        return 1
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF in an intact picture: viewers show it as it lies, and so is it taken here.
        return 1
    return orientation if isinstance(orientation, int) else 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)
