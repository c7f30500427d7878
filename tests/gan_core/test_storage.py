"""How a record holds its pixels: exact both ways, bounded, and damage is said."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_core.config import DataConfig
from gan_core.errors import ArtifactError
from gan_core.normalization import NORMALIZATIONS, Normalization
from gan_core.storage import STORAGES, Pixels, decode, encode
from tests.datasets import smooth_pictures

FFHQ = Path(__file__).parents[2] / "../shared/data/ffhq"
MEAN, DEVIATION = (120.5, 99.25, 80.0), (61.0, 0.0, 3.5)  # the second channel does not vary
PNG_SHA256 = "12fa6715e4e51462598bc9d9580455eb34e0b9a829b217f4eca93617bfcff7a9"
LOSSLESS = ("uint8", "float32", "png")


def normalization(name: str, channels: int = 3) -> Normalization:
    """Return a normalization for pictures with MEAN and DEVIATION."""
    return NORMALIZATIONS[name](MEAN[:channels], DEVIATION[:channels])


def stored(image: Pixels, storage: str, quality: int = 95) -> bytes:
    """Return what a record holds of a picture, normalized by its mean and deviation."""
    by_statistics = normalization("mean-deviation", image.shape[2])
    return encode(image, storage, jpeg_quality=quality, normalization=by_statistics)


def read(data: bytes, shape: tuple[int, ...], storage: str) -> Pixels:
    """Return the pixels of what `stored` made."""
    return decode(data, shape, storage, normalization("mean-deviation", shape[2]))


def refusal(data: bytes, shape: tuple[int, ...], storage: str) -> str:
    """Return the message with which the bytes are refused."""
    with pytest.raises(ArtifactError) as caught:
        read(data, shape, storage)
    return str(caught.value)


def noise(height: int, width: int, channels: int) -> Pixels:
    """Return seeded noise: the pixels that no compression helps."""
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def file_bytes(pixels: np.ndarray, file_format: str, **options: Any) -> bytes:
    """Return a picture file as other programs write it."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, file_format, **options)
    return stream.getvalue()


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return name and content of every chunk of a PNG file."""
    found, position = [], 8
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        found.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def test_storage_names_are_the_forms() -> None:
    """`data.storage` offers exactly the forms that there are."""
    (spec,) = (spec for spec in fields(DataConfig) if spec.name == "storage")
    assert set(spec.metadata["choices"]) == set(STORAGES)


@pytest.mark.parametrize("name", NORMALIZATIONS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("storage", LOSSLESS)
def test_every_value_comes_back_exactly(storage: str, channels: int, name: str) -> None:
    """All 256 values of every channel survive, under every normalization."""
    image = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), channels, axis=2)
    image[:, :, -1] = image[::-1, :, -1]
    data = encode(image, storage, jpeg_quality=1, normalization=normalization(name, channels))
    back = decode(data, image.shape, storage, normalization(name, channels))
    assert back.dtype == np.uint8
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("shape", [(28, 28, 1), (1, 1, 3), (7, 5, 3), (5, 9, 1), (256, 256, 3)])
@pytest.mark.parametrize("storage", LOSSLESS)
def test_noise_of_any_size_comes_back_exactly(storage: str, shape: tuple[int, int, int]) -> None:
    """Sides may be odd and differ; rows and columns do not change places."""
    image = noise(*shape)
    np.testing.assert_array_equal(read(stored(image, storage), shape, storage), image)


def test_raw_forms_are_these_bytes() -> None:
    """uint8 is the pixels row by row, float32 what training sees of them, little-endian."""
    image = np.array([[[0], [255]], [[51], [102]]], np.uint8)
    assert stored(image, "uint8") == bytes([0, 255, 51, 102])
    data = encode(image, "float32", jpeg_quality=1, normalization=normalization("[-1,1]", 1))
    assert struct.unpack("<4f", data) == pytest.approx((-1.0, 1.0, -0.6, -0.2))
    assert struct.unpack("<2f", data[:8]) == (-1.0, 1.0)


def test_png_is_the_same_file_everywhere() -> None:
    """The bytes depend neither on the machine nor on which zlib is at work, and hold nothing but the picture."""
    image = smooth_pictures(1, 64, 3)[0]
    data = stored(image, "png")
    assert hashlib.sha256(data).hexdigest() == PNG_SHA256
    names, contents = zip(*png_chunks(data), strict=True)
    assert names == (b"IHDR", b"IDAT", b"IEND")
    packer = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_RLE)
    assert contents[1] == packer.compress(zlib.decompress(contents[1])) + packer.flush()


def test_a_view_is_stored_as_its_pixels() -> None:
    """A mirrored view of a picture, whose bytes lie in another order, is stored as one sees it."""
    image = noise(8, 6, 3)
    for storage in LOSSLESS:
        np.testing.assert_array_equal(read(stored(image[:, ::-1], storage), image.shape, storage), image[:, ::-1])


def test_jpeg_has_full_colour_and_no_metadata() -> None:
    """A JPEG holds one colour for each pixel (4:4:4), and no EXIF, profile or comment."""
    with Image.open(io.BytesIO(stored(smooth_pictures(1, 64, 3)[0], "jpeg"))) as picture:
        assert [layer[1:3] for layer in picture.layer] == [(1, 1)] * 3  # type: ignore[attr-defined]
        assert set(picture.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert dict(picture.getexif()) == {}


@pytest.mark.parametrize(("quality", "bound"), [(95, 6), (50, 24)])
def test_jpeg_is_near(quality: int, bound: int) -> None:
    """On smooth pictures, quality 95 is a few of 255 levels off at most; a lower one is smaller and further off."""
    for channels in (1, 3):
        image = smooth_pictures(1, 64, channels)[0]
        data = stored(image, "jpeg", quality)
        error = np.abs(read(data, image.shape, "jpeg").astype(int) - image).max()
        assert bound / 4 < error <= bound
        assert len(data) < image.nbytes / 4


def test_jpeg_of_real_faces_is_near() -> None:
    """On ten pictures of FFHQ at 256x256, quality 95 is at most 20 of 255 levels off."""
    paths = sorted(FFHQ.rglob("*.png"))
    if not paths:
        pytest.skip("no FFHQ pictures in ../shared/data")
    for path in paths:
        image = np.asarray(Image.open(path).convert("RGB"))
        assert np.abs(read(stored(image, "jpeg"), image.shape, "jpeg").astype(int) - image).max() <= 20


@pytest.mark.parametrize("side", [28, 64, 73, 74, 128, 256])
@pytest.mark.parametrize("channels", [1, 3])
def test_noise_fits_into_a_jpeg_of_any_quality(side: int, channels: int) -> None:
    """Pictures that a JPEG file makes larger are stored all the same: Pillow's buffer for its tables suffices."""
    image = noise(side, side, channels)
    for quality in (1, 95, 100):
        assert read(stored(image, "jpeg", quality), image.shape, "jpeg").shape == image.shape


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_a_file_of_another_shape_is_not_decoded(storage: str) -> None:
    """Size and colours in the header are compared before a pixel is decoded."""
    data = stored(noise(8, 8, 3), storage)
    for shape, asked in (((8, 9, 3), "8x9x3"), ((4, 4, 3), "4x4x3"), ((8, 8, 1), "8x8x1")):
        assert refusal(data, shape, storage) == f"no {storage} picture of {asked} (the file is 8x8x3, RGB)"
    grey = stored(noise(8, 8, 1), storage)
    assert refusal(grey, (8, 8, 3), storage) == f"no {storage} picture of 8x8x3 (the file is 8x8x1, L)"


