"""Pictures side by side: grids and animations, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

Item = TypeVar("Item")

_GAP_PIXELS = 2


def grid(images: npt.NDArray[np.uint8], columns: int) -> Image.Image:
    """Return the pictures row by row on white, 2 pixels apart.

    Args:
        images: uint8 [N, H, W, C] in [0, 255], C is 1 or 3; the last row may be short.
        columns: pictures a row.
    """
    count, height, width, channels = images.shape
    columns = min(columns, count)
    rows = -(-count // columns)
    sheet = np.full(
        (
            rows * (height + _GAP_PIXELS) - _GAP_PIXELS,
            columns * (width + _GAP_PIXELS) - _GAP_PIXELS,
            channels,
        ),
        255,
        np.uint8,
    )
    for index, image in enumerate(images):
        row, column = divmod(index, columns)
        top, left = row * (height + _GAP_PIXELS), column * (width + _GAP_PIXELS)
        sheet[top : top + height, left : left + width] = image
    return Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)


def animation(
    frames: Sequence[Image.Image],
    target: Path | BinaryIO,
    *,
    colours: int = 256,
    frame_ms: int = 250,
    hold_ms: int = 2000,
) -> None:
    """Write an endless GIF; the last frame stays longer.

    Args:
        frames: at least one picture, all of one size.
        target: the .gif to write.
        colours: of each frame, 2 to 256; fewer make a smaller file.
        frame_ms: time of a frame, milliseconds.
        hold_ms: time of the last frame, milliseconds.
    """
    # One palette a frame: faces share few colours with their neighbours in time.
    pictures = [frame.convert("RGB").quantize(colours) for frame in frames]
    write_gif(pictures, target, frame_ms=frame_ms, hold_ms=hold_ms)


def write_gif(frames: Sequence[Image.Image], target: Path | BinaryIO, *, frame_ms: int, hold_ms: int) -> None:
    """Write an endless GIF of frames with palettes; see `animation`."""
    durations = [frame_ms] * (len(frames) - 1) + [hold_ms]
    frames[0].save(target, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def spread(items: Sequence[Item], limit: int) -> list[Item]:
    """Return at most `limit` of the items, evenly spread, always with the first and the last."""
    count = min(limit, len(items))
    return [items[index * (len(items) - 1) // max(1, count - 1)] for index in range(count)]
