"""Pictures made worse by a stated amount: what a measure that claims to see quality has to put in order.

As Heusel et al. 2017, arXiv:1706.08500, section A1, disturb pictures to check FID: each kind alone, ever stronger.
Between kinds the strength is the root mean square change in grey levels, since no other scale is common to them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gan_core.distances import Images


def blurred(images: Images, sigma: float) -> Images:
    """Return the pictures after a Gaussian of `sigma` pixels, mirrored at the borders."""
    radius = int(np.ceil(4 * sigma))
    places = np.arange(-radius, radius + 1)
    weights = np.exp(-(places**2) / (2 * sigma**2))
    weights /= weights.sum()
    read = np.pad(np.eye(images.shape[1]), [(0, 0), (radius, radius)], mode="symmetric")
    lines = np.stack([read[:, start : start + len(places)] @ weights for start in range(images.shape[1])])
    planes = np.moveaxis(images, 3, 1).astype(np.float32)
    soft = lines.astype(np.float32) @ planes @ lines.T.astype(np.float32)
    return np.moveaxis(np.clip(np.rint(soft), 0, 255), 1, 3).astype(np.uint8)


def noisy(images: Images, deviation: float, seed: int = 1) -> Images:
    """Return the pictures with independent normal noise of `deviation` grey levels, clipped."""
    noise = np.random.default_rng(seed).standard_normal(images.shape, np.float32)
    return np.clip(np.rint(images + np.float32(deviation) * noise), 0, 255).astype(np.uint8)


def shuffled(images: Images, patches: int, seed: int = 2) -> Images:
    """Return the pictures cut into `patches` x `patches` squares, in a random order for each picture."""
    count, side, _, channels = images.shape
    size = side // patches
    cut = images.reshape(count, patches, size, patches, size, channels).swapaxes(2, 3)
    cut = cut.reshape(count, patches**2, size, size, channels)
    order = np.random.default_rng(seed).permuted(np.tile(np.arange(patches**2), (count, 1)), axis=1)
    mixed = cut[np.arange(count)[:, None], order].reshape(count, patches, patches, size, size, channels)
    return mixed.swapaxes(2, 3).reshape(images.shape)


def change(images: Images, worse: Images) -> float:
    """Return the root mean square change of a pixel, grey levels."""
    return float(np.sqrt(np.square(images.astype(np.float32) - worse).mean()))


# Each twice as strong as the one before it. At 64 pixels: a blur of 1 is what a generator of half the side would show.
BLURS = (0.5, 1.0, 2.0, 4.0)
NOISES = (8.0, 16.0, 32.0, 64.0)
SHUFFLES = (2, 4, 8)
# One of each kind, so that the change of a pixel more than doubles from one to the next: 12, 30, 87 levels on CelebA.
CHAIN = ("blur 1", "noise 32", "shuffle 4x4")


def degraded() -> dict[str, Callable[[Images], Images]]:
    """Return name -> what it does to pictures, in rising strength within each kind."""
    return {
        **{f"blur {sigma:g}": lambda images, sigma=sigma: blurred(images, sigma) for sigma in BLURS},
        **{f"noise {level:g}": lambda images, level=level: noisy(images, level) for level in NOISES},
        **{f"shuffle {cut}x{cut}": lambda images, cut=cut: shuffled(images, cut) for cut in SHUFFLES},
    }
