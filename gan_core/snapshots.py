"""What a snapshot shows of a generator in training: pictures of fixed latents, and a score on the way."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from gan_core.conditions import Array, Condition
from gan_core.config import RunConfig
from gan_core.dataset import Images, load_images
from gan_core.gan import Gan
from gan_core.grids import grid
from gan_core.handoff import DatasetManifest
from gan_core.sampling import GRID_COLUMNS, GRID_COUNT, latents, render
from gan_core.snapshot_scores import SnapshotScorer

_RENDERED_AT_ONCE = 256  # pictures between two looks at the signals


class Snapshots:
    """Takes snapshots for one training. The real pictures to compare with are read once."""

    def __init__(self, config: RunConfig, dataset: DatasetManifest, condition: Condition | None) -> None:
        self._config, self._dataset, self._condition = config, dataset, condition
        count = config.eval.snapshot_score_count
        self._scorer = SnapshotScorer(load_images(dataset, "train", 2 * count)) if count else None

    def real(self) -> Image.Image:
        """Return a grid of real pictures."""
        return grid(load_images(self._dataset, "train", GRID_COUNT), GRID_COLUMNS)

    def take(self, gan: Gan, signals: Sequence[int]) -> tuple[Image.Image, dict[str, float]] | None:
        """Return the grid of the averaged generator's pictures, and their score, empty where it is off.

        None when a signal comes meanwhile: to look at many pictures takes seconds.
        """
        columns, conditions = (self._condition and self._condition.grid()) or (GRID_COLUMNS, None)
        count = GRID_COUNT if conditions is None else len(conditions)
        fixed = self._generated(gan, range(count), conditions)
        score = self._score(gan, signals)
        return None if signals else (grid(fixed, columns), score)

    def _score(self, gan: Gan, signals: Sequence[int]) -> dict[str, float]:
        if self._scorer is None:
            return {}
        evaluation, parts = self._config.eval, []
        end = evaluation.seed + evaluation.snapshot_score_count
        for start in range(evaluation.seed, end, _RENDERED_AT_ONCE):
            if signals:
                return {}
            parts.append(self._generated(gan, range(start, min(start + _RENDERED_AT_ONCE, end))))
        return self._scorer.score(np.concatenate(parts))

    def _generated(self, gan: Gan, seeds: range, conditions: Array | None = None) -> Images:
        latent = latents(seeds, self._config.model.latent_size)
        if self._condition and conditions is None:
            conditions = self._condition.drawn(seeds)
        return render(gan.averaged, latent, gan.normalization, conditions)
