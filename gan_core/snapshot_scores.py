"""Scores while a training goes on: one distance to the same real pictures, again and again."""

from __future__ import annotations

from gan_core import distances, guards
from gan_core.distances import Images
from gan_core.errors import DataError


class SnapshotScorer:
    """Scores generated pictures during training, against real pictures that are worked through once.

    Memory: see `distances.SlicedWasserstein`, 400 MB for 512 pictures at 64x64.

    Attributes:
        count: how many generated pictures are compared: half as many as there are real ones.
        floor: the distance between the two real halves, SWD x1000, mean over the levels.
        spread: of the real pictures, see `guards.spread`; 0 for one.
    """

    def __init__(self, real: Images) -> None:
        """Work through `real`: uint8 [2 * count, S, S, C], not mirrored. DataError for fewer than two."""
        if len(real) < 2:
            raise DataError(f"scores during training need at least 2 real pictures, got {len(real)}")
        self.count = len(real) // 2
        self._reference = distances.SlicedWasserstein(real[: self.count])
        self.floor = self._reference.distance(real[self.count : 2 * self.count]).mean
        self.spread = guards.spread(real[: self.count]) if self.count > 1 else 0.0

    def score(self, fake: Images) -> dict[str, float]:
        """Return `swd`, `swd_error` and `swd_floor`, x1000 and means over the levels, `diversity`, and `n`: `count`.

        `swd_error` is one standard error. `diversity` is the spread of generated pictures over that of real ones, 1
        where they vary as much; left out where the real ones have none.

        Args:
            fake: uint8 [at least `count`, S, S, C]; the first `count` are compared.

        Raises:
            DataError: they are fewer, or of another size than the real ones.
        """
        found = self._reference.distance(fake[: self.count])
        diversity = {"diversity": guards.spread(fake[: self.count]) / self.spread} if self.spread else {}
        return {"swd": found.mean, "swd_error": found.error, "swd_floor": self.floor, **diversity, "n": self.count}
