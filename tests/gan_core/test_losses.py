"""The losses against closed forms: values, slopes, and which logits and options each looks at."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import TrainConfig
from gan_core.guards import loss_bounds
from gan_core.losses import LOSSES
from gan_core.sections import LOSS_NAMES

LN2, LN3, LN4 = math.log(2), math.log(3), math.log(4)  # sigmoid(log 3) = 3/4

SMOOTHED = ("bce", "minimax")


def logits(*values: float) -> tf.Tensor:
    """Return float32 [batch, 1]."""
    return tf.constant([[value] for value in values], tf.float32)


def test_the_losses_are_those_of_the_option() -> None:
    """`train.loss` takes these names, in this order."""
    assert tuple(LOSSES) == LOSS_NAMES


@pytest.mark.parametrize(
    ("name", "real", "fake", "expected"),
    [
        # -log D(x) - log(1 - D(G(z)))
        *(
            (name, real, fake, expected)
            for name in ("bce", "minimax")
            for real, fake, expected in [
                ((0.0,), (0.0,), 2 * LN2),
                ((LN3,), (0.0,), LN4 - LN3 + LN2),
                ((0.0, LN3), (0.0, LN3), (LN2 + LN4 - LN3) / 2 + (LN2 + LN4) / 2),
                ((1000.0,), (-1000.0,), 0.0),
                ((-1000.0,), (1000.0,), 2000.0),  # no overflow: -log sigmoid(x) = -x for very negative x
            ]
        ),
        # (D(x) - 1)^2 / 2 + D(G(z))^2 / 2
        ("lsgan", (1.0,), (0.0,), 0.0),
        ("lsgan", (0.0,), (0.0,), 0.5),
        ("lsgan", (4.0, 1.0), (-2.0, 6.0), 9 / 4 + 40 / 4),
        # max(0, 1 - D(x)) + max(0, 1 + D(G(z)))
        ("hinge", (0.0,), (0.0,), 2.0),
        ("hinge", (1.0, 1000.0), (-1.0, -1000.0), 0.0),
        ("hinge", (0.25, 3.0), (0.5, -2.0), 0.75 / 2 + 1.5 / 2),
        ("hinge", (-1000.0,), (1000.0,), 2002.0),
        # D(G(z)) - D(x)
        ("wgan-gp", (5.0, 7.0), (1.0, -4.0), -1.5 - 6.0),
        # -log sigmoid(D(x) - D(G(z))), pair by pair
        ("relativistic", (5.0,), (5.0,), LN2),
        ("relativistic", (5.0 + LN3,), (5.0,), LN4 - LN3),
        ("relativistic", (0.0, LN3), (LN3, 0.0), (LN4 + LN4 - LN3) / 2),
        ("relativistic", (LN3, 0.0), (LN3, 0.0), LN2),  # the same logits, other pairs
        ("relativistic", (-1000.0,), (1000.0,), 2000.0),
        ("relativistic", (1000.0,), (-1000.0,), 0.0),
    ],
)
def test_discriminators_loss(name: str, real: tuple[float, ...], fake: tuple[float, ...], expected: float) -> None:
    """The discriminator's loss has the value that its paper's formula gives, a mean over the batch."""
    loss = LOSSES[name].discriminator(logits(*real), logits(*fake), 0.0)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "real", "fake", "expected"),
    [
        # -log D(G(z))
        ("bce", (9.0,), (0.0,), LN2),
        ("bce", (9.0,), (LN3,), LN4 - LN3),
        ("bce", (9.0, 9.0), (0.0, LN3), (LN2 + LN4 - LN3) / 2),
        ("bce", (9.0,), (-1000.0,), 1000.0),
        ("bce", (9.0,), (1000.0,), 0.0),
        # log(1 - D(G(z)))
        ("minimax", (9.0,), (0.0,), -LN2),
        ("minimax", (9.0,), (LN3,), -LN4),
        ("minimax", (9.0, 9.0), (-LN3, LN3), (LN3 - LN4 - LN4) / 2),
        ("minimax", (9.0,), (-1000.0,), 0.0),
        ("minimax", (9.0,), (1000.0,), -1000.0),
        # (D(G(z)) - 1)^2 / 2
        ("lsgan", (9.0,), (1.0,), 0.0),
        ("lsgan", (9.0, 9.0), (-1.0, 4.0), (4 + 9) / 4),
        # -D(G(z))
        ("hinge", (9.0, 9.0), (-3.0, 5.0), -1.0),
        ("wgan-gp", (9.0, 9.0), (-3.0, 5.0), -1.0),
        # -log sigmoid(D(G(z)) - D(x)), pair by pair
        ("relativistic", (5.0,), (5.0,), LN2),
        ("relativistic", (5.0,), (5.0 + LN3,), LN4 - LN3),
        ("relativistic", (0.0, LN3), (LN3, 0.0), (LN4 + LN4 - LN3) / 2),
        ("relativistic", (LN3, 0.0), (LN3, 0.0), LN2),
        ("relativistic", (1000.0,), (-1000.0,), 2000.0),
    ],
)
def test_generators_loss(name: str, real: tuple[float, ...], fake: tuple[float, ...], expected: float) -> None:
    """The generator's loss has the value that its paper's formula gives, a mean over the batch."""
    assert float(LOSSES[name].generator(logits(*real), logits(*fake))) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", SMOOTHED)
@pytest.mark.parametrize(
    ("real", "fake", "smoothing", "expected"),
    [
        (LN3, 0.0, 0.1, 0.9 * (LN4 - LN3) + 0.1 * LN4 + LN2),
        (0.0, LN3, 0.5, LN2 + LN4),  # the fake label is never smoothed
        (1000.0, -1000.0, 0.1, 100.0),
    ],
)
def test_label_smoothing_is_one_sided(name: str, real: float, fake: float, smoothing: float, expected: float) -> None:
    """-(1-s) log D(x) - s log(1-D(x)) - log(1-D(G(z))): only the real label moves."""
    loss = LOSSES[name].discriminator(logits(real), logits(fake), smoothing)
    assert float(loss) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_only_cross_entropies_smooth_their_labels(name: str) -> None:
    """Losses without labels of 0 and 1 as probabilities ignore the smoothing."""
    real, fake = logits(0.5, -2.0), logits(-0.25, 1.0)
    plain, smoothed = (float(LOSSES[name].discriminator(real, fake, smoothing)) for smoothing in (0.0, 0.5))
    assert (plain != smoothed) == (name in SMOOTHED)


# At real logits (log 3, 0) and fake ones (0, -log 3), labels smoothed by 0.1, where sigmoids are 3/4, 1/2, 1/2, 1/4.
SLOPES = {
    # name: discriminator's slope at real, at fake; generator's at fake; each times the batch of 2
    "bce": ([0.75 - 0.9, 0.5 - 0.9], [0.5, 0.25], [0.5 - 1, 0.25 - 1]),
    "minimax": ([0.75 - 0.9, 0.5 - 0.9], [0.5, 0.25], [-0.5, -0.25]),
    "lsgan": ([LN3 - 1, -1.0], [0.0, -LN3], [-1.0, -LN3 - 1]),
    "hinge": ([0.0, -1.0], [1.0, 0.0], [-1.0, -1.0]),
    "wgan-gp": ([-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]),
    "relativistic": ([-0.25, -0.25], [0.25, 0.25], [-0.75, -0.75]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_slopes(name: str) -> None:
    """The derivatives with respect to each logit are those of the formulas."""
    real, fake = logits(LN3, 0.0), logits(0.0, -LN3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        loss_d = LOSSES[name].discriminator(real, fake, 0.1)
        loss_g = LOSSES[name].generator(real, fake)
    slopes = [tape.gradient(loss_d, real), tape.gradient(loss_d, fake), tape.gradient(loss_g, fake)]
    for slope, expected in zip(slopes, SLOPES[name], strict=True):
        np.testing.assert_allclose(slope.numpy().ravel() * 2, expected, atol=1e-6)


@pytest.mark.parametrize("name", LOSSES)
def test_generators_look_at_real_logits_only_where_they_say_so(name: str) -> None:
    """Without `needs_real`, anything may stand for the real logits; with it, they change the loss."""
    loss, real, fake = LOSSES[name], logits(0.5, -2.0), logits(-0.25, 1.0)
    if loss.needs_real:
        assert float(loss.generator(real, fake)) != float(loss.generator(real + 1.0, fake))
    else:
        assert float(loss.generator(None, fake)) == float(loss.generator(real, fake))


def test_pairs_must_match() -> None:
    """Logits that subtraction would broadcast to all pairs are refused."""
    loss = LOSSES["relativistic"]
    with pytest.raises(ValueError, match="incompatible"):
        loss.discriminator(logits(1.0, 2.0), tf.constant([1.0, 2.0]), 0.0)
    with pytest.raises(ValueError, match="incompatible"):
        loss.generator(logits(1.0), logits(1.0, 2.0))


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_a_finite_scalar_with_the_right_sign(name: str) -> None:
    """Whatever the loss: scalars in float32, smaller for the side that is winning by far."""
    loss, high, low = LOSSES[name], logits(1e4, 1e4), logits(-1e4, -1e4)
    results = [loss.discriminator(high, low, 0.1), loss.discriminator(low, high, 0.1)]
    results += [loss.generator(low, high), loss.generator(high, low)]
    assert [(result.dtype, result.shape.as_list()) for result in results] == [(tf.float32, [])] * 4
    winning_d, losing_d, winning_g, losing_g = (float(result) for result in results)
    assert all(map(math.isfinite, (winning_d, losing_d, winning_g, losing_g)))
    assert winning_d < losing_d
    assert winning_g < losing_g


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e15, -1e15])
def test_values_and_slopes_stay_finite_for_huge_logits(name: str, size: float) -> None:
    """No logit that float32 can square makes a loss or a slope infinite or no number, on either side."""
    real, fake = logits(size, 0.0), logits(-size, size)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([real, fake])
        loss_d = LOSSES[name].discriminator(real, fake, 0.1)
        loss_g = LOSSES[name].generator(real, fake)
    found = [loss_d, loss_g, *tape.gradient(loss_d, [real, fake]), tape.gradient(loss_g, fake)]
    assert all(np.isfinite(value.numpy()).all() for value in found)


@pytest.mark.parametrize("name", LOSSES)
def test_the_boundary_is_where_a_picture_may_be_either(name: str) -> None:
    """There the discriminator's loss is that of one that cannot tell; without a boundary, all logits may move."""
    penalty = "gp" if name == "wgan-gp" else "none"
    loss, bounds = LOSSES[name], loss_bounds(TrainConfig(loss=name, penalty=penalty))
    if loss.boundary is not None:
        assert bounds is not None
        undecided = logits(loss.boundary)
        assert float(loss.discriminator(undecided, undecided, 0.0)) == pytest.approx(bounds[1], rel=1e-6)
    else:
        real, fake, far = logits(0.5, -2.0), logits(1.0, 0.25), 8.0
        moved = float(loss.discriminator(real + far, fake + far, 0.0))
        assert moved == pytest.approx(float(loss.discriminator(real, fake, 0.0)), abs=1e-6)
