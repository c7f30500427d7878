"""How a record holds its pixels: for each `data.storage` one way in and one way back.

Sizes and times of one picture, measured on 1,000 faces of CelebA at 64x64 (12,288 bytes of pixels) and ten of FFHQ at
256x256 (196,608 bytes), Pillow 12.3 with zlib-ng 2.3 and libjpeg-turbo 3.1:

| `data.storage` | 64x64, bytes | 256x256, bytes | largest error in them, of 255 levels |
|---|---|---|---|
| `uint8` | 12,288 | 196,608 | 0 |
| `float32` | 49,152 | 786,432 | 0 |
| `png` | 8,297 | 114,088 | 0 |
| `jpeg`, quality 95 | 2,946 | 35,848 | 20 |
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from gan_core.errors import ArtifactError
from gan_core.normalization import Normalization

Pixels = npt.NDArray[np.uint8]
Shape = Sequence[int]

# Run lengths after PNG's own filters. Against the smallest bytes that zlib finds (level 9): 0.2% more at 64x64 in half
# the time, 1.6% more at 256x256 in a fifth of it; on MNIST's digits even a little less. And zlib and zlib-ng, whose
# searches for longer matches differ from version to version and from processor to processor, write the same bytes.
_PNG_OPTIONS = {"compress_level": 6, "compress_type": zlib.Z_RLE}
# Tables made for the picture save 13% at 64x64 and 3% at 256x256, where they take longer than all the rest. And Pillow
# gives libjpeg 64 KiB of room for such a file: enough for 16 KiB of noise, as a coefficient takes at most 27 bits.
_OWN_TABLES_UP_TO_BYTES = 16_384
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class Storage:
    """One form of stored pixels.

    Attributes:
        encode: (uint8 [H, W, C], JPEG quality, normalization) -> the bytes of a record's `image`.
        decode: (bytes, (H, W, C), normalization) -> uint8 [H, W, C]; raises `_Damaged`.
    """

    encode: Callable[[Pixels, int, Normalization | None], bytes]
    decode: Callable[[bytes, Shape, Normalization | None], Pixels]


class _Damaged(Exception):
    """The bytes are not what `encode` writes; says why."""


def encode(image: Pixels, storage: str, *, jpeg_quality: int, normalization: Normalization | None) -> bytes:
    """Return what a record holds of a picture; equal arguments and libraries give equal bytes.

    Args:
        image: uint8 [H, W, C], C = 1 or 3.
        storage: a key of STORAGES. `uint8` is the pixels row by row; `float32` is what training sees of them, row by
            row, little-endian; `png` and `jpeg` are files without any metadata.
        jpeg_quality: 1 to 100, of `jpeg` alone.
        normalization: what training sees of a pixel, of `float32` alone, which needs it.
    """
    return STORAGES[storage].encode(image, jpeg_quality, normalization)


def decode(data: bytes, shape: Shape, storage: str, normalization: Normalization | None) -> Pixels:
    """Return the pixels of what `encode` wrote: the same ones, but for `jpeg`. May be read-only.

    Args:
        data: a record's `image`.
        shape: height, width, channels; a file that says it has others is not decoded.
        storage: a key of STORAGES.
        normalization: that of the encoding, for `float32`.

    Returns:
        uint8 of `shape`.

    Raises:
        ArtifactError: the bytes are damaged, or of another shape or storage; the message continues "it is ...".
    """
    if storage not in STORAGES:
        raise ArtifactError(f"stored as '{storage}', and this version of faceloom reads {', '.join(STORAGES)}")
    try:
        return STORAGES[storage].decode(data, shape, normalization)
    except _Damaged as damage:
        raise ArtifactError(f"no {storage} picture of {_by(shape)} ({damage})") from None


def _encode_uint8(image: Pixels, _: int, __: Normalization | None) -> bytes:
    return image.tobytes()


def _decode_uint8(data: bytes, shape: Shape, _: Normalization | None) -> Pixels:
    return _array(data, shape, "u1")


def _encode_float32(image: Pixels, _: int, normalization: Normalization | None) -> bytes:
    return _needed(normalization).apply(image).astype("<f4").tobytes()


def _decode_float32(data: bytes, shape: Shape, normalization: Normalization | None) -> Pixels:
    values, normalization = _array(data, shape, "<f4"), _needed(normalization)
    with np.errstate(invalid="ignore"):  # what is not a number becomes some pixel, and is then found out
        pixels = normalization.invert(values)
    if not np.array_equal(normalization.apply(pixels), values):
        raise _Damaged("a value is that of no pixel")
    return pixels


def _encode_png(image: Pixels, _: int, __: Normalization | None) -> bytes:
    return _file(image, "PNG", **_PNG_OPTIONS)


def _decode_png(data: bytes, shape: Shape, _: Normalization | None) -> Pixels:
    # Pillow passes over the checksums of the pixels, and stops reading before zlib's own.
    position = len(_PNG_SIGNATURE) if data.startswith(_PNG_SIGNATURE) else len(data)
    name = b""
    while name != b"IEND":
        end = position + 8 + int.from_bytes(data[position : position + 4], "big")
        name, checksum = data[position + 4 : position + 8], data[end : end + 4]
        if len(checksum) < 4 or zlib.crc32(data[position + 4 : end]) != int.from_bytes(checksum, "big"):
            raise _Damaged(f"damaged or cut off at byte {min(position, len(data))}")
        position = end + 4
    return _decoded(PngImageFile, data, shape)


def _encode_jpeg(image: Pixels, quality: int, _: Normalization | None) -> bytes:
    # 4:4:4: with one colour for four pixels, as is usual, the largest error at quality 95 doubles from 18 levels to 34
    # at 64x64 and grows from 20 to 75 at 256x256, for 15 to 22% of the bytes. At these sides lips are a few pixels.
    return _file(image, "JPEG", quality=quality, subsampling="4:4:4", optimize=image.nbytes <= _OWN_TABLES_UP_TO_BYTES)


def _decode_jpeg(data: bytes, shape: Shape, _: Normalization | None) -> Pixels:
    return _decoded(JpegImageFile, data, shape)


STORAGES: dict[str, Storage] = {
    "uint8": Storage(_encode_uint8, _decode_uint8),
    "float32": Storage(_encode_float32, _decode_float32),
    "png": Storage(_encode_png, _decode_png),
    "jpeg": Storage(_encode_jpeg, _decode_jpeg),
}


def _array(data: bytes, shape: Shape, dtype: str) -> npt.NDArray[Any]:
    expected = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if len(data) != expected:
        raise _Damaged(f"{len(data)} bytes instead of {expected}")
    return np.frombuffer(data, dtype).reshape(shape)


def _needed(normalization: Normalization | None) -> Normalization:
    if normalization is None:
        raise ValueError("pixels as float32 need their normalization")
    return normalization


def _file(image: Pixels, file_format: str, **options: Any) -> bytes:
    picture = Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)
    stream = io.BytesIO()
    picture.save(stream, file_format, **options)
    return stream.getvalue()


def _decoded(open_file: Callable[[io.BytesIO], ImageFile.ImageFile], data: bytes, shape: Shape) -> Pixels:
    height, width, channels = shape
    try:
        # Not Image.open, which warns of large sizes in a header: here one size alone is right.
        with open_file(io.BytesIO(data)) as picture:
            found = picture.height, picture.width, len(picture.getbands())
            if found != tuple(shape) or picture.mode != _MODES[channels]:
                raise _Damaged(f"the file is {_by(found)}, {picture.mode}")
            return np.asarray(picture).reshape(height, width, channels)
    except (_Damaged, MemoryError):
        raise
    except Exception as error:  # on damaged bytes Pillow's plugins raise a dozen types
        raise _Damaged(" ".join(f"{type(error).__name__}: {error}".split())[:200]) from None


def _by(shape: Shape) -> str:
    return "x".join(map(str, shape))
