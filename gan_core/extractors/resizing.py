"""Giving pictures the side that a network sees, as three tools do it whose scores are published.

Each of them is linear in the pixels and treats height and width alike, so each is two products of matrices.

    legacy      pytorch-fid: `torch.nn.functional.interpolate`, bilinear between centres of pixels, not antialiased
    tensorflow  TensorFlow 1's `resize_bilinear`, as in the graph of 2015, torch-fidelity and StyleGAN's metrics:
                bilinear between upper left corners of pixels, not antialiased
    clean       clean-fid (Parmar et al., arXiv:2104.11222): Pillow's bicubic, antialiased, in float, clipped
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_core.errors import ConfigError

Weights = npt.NDArray[np.float32]


def resize(images: npt.NDArray[np.uint8], resizing: str, side: int) -> npt.NDArray[np.float32]:
    """Return pictures of another size.

    Args:
        images: uint8 [N, H, W, C].
        resizing: a key of RESIZINGS.
        side: pixels of the square to return.

    Returns:
        float32 [N, side, side, C] in [0, 255], not rounded.

    Raises:
        ConfigError: there is no such resizing.
    """
    if resizing not in RESIZINGS:
        raise ConfigError(f"eval.resizing must be one of {', '.join(RESIZINGS)}, got '{resizing}'")
    count, height, width, channels = images.shape
    planes = images.transpose(0, 3, 1, 2).astype(np.float32, order="C")
    # Width before height, and float32 between them: as Pillow does it.
    if width != side:
        planes = planes.reshape(-1, width) @ weights(resizing, width, side).T
    planes = planes.reshape(count * channels, height, side)
    if height != side:
        planes = weights(resizing, height, side) @ planes
    if resizing == "clean":
        np.clip(planes, 0.0, 255.0, out=planes)
    return np.ascontiguousarray(planes.reshape(count, channels, side, side).transpose(0, 2, 3, 1))


@lru_cache(maxsize=16)
def weights(resizing: str, given: int, wanted: int) -> Weights:
    """Return what each of the `given` pixels of a line counts in each of the `wanted` ones: float32 [wanted, given]."""
    matrix = RESIZINGS[resizing](given, wanted)
    matrix.setflags(write=False)
    return matrix


def _centres(given: int, wanted: int) -> Weights:
    scale = np.float32(given / wanted)
    places = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    return _bilinear(np.maximum(places, np.float32(0)), given)


def _corners(given: int, wanted: int) -> Weights:
    return _bilinear(np.arange(wanted, dtype=np.float32) * np.float32(given / wanted), given)


def _bilinear(places: Weights, given: int) -> Weights:
    """Return the weights of the two pixels about each place; behind the last pixel is the last pixel."""
    lower = np.minimum(places.astype(np.int64), given - 1)
    share = places - lower.astype(np.float32)
    matrix = np.zeros((len(places), given), np.float32)
    lines = np.arange(len(places))
    np.add.at(matrix, (lines, lower), np.float32(1) - share)
    np.add.at(matrix, (lines, np.minimum(lower + 1, given - 1)), share)
    return matrix


def _pillow_bicubic(given: int, wanted: int) -> Weights:
    """Return what Pillow makes of lines with one bright pixel: its weights, without its filter written down again."""
    lines = Image.fromarray(np.eye(given, dtype=np.float32))
    return np.ascontiguousarray(np.asarray(lines.resize((wanted, given), Image.Resampling.BICUBIC)).T)


RESIZINGS: dict[str, Callable[[int, int], Weights]] = {
    "legacy": _centres,
    "tensorflow": _corners,
    "clean": _pillow_bicubic,
}
