"""Weights for the Inception-v3 of 2015 and pictures for it, both from seeds: on these ours and its peers meet."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gan_core.extractors.inception_layers import tensors

SIDES = (28, 32, 64, 128, 256, 400)


def arrays(seed: int = 2015) -> dict[str, npt.NDArray[np.float32]]:
    """Return weights under which activations neither vanish nor explode, with statistics as trained networks have."""
    rng = np.random.default_rng(seed)
    made = {}
    for name, shape in tensors():
        numbers = rng.standard_normal(shape, np.float32)
        if name.endswith("conv.weight"):
            numbers *= np.float32(np.sqrt(2 / np.prod(shape[1:])))
        elif name.endswith(("bn.weight", "running_var")):
            numbers = np.exp(np.float32(0.2) * numbers)
        else:
            numbers *= np.float32(0.02 if name == "fc.weight" else 0.1)
        made[name] = numbers.astype(np.float32)
    return made


def pictures(side: int, channels: int, count: int = 1) -> npt.NDArray[np.uint8]:
    """Return uint8 [count, side, side, channels]: a slope, a step and noise, so that every pixel matters."""
    rng = np.random.default_rng((side, channels))
    slope = np.linspace(0, 160, side)[:, None, None]
    step = np.where(np.arange(side) < side // 3, 0, 60)[None, :, None]
    noise = rng.integers(0, 36, (count, side, side, channels))
    return (slope + step + noise).astype(np.uint8)
