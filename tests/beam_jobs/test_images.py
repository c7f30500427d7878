from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from beam_jobs.pixels import images
from beam_jobs.pixels.images import Box
from beam_jobs.pixels.rejects import Reject
from gan_core.config import CROPS
from tests.pictures import scene

DOCS = Path(__file__).parents[2] / "docs" / "data.md"
Pixels = npt.NDArray[np.uint8]


def test_crop_boxes_on_celeba() -> None:
    """The published boxes on 178x218, and half of them, rounded half up, on 89x109."""
    assert {name: images.crop_box(178, 218, name) for name in CROPS if name not in ("none", "landmarks")} == {
        "celeba-108": Box(35, 55, 108, 108),
        "celeba-128": Box(25, 57, 128, 128),
        "celeba-140": Box(19, 39, 140, 140),
        "celeba-148": Box(15, 35, 148, 148),
        "celeba-160": Box(9, 29, 160, 160),
        "celeba-178": Box(0, 20, 178, 178),
        "center": Box(0, 20, 178, 178),
    }
    assert {name: images.crop_box(89, 109, name) for name in images.CELEBA_BOXES} == {
        "celeba-108": Box(18, 28, 54, 54),
        "celeba-128": Box(13, 29, 64, 64),
        "celeba-140": Box(10, 20, 70, 70),
        "celeba-148": Box(8, 18, 74, 74),
        "celeba-160": Box(5, 15, 80, 80),
        "celeba-178": Box(0, 10, 89, 89),
    }
    assert images.crop_box(356, 436, "celeba-148") == Box(30, 70, 296, 296)


@pytest.mark.parametrize("name", images.CELEBA_BOXES)
def test_scaled_crop_boxes_stay_inside(name: str) -> None:
    """At every size of CelebA's shape, whatever the rounding, the box is a square inside the picture."""
    for height in range(1, 500):
        for width in range(1, 500):
            if abs(width * 218 - height * 178) < 218:
                box = images.crop_box(width, height, name)
                assert 0 <= box.left <= box.left + box.width <= width
                assert 0 <= box.top <= box.top + box.height <= height
                assert box.width == box.height > 0


@pytest.mark.parametrize(
    ("width", "height", "name", "detail"),
    [
        (178, 178, "celeba-148", "178x178 has not the shape of 178x218"),
        (218, 178, "celeba-178", "218x178 has not the shape of 178x218"),
        (180, 218, "celeba-148", "180x218 has not the shape of 178x218"),
    ],
)
def test_crops_that_do_not_fit(width: int, height: int, name: str, detail: str) -> None:
    """A named crop on pictures of another shape is a reject, never a guess."""
    with pytest.raises(Reject) as caught:
        images.crop_box(width, height, name)
    assert (caught.value.reason, caught.value.detail) == ("wrong-aspect", detail)


def test_center_and_none() -> None:
    """`center` is the largest centred square, rounded towards the origin; `none` is the whole picture."""
    assert images.crop_box(7, 4, "center") == Box(1, 0, 4, 4)
    assert images.crop_box(4, 9, "center") == Box(0, 2, 4, 4)
    assert images.crop_box(5, 5, "none") == Box(0, 0, 5, 5)
    assert images.crop_box(7, 4, "none") == Box(0, 0, 7, 4)


def test_crop_takes_the_box() -> None:
    """The pixels are those inside the box."""
    picture = scene(178, 218)
    assert np.array_equal(images.crop(picture, "celeba-128"), picture[57:185, 25:153])
    assert np.array_equal(images.crop(picture, "none"), picture)


def test_a_picture_that_is_not_square_is_stretched() -> None:
    """`none` keeps all of a picture: two columns and four rows become a square of two by two."""
    columns = np.array([[10, 30], [10, 30], [50, 70], [50, 70]], np.uint8)[:, :, np.newaxis]
    assert images.resize(images.crop(columns, "none"), 2, "area")[:, :, 0].tolist() == [[10, 30], [50, 70]]


def _sinc(x: float) -> float:
    return math.sin(math.pi * x) / (math.pi * x) if x else 1.0


def _cubic(x: float) -> float:
    return (1.5 * x - 2.5) * x * x + 1 if x < 1 else ((-0.5 * x + 2.5) * x - 4) * x + 2


