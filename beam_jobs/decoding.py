"""Bytes of any picture file -> uint8 pixels, or a reject with its reason."""

from __future__ import annotations

import functools
import hashlib
import io
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms, UnidentifiedImageError

Pixels = npt.NDArray[np.uint8]

REASONS = {
    "missing": "the source listed it, and it is gone",
    "unreadable": "the file system or the archive could not give its bytes",
    "changed": "its bytes are not those that were listed",
    "empty": "0 bytes",
    "not-a-picture": "the bytes are of no known picture format",
    "truncated": "the file ends before its picture does",
    "damaged": "the decoder found an error in it",
    "unsupported": "pixels without a defined black and white, or a colour model that cannot be converted",
    "too-large": "more pixels than data.max_megapixels; it is not decoded",
    "too-small": "its shorter side is below data.min_side",
    "wrong-aspect": "a celeba-* crop, and not CelebA's aspect ratio 178:218",
    "not-square": "data.crop=none, and its sides differ",
}
TRANSIENT_REASONS = frozenset({"missing", "unreadable", "changed"})  # another try may end otherwise

# Pillow's name of the format -> extensions. Only formats that decode in process: EPS would start Ghostscript.
FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "AVIF": (".avif",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "TGA": (".tga",),
    "JPEG2000": (".jp2", ".j2k", ".jpx", ".j2c"),
}
EXTENSIONS = frozenset(extension for extensions in FORMATS.values() for extension in extensions)

_BACKGROUNDS = {"white": 255, "black": 0, "gray": 128}
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
_PILLOW_LIMIT = threading.Lock()


