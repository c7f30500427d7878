"""Picture files of every awkward kind, each with the pixels or the reject that it must become."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from tests import raw_files

Pixels = npt.NDArray[np.uint8]

WIDTH, HEIGHT = 24, 20


@dataclass(frozen=True)
class Awkward:
    """A file, and what `decode` makes of it with a smallest side of 8: RGB pixels, or the reason of its reject."""

    data: bytes
    pixels: Pixels | None = None
    reason: str = ""
    tolerance: int = 0


def scene(width: int = WIDTH, height: int = HEIGHT, seed: int = 0) -> Pixels:
    """Return a picture without symmetry. uint8 [height, width, 3]."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    planes = (x * 9 + seed * 37, y * 11 + seed * 17, (x * y) // 2 + seed * 5)
    return np.stack(planes, axis=2).astype(np.uint8)


def grey(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Return uint8 [height, width], a ramp over all greys."""
    return np.linspace(0, 255, width * height).reshape(height, width).round().astype(np.uint8)


def rgb(grey_pixels: Pixels) -> Pixels:
    """Return uint8 [H, W, 3] of uint8 [H, W]."""
    return np.repeat(grey_pixels[:, :, np.newaxis], 3, axis=2)


def encode(image: Image.Image | npt.NDArray[Any], format: str = "PNG", **options: Any) -> bytes:
    """Return the bytes of a picture file."""
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    stream = io.BytesIO()
    picture.save(stream, format, **options)
    return stream.getvalue()


def oriented(orientation: int) -> bytes:
    """Return a PNG of `scene()` as a camera held in this EXIF orientation stores it, with the tag."""
    upright = scene()
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encode(np.ascontiguousarray(stored), exif=exif)


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that claims a size and has almost no pixels: a decompression bomb's outside."""
    return raw_files.png(width, height, 8, 2, bytes(64))


def swapped_profile() -> bytes:
    """Return an ICC profile like sRGB, but with red and green exchanged."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = profile.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    return profile.replace(b"rXYZ", b"????").replace(b"gXYZ", b"rXYZ").replace(b"????", b"gXYZ")


def awkward() -> dict[str, Awkward]:
    """Return every kind by its file name."""
    return {**_modes(), **_rare(), **_deep(), **_transparent(), **_tagged(), **_hopeless()}


def _with_flipped_bit(data: bytes) -> bytes:
    """Change the last bit of a PNG's first CRC-32 of pixels."""
    start = data.index(b"IDAT")
    end = start + 4 + int.from_bytes(data[start - 4 : start], "big")
    return data[: end + 3] + bytes([data[end + 3] ^ 1]) + data[end + 4 :]


def write_awkward(folder: Path) -> dict[str, Awkward]:
    """Write every kind into `folder`, and return them."""
    kinds = awkward()
    for name, kind in kinds.items():
        (folder / name).write_bytes(kind.data)
    return kinds


def _modes() -> dict[str, Awkward]:
    colours, ramp = scene(), grey()
    paletted = Image.fromarray(ramp // 16)
    paletted = Image.frombytes("P", (WIDTH, HEIGHT), paletted.tobytes())
    paletted.putpalette([value for index in range(16) for value in (index * 3, index * 5, 255 - index)])
    indices = np.asarray(paletted).astype(int)
    palette_pixels = np.stack([indices * 3, indices * 5, 255 - indices], axis=2).astype(np.uint8)
    red_cmyk = Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0))
    red = np.full((HEIGHT, WIDTH, 3), (255, 0, 0), np.uint8)
    bits = ramp > 127
    return {
        "rgb.png": Awkward(encode(colours), colours),
        "rgb.bmp": Awkward(encode(colours, "BMP"), colours),
        "rgb.tif": Awkward(encode(colours, "TIFF"), colours),
        "rgb.webp": Awkward(encode(colours, "WEBP", lossless=True), colours),
        "rgb.tga": Awkward(encode(colours, "TGA"), colours),
        "rgb.ppm": Awkward(encode(colours, "PPM"), colours),
        "rgb.jp2": Awkward(encode(colours, "JPEG2000", irreversible=False), colours),
        "rgb.avif": Awkward(encode(red, "AVIF", quality=100, subsampling="4:4:4"), red, tolerance=3),
        "rgb.jpg": Awkward(encode(red, "JPEG", quality=95), red, tolerance=3),
        "progressive.jpg": Awkward(encode(red, "JPEG", quality=95, progressive=True), red, tolerance=3),
        "grey.png": Awkward(encode(ramp), rgb(ramp)),
        "grey.jpg": Awkward(encode(ramp, "JPEG", quality=100), rgb(ramp), tolerance=4),
        "one-bit.png": Awkward(encode(Image.fromarray(bits)), rgb(bits.astype(np.uint8) * 255)),
        "palette.png": Awkward(encode(paletted), palette_pixels),
        "palette.gif": Awkward(encode(paletted, "GIF"), palette_pixels),
        "cmyk.tif": Awkward(encode(red_cmyk, "TIFF"), red),
        "cmyk.jpg": Awkward(encode(red_cmyk, "JPEG", quality=100), red, tolerance=3),
        "ycbcr.tif": Awkward(encode(red, "TIFF", compression="jpeg"), red, tolerance=3),
    }


