from __future__ import annotations

import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from beam_jobs.pixels import decoding
from beam_jobs.pixels.decoding import Bounds, Reject, decode, decode_reduced
from tests import pictures, raw_files
from tests.pictures import encode, scene

KINDS = pictures.awkward()
DOCS = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.fixture(autouse=True)
def _quiet() -> None:
    decoding.quiet_pillow()  # as in a job: Pillow's remarks are not errors


def rejected(data: bytes, bounds: Bounds | None = None) -> Reject:
    """Return the reject that `data` becomes."""
    with pytest.raises(Reject) as caught:
        decode(data, bounds=bounds)
    return caught.value


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.pixels is not None])
def test_decode_gives_the_right_pixels(name: str) -> None:
    """Every kind of picture file becomes upright, opaque RGB with the pixels that it shows."""
    kind = KINDS[name]
    assert kind.pixels is not None
    decoded = decode(kind.data)
    assert decoded.dtype == np.uint8
    assert decoded.shape == kind.pixels.shape
    assert np.abs(decoded.astype(int) - kind.pixels.astype(int)).max() <= kind.tolerance


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.pixels is None])
def test_decode_rejects(name: str) -> None:
    """What cannot be decoded is a reject with its reason."""
    assert rejected(KINDS[name].data, Bounds(min_side=8)).reason == KINDS[name].reason


def test_reject_details_say_what_was_found() -> None:
    """The detail has the numbers that a user needs."""
    names = ("bomb.png", "one-pixel.png", "empty.jpg", "text.jpg", "32-bit-beyond.tif", "flipped-bit.png")
    details = {name: rejected(KINDS[name].data, Bounds(min_side=8)).detail for name in names}
    assert details == {
        "bomb.png": "60000x60000 is 3600.0 megapixels, data.max_megapixels is 120",
        "one-pixel.png": "1x1, data.min_side is 8",
        "empty.jpg": "0 bytes",
        "text.jpg": "20 bytes that start with b'This is '",
        "32-bit-beyond.tif": "integer pixels from 0 to 131070; white is defined for 8 and 16 bit only",
        "flipped-bit.png": "the CRC-32 of the PNG chunk b'IDAT' at byte 33 does not match",
    }
    assert "truncated" in rejected(KINDS["truncated.jpg"].data).detail


def test_size_is_bounded_by_the_header() -> None:
    """A picture of exactly max_pixels passes, one more is rejected; Pillow's own limits do not interfere."""
    picture = encode(scene(20, 10))
    assert decode(picture, bounds=Bounds(max_pixels=200)).shape == (10, 20, 3)
    assert rejected(picture, Bounds(max_pixels=199)).reason == "too-large"
    # 100 megapixels: Pillow would warn, and the pixels are not there.
    assert rejected(pictures.png_header(10_000, 10_000)).reason == "truncated"
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


def test_an_icon_larger_than_it_says_is_bounded() -> None:
    """The size of the PNG inside counts, not the one that the icon's header claims."""
    icon = raw_files.ico(encode(scene(40, 30)), 16)
    assert decode(icon, bounds=Bounds(max_pixels=1200)).shape == (30, 40, 3)
    assert rejected(icon, Bounds(max_pixels=1199)).reason == "too-large"
    assert rejected(raw_files.icns(pictures.png_header(20_000, 20_000))).reason in ("damaged", "too-large")


