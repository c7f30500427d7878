"""Judgements on figures: exact values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gan_core import guards
from gan_core.config import TrainConfig
from gan_core.errors import DataError
from gan_core.guards import Winning, first_not_finite, is_winning, loss_bounds, smaller_micro_batch, spread


def test_first_figure_that_is_not_finite_is_named() -> None:
    """Numbers and arrays of any type are looked at, in order."""
    fine = {"loss": 1.0, "count": np.array(3), "kernel": np.ones((2, 2), np.float32)}
    assert first_not_finite(fine) is None
    assert first_not_finite({**fine, "bias": np.array([0.0, np.nan]), "scale": np.inf}) == "bias"
    assert first_not_finite({"loss_g": -math.inf, **fine}) == "loss_g"


@pytest.mark.parametrize(
    ("loss", "smoothing", "bounds"),
    [
        ("bce", 0.0, (0.0, 2 * math.log(2))),
        ("bce", 0.5, (math.log(2), 2 * math.log(2))),
        ("minimax", 0.0, (0.0, 2 * math.log(2))),
        ("lsgan", 0.0, (0.0, 0.25)),
        ("hinge", 0.1, (0.0, 2.0)),
        ("relativistic", 0.0, (0.0, math.log(2))),
    ],
)
def test_bounds_are_what_the_losses_give(loss: str, smoothing: float, bounds: tuple[float, float]) -> None:
    """The lower bound is a perfect discriminator's loss, the upper one that of equal logits; closed forms."""
    found = loss_bounds(TrainConfig(loss=loss, label_smoothing=smoothing))
    assert found == (pytest.approx(bounds[0], abs=1e-12), pytest.approx(bounds[1]))


def test_bounds_agree_with_the_losses_themselves() -> None:
    """LOSSES reach the lower bound for confident right logits, and the upper one where nothing can be told."""
    import tensorflow as tf

    from gan_core.losses import LOSSES

    for name, at_chance, sure in (
        ("bce", 0.0, None),
        ("minimax", 0.0, None),
        ("lsgan", 0.5, (1.0, 0.0)),
        ("hinge", 0.0, (9.0, -9.0)),
        ("relativistic", 0.0, (50.0, -50.0)),
    ):
        train = TrainConfig(loss=name)
        bounds = loss_bounds(train)
        assert bounds is not None
        logit = math.log(0.9 / 0.1)  # the smoothed label's own
        real, fake = sure or (logit, -50.0)
        perfect, guessing = (
            float(LOSSES[name].discriminator(tf.constant([[a]]), tf.constant([[b]]), train.label_smoothing))
            for a, b in ((real, fake), (at_chance, at_chance))
        )
        assert (perfect, guessing) == (pytest.approx(bounds[0], abs=1e-6), pytest.approx(bounds[1], rel=1e-6)), name


def test_a_critic_never_wins() -> None:
    """The loss of wgan-gp has no lower bound, so nothing can be near it."""
    train = TrainConfig(loss="wgan-gp", penalty="gp")
    assert loss_bounds(train) is None
    assert not is_winning(-1e9, train)


def test_winning_is_the_last_twentieth_of_the_way() -> None:
    """Hinge: 2 when it guesses, 0 when it is perfect; below 0.1 it wins. With smoothed labels the floor is higher."""
    hinge = TrainConfig(loss="hinge")
    assert (is_winning(0.0999, hinge), is_winning(0.1, hinge)) == (True, False)
    smooth = TrainConfig(loss="bce", label_smoothing=0.1)
    entropy = -(0.1 * math.log(0.1) + 0.9 * math.log(0.9))
    assert (is_winning(entropy + 0.052, smooth), is_winning(entropy + 0.054, smooth)) == (True, False)


def test_winning_lasts_from_its_first_line_without_a_break() -> None:
    """It counts from where the first such line began; one line of balance starts the count anew."""
    hinge = TrainConfig(loss="hinge")
    winning = Winning()
    for images in (1000, 2000):
        winning = winning.after(images - 1000, 0.0, hinge)
    assert winning == Winning(0)
    assert (winning.is_long(19_999), winning.is_long(20_000)) == (False, True)
    assert winning.after(2000, 1.0, hinge) == Winning(None)
    assert not Winning(None).is_long(10**9)


def test_spread_is_the_distance_to_the_nearest_neighbour() -> None:
    """Grey pictures of 0, 10 and 40: distances 10, 10 and 30, mean 50 / 3, whatever the side and the channels."""
    for side, channels in ((28, 1), (32, 3), (64, 3)):
        pictures = np.stack([np.full((side, side, channels), level, np.uint8) for level in (0, 10, 40)])
        assert spread(pictures) == pytest.approx(50 / 3)


def test_spread_sees_blocks_not_pixels() -> None:
    """Noise that cancels within a block of 4x4 pixels is no difference; one block of 64 that differs by 8 is 1."""
    flat = np.full((32, 32, 1), 100, np.uint8)
    noisy, block = flat.copy(), flat.copy()
    noisy[::2] += 10
    noisy[1::2] -= 10
    block[:4, :4] += 8
    assert spread(np.stack([flat, noisy])) == 0.0
    assert spread(np.stack([flat, block])) == 1.0


def test_copies_have_no_spread_however_many_kinds() -> None:
    """Ten pictures repeated are a collapse, which the mean distance of all pairs would hardly show."""
    kinds = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
    assert spread(np.concatenate([kinds, kinds])) == 0.0
    assert spread(kinds) > 5
    with pytest.raises(DataError, match="the spread of pictures needs at least 2 of them, got 1"):
        spread(kinds[:1])


def test_collapse_is_not_judged_at_the_start() -> None:
    """Every generator begins with one grey picture; from 20 kimg on, a quarter of the real spread is too little."""
    assert not guards.is_collapsed(0.0, 19_999)
    assert (guards.is_collapsed(0.249, 20_000), guards.is_collapsed(0.25, 20_000)) == (True, False)


@pytest.mark.parametrize(
    ("batch", "micro", "smaller"), [(128, 0, 64), (128, 64, 32), (12, 3, 1), (15, 0, 5), (7, 0, 1), (8, 1, None)]
)
def test_smaller_parts_divide_the_batch(batch: int, micro: int, smaller: int | None) -> None:
    """The largest divisor of the batch that is at most half of the part before; none below one picture."""
    assert smaller_micro_batch(batch, micro) == smaller
