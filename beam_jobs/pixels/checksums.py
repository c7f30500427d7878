"""Checksums that picture files carry and Pillow does not verify."""

from __future__ import annotations

import zlib

from beam_jobs.pixels.rejects import Reject

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Containers whose entries may be whole PNG files.
_ICON_SIGNATURES = (b"\0\0\1\0", b"icns")


def check_pngs(data: bytes) -> None:
    """Verify the CRC-32 of every chunk of a PNG, or of the PNGs in an ICO or ICNS; do nothing with other formats.

    Pillow skips the CRC-32 of pixel data, so a flipped bit may become a wrong pixel. W3C PNG specification (third
    edition), 5.3: each chunk is length, type, data and the CRC-32 over type and data.

    Raises:
        Reject: `damaged` names chunk and byte; `truncated` where the file ends before the chunk IEND does.
    """
    if data.startswith(PNG_SIGNATURE):
        _check_png(data, 0)
    elif data.startswith(_ICON_SIGNATURES):
        start = data.find(PNG_SIGNATURE)
        while start >= 0:
            start = data.find(PNG_SIGNATURE, _check_png(data, start))


def _check_png(data: bytes, start: int) -> int:
    """Verify the PNG that begins at byte `start`, and return the byte after its end."""
    view = memoryview(data)
    position = start + len(PNG_SIGNATURE)
    while position + 12 <= len(view):
        length = int.from_bytes(view[position : position + 4], "big")
        kind, end = bytes(view[position + 4 : position + 8]), position + 12 + length
        if end > len(view):
            break
        if zlib.crc32(view[position + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise Reject("damaged", f"the CRC-32 of the PNG chunk {kind!r} at byte {position} does not match")
        if kind == b"IEND":
            return end
        position = end
    raise Reject("truncated", f"the PNG ends at byte {len(view)}, inside the chunk at byte {position}")