def test_text_that_unpacks_without_end_is_refused() -> None:
    """A compressed colour profile of 64 MiB is not unpacked: the picture is damaged."""
    body = b"profile\0\0" + zlib.compress(bytes(64 << 20))
    bomb = raw_files.png(8, 8, 8, 2, bytes(25 * 8), raw_files.png_chunk(b"iCCP", body))
    reject = rejected(bomb)
    assert (reject.reason, "too large" in reject.detail) == ("damaged", True)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_aspect_is_that_of_the_upright_picture(format: str, orientation: int) -> None:
    """A photograph of 20x30 is upright at 2:3, also when it is stored lying with an EXIF orientation."""
    lying = orientation in (6, 8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(scene(30, 20) if lying else scene(20, 30), format, exif=exif)
    assert decode(data, bounds=Bounds(min_aspect=0.6, max_aspect=0.7)).shape == (30, 20, 3)
    assert decode(data, bounds=Bounds(min_aspect=20 / 30, max_aspect=20 / 30)).shape == (30, 20, 3)
    wide, narrow = rejected(data, Bounds(min_aspect=1.5)), rejected(data, Bounds(max_aspect=0.5))
    assert (wide.reason, wide.detail) == ("wrong-aspect", "20x30 is 0.667, data.min_aspect is 1.5")
    assert (narrow.reason, narrow.detail) == ("wrong-aspect", "20x30 is 0.667, data.max_aspect is 0.5")


def test_orientation_of_a_jpeg_may_be_said_by_xmp() -> None:
    """Photo editors write it as tiff:Orientation, beside or instead of EXIF."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert decode(encode(scene(30, 20), "JPEG", xmp=xmp)).shape == (30, 20, 3)
    assert decode(encode(scene(30, 20), "JPEG")).shape == (20, 30, 3)


def test_aspect_is_checked_before_the_pixels() -> None:
    """Where the header suffices, nothing is decoded: these have a header and no pixels."""
    png = pictures.png_header(100, 20)  # might be turned by what stands after its pixels
    assert rejected(png, Bounds(min_aspect=0.5, max_aspect=2.0)).reason == "wrong-aspect"
    assert rejected(png, Bounds(max_aspect=2.0)).reason == "truncated"
    jpeg = encode(scene(100, 20), "JPEG")
    header = jpeg[: jpeg.index(b"\xff\xda") + 20]
    assert rejected(header, Bounds(max_aspect=2.0)).reason == "wrong-aspect"
    assert rejected(header, Bounds(max_aspect=5.0)).reason == "truncated"


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0), ("gray", 128)])
def test_background_shows_through(background: str, level: int) -> None:
    """Transparent pixels show the background; alpha 128 mixes with rounding half up."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :, 0] = 200
    pixels[:4, :, 3] = 128
    decoded = decode(encode(pixels), 3, background)
    assert decoded[7, 7].tolist() == [level] * 3
    mixed = [(value * 128 + level * 127 + 127) // 255 for value in (200, 0, 0)]
    assert decoded[0, 0].tolist() == mixed


def test_luminance() -> None:
    """One channel is ITU-R 601-2 luminance; grey pictures keep their values exactly."""
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:2], colours[2:4], colours[4:6] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    decoded = decode(encode(colours), 1)
    assert decoded.shape == (8, 8, 1)
    assert decoded[::2, 0, 0].tolist() == [76, 150, 29, 0]
    ramp = pictures.grey()
    assert np.array_equal(decode(encode(ramp), 1)[:, :, 0], ramp)
    assert np.array_equal(decode(encode(ramp.astype(np.uint16) * 257), 1)[:, :, 0], ramp)


def test_16_bit_rounds_to_the_nearest() -> None:
    """Scaled by 255 / 65535 and rounded: 128 is still 0, 129 is 1."""
    values = np.full((8, 8), 128, np.uint16)
    values[1], values[2], values[3] = 129, 65535, 32768
    assert decode(encode(values), 1)[:4, 0, 0].tolist() == [0, 1, 255, 128]


def test_every_16_bit_value_is_rounded() -> None:
    """Each of 65,536 values is the nearest of 256, in each channel; Pillow alone keeps the upper byte of colours."""
    values = np.arange(65536).reshape(256, 256)
    opaque = np.full_like(values, 65535)
    nearest = np.rint(values / 257).astype(np.uint8)
    colours, expected = (np.stack([one, one[::-1], one.T], axis=2) for one in (values, nearest))
    assert np.array_equal(decode(raw_files.png_16(values[:, :, np.newaxis]), 1)[:, :, 0], nearest)
    assert np.array_equal(decode(raw_files.png_16(np.dstack([values, opaque])), 1)[:, :, 0], nearest)
    for deep in (colours, np.dstack([colours, opaque])):
        assert np.array_equal(decode(raw_files.png_16(deep)), expected)
        assert np.array_equal(decode(raw_files.tiff_16(deep, "<")), expected)
        assert np.array_equal(decode(raw_files.tiff_16(deep, ">")), expected)


def test_16_bit_transparency() -> None:
    """A colour that tRNS names is transparent where all 16 bits are equal, in grey and in colour."""
    grey = np.full((8, 8, 1), 1000)
    grey[0], grey[1] = 257 * 9, 257 * 9 + 1
    decoded = decode(raw_files.png_16(grey, (257 * 9,)), 1)
    assert decoded[:3, 0, 0].tolist() == [255, 9, 4]
    colours = np.repeat(grey, 3, axis=2)
    decoded = decode(raw_files.png_16(colours, (257 * 9,) * 3))
    assert decoded[:3, 0].tolist() == [[255] * 3, [9] * 3, [4] * 3]


def test_transparent_grey_of_few_bits() -> None:
    """The tRNS of a 4-bit PNG counts in 16 greys, not in 256: 7 is the level 119."""
    key = raw_files.png_chunk(b"tRNS", b"\0\7")
    data = raw_files.png(4, 1, 4, 0, b"\0\x07\x7f", key)
    assert decode(data, 1).ravel().tolist() == [0, 255, 255, 255]
    assert decode(data, 1, "black").ravel().tolist() == [0, 0, 0, 255]


def grey_profile(gamma: float) -> bytes:
    """Return an ICC profile of one grey channel with this gamma: ICC.1:2001-04, version 2."""
    curve = b"curv" + bytes(4) + (1).to_bytes(4, "big") + round(gamma * 256).to_bytes(2, "big") + bytes(2)
    white = b"XYZ " + bytes(4) + b"".join(round(v * 65536).to_bytes(4, "big") for v in (0.9642, 1.0, 0.8249))
    text = b"grey\0"
    description = b"desc" + bytes(4) + len(text).to_bytes(4, "big") + text + bytes(4 + 4 + 2 + 1 + 67)
    description += bytes(-len(description) % 4)
    tags, position = b"", 128 + 4 + 3 * 12
    for name, body in ((b"desc", description), (b"wtpt", white), (b"kTRC", curve)):
        tags += name + position.to_bytes(4, "big") + len(body).to_bytes(4, "big")
        position += len(body)
    header = position.to_bytes(4, "big") + bytes(4) + b"\x02\x10\0\0mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28)
    header += white[8:] + bytes(48)
    return header + (3).to_bytes(4, "big") + tags + description + white + curve


def test_grey_profile_is_converted() -> None:
    """Linear grey becomes sRGB's grey, with 8 and 16 bits and beside alpha; IEC 61966-2-1 gives 0.5 the level 188."""
    profile = grey_profile(1.0)
    grey = np.full((8, 8), 128, np.uint8)
    expected = {"L": encode(grey, icc_profile=profile), "16": encode(grey.astype(np.uint16) * 257, icc_profile=profile)}
    expected["LA"] = encode(Image.fromarray(np.dstack([grey, np.full_like(grey, 255)]), "LA"), icc_profile=profile)
    assert {name: decode(data)[0, 0].tolist() for name, data in expected.items()} == dict.fromkeys(expected, [188] * 3)
    assert decode(expected["L"], 1)[0, 0].tolist() == [188]


def test_palette_and_deep_colours_use_their_profile() -> None:
    """The profile that exchanges red and green does so for a palette and for 16 bits too."""
    red = np.full((8, 8, 3), (255, 0, 0), np.uint8)
    paletted = encode(Image.fromarray(red).quantize(2), icc_profile=pictures.swapped_profile())
    assert np.abs(decode(paletted)[0, 0].astype(int) - (0, 255, 0)).max() <= 1
    tagged = encode(red, icc_profile=pictures.swapped_profile())
    chunk = tagged[tagged.index(b"iCCP") - 4 :]
    chunk = chunk[: 12 + int.from_bytes(chunk[:4], "big")]
    rows = b"".join(b"\0" + bytes([255, 255, 0, 0, 0, 0]) * 8 for _ in range(8))
    assert np.abs(decode(raw_files.png(8, 8, 16, 2, rows, chunk))[0, 0].astype(int) - (0, 255, 0)).max() <= 1


def test_profile_of_another_colour_model_is_ignored() -> None:
    """A grey profile in a colour picture, and sRGB's in a CMYK one, cannot be meant: sRGB is assumed."""
    colours = scene()
    assert np.array_equal(decode(encode(colours, icc_profile=grey_profile(1.0))), colours)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes().replace(b"s\0R\0G\0B", b"t\0R\0G\0B")
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert decode(encode(cmyk, "TIFF", icc_profile=srgb))[0, 0].tolist() == [255, 0, 0]


def test_every_chunk_of_a_png_is_verified() -> None:
    """One flipped bit in the type, data or CRC of any chunk makes the picture damaged, truncated or no picture."""
    data = encode(scene(8, 8))
    found = set()
    for position in range(8, len(data)):
        damaged = data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :]
        found.add(rejected(damaged).reason)
    assert found == {"damaged", "truncated"}


