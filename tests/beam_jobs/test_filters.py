from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from beam_jobs.pixels.filters import Bounds, check_sharpness, luminance, sharpness
from beam_jobs.pixels.pictures import prepare_picture
from beam_jobs.pixels.rejects import Reject
from gan_core.config import DataConfig
from tests.pictures import encode, scene

FACES = Path(__file__).parents[2] / "../shared/data/celeba/img_align_celeba.zip"


def test_bounds_are_those_of_the_config() -> None:
    """Megapixels become pixels, and 0 stays no bound."""
    config = DataConfig(max_megapixels=1.5, min_side=20, min_aspect=0.5)
    assert Bounds.of(config) == Bounds(1_500_000, 20, 0.5, 0.0)


@pytest.mark.parametrize(
    ("width", "height", "reason"), [(30, 20, ""), (31, 20, "wrong-aspect"), (19, 20, "wrong-aspect")]
)
def test_aspect_bounds_are_inclusive(width: int, height: int, reason: str) -> None:
    """From 1 to 1.5: 20x20 and 30x20 pass, a pixel more or less does not."""
    bounds = Bounds(min_aspect=1.0, max_aspect=1.5)
    bounds.check_aspect(20, 20)
    if reason:
        with pytest.raises(Reject, match=reason):
            bounds.check_aspect(width, height)
    else:
        bounds.check_aspect(width, height)


def test_no_bounds_refuse_nothing() -> None:
    """Aspects of 0 are off."""
    Bounds().check_aspect(1, 10_000)
    Bounds().check_aspect(10_000, 1)


def test_sharpness_of_one_bright_pixel() -> None:
    """On 5x5 with 10 in the middle, the nine Laplacians are -40, four times 10 and four times 0: variance 222.2."""
    picture = np.zeros((5, 5, 1), np.uint8)
    picture[2, 2] = 10
    assert sharpness(picture) == pytest.approx((1600 + 4 * 100) / 9)
    assert sharpness(np.repeat(picture, 3, axis=2)) == sharpness(picture)


def test_what_is_flat_or_a_ramp_is_not_sharp() -> None:
    """The second derivative of a ramp is 0 everywhere; pictures without inner pixels have none."""
    ramp = np.tile(np.arange(16, dtype=np.uint8) * 10, (16, 1))[:, :, np.newaxis]
    assert sharpness(ramp) == 0.0
    assert sharpness(np.zeros((2, 9, 3), np.uint8)) == 0.0


def test_sharpness_is_that_of_the_luminance() -> None:
    """Edges in colour count by their luminance: blue less than green."""
    edges = [np.zeros((8, 8, 3), np.uint8) for _ in range(3)]
    for channel, picture in enumerate(edges):
        picture[:, 4:, channel] = 200
    red, green, blue = (sharpness(picture) for picture in edges)
    assert green > red > blue > 0
    assert luminance(edges[0])[0, 4] == 60


def test_blurry_is_a_reject_with_its_numbers() -> None:
    """The bound itself passes; 0 is off."""
    picture = np.zeros((5, 5, 1), np.uint8)
    picture[2, 2] = 9
    assert sharpness(picture) == 180
    check_sharpness(picture, 180)
    check_sharpness(np.zeros((5, 5, 1), np.uint8), 0)
    with pytest.raises(Reject) as caught:
        check_sharpness(picture, 200)
    assert (caught.value.reason, caught.value.detail) == ("blurry", "sharpness 180.0, data.min_sharpness is 200")


def test_a_blurred_drawing_is_rejected() -> None:
    """Through the whole preparation: the same picture passes sharp and not blurred."""
    config = DataConfig(crop="none", resolution=64, min_sharpness=100)
    picture = Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8))
    assert prepare_picture(encode(picture), config).pixels.shape == (64, 64, 3)
    with pytest.raises(Reject, match="blurry"):
        prepare_picture(encode(picture.filter(ImageFilter.GaussianBlur(4))), config)


@pytest.mark.skipif(not FACES.exists(), reason="the real faces are not on this machine")
def test_the_documented_bound_on_real_faces() -> None:
    """At 64x64, 100 keeps 998 of 1,000 CelebA faces or more, and 10 or fewer blurred by 2 pixels of 89x109."""
    config = DataConfig(min_sharpness=100)
    counts = {"sharp": 0, "blurred": 0}
    with zipfile.ZipFile(FACES) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:1000]
        for name in names:
            data = archive.read(name)
            blurred = Image.open(io.BytesIO(data)).filter(ImageFilter.GaussianBlur(2))
            for kind, file in (("sharp", data), ("blurred", encode(blurred, "BMP"))):
                try:
                    prepare_picture(file, config)
                except Reject as reject:
                    assert reject.reason == "blurry"
                    counts[kind] += 1
    assert len(names) == 1000
    assert counts["sharp"] <= 2
    assert counts["blurred"] >= 990


def test_a_drawn_scene_has_a_known_sharpness() -> None:
    """Golden: the sum of integers has no rounding, so the value is exact."""
    assert sharpness(scene(16, 16)) == 1.3826270304039983
