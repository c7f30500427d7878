"""MNIST's four files with pictures that tests draw."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.pictures import scene


def idx_bytes(values: npt.NDArray[np.uint8]) -> bytes:
    """Return an IDX file of unsigned bytes."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def digits(count: int, first_seed: int = 0) -> npt.NDArray[np.uint8]:
    """Return `count` different pictures. uint8 [count, 28, 28]."""
    return np.stack([scene(28, 28, first_seed + index)[:, :, 0] for index in range(count)])


def write_mnist(folder: Path, train: int, test: int, *, packed: bool = False, dot: bool = False) -> Path:
    """Write the four files into `folder`, gzipped or not, named with a dot or a dash, and return it.

    Picture i of train is `digits(...)[i]`, of test it has the seeds from 100 on; its label is i modulo 10.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, count, seed in (("train", train, 0), ("t10k", test, 100)):
        parts = {"images{}idx3": digits(count, seed), "labels{}idx1": np.arange(count, dtype=np.uint8) % 10}
        for part, values in parts.items():
            data = idx_bytes(values)
            path = folder / f"{name}-{part.format('.' if dot else '-')}-ubyte{'.gz' if packed else ''}"
            path.write_bytes(gzip.compress(data, mtime=0) if packed else data)
    return folder
