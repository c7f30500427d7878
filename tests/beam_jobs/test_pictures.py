from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from beam_jobs.pixels.colours import as_picture
from beam_jobs.pixels.decoding import decode, quiet_pillow
from beam_jobs.pixels.images import crop, crop_box, gray_world, resize, resize_box
from beam_jobs.pixels.pictures import Prepared, prepare_picture
from beam_jobs.pixels.rejects import Reject
from gan_core.config import DataConfig
from tests.pictures import encode, scene

Pixels = npt.NDArray[np.uint8]
DATA = Path(__file__).parents[2] / "../shared/data"
FACE = (0.3, 0.4, 0.7, 0.4, 0.5, 0.6, 0.35, 0.75, 0.65, 0.75)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    quiet_pillow()


def rejected(data: bytes | Pixels, **options: Any) -> tuple[str, str]:
    """Return reason and detail of the reject that `data` becomes."""
    with pytest.raises(Reject) as caught:
        prepare_picture(data, DataConfig(**options))
    return caught.value.reason, caught.value.detail


def test_prepared_picture_is_golden() -> None:
    """The SHA-256 of a CelebA-shaped PNG after decode, celeba-148 and Lanczos to 64x64."""
    prepared = prepare_picture(encode(scene(178, 218)), DataConfig())
    assert prepared.pixels.shape == (64, 64, 3)
    assert prepared.pixels.dtype == np.uint8
    assert prepared.landmarks == ()
    assert (
        hashlib.sha256(prepared.pixels.tobytes()).hexdigest()
        == "f921889536324ae1007f40a045890d375203d6f7937350d524a516ea7b6c6e5d"
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_prepared_like_the_file_of_them(channels: int) -> None:
    """MNIST and CIFAR-10 hold pixels: they become what a PNG of them becomes, in grey and colour."""
    config = DataConfig(crop="center", resolution=28, channels=channels)
    for pixels in (scene(32, 30), scene(32, 30)[:, :, :1]):
        from_file = prepare_picture(encode(pixels if pixels.shape[2] == 3 else pixels[:, :, 0]), config).pixels
        from_pixels = prepare_picture(pixels, config).pixels
        assert from_pixels.shape == (28, 28, channels)
        assert np.array_equal(from_pixels, from_file)


@pytest.mark.parametrize("as_file", [True, False])
def test_bounds_hold_for_files_and_pixels(as_file: bool) -> None:
    """Size, side and aspect are those of the picture before any crop."""
    pixels = scene(40, 20)
    data: bytes | Pixels = encode(pixels) if as_file else pixels
    assert rejected(data, crop="none", min_side=21) == ("too-small", "40x20, data.min_side is 21")
    assert rejected(data, crop="none", max_aspect=1.5, min_aspect=1.0) == (
        "wrong-aspect",
        "40x20 is 2.000, data.max_aspect is 1.5",
    )
    larger = scene(40, 30)
    assert rejected(encode(larger) if as_file else larger, crop="none", max_megapixels=0.001)[0] == "too-large"


def test_other_shapes_than_celebas_are_rejected() -> None:
    """A named box needs its shape."""
    assert rejected(scene(64, 64)) == ("wrong-aspect", "64x64 has not the shape of 178x218")


def test_none_stretches_the_whole_picture() -> None:
    """Nothing is cut off; with equal bounds of the aspect, such pictures are rejects instead."""
    config = DataConfig(crop="none", resolution=32)
    assert np.array_equal(prepare_picture(scene(40, 20), config).pixels, resize(scene(40, 20), 32))
    assert rejected(scene(40, 20), crop="none", min_aspect=1.0, max_aspect=1.0)[0] == "wrong-aspect"


def test_landmarks_follow_the_crop() -> None:
    """A point moves with the pixels under it: center and none on 80x40, celeba-148 on 178x218."""
    picture, points = scene(80, 40), (0.5, 0.5, 0.25, 0.0, 0.75, 1.0, 0.5, 0.25, 1.0, 0.5)
    center = prepare_picture(picture, DataConfig(crop="center", resolution=28), points)
    assert center.landmarks == pytest.approx((14, 14, 0, 0, 28, 28, 14, 7, 42, 14))
    stretched = prepare_picture(picture, DataConfig(crop="none", resolution=28), points)
    assert stretched.landmarks == pytest.approx((14, 14, 7, 0, 21, 28, 14, 7, 28, 14))
    celeba = prepare_picture(scene(178, 218), DataConfig(), ((15 + 37) / 178, (35 + 74) / 218) * 5)
    assert celeba.landmarks == pytest.approx((16, 32) * 5)


def test_the_crop_by_landmarks() -> None:
    """The pixels around the face, and where its points are in them; without points it is a reject."""
    config = DataConfig(crop="landmarks", resolution=32)
    prepared = prepare_picture(scene(100, 100), config, FACE)
    # Eyes 40 apart, mouth 35 below: a square of 160 around (50, 43.5).
    expected = [(v * 100 - ((-30, -36.5)[index % 2])) * 32 / 160 for index, v in enumerate(FACE)]
    assert prepared.landmarks == pytest.approx(expected)
    assert prepared.pixels.shape == (32, 32, 3)
    assert rejected(scene(), crop="landmarks") == (
        "no-landmarks",
        "data.crop=landmarks, and the source has none for it",
    )


def test_no_landmarks_is_said_before_decoding() -> None:
    """Even of a file that is no picture: nothing is read for a face that cannot be found."""
    assert rejected(b"no picture", crop="landmarks")[0] == "no-landmarks"


def test_mirrored() -> None:
    """Columns change places; x becomes side - x; the names left and right follow."""
    prepared = Prepared(scene(32, 32), tuple(float(v) for v in (8, 10, 20, 11, 15, 16, 9, 24, 21, 25)))
    mirrored = prepared.mirrored()
    assert np.array_equal(mirrored.pixels, scene(32, 32)[:, ::-1])
    assert mirrored.pixels.flags.c_contiguous
    assert mirrored.landmarks == (12, 11, 24, 10, 17, 16, 11, 25, 23, 24)
    assert mirrored.mirrored().landmarks == prepared.landmarks
    assert Prepared(scene()).mirrored().landmarks == ()


def test_gray_world_and_sharpness_are_of_the_prepared_pixels() -> None:
    """Colours are balanced after the resize; sharpness is judged before that."""
    plain = prepare_picture(scene(60, 60), DataConfig(crop="none", resolution=32)).pixels
    balanced = prepare_picture(scene(60, 60), DataConfig(crop="none", resolution=32, gray_world=True)).pixels
    assert np.array_equal(balanced, gray_world(plain))
    assert not np.array_equal(balanced, plain)
    flat = np.full((40, 40, 3), 90, np.uint8)
    assert rejected(flat, crop="none", resolution=32, min_sharpness=1.0) == (
        "blurry",
        "sharpness 0.0, data.min_sharpness is 1",
    )


def test_a_box_in_a_reduced_picture() -> None:
    """On a ramp, a box of a picture that libjpeg has halved gives the values of the same box, at odd places too."""
    ramp = np.tile(np.arange(200, dtype=np.uint8), (101, 1))[:, :, np.newaxis]
    halved = np.pad(ramp, ((0, 1), (0, 0), (0, 0)), mode="edge").reshape(51, 2, 100, 2, 1).mean(axis=(1, 3))
    box = crop_box(200, 101, "center")
    assert (box.left, box.width) == (49, 101)
    whole, part = (
        resize_box(as_picture(image), box, 20, "bilinear", by)
        for image, by in ((ramp, 1), (halved.astype(np.uint8), 2))
    )
    assert np.abs(whole.astype(int) - part.astype(int))[:, 2:-2].max() <= 1


def reduction_error(jpeg: bytes, resolution: int, filter: str) -> Pixels | None:
    """Return the difference that libjpeg's scaling makes to a prepared picture, None where it is not used."""
    config = DataConfig(crop="center", resolution=resolution, filter=filter)
    pixels = decode(jpeg)
    if min(pixels.shape[:2]) < 8 * resolution:
        return None
    full = resize(crop(pixels, "center"), resolution, filter)
    difference: Pixels = np.abs(prepare_picture(jpeg, config).pixels.astype(int) - full.astype(int)).astype(np.uint8)
    return difference


def assert_within_the_bound(jpegs: list[bytes]) -> None:
    """Assert the bound of docs/data.md: 12 of 255 levels for every pixel, 0.5 on average for every picture."""
    for filter in ("lanczos", "bicubic", "bilinear"):
        for resolution in (28, 32, 64):
            for jpeg in jpegs:
                error = reduction_error(jpeg, resolution, filter)
                if error is not None:
                    assert error.max() <= 12
                    assert error.mean() <= 0.5


def drawn_photograph(width: int, height: int) -> Image.Image:
    """Return waves of many lengths with hard edges between, of the kind that a photograph has."""
    x, y = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    planes = []
    for phase in (0.0, 1.0, 2.0):
        waves = sum(
            np.sin(2 * np.pi * (a * x + b * y) + phase * a) / (a + b) for a, b in ((1, 2), (5, 3), (20, 9), (40, 61))
        )
        planes.append(127 + 60 * waves + 40 * (np.hypot(x - 0.5, y - 0.45) < 0.3))
    return Image.fromarray(np.clip(np.stack(planes, axis=2), 0, 255).astype(np.uint8))


def test_scaled_decoding_stays_within_its_bound() -> None:
    """On drawings with even and odd sides: 12 levels at most, 0.5 on average; odd sides do not shift anything."""
    sizes = [(512, 512), (535, 610), (337, 411), (1023, 700)]
    jpegs = [encode(drawn_photograph(*size), "JPEG", quality=quality) for size in sizes for quality in (75, 95)]
    assert reduction_error(jpegs[0], 64, "lanczos") is not None
    assert_within_the_bound(jpegs)


def test_area_is_never_decoded_smaller() -> None:
    """The mean over whole pixels depends on which there are, so all of them are decoded."""
    jpeg = encode(drawn_photograph(512, 512), "JPEG")
    error = reduction_error(jpeg, 28, "area")
    assert error is not None
    assert error.max() == 0


@pytest.mark.skipif(not (DATA / "portraits").exists(), reason="the real faces are not on this machine")
def test_scaled_decoding_of_real_faces_stays_within_its_bound() -> None:
    """30 portraits as they are, 15 CelebA faces enlarged five times, and FFHQ at 1000 pixels, as JPEG."""
    jpegs = []
    with zipfile.ZipFile(DATA / "portraits/portraits.zip") as archive:
        names = sorted(name for name in archive.namelist() if name.lower().endswith(".jpg"))
        jpegs += [archive.read(name) for name in names[::18]]
    with zipfile.ZipFile(DATA / "celeba/img_align_celeba.zip") as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith(".jpg"))[:15]:
            face = Image.open(io.BytesIO(archive.read(name)))
            jpegs.append(encode(face.resize((445, 545), Image.Resampling.BICUBIC), "JPEG", quality=90))
    for path in sorted((DATA / "ffhq").rglob("*.png"))[:5]:
        with Image.open(path) as face:
            jpegs += [encode(face, "JPEG", quality=90), encode(face.resize((1000, 1000)), "JPEG", quality=90)]
    assert sum(reduction_error(jpeg, 28, "lanczos") is not None for jpeg in jpegs) >= 45
    assert_within_the_bound(jpegs)
