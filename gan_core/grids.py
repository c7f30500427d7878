"""Pictures side by side: grids and animations, without TensorFlow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

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


def animation(frames: Sequence[Path], path: Path, *, frame_ms: int = 250, hold_ms: int = 2000) -> None:
    """Write an endless GIF of picture files; the last frame stays longer.

    Args:
        frames: at least one picture, all of one size.
        path: the .gif to write.
        frame_ms: time of a frame, milliseconds.
        hold_ms: time of the last frame, milliseconds.
    """
    pictures = []
    for frame in frames:
        with Image.open(frame) as picture:
            # One palette a frame: faces share few colours with their neighbours in time.
            pictures.append(picture.convert("RGB").quantize(256, dither=Image.Dither.FLOYDSTEINBERG))
    durations = [frame_ms] * (len(pictures) - 1) + [hold_ms]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=durations, loop=0)