# Half-width of each kernel, and the kernel at distance x >= 0; all are 0 from the half-width on.
KERNELS: dict[str, tuple[float, Callable[[float], float]]] = {
    "lanczos": (3.0, lambda x: _sinc(x) * _sinc(x / 3)),
    "bicubic": (2.0, _cubic),
    "bilinear": (1.0, lambda x: 1 - x),
    "area": (0.5, lambda x: 1.0),
}


def reference_resize(image: Pixels, side: int, name: str) -> Pixels:
    """Resize with a filter's textbook form, widened by the scale when it shrinks: along x, to 8 bits, then along y."""
    for axis in (1, 0):
        length = image.shape[axis]
        scale, (support, kernel) = length / side, KERNELS[name]
        width = max(scale, 1.0)
        weights = np.zeros((side, length), np.int64)
        for target in range(side):
            centre = (target + 0.5) * scale
            first, last = max(0, int(centre - support * width + 0.5)), min(length, int(centre + support * width + 0.5))
            distances = [abs(source + 0.5 - centre) / width for source in range(first, last)]
            row = np.array([kernel(x) if x <= support else 0.0 for x in distances])
            weights[target, first:last] = np.floor(row / row.sum() * (1 << 22) + 0.5)
        total = np.tensordot(weights, image.astype(np.int64), axes=(1, axis))
        image = np.moveaxis(np.clip((total + (1 << 21)) >> 22, 0, 255).astype(np.uint8), 0, axis)
    return image


@pytest.mark.parametrize("name", images.FILTERS)
@pytest.mark.parametrize(("width", "height"), [(178, 178), (97, 61), (64, 64), (20, 33), (500, 130)])
def test_resize_is_the_textbook_filter(name: str, width: int, height: int) -> None:
    """Golden: every pixel of every filter is that of an independent implementation, shrinking and enlarging."""
    picture = np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)
    assert np.array_equal(images.resize(picture, 64, name), reference_resize(picture, 64, name))
    grey = picture[:, :, :1]
    assert np.array_equal(images.resize(grey, 28, name), reference_resize(grey, 28, name))


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


def test_flip_mirrors_left_and_right() -> None:
    """The columns change places, the rows do not."""
    assert images.flip(scene(3, 2))[:, :, 0].tolist() == [[18, 9, 0], [18, 9, 0]]


def test_gray_world() -> None:
    """Means of 40, 80 and 120 all become 80: red is doubled, blue is multiplied by 2/3, half a level rounds up."""
    picture = np.zeros((2, 2, 3), np.uint8)
    picture[:, :, 0] = [[20, 60], [39, 41]]
    picture[:, :, 1] = [[0, 160], [79, 81]]
    picture[:, :, 2] = [[120, 120], [0, 240]]
    balanced = images.gray_world(picture)
    assert balanced.dtype == np.uint8
    assert balanced[:, :, 0].tolist() == [[40, 120], [78, 82]]
    assert balanced[:, :, 1].tolist() == [[0, 160], [79, 81]]
    assert balanced[:, :, 2].tolist() == [[80, 80], [0, 160]]


def test_gray_world_clips_and_rounds_half_up() -> None:
    """Means of 150, 250 and 200 become 200: 250 * 4/3 is clipped to 255. Of 1, 2 and 6, each 3: 1.5 becomes 2."""
    picture = np.array([[[50, 250, 200], [250, 250, 200]]], np.uint8)
    assert images.gray_world(picture)[0].tolist() == [[67, 200, 200], [255, 200, 200]]
    picture = np.array([[[1, 1, 6], [1, 3, 6]]], np.uint8)
    assert images.gray_world(picture)[0].tolist() == [[3, 2, 3], [3, 5, 3]]


def test_gray_world_leaves_black_channels_and_grey_pictures() -> None:
    """A channel without light stays black, a black picture stays black, and one channel has nothing to balance."""
    picture = np.zeros((2, 2, 3), np.uint8)
    assert images.gray_world(picture).tolist() == picture.tolist()
    picture[:, :, 1] = 90
    assert images.gray_world(picture)[0, 0].tolist() == [0, 30, 0]
    grey = scene()[:, :, :1]
    assert images.gray_world(grey) is grey


def test_docs_name_every_crop() -> None:
    """docs/data.md has all crops, and the box of every CelebA crop."""
    text = DOCS.read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE)) >= set(CROPS)
    for name, box in images.CELEBA_BOXES.items():
        assert f"| `{name}` | {box.left}, {box.top} | {box.width} |" in text
