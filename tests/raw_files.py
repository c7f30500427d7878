"""Picture files that Pillow reads and does not write, made byte by byte."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import numpy.typing as npt
from PIL import Image

Pixels = npt.NDArray[np.uint8]
Deep = npt.NDArray[np.integer]

PNG_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> W3C PNG, table 9


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return a chunk with its CRC-32."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *chunks: bytes) -> bytes:
    """Return a PNG of rows that each begin with their filter byte; `chunks` stand before the pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + png_chunk(b"IEND", b"")


def png_16(values: Deep, transparent: tuple[int, ...] = ()) -> bytes:
    """Return a PNG of 16 bits a channel. values: 0 to 65535 [H, W, 1 to 4]; `transparent` is a colour of tRNS."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunks = [png_chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent))] if transparent else []
    return png(width, height, 16, PNG_COLOUR_TYPES[channels], rows, *chunks)


def tiff_16(values: Deep, order: str) -> bytes:
    """Return a TIFF of 16 bits a channel, uncompressed. values: [H, W, 3 or 4 (with alpha)]; order: < or >."""
    height, width, channels = values.shape
    data = values.astype(order + "u2").tobytes()
    short, long = 3, 4
    tags = [
        (256, short, 1, width),
        (257, short, 1, height),
        (258, short, channels, 8 + len(data)),  # bits: where they stand
        (259, short, 1, 1),
        (262, short, 1, 2),
        (273, long, 1, 8),
        (277, short, 1, channels),
        (278, short, 1, height),
        (279, long, 1, len(data)),
        *([(338, short, 1, 2)] if channels == 4 else []),  # unassociated alpha
    ]
    entries = b""
    for tag, kind, count, value in tags:
        entries += struct.pack(order + "HHI", tag, kind, count)
        is_short = kind == short and count == 1
        entries += struct.pack(order + "HH", value, 0) if is_short else struct.pack(order + "I", value)
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data) + 2 * channels)
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    return start + data + bits + struct.pack(order + "H", len(tags)) + entries + bytes(4)


def psd(pixels: Pixels) -> bytes:
    """Return a Photoshop file with nothing but its merged picture. uint8 [H, W, 3]."""
    height, width, channels = pixels.shape
    header = struct.pack(">4sH6xHIIHH", b"8BPS", 1, channels, height, width, 8, 3)
    return header + bytes(12) + struct.pack(">H", 0) + pixels.transpose(2, 0, 1).tobytes()


def sun_raster(pixels: Pixels) -> bytes:
    """Return a Sun raster file: 24 bits, blue first. uint8 [H, W, 3], W even."""
    height, width, _ = pixels.shape
    header = struct.pack(">8I", 0x59A66A95, width, height, 24, pixels.size, 1, 0, 0)
    return header + np.ascontiguousarray(pixels[:, :, ::-1]).tobytes()


def cursor(pixels: Pixels) -> bytes:
    """Return a Windows cursor of 24 bits without transparent pixels. uint8 [H, W, 3], W a multiple of 4."""
    height, width, _ = pixels.shape
    data = np.ascontiguousarray(pixels[::-1, :, ::-1]).tobytes()
    mask = bytes(height * (-(-width // 32) * 4))
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, 2 * height, 1, 24, 0, len(data), 0, 0, 0, 0) + data + mask
    return struct.pack("<HHH", 0, 2, 1) + struct.pack("<BBBBHHII", width, height, 0, 0, 0, 0, len(bitmap), 22) + bitmap


def xpm(indices: Pixels, colours: list[str]) -> bytes:
    """Return an X11 pixmap. indices: uint8 [H, W] into `colours`, which are #rrggbb."""
    height, width = indices.shape
    names = "abcdefghijklmnop"
    lines = [f"{width} {height} {len(colours)} 1"]
    lines += [f"{names[index]} c {colour}" for index, colour in enumerate(colours)]
    lines += ["".join(names[index] for index in row) for row in indices.tolist()]
    return ("/* XPM */\nstatic char *picture[] = {\n" + ",\n".join(f'"{line}"' for line in lines) + "\n};\n").encode()


def dcx(pixels: Pixels) -> bytes:
    """Return a file of PCX pages, with one page. uint8 [H, W, 3]."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PCX")
    return struct.pack("<III", 0x3ADE68B1, 12, 0) + stream.getvalue()


def icns(png_file: bytes) -> bytes:
    """Return a macOS icon that holds this PNG of 128x128."""
    entry = b"ic07" + struct.pack(">I", 8 + len(png_file)) + png_file
    return b"icns" + struct.pack(">I", 8 + len(entry)) + entry


def ico(png_file: bytes, side: int) -> bytes:
    """Return a Windows icon that holds this PNG, and says that its sides are `side`."""
    return (
        struct.pack("<HHH", 0, 1, 1) + struct.pack("<BBBBHHII", side, side, 0, 0, 1, 32, len(png_file), 22) + png_file
    )