def _rare() -> dict[str, Awkward]:
    colours, large = scene(), scene(128, 128)
    bits = grey() > 127
    black_white = rgb(bits.astype(np.uint8) * 255)
    return {
        "rgb.ico": Awkward(encode(scene(32, 32), "ICO"), scene(32, 32)),
        "rgb.icns": Awkward(raw_files.icns(encode(large)), large),
        "rgb.cur": Awkward(raw_files.cursor(colours), colours),
        "rgb.psd": Awkward(raw_files.psd(colours), colours),
        "rgb.qoi": Awkward(encode(colours, "QOI"), colours),
        "rgb.dds": Awkward(encode(colours, "DDS"), colours),
        "rgb.sgi": Awkward(encode(colours, "SGI"), colours),
        "rgb.ras": Awkward(raw_files.sun_raster(colours), colours),
        "rgb.pcx": Awkward(encode(colours, "PCX"), colours),
        "rgb.dcx": Awkward(raw_files.dcx(colours), colours),
        "palette.xpm": Awkward(raw_files.xpm(bits.astype(np.uint8), ["#000000", "#ffffff"]), black_white),
        "one-bit.xbm": Awkward(encode(Image.fromarray(bits), "XBM"), black_white),
        "one-bit.msp": Awkward(encode(Image.fromarray(bits), "MSP"), black_white),
    }


def _deep() -> dict[str, Awkward]:
    ramp = grey()
    # 25829 is 100.502 of 257, and its upper byte is 100: truncation is one level off.
    colours = scene().astype(np.uint16) * 257
    between = np.full_like(colours, 25829)
    nearest = np.full((HEIGHT, WIDTH, 3), 101, np.uint8)
    opaque = np.full((HEIGHT, WIDTH, 1), 65535, np.uint16)
    wide = ramp.astype(np.uint16) * 257
    unit = (ramp / 255).astype(np.float32)
    return {
        "16-bit.png": Awkward(encode(wide), rgb(ramp)),
        "16-bit-rgb.png": Awkward(raw_files.png_16(colours), scene()),
        "16-bit-rgb-between.png": Awkward(raw_files.png_16(between), nearest),
        "16-bit-rgba.png": Awkward(raw_files.png_16(np.dstack([between, opaque])), nearest),
        "16-bit-la.png": Awkward(raw_files.png_16(np.dstack([between[:, :, :1], opaque])), nearest),
        "16-bit-rgb-little.tif": Awkward(raw_files.tiff_16(between, "<"), nearest),
        "16-bit-rgb-big.tif": Awkward(raw_files.tiff_16(between, ">"), nearest),
        "16-bit-rgba-big.tif": Awkward(raw_files.tiff_16(np.dstack([between, opaque]), ">"), nearest),
        "16-bit.tif": Awkward(encode(wide, "TIFF"), rgb(ramp)),
        "16-bit.pgm": Awkward(encode(wide, "PPM"), rgb(ramp)),
        "32-bit.tif": Awkward(encode(wide.astype(np.int32), "TIFF"), rgb(ramp)),
        "32-bit-beyond.tif": Awkward(encode(wide.astype(np.int32) * 2, "TIFF"), reason="unsupported"),
        "float-unit.tif": Awkward(encode(unit, "TIFF"), rgb(ramp)),
        "float-255.tif": Awkward(encode(ramp.astype(np.float32), "TIFF"), rgb(ramp)),
        "float-nan.tif": Awkward(encode(np.full_like(unit, np.nan), "TIFF"), reason="unsupported"),
    }


