"""A small extractor for tests, and pictures for it: means of 4x4 blocks, exact and quick."""

from __future__ import annotations

import numpy as np

from gan_core.distances import Images
from gan_core.extractors.base import Extracted, Facts

BLOCKS = Facts(
    name="blocks", title="means of blocks", weights="b" * 64, resizing="none", side=0, dimensions=48, classes=4
)


class Blocks:
    """Means of the 4x4 blocks of each channel as features, and four of them as logits. Counts what it is shown."""

    facts = BLOCKS

    def __init__(self) -> None:
        self.seen = 0

    def extract(self, images: Images) -> Extracted:
        """Return float32 [N, 48] and [N, 4] of uint8 [N, S, S, 3]."""
        self.seen += len(images)
        side = images.shape[1] // 4
        means = images.reshape(len(images), 4, side, 4, side, 3).mean(axis=(2, 4), dtype=np.float64)
        features = means.reshape(len(images), -1).astype(np.float32)
        return Extracted(features, features[:, :4] / np.float32(64))


def pictures(count: int, seed: int = 0, side: int = 32) -> Images:
    """Return pictures of 8x8 random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    return coarse.repeat(side // 8, 1).repeat(side // 8, 2)
