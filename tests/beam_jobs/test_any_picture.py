"""Pictures that nobody thought of: whatever they are, they become a record or a reject with a known reason."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from beam_jobs.pixels.decoding import quiet_pillow
from beam_jobs.pixels.formats import FORMATS
from beam_jobs.pixels.pictures import Prepared, prepare_picture
from beam_jobs.pixels.rejects import REASONS, Reject
from gan_core.config import DataConfig
from tests.pictures import swapped_profile

# One search for all machines, and none that fails because a machine is busy.
FIXED = settings(
    derandomize=True, database=None, deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow]
)
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
Image.init()
# Icons are written in sizes of their own, and ICNS takes half a second.
WRITTEN = sorted(set(FORMATS) & set(Image.SAVE) - {"ICO", "ICNS"})
CONFIGS = st.builds(
    DataConfig,
    crop=st.sampled_from(("center", "none", "landmarks", "landmarks", "celeba-128", "celeba-178")),
    resolution=st.sampled_from((28, 32, 64)),
    channels=st.sampled_from((1, 3)),
    filter=st.sampled_from(("lanczos", "bicubic", "area", "bilinear")),
    background=st.sampled_from(("white", "black", "gray")),
    min_side=st.sampled_from((1, 1, 1, 16)),
    max_megapixels=st.sampled_from((120.0, 120.0, 0.01)),
    min_aspect=st.sampled_from((0.0, 0.0, 0.7)),
    max_aspect=st.sampled_from((0.0, 0.0, 1.4)),
    min_sharpness=st.sampled_from((0.0, 0.0, 0.0, 300.0)),
    gray_world=st.booleans(),
)
POINT = st.one_of(st.floats(0, 1, width=32), st.floats(-3, 3, width=32))
LANDMARKS = st.one_of(st.just(()), st.tuples(*[POINT] * 10))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a picture of any mode and size, written in any format that takes it."""
    mode, format = draw(st.sampled_from(MODES)), draw(st.sampled_from(WRITTEN))
    celeba = draw(st.integers(1, 3))
    size = draw(st.one_of(st.tuples(st.integers(1, 150), st.integers(1, 150)), st.just((89 * celeba, 109 * celeba))))
    noise = np.random.default_rng(draw(st.integers(0, 9))).integers(0, 256, (size[1], size[0], 4), np.uint8)
    if mode in ("I", "I;16", "F"):
        deep = noise[:, :, 0].astype(np.float32) * draw(st.sampled_from((1 / 255, 1, 257, -1, 1e9)))
        types: dict[str, Any] = {"I": np.int32, "I;16": np.uint16, "F": np.float32}
        picture = Image.fromarray(np.clip(deep, -65535, 131070 if mode == "I" else 65535).astype(types[mode]))
    else:
        bands = len(Image.new(mode, (1, 1)).getbands())
        raw = noise[:, :, :bands].tobytes() if mode != "1" else np.packbits(noise[:, :, 0] > 127, axis=1).tobytes()
        picture = Image.frombytes(mode, size, raw)
    if mode == "P":
        picture.putpalette(list(range(256)) * 3)
    options: dict[str, Any] = {}
    if draw(st.booleans()):
        options["icc_profile"] = draw(st.sampled_from((b"nonsense", swapped_profile())))
    if draw(st.booleans()):
        exif = Image.Exif()
        exif[0x0112] = draw(st.integers(0, 9))
        options["exif"] = exif
    if format in ("PNG", "GIF") and mode in ("L", "P") and draw(st.booleans()):
        options["transparency"] = draw(st.integers(0, 255))
    stream = io.BytesIO()
    try:
        picture.save(stream, format, **options)
    except (OSError, ValueError, KeyError, TypeError, DeprecationWarning):
        # The format does not take this mode.
        stream = io.BytesIO()
        picture = (
            picture
            if mode in ("L", "RGB", "RGBA", "I;16", "P")
            else Image.frombytes("RGB", size, noise[..., :3].tobytes())
        )
        picture.save(stream, "PNG", **options)
    return stream.getvalue()


def outcome(data: Any, config: DataConfig, landmarks: tuple[float, ...]) -> Prepared | tuple[str, str]:
    """Return what a picture becomes."""
    try:
        return prepare_picture(data, config, landmarks)
    except Reject as reject:
        return reject.reason, reject.detail


def check(data: Any, config: DataConfig, landmarks: tuple[float, ...]) -> str:
    """Assert what holds for every picture, and return the reason, empty where it is prepared."""
    first, again = outcome(data, config, landmarks), outcome(data, config, landmarks)
    if isinstance(first, tuple):
        assert first == again
        assert first[0] in REASONS
        assert 0 < len(first[1]) < 400
        assert "\n" not in first[1]
        return first[0]
    assert isinstance(again, Prepared)
    assert first.pixels.dtype == np.uint8
    assert first.pixels.shape == (config.resolution, config.resolution, config.channels)
    assert first.pixels.flags.c_contiguous
    assert np.array_equal(first.pixels, again.pixels)
    assert first.landmarks == again.landmarks
    assert len(first.landmarks) == len(landmarks)
    assert np.isfinite(first.landmarks).all()
    twice = first.mirrored().mirrored()
    assert np.array_equal(twice.pixels, first.pixels)
    assert twice.landmarks == pytest.approx(first.landmarks)
    return ""


@FIXED
@given(files(), CONFIGS, LANDMARKS)
def test_every_file_is_a_record_or_a_reject(data: bytes, config: DataConfig, landmarks: tuple[float, ...]) -> None:
    """All modes, sizes and formats, with any configuration: uint8 [S, S, C] or a known reason, the same each time."""
    quiet_pillow()
    assert check(data, config, landmarks) not in ("missing", "unreadable", "changed", "empty", "not-a-picture")


@FIXED
@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from((1, 3)), CONFIGS, LANDMARKS)
def test_all_pixels_are_a_record_or_a_reject(
    width: int, height: int, channels: int, config: DataConfig, landmarks: tuple[float, ...]
) -> None:
    """Pixels of a source without files are never damaged: they are prepared, or refused for what they are."""
    pixels = np.random.default_rng(width * 80 + height).integers(0, 256, (height, width, channels), np.uint8)
    reason = check(pixels, config, landmarks)
    assert reason in ("", "too-small", "too-large", "wrong-aspect", "no-landmarks", "blurry")


@settings(FIXED, max_examples=300)
@given(
    st.binary(max_size=300),
    st.sampled_from(
        [
            b"",
            b"\xff\xd8\xff",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"BM",
            b"II*\0",
            b"P6",
            b"8BPS",
            b"\0\0\1\0",
            b"icns",
            b"RIFF",
            b"qoif",
            b"DDS ",
            b"#define a_width 9",
        ]
    ),
)
def test_arbitrary_bytes_are_a_reject(data: bytes, start: bytes) -> None:
    """Bytes with the signature of a format and nothing sensible behind it end as a reject, or as a picture."""
    quiet_pillow()
    check(start + data, DataConfig(crop="none", resolution=28), ())