def _transparent() -> dict[str, Awkward]:
    """All over white: half of each picture opaque, a quarter at alpha 128, a quarter transparent."""
    colours, ramp = scene(), grey()
    alpha = np.full((HEIGHT, WIDTH), 255, np.uint8)
    alpha[: HEIGHT // 2, : WIDTH // 2], alpha[: HEIGHT // 2, WIDTH // 2 :] = 0, 128

    def over_white(pixels: Pixels) -> Pixels:
        share = alpha[:, :, np.newaxis] / 255
        return np.floor(pixels * share + 255 * (1 - share) + 0.5 - 1e-9).astype(np.uint8)

    # Colour 7 of a palette is declared transparent.
    indices = np.full((HEIGHT, WIDTH), 3, np.uint8)
    indices[5:9, 4:8] = 7
    paletted = Image.frombytes("P", (WIDTH, HEIGHT), indices.tobytes())
    paletted.putpalette([value for index in range(16) for value in (index, 0, 0)])
    shown = np.full((HEIGHT, WIDTH, 3), (3, 0, 0), np.uint8)
    shown[5:9, 4:8] = 255
    return {
        "rgba.png": Awkward(encode(np.dstack([colours, alpha])), over_white(colours)),
        "la.png": Awkward(encode(Image.fromarray(np.dstack([ramp, alpha]), "LA")), over_white(rgb(ramp))),
        "palette-transparent.png": Awkward(encode(paletted, transparency=7), shown),
        "palette-alpha.png": Awkward(encode(paletted, transparency=bytes([255] * 7 + [0])), shown),
        "palette-transparent.gif": Awkward(encode(paletted, "GIF", transparency=7), shown),
        "rgb-key.png": Awkward(encode(Image.fromarray(shown), transparency=(3, 0, 0)), np.full_like(shown, 255)),
    }


def _tagged() -> dict[str, Awkward]:
    upright = scene()
    red, green = (np.full((HEIGHT, WIDTH, 3), colour, np.uint8) for colour in ((255, 0, 0), (0, 255, 0)))
    frames = [Image.fromarray(red), Image.fromarray(green)]
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return {
        **{f"orientation-{number}.png": Awkward(oriented(number), upright) for number in range(1, 9)},
        "exif-broken.jpg": Awkward(encode(red, "JPEG", exif=b"Exif\0\0MM\0*nonsense"), red, tolerance=3),
        "animated.gif": Awkward(encode(frames[0], "GIF", save_all=True, append_images=frames[1:]), red),
        "animated.png": Awkward(encode(frames[0], save_all=True, append_images=frames[1:]), red),
        "profile-srgb.png": Awkward(encode(upright, icc_profile=srgb), upright),
        "profile-swapped.png": Awkward(encode(red, icc_profile=swapped_profile()), green, tolerance=1),
        "profile-broken.png": Awkward(encode(upright, icc_profile=b"not a profile"), upright),
    }


def _hopeless() -> dict[str, Awkward]:
    colours = scene(64, 64)
    jpeg, png = encode(colours, "JPEG", quality=95), encode(colours)
    return {
        "truncated.jpg": Awkward(jpeg[: len(jpeg) * 2 // 3], reason="truncated"),
        "truncated.png": Awkward(png[: len(png) * 2 // 3], reason="truncated"),
        "damaged.png": Awkward(png.replace(png[60:90], b"\xff" * 30), reason="damaged"),
        "empty.jpg": Awkward(b"", reason="empty"),
        "text.jpg": Awkward(b"This is no picture.\n", reason="not-a-picture"),
        "postscript.jpg": Awkward(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", reason="not-a-picture"),
        "one-pixel.png": Awkward(encode(colours[:1, :1]), reason="too-small"),
        "bomb.png": Awkward(png_header(60_000, 60_000), reason="too-large"),
        "bomb.ico": Awkward(raw_files.ico(png_header(60_000, 60_000), 64), reason="too-large"),
        "flipped-bit.png": Awkward(_with_flipped_bit(png), reason="damaged"),
        "without-end.png": Awkward(png[:-12], reason="truncated"),
    }