class Reject(Exception):
    """One picture cannot be used: `reason` is a key of REASONS, `detail` says what was found."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail


def decode(
    data: bytes,
    channels: int = 3,
    background: str = "white",
    max_pixels: int = 120_000_000,
    *,
    min_side: int = 1,
    shrink_to: int = 0,
) -> Pixels:
    """Decode a picture file, upright, opaque and in sRGB.

    EXIF orientation is applied, transparency is laid over `background`, an embedded colour profile other than
    sRGB is converted, 16-bit grey is scaled by 255/65535, the first frame of an animation is taken.

    Args:
        data: the bytes of a file in one of FORMATS.
        channels: 3 for RGB, 1 for luminance (ITU-R 601-2, as Pillow's mode L).
        background: white, black or gray, what shows through transparent pixels.
        max_pixels: larger pictures are rejected by their header, before any pixel is decoded.
        min_side: pictures whose shorter side has fewer pixels are rejected, by their header as well.
        shrink_to: let libjpeg scale by 1/2, 1/4 or 1/8 while both sides stay at least this long; 0 is off.

    Returns:
        uint8 [H, W, channels].

    Raises:
        Reject: with one of REASONS.
    """
    if not data:
        raise Reject("empty", "0 bytes")
    with _open(data) as image:
        _check_size(image, max_pixels, min_side)
        if shrink_to:
            # Both arguments come from the header and the config, so equal bytes give equal pixels.
            image.draft(image.mode, (shrink_to, shrink_to))
        with _decoder_errors():
            image.load()
            pixels = _to_uint8(_upright(image), _BACKGROUNDS[background])
    return np.ascontiguousarray(_with_channels(pixels, channels))


def quiet_pillow() -> None:
    """Keep Pillow's remarks on single pictures off stderr (broken EXIF, say); what matters is a reject."""
    warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
    logging.getLogger("PIL").setLevel(logging.CRITICAL)


def _open(data: bytes) -> Image.Image:
    try:
        # Pillow warns and raises at fixed sizes while it opens; the bound here is data.max_megapixels.
        with _PILLOW_LIMIT:
            saved, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            try:
                return Image.open(io.BytesIO(data), formats=tuple(FORMATS))
            finally:
                Image.MAX_IMAGE_PIXELS = saved
    except UnidentifiedImageError:
        raise Reject("not-a-picture", f"{len(data)} bytes that start with {data[:8]!r}") from None
    except Exception as error:
        raise Reject("damaged", _describe(error)) from None


def _check_size(image: Image.Image, max_pixels: int, min_side: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        found, bound = width * height / 1e6, max_pixels / 1e6
        raise Reject("too-large", f"{width}x{height} is {found:.1f} megapixels, data.max_megapixels is {bound:g}")
    if min(width, height) < min_side:
        raise Reject("too-small", f"{width}x{height}, data.min_side is {min_side}")


@contextmanager
def _decoder_errors() -> Iterator[None]:
    """Turn whatever a decoder raises into a reject: Pillow's plugins raise a dozen types on damaged files."""
    try:
        yield
    except (Reject, MemoryError):
        raise
    except Exception as error:
        text = _describe(error)
        raise Reject("truncated" if "truncated" in text.lower() else "damaged", text) from None


def _describe(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # broken EXIF in an intact picture: viewers show it as it lies, and so is it taken here.
        return image
    turn = _UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_uint8(image: Image.Image, background: int) -> Pixels:
    """Return uint8 [H, W, 1] for grey modes and [H, W, 3] for all others."""
    if image.mode in _DEEP:
        return _DEEP[image.mode](np.asarray(image))[:, :, np.newaxis]
    profile = image.info.get("icc_profile")
    if image.has_transparency_data:
        return _flatten(_to_srgb(image.convert("RGBA"), profile), background)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))[:, :, np.newaxis]
    image = _to_srgb(image, profile)
    try:
        return np.asarray(image.convert("RGB"))
    except ValueError as error:
        raise Reject("unsupported", f"mode {image.mode}: {error}") from None


def _flatten(image: Image.Image, background: int) -> Pixels:
    """Lay RGBA over a grey level: (colour * alpha + background * (255 - alpha)) / 255, rounded half up."""
    pixels = np.asarray(image).astype(np.uint32)
    colour, alpha = pixels[:, :, :3], pixels[:, :, 3:]
    return ((colour * alpha + background * (255 - alpha) + 127) // 255).astype(np.uint8)


def _from_16_bit(values: npt.NDArray[np.generic]) -> Pixels:
    wide = values.astype(np.int64)
    low, high = int(wide.min()), int(wide.max())
    if low < 0 or high > 65535:
        raise Reject("unsupported", f"integer pixels from {low} to {high}; white is defined for 8 and 16 bit only")
    return ((wide * 255 + 32767) // 65535).astype(np.uint8)


def _from_float(values: npt.NDArray[np.generic]) -> Pixels:
    wide = values.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    if not 0 <= low <= high <= 255:  # false for NaN as well
        raise Reject("unsupported", f"float pixels from {low:g} to {high:g}; white is defined as 1 or as 255 only")
    scaled: Pixels = np.floor(wide * (255 if high <= 1 else 1) + 0.5).astype(np.uint8)
    return scaled


_DEEP: dict[str, Callable[[npt.NDArray[np.generic]], Pixels]] = {
    "I;16": _from_16_bit,
    "I;16L": _from_16_bit,
    "I;16B": _from_16_bit,
    "I;16N": _from_16_bit,
    "I": _from_16_bit,  # Pillow's mode for 16-bit PGM and for 32-bit TIFF
    "F": _from_float,
}


def _with_channels(pixels: Pixels, channels: int) -> Pixels:
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    return np.asarray(Image.fromarray(pixels).convert("L"))[:, :, np.newaxis]


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded ICC profile; a picture without one, or with a broken one, is taken as sRGB."""
    if not profile or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    transform = _srgb_transform(profile, hashlib.sha256(profile).digest(), image.mode)
    converted = None if transform is None else ImageCms.applyTransform(image, transform)
    return image if converted is None else converted


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, _: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what converts `profile` to sRGB, None where it is sRGB already or cannot be used."""
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(parsed).lower():
            return None
        target = "RGBA" if mode == "RGBA" else "RGB"
        return ImageCms.buildTransform(parsed, ImageCms.createProfile("sRGB"), mode, target)
    except (OSError, ImageCms.PyCMSError):
        return None