def test_pngs_inside_icons_are_verified() -> None:
    """An icon's PNG has checksums of its own."""
    for wrap in (lambda png: raw_files.ico(png, 128), raw_files.icns):
        good = encode(scene(128, 128))
        assert decode(wrap(good)).shape == (128, 128, 3)
        position = good.index(b"IDAT") + 40
        damaged = good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :]
        assert rejected(wrap(damaged)).reason == "damaged"


def test_bytes_after_the_end_of_a_png_do_not_matter() -> None:
    """Cameras and servers append things; the picture is complete."""
    assert np.array_equal(decode(encode(scene()) + b"appended"), scene())


def test_scaled_decoding_keeps_the_sides() -> None:
    """Decoding may scale a JPEG, but both sides stay at least `keep_side`; other formats are not scaled."""

    def reduced(data: bytes, keep_side: int) -> tuple[int, tuple[int, ...], int, int]:
        decoded = decode_reduced(data, keep_side=keep_side)
        return decoded.reduction, decoded.pixels.shape, decoded.width, decoded.height

    jpeg = encode(scene(400, 300), "JPEG")
    assert reduced(jpeg, 0) == (1, (300, 400, 3), 400, 300)
    assert reduced(jpeg, 150) == (2, (150, 200, 3), 400, 300)
    assert reduced(jpeg, 151) == (1, (300, 400, 3), 400, 300)
    assert reduced(jpeg, 75) == (4, (75, 100, 3), 400, 300)
    assert reduced(jpeg, 32) == (8, (38, 50, 3), 400, 300)
    assert reduced(encode(scene(400, 300)), 32) == (1, (300, 400, 3), 400, 300)


