"""A loaded picture of any colour model -> opaque 8-bit sRGB or grey."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from beam_jobs.pixels.deep_colours import by_rows, from_16_bit, from_float
from beam_jobs.pixels.rejects import Reject

Pixels = npt.NDArray[np.uint8]

BACKGROUNDS = {"white": 255, "black": 0, "gray": 128}

_DEEP_GREY: dict[str, Callable[[npt.NDArray[np.generic]], Pixels]] = {
    "I;16": from_16_bit,
    "I;16L": from_16_bit,
    "I;16B": from_16_bit,
    "I;16N": from_16_bit,
    "I": from_16_bit,  # Pillow's mode for 16-bit PGM and for 32-bit TIFF
    "F": from_float,
}
# Larger profiles are used, but not kept: sixteen of the largest that a JPEG can carry are 267 MB.
_CACHED_PROFILE_BYTES = 1 << 20


def to_srgb8(image: Image.Image, background: str) -> Image.Image:
    """Return opaque 8-bit sRGB: mode L for grey modes without transparency, RGB for all others.

    Transparency is laid over `background` as (colour * alpha + background * (255 - alpha)) / 255, rounded half up. An
    embedded ICC profile other than sRGB is converted by Little CMS with the perceptual intent and no flags, for grey as
    for colour; a profile that is broken, or of another colour model than the pixels, counts as sRGB.

    Raises:
        Reject: `unsupported`.
    """
    profile = image.info.get("icc_profile")
    if image.mode in _DEEP_GREY:
        image = _from_deep_grey(image)
    if image.has_transparency_data:
        return Image.fromarray(_flatten(_srgb_with_alpha(image, profile), BACKGROUNDS[background]))
    if image.mode in ("1", "L"):
        return _to_srgb(image.convert("L"), profile)
    if image.mode in ("P", "RGBX", "YCbCr", "HSV"):
        image = image.convert("RGB")
    image = _to_srgb(image, profile)
    try:
        return image if image.mode == "RGB" else image.convert("RGB")
    except ValueError as error:
        raise Reject("unsupported", f"mode {image.mode}: {error}") from None


def with_channels(picture: Image.Image, channels: int) -> Image.Image:
    """Return mode RGB with grey repeated for 3 channels, mode L with the luminance (ITU-R 601-2) for 1."""
    mode = "RGB" if channels == 3 else "L"
    return picture if picture.mode == mode else picture.convert(mode)


def as_picture(pixels: Pixels) -> Image.Image:
    """Return the pixels as Pillow holds them: uint8 [H, W, 1 or 3] -> mode L or RGB."""
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)


def as_pixels(picture: Image.Image) -> Pixels:
    """Return the pixels of mode L or RGB: uint8 [H, W, 1 or 3]."""
    # `np.asarray` does the same, by way of Pillow's description of itself, in twice the time.
    pixels = np.frombuffer(picture.tobytes(), np.uint8)
    return pixels.reshape(picture.height, picture.width, len(picture.mode))


def _from_deep_grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    grey = _DEEP_GREY[image.mode](values)
    key = image.info.get("transparency")
    if not isinstance(key, int):
        return Image.fromarray(grey)
    return Image.fromarray(np.dstack([grey, (values != key).astype(np.uint8) * np.uint8(255)]), "LA")


def _srgb_with_alpha(image: Image.Image, profile: bytes | None) -> Image.Image:
    if profile and image.mode in ("L", "LA"):
        grey, alpha = image.convert("LA").split()
        return Image.merge("LA", (_to_srgb(grey, profile), alpha)).convert("RGBA")
    return _to_srgb(image.convert("RGBA"), profile)


def _flatten(image: Image.Image, background: int) -> Pixels:
    def block(pixels: npt.NDArray[np.generic]) -> Pixels:
        wide = pixels.astype(np.uint32)
        colour, alpha = wide[:, :, :3], wide[:, :, 3:]
        return ((colour * alpha + background * (255 - alpha) + 127) // 255).astype(np.uint8)

    return by_rows(block, np.asarray(image))


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert by the embedded profile: L stays L, RGBA stays RGBA, CMYK becomes RGB."""
    if not profile or image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        return image
    cached = len(profile) <= _CACHED_PROFILE_BYTES
    transform = (_srgb_transform if cached else _srgb_transform.__wrapped__)(profile, image.mode)
    if transform is None:
        return image
    converted = ImageCms.applyTransform(image, transform)
    if converted is None:
        return image
    return converted.convert("L") if image.mode == "L" else converted


@functools.lru_cache(maxsize=16)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what converts `profile` to sRGB, None where it is sRGB already or cannot be used."""
    try:
        parsed = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "srgb" in ImageCms.getProfileDescription(parsed).lower():
            return None
        target = "RGBA" if mode == "RGBA" else "RGB"
        intent = ImageCms.Intent.PERCEPTUAL
        return ImageCms.buildTransform(parsed, ImageCms.createProfile("sRGB"), mode, target, intent)
    except (OSError, ImageCms.PyCMSError):
        return None
