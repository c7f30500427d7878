from __future__ import annotations

import numpy as np
import pytest

from gan_core import distances
from gan_core.errors import DataError
from gan_core.guards import spread
from gan_core.snapshot_scores import SnapshotScorer
from tests.gan_core.evaluation.blocks import pictures


def test_snapshot_scorer() -> None:
    """The first half of the real pictures is the reference, the second the floor; an odd one is left out."""
    real = pictures(17)
    scorer = SnapshotScorer(real)
    (found,) = distances.sliced_wasserstein_to_each(real[:8], [real[8:16]])
    diversity = spread(real[8:16]) / spread(real[:8])
    expected = {"swd": found.mean, "swd_error": found.error, "swd_floor": found.mean, "diversity": diversity, "n": 8}
    assert scorer.score(real[8:16]) == expected
    copies = SnapshotScorer(np.repeat(real[:1], 4, axis=0))
    assert "diversity" not in copies.score(real[:2])
    itself = scorer.score(real[:8])
    assert (itself["swd"], itself["swd_floor"], itself["diversity"], itself["n"]) == (0.0, found.mean, 1.0, 8)
    assert scorer.score(real[8:]) == expected


def test_snapshot_scorer_refuses_too_few() -> None:
    """One real picture or too few generated ones are named in the message."""
    with pytest.raises(DataError) as caught:
        SnapshotScorer(pictures(1))
    assert str(caught.value) == "scores during training need at least 2 real pictures, got 1"
    with pytest.raises(DataError, match=r"one shape, got \(4, 32, 32, 3\) and \(3, 32, 32, 3\)"):
        SnapshotScorer(pictures(8)).score(pictures(3))