def test_scaled_decoding_of_turned_pictures() -> None:
    """A turned JPEG is scaled where its sides divide; else partial pixels would come to lie at the other end."""
    exif = Image.Exif()
    exif[0x0112] = 6
    even = decode_reduced(encode(scene(400, 320), "JPEG", exif=exif), keep_side=40)
    assert (even.reduction, even.pixels.shape, even.width, even.height) == (8, (50, 40, 3), 320, 400)
    odd = decode_reduced(encode(scene(401, 320), "JPEG", exif=exif), keep_side=40)
    assert (odd.reduction, odd.pixels.shape, odd.width, odd.height) == (1, (401, 320, 3), 320, 401)


def test_large_pictures_need_no_wide_copies() -> None:
    """Transparency and 16 bits are worked off in blocks of rows: the same pixels as in one go."""
    wide = np.tile(scene(1024, 8), (128, 1, 1))
    alpha = np.full((*wide.shape[:2], 1), 128, np.uint8)
    expected = (wide.astype(np.uint32) * 128 + 255 * 127 + 127) // 255
    assert np.array_equal(decode(encode(np.dstack([wide, alpha]), compress_level=1)), expected)
    deep = wide[:, :, 0].astype(np.uint16) * 257
    assert np.array_equal(decode(encode(deep, compress_level=1), 1)[:, :, 0], wide[:, :, 0])


def test_extensions_are_those_of_pillow() -> None:
    """Every extension belongs to the format that Pillow gives it, and every format can be opened."""
    Image.init()
    registered = Image.registered_extensions()
    pillow = {extension: registered[extension] for extension in decoding.EXTENSIONS}
    ours = {extension: name for name, extensions in decoding.FORMATS.items() for extension in extensions}
    assert {**ours, ".mpo": "MPO", ".dib": "DIB"} == {**pillow, ".dib": "DIB"}
    assert set(decoding.FORMATS) <= set(Image.OPEN)


def test_no_format_of_pillow_is_forgotten() -> None:
    """Whatever this Pillow opens is either read, or left out for a reason."""
    Image.init()
    assert set(Image.OPEN) - set(decoding.FORMATS) - set(decoding.LEFT_OUT) == set()
    assert set(decoding.FORMATS) & set(decoding.LEFT_OUT) == set()


def test_docs_name_every_reason() -> None:
    """docs/data.md explains all reasons of rejects."""
    text = DOCS.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)) >= set(decoding.REASONS)