def test_a_bomb_is_not_decoded() -> None:
    """A small file whose header says that it is huge is refused, without Pillow's warning about it."""
    header = struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0)
    data = bytearray(stored(noise(8, 8, 3), "png"))
    data[16:29] = header
    data[29:33] = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    assert refusal(bytes(data), (8, 8, 3), "png") == "no png picture of 8x8x3 (the file is 50000x60000x3, RGB)"


def test_files_of_other_colour_models_are_refused() -> None:
    """What `encode` does not write is no picture of the data set, even where the size is right."""
    rgba = file_bytes(noise(8, 8, 4), "PNG")
    assert refusal(rgba, (8, 8, 3), "png") == "no png picture of 8x8x3 (the file is 8x8x4, RGBA)"
    deep = file_bytes(noise(8, 8, 1)[:, :, 0].astype(np.uint16) * 257, "PNG")
    assert refusal(deep, (8, 8, 1), "png") == "no png picture of 8x8x1 (the file is 8x8x1, I;16)"


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("uint8", "no uint8 picture of 8x8x3 (11 bytes instead of 192)"),
        ("float32", "no float32 picture of 8x8x3 (11 bytes instead of 768)"),
        ("png", "no png picture of 8x8x3 (damaged or cut off at byte 11)"),
        ("jpeg", "no jpeg picture of 8x8x3 (SyntaxError: not a JPEG file)"),
    ],
)
def test_other_bytes_are_refused(storage: str, expected: str) -> None:
    """The message says what was expected and what was found, in one line."""
    assert refusal(b"not pixels\n", (8, 8, 3), storage) == expected


