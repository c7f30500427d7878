"""What an evaluation looks at: real pictures in their fixed order, generated ones by their seeds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from gan_core.checkpoints import load_condition
from gan_core.conditions import Condition
from gan_core.dataset import Indices, StreamedPictures, reference_order
from gan_core.errors import DataError
from gan_core.evaluation import sets
from gan_core.evaluation.sets import PictureSet, Rows, Sets, Step
from gan_core.extractors.base import Extracted, Extractor, Features, Images
from gan_core.groups import rows_of
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.measures.features import Tick, no_tick
from gan_core.sections import LABEL, EvalConfig

SPLIT = "train"  # what the generator is asked to imitate; the gate asks held-out pictures
MINIMUM_REAL = 4  # two halves, and a pair in each


@dataclass(frozen=True)
class Counts:
    """How many pictures an evaluation looks at.

    Attributes:
        generated: pictures that are generated.
        real: of the reference.
        half: of each real half that makes the floor.
        training: among which neighbours are looked for.
        available: original pictures that there are.
    """

    generated: int
    real: int
    half: int
    training: int
    available: int

    @classmethod
    def of(cls, config: EvalConfig, available: int) -> Counts:
        """Share out `available` pictures: without `eval.real_count`, all three sets shrink to half of them."""
        half = min(config.score_count, available // 2)
        generated = config.score_count if config.real_count else half
        real = min(config.real_count or half, available)
        return cls(generated, real, half, min(max(config.neighbour_count, real), available), available)

    @property
    def looked_at(self) -> int:
        """Real pictures that are needed, the first of the order."""
        return max(self.real, 2 * self.half, self.training)


class Collection:
    """The pictures of one evaluation.

    Attributes:
        counts: how many.
        split: of the real pictures.
        condition: what the networks were told of each picture, None for an unconditional run.
        sets: what measures compare; there after `collect`.
        training: float32 [T, D], features of the training pictures among which neighbours are looked for; likewise.
    """

    sets: Sets
    training: Features

    def __init__(
        self, config: EvalConfig, checkpoint: Checkpoint, dataset: DatasetManifest, split: str = SPLIT
    ) -> None:
        """Look how many pictures there are. Raises DataError for fewer than four."""
        self._config, self._checkpoint, self._dataset, self.split = config, checkpoint, dataset, split
        self.condition = load_condition(checkpoint)
        self._order: Indices = reference_order(dataset, split)
        if len(self._order) < MINIMUM_REAL:
            raise DataError(
                f"scores need at least {MINIMUM_REAL} pictures in split '{split}', mirrored copies aside; "
                f"{dataset.path} has {len(self._order)}: add pictures to its source"
            )
        self.counts = Counts.of(config, len(self._order))
        self._order = self._order[: self.counts.looked_at]
        self._pictures = StreamedPictures(dataset, split, asked_by(self.condition) if self.condition else ())

    @property
    def seeds(self) -> range:
        """Of the generated pictures."""
        return range(self._config.seed, self._config.seed + self.counts.generated)

    def real_images(self, places: Rows) -> Images:
        """Return real pictures by their places in the order: uint8 [n, S, S, C]."""
        return self._pictures.read(self._order[places])

    def collect(self, extractor: Extractor, step: Step, tick: Tick = no_tick) -> None:
        """Read, generate and extract. `step` is called `steps` times, or less often where features are cached.

        `tick` is for the measures of `sets`.
        """
        counts, dataset = self.counts, self._dataset
        found = sets.real_features(dataset, self.split, self._pictures, self._order, extractor, step)
        reference = self._real(found, 0, counts.real)
        half_a = reference if counts.real == counts.half else self._real(found, 0, counts.half)
        half_b = self._real(found, counts.half, 2 * counts.half)
        self.training = found.features[: counts.training]
        known = half_a
        if counts.training > 2 * counts.half:
            known = self._real(found, 0, counts.training).at(
                np.r_[: counts.half, 2 * counts.half : counts.training].astype(np.int64)
            )
        fake = sets.extract(extractor, self._generated(), step)
        if self.condition:
            fake = replace(fake, rows=rows_of(self.condition.kind, self.condition.drawn(self.seeds)).astype(np.int64))
        self.sets = Sets(reference, fake, half_a, half_b, known, tick)

    @property
    def steps(self) -> int:
        """How often `collect` calls its `step`, at most."""
        return sets.steps(self.counts.looked_at) + sets.steps(self.counts.generated)

    def _real(self, found: Extracted, start: int, stop: int) -> PictureSet:
        return PictureSet(
            self.real_images(np.arange(start, min(stop, start + sets.PICTURES))),
            found.features[start:stop],
            None if found.logits is None else found.logits[start:stop],
            self._pictures.values[self._order[start:stop]].astype(np.int64) if self.condition else None,
        )

    def _generated(self) -> Iterator[Images]:
        from gan_core.sampling import batches  # needs TensorFlow

        return batches(self._checkpoint, self.seeds, self.condition)


def asked_by(condition: Condition) -> tuple[str, ...]:
    """Return what `model.condition` was."""
    return (LABEL,) if condition.kind == LABEL else condition.names
