"""IDX files, plain or gzip: the form that MNIST defines (LeCun et al. 1998, yann.lecun.com/exdb/mnist)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from beam_jobs.pixels.decoding import Pixels
from gan_core.errors import DataError

MAX_BYTES = 2 << 30  # 45 times MNIST; a damaged or hostile header must not fill the memory
_UNSIGNED_BYTE = 0x08
_BLOCK_BYTES = 1 << 20


def read(path: Path, dimensions: int) -> Pixels:
    """Return the values of an IDX file of unsigned bytes; a name that ends with .gz is decompressed, its CRC checked.

    Args:
        path: the file.
        dimensions: how many it must have: 3 for pictures, 1 for labels.

    Returns:
        uint8, of the shape that the file's header says, read-only.

    Raises:
        DataError: it is missing, damaged, too short or too long, or of another type or number of dimensions.
    """
    try:
        with path.open("rb") as raw:
            if path.suffix == ".gz":
                with gzip.open(raw) as stream:
                    return _read(cast(BinaryIO, stream), dimensions)
            return _read(raw, dimensions)
    except (ValueError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        text = str(error) or type(error).__name__
        raise DataError(f"{path} is not a usable IDX file: {text}; get it again") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); run again when it is back") from None


def _read(stream: BinaryIO, dimensions: int) -> Pixels:
    head = stream.read(4)
    wanted = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    if head != wanted:
        raise ValueError(f"it starts with 0x{head.hex()} instead of 0x{wanted.hex()}")
    sizes = stream.read(4 * dimensions)
    if len(sizes) < 4 * dimensions:
        raise ValueError("it ends within its header")
    shape = struct.unpack(f">{dimensions}I", sizes)
    count = math.prod(shape)
    described = "x".join(map(str, shape))
    if not 0 < count <= MAX_BYTES:
        raise ValueError(f"its header says {described}, and 1 to {MAX_BYTES} bytes are possible")
    data = bytearray()
    # In blocks: what the header promises is allocated only as far as it is there. One byte more than promised is
    # asked for, so that gzip comes to its end and compares the CRC.
    while len(data) <= count and (block := stream.read(min(_BLOCK_BYTES, count + 1 - len(data)))):
        data += block
    if len(data) != count:
        found = f"only {len(data)}" if len(data) < count else "more"
        raise ValueError(f"its header says {described}, {count} bytes, and it has {found}")
    values = np.frombuffer(data, np.uint8).reshape(shape)
    values.flags.writeable = False
    return values
