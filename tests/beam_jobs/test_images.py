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


@pytest.fixture(autouse=True)
def _quiet() -> None:
    images.quiet_pillow()  # as in a job: Pillow's remarks are not errors


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
    """Scaled by 255 / 65535 and rounded: 128 is still 0, 129 is 1."""
    values = np.full((8, 8), 128, np.uint16)
    values[1], values[2], values[3] = 129, 65535, 32768
    assert images.decode(encode(values), 1)[:4, 0, 0].tolist() == [0, 1, 255, 128]


def test_scaled_decoding_keeps_twice_the_target() -> None:
    """Decoding may scale a JPEG, but both sides stay at least `shrink_to`; other formats are not scaled."""
    jpeg = encode(scene(400, 300), "JPEG")
    assert images.decode(jpeg).shape == (300, 400, 3)
    assert images.decode(jpeg, shrink_to=128).shape == (150, 200, 3)
    assert images.decode(jpeg, shrink_to=151).shape == (300, 400, 3)
    assert images.decode(jpeg, shrink_to=32).shape == (38, 50, 3)
    assert images.decode(encode(scene(400, 300)), shrink_to=32).shape == (300, 400, 3)


def test_crop_boxes_on_celeba() -> None:
    """The published boxes on 178x218, and half of them, rounded half up, on 89x109."""
    assert {name: images.crop_box(178, 218, name) for name in CROPS if name != "none"} == {
        "celeba-108": Box(35, 55, 108),
        "celeba-128": Box(25, 57, 128),
        "celeba-140": Box(19, 39, 140),
        "celeba-148": Box(15, 35, 148),
        "celeba-160": Box(9, 29, 160),
        "celeba-178": Box(0, 20, 178),
        "center": Box(0, 20, 178),
    }
    assert {name: images.crop_box(89, 109, name) for name in images.CELEBA_BOXES} == {
        "celeba-108": Box(18, 28, 54),
        "celeba-128": Box(13, 29, 64),
        "celeba-140": Box(10, 20, 70),
        "celeba-148": Box(8, 18, 74),
        "celeba-160": Box(5, 15, 80),
        "celeba-178": Box(0, 10, 89),
    }
    assert images.crop_box(356, 436, "celeba-148") == Box(30, 70, 296)


@pytest.mark.parametrize("name", images.CELEBA_BOXES)
def test_scaled_crop_boxes_stay_inside(name: str) -> None:
    """At every size of CelebA's shape, whatever the rounding, the box is a square inside the picture."""
    for height in range(1, 500):
        for width in range(1, 500):
            if abs(width * 218 - height * 178) < 218:
                box = images.crop_box(width, height, name)
                assert 0 <= box.left <= box.left + box.side <= width
                assert 0 <= box.top <= box.top + box.side <= height
                assert box.side > 0


@pytest.mark.parametrize(
    ("width", "height", "name", "reason", "detail"),
    [
        (178, 178, "celeba-148", "wrong-aspect", "178x178 has not the shape of 178x218"),
        (218, 178, "celeba-178", "wrong-aspect", "218x178 has not the shape of 178x218"),
        (180, 218, "celeba-148", "wrong-aspect", "180x218 has not the shape of 178x218"),
        (178, 218, "none", "not-square", "178x218"),
    ],
)
def test_crops_that_do_not_fit(width: int, height: int, name: str, reason: str, detail: str) -> None:
    """A named crop on pictures of another shape is a reject, never a guess."""
    with pytest.raises(Reject) as caught:
        images.crop_box(width, height, name)
    assert (caught.value.reason, caught.value.detail) == (reason, detail)


def test_center_and_none() -> None:
    """`center` is the largest centred square, rounded towards the origin; `none` is the whole square."""
    assert images.crop_box(7, 4, "center") == Box(1, 0, 4)
    assert images.crop_box(4, 9, "center") == Box(0, 2, 4)
    assert images.crop_box(5, 5, "none") == Box(0, 0, 5)


def test_crop_takes_the_box() -> None:
    """The pixels are those inside the box."""
    picture = scene(178, 218)
    assert np.array_equal(images.crop(picture, "celeba-128"), picture[57:185, 25:153])


def test_resize_of_a_step() -> None:
    """Golden: each filter's answer to an edge, down by two. Lanczos and bicubic overshoot, area does not."""
    step = np.zeros((8, 8, 1), np.uint8)
    step[:, 3:] = 200
    rows = {name: images.resize(step, 4, name)[0, :, 0].tolist() for name in images.FILTERS}
    assert rows == {
        "lanczos": [0, 98, 217, 196],
        "bicubic": [0, 99, 209, 200],
        "bilinear": [0, 100, 200, 200],
        "area": [0, 100, 200, 200],
    }


def test_resize_keeps_the_right_size() -> None:
    """A picture of the wanted side is not filtered."""
    picture = scene(16, 16)
    assert np.array_equal(images.resize(picture, 16), picture)


def test_resize_is_antialiased() -> None:
    """A fine checkerboard becomes its mean grey, for every filter."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, np.newaxis]
    for name in images.FILTERS:
        inner = images.resize(board, 8, name)[1:-1, 1:-1]
        assert np.abs(inner.astype(int) - 127.5).max() <= 0.5, name


def test_prepared_picture_is_golden() -> None:
    """The SHA-256 of a CelebA-shaped PNG after decode, celeba-148 and Lanczos to 64x64."""
    prepared = images.prepare_picture(encode(scene(178, 218)), DataConfig())
    assert prepared.shape == (64, 64, 3)
    assert prepared.dtype == np.uint8
    assert (
        hashlib.sha256(prepared.tobytes()).hexdigest()
        == "f921889536324ae1007f40a045890d375203d6f7937350d524a516ea7b6c6e5d"
    )


def test_flip_mirrors_left_and_right() -> None:
    """The columns change places, the rows do not."""
    assert images.flip(scene(3, 2))[:, :, 0].tolist() == [[18, 9, 0], [18, 9, 0]]


@pytest.mark.parametrize("name", images.NORMALIZATIONS)
def test_normalization_is_exactly_invertible(name: str) -> None:
    """All 256 values come back, and the ends are the ends of the range."""
    values = np.arange(256, dtype=np.uint8)
    normalized = images.normalize(values, name)
    assert normalized.dtype == np.float32
    assert np.array_equal(images.denormalize(normalized, name), values)
    assert (normalized[0], normalized[255]) == (-1, 1)
    assert images.denormalize(np.array([-1.3, 1.7], np.float32), name).tolist() == [0, 255]


def test_extensions_are_those_of_pillow() -> None:
    """Every extension belongs to the format that Pillow gives it, and every format can be opened."""
    Image.init()
    registered = Image.registered_extensions()
    pillow = {extension: registered[extension] for extension in images.EXTENSIONS}
    ours = {extension: name for name, extensions in images.FORMATS.items() for extension in extensions}
    assert {**ours, ".mpo": "MPO", ".dib": "DIB"} == {**pillow, ".dib": "DIB"}
    assert set(images.FORMATS) <= set(Image.OPEN)


def test_docs_name_every_reason_and_crop() -> None:
    """docs/data.md explains all reasons of rejects, and has the box of every CelebA crop."""
    text = DOCS.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)) >= {*images.REASONS, *CROPS}
    for name, box in images.CELEBA_BOXES.items():
        assert f"| `{name}` | {box.left}, {box.top} | {box.side} |" in text