@pytest.mark.parametrize("storage", STORAGES)
def test_every_cut_is_noticed(storage: str) -> None:
    """Wherever a payload ends too early, it is refused; a JPEG may lose its end marker, which holds no pixel."""
    image = smooth_pictures(1, 16, 3)[0]
    data = stored(image, storage)
    whole = read(data, image.shape, storage)
    refused = 0
    for length in range(len(data)):
        try:
            np.testing.assert_array_equal(read(data[:length], image.shape, storage), whole)
        except ArtifactError:
            refused += 1
    assert len(data) - refused <= (2 if storage == "jpeg" else 0)


def test_every_flipped_bit_of_a_png_is_refused() -> None:
    """Every byte of a PNG is under a checksum, and every checksum is looked at."""
    data = stored(smooth_pictures(1, 16, 3)[0], "png")
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            assert refusal(bytes(damaged), (16, 16, 3), "png").startswith("no png picture of 16x16x3 (damaged or cut ")


def test_every_flipped_bit_of_a_jpeg_ends_well() -> None:
    """JPEG has no checksum of its own: a flipped bit is refused or gives some picture of the right shape."""
    image = smooth_pictures(1, 16, 3)[0]
    data = stored(image, "jpeg")
    refused = 0
    for position in range(len(data)):
        for bit in range(8):
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            try:
                assert read(bytes(damaged), image.shape, "jpeg").shape == image.shape
            except ArtifactError:
                refused += 1
    assert 0 < refused < 8 * len(data)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30, 1.00001, 0.5001])
def test_a_number_that_no_pixel_has_is_refused(value: float) -> None:
    """float32 values are those of the 256 pixels, or damage: nothing is rounded or clipped silently."""
    form = normalization("[-1,1]", 1)
    data = np.array([-1.0, value], "<f4").tobytes()
    with pytest.raises(ArtifactError) as caught:
        decode(data, (1, 2, 1), "float32", form)
    assert str(caught.value) == "no float32 picture of 1x2x1 (a value is that of no pixel)"


def test_float32_of_another_normalization_is_refused() -> None:
    """A manifest whose normalization is not that of the records is noticed."""
    image = noise(8, 8, 3)
    data = encode(image, "float32", jpeg_quality=1, normalization=normalization("[0,1]"))
    assert refusal(data, image.shape, "float32") == "no float32 picture of 8x8x3 (a value is that of no pixel)"


def test_float32_needs_its_normalization() -> None:
    """Forgetting it is a mistake of the caller, in both directions."""
    with pytest.raises(ValueError, match="pixels as float32 need their normalization"):
        encode(noise(2, 2, 1), "float32", jpeg_quality=1, normalization=None)
    with pytest.raises(ValueError, match="pixels as float32 need their normalization"):
        decode(bytes(16), (2, 2, 1), "float32", None)


def test_unknown_storage_is_refused() -> None:
    """A data set of a later version is named as that, not as damage."""
    expected = "stored as 'webp', and this version of faceloom reads uint8, float32, png, jpeg"
    assert refusal(b"", (1, 1, 1), "webp") == expected
