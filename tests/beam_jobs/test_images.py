from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_jobs import images
from beam_jobs.images import Box, Reject
from gan_core.config import CROPS, DataConfig
from tests import pictures
from tests.pictures import encode, scene

KINDS = pictures.awkward()
DOCS = Path(__file__).parents[2] / "docs" / "data.md"


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.pixels is not None])
def test_decode_gives_the_right_pixels(name: str) -> None:
    """Every kind of picture file becomes upright, opaque RGB with the pixels that it shows."""
    kind = KINDS[name]
    assert kind.pixels is not None
    decoded = images.decode(kind.data)
    assert decoded.dtype == np.uint8
    assert decoded.shape == kind.pixels.shape
    assert np.abs(decoded.astype(int) - kind.pixels.astype(int)).max() <= kind.tolerance


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.pixels is None])
def test_decode_rejects(name: str) -> None:
    """What cannot be decoded is a reject with its reason."""
    with pytest.raises(Reject) as caught:
        images.decode(KINDS[name].data, min_side=8)
    assert caught.value.reason == KINDS[name].reason


def test_reject_details_say_what_was_found() -> None:
    """The detail has the numbers that a user needs."""
    details = {}
    for name in ("bomb.png", "one-pixel.png", "empty.jpg", "text.jpg", "32-bit-beyond.tif", "truncated.jpg"):
        with pytest.raises(Reject) as caught:
            images.decode(KINDS[name].data, min_side=8)
        details[name] = caught.value.detail
    assert details == {
        "bomb.png": "60000x60000 is 3600.0 megapixels, data.max_megapixels is 120",
        "one-pixel.png": "1x1, data.min_side is 8",
        "empty.jpg": "0 bytes",
        "text.jpg": "20 bytes that start with b'This is '",
        "32-bit-beyond.tif": "integer pixels from 0 to 131070; white is defined for 8 and 16 bit only",
        "truncated.jpg": details["truncated.jpg"],
    }
    assert "truncated" in details["truncated.jpg"]


def test_size_is_bounded_by_the_header() -> None:
    """A picture of exactly max_pixels passes, one more is rejected; Pillow's own limits do not interfere."""
    assert images.decode(encode(scene(20, 10)), max_pixels=200).shape == (10, 20, 3)
    with pytest.raises(Reject, match="too-large"):
        images.decode(encode(scene(20, 10)), max_pixels=199)
    with pytest.raises(Reject) as caught:  # 100 megapixels: Pillow would warn, and the pixels are not there
        images.decode(pictures.png_header(10_000, 10_000))
    assert caught.value.reason == "truncated"
    assert Image.MAX_IMAGE_PIXELS == 89_478_485


@pytest.mark.parametrize(("background", "level"), [("white", 255), ("black", 0), ("gray", 128)])
def test_background_shows_through(background: str, level: int) -> None:
    """Transparent pixels show the background; alpha 128 mixes with rounding half up."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    pixels[:, :, 0] = 200
    pixels[:4, :, 3] = 128
    decoded = images.decode(encode(pixels), 3, background)
    assert decoded[7, 7].tolist() == [level] * 3
    mixed = [(value * 128 + level * 127 + 127) // 255 for value in (200, 0, 0)]
    assert decoded[0, 0].tolist() == mixed


def test_luminance() -> None:
    """One channel is ITU-R 601-2 luminance; grey pictures keep their values exactly."""
    colours = np.zeros((8, 8, 3), np.uint8)
    colours[:2], colours[2:4], colours[4:6] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
    decoded = images.decode(encode(colours), 1)
    assert decoded.shape == (8, 8, 1)
    assert decoded[::2, 0, 0].tolist() == [76, 150, 29, 0]
    ramp = pictures.grey()
    assert np.array_equal(images.decode(encode(ramp), 1)[:, :, 0], ramp)
    assert np.array_equal(images.decode(encode(ramp.astype(np.uint16) * 257), 1)[:, :, 0], ramp)


def test_16_bit_rounds_to_the_nearest() -> None:
    """value * 255 / 65535, rounded: 128 is still 0, 129 is 1."""
    values = np.full((8, 8), 128, np.uint16)
    values[1], values[2], values[3] = 129, 65535, 32768
    assert images.decode(encode(values), 1)[:4, 0, 0].tolist() == [0, 1, 255, 128]


def test_scaled_decoding_keeps_twice_the_target() -> None:
    """libjpeg may scale, but both sides stay at least `shrink_to`; other formats are not scaled."""
    jpeg = encode(scene(400, 300), "JPEG")
    assert images.decode(jpeg).shape == (300, 400, 3)
    assert images.decode(jpeg, shrink_to=128).shape == (150, 200, 3)
    assert images.decode(jpeg, shrink_to=151).shape == (300, 400, 3)
    assert images.decode(jpeg, shrink_to=32).shape == (38, 50, 3)
    assert images.decode(encode(scene(400, 300)), shrink_to=32).shape == (300, 400, 3)


def test_crop_boxes_on_celeba() -> None:
    """The published boxes on 178x218, and half of them, rounded half up, on 89x109."""
    assert {name: images.crop_box(178, 218, name) for name in CROPS} == {
        "celeba-108": Box(35, 55, 108),
        "celeba-128": Box(25, 57, 128),
        "celeba-140": Box(19, 39, 140),
        "celeba-148": Box(15, 35, 148),
        "celeba-160": Box(9, 29, 160),
        "celeba-178": Box(0, 20, 178),
        "center": Box(0, 20, 178),
        "none": None,
    } | {"none": _reject_of(178, 218, "none")}
    assert {name: images.crop_box(89, 109, name) for name in images.CELEBA_BOXES} == {
        "celeba-108": Box(18, 28, 54),
        "celeba-128": Box(13, 29, 64),
        "celeba-140": Box(10, 20, 70),
        "celeba-148": Box(8, 18, 74),
        "celeba-160": Box(5, 15, 80),
        "celeba-178": Box(0, 10, 89),
    }
    assert images.crop_box(356, 436, "celeba-148") == Box(30, 70, 296)
