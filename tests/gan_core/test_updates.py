"""The options of a step: losses, lazy penalties, augmentation, micro-batches and schedules, as `Gan` applies them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.gan import Gan
from gan_core.losses import LOSSES
from gan_core.normalization import NORMALIZATIONS
from gan_core.penalties import PENALTIES

BATCH = 4
CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=28, channels=1),
    model=ModelConfig(name="mlp", base_channels=4, latent_size=8, dropout=0.0),
    train=TrainConfig(batch_size=BATCH),
)
State = dict[str, np.ndarray]


@pytest.fixture
def _eager() -> Iterator[None]:
    """Run steps operation by operation: to compile one takes longer than to run it."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def configured(**changes: object) -> RunConfig:
    """Return CONFIG with other training options."""
    return dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, **changes))  # type: ignore[arg-type]


def trained(steps: int = 1, first_step: int = 0, **changes: object) -> Gan:
    """Return a new pair after so many steps on seeded noise."""
    gan = Gan(configured(**changes))
    images = np.random.default_rng(0).integers(0, 256, (steps, BATCH, 28, 28, 1), np.uint8)
    gan.train_steps(images, tf.constant(first_step, tf.int64))
    return gan


def differing(one: State, other: State, owner: str = "") -> list[str]:
    """Return the names, of those that start with `owner`, whose arrays differ."""
    return [name for name in one if name.startswith(owner) and not np.array_equal(one[name], other[name])]


def _combinations() -> list[tuple[str, str]]:
    pairs = itertools.product(LOSSES, ("none", *PENALTIES))
    return [(loss, penalty) for loss, penalty in pairs if loss != "wgan-gp" or penalty == "gp"]


@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize(("loss", "penalty"), _combinations())
def test_every_loss_goes_with_every_penalty(loss: str, penalty: str) -> None:
    """A step moves every kernel of both networks by finite numbers."""
    before = Gan(configured(loss=loss, penalty=penalty)).state()
    after = trained(loss=loss, penalty=penalty).state()
    assert [name for name, value in after.items() if not np.isfinite(value).all()] == []
    kernels = [name for name in before if name.startswith(("generator", "discriminator")) and "kernel" in name]
    assert len(kernels) > 4
    assert [name for name in kernels if np.array_equal(before[name], after[name])] == []


@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize("penalty", PENALTIES)
def test_a_lazy_penalty_weighs_more_in_its_step_and_nothing_in_others(penalty: str) -> None:
    """Every third step: steps 0 and 3 are those of three times the weight, steps 1 and 2 those without any."""
    lazy = {"penalty": penalty, "penalty_weight": 2.0, "penalty_every": 3}
    for step in range(4):
        now = trained(1, step, **lazy).state()
        same = trained(1, step) if step % 3 else trained(1, step, penalty=penalty, penalty_weight=6.0)
        assert differing(now, same.state()) == []
    assert differing(trained(1, 0, **lazy).state(), trained(1, 0).state(), "discriminator") != []


@pytest.mark.parametrize("penalty", ["none", "r1+r2"])
@pytest.mark.parametrize("loss", ["bce", "relativistic"])
def test_micro_batches_add_up_to_the_batch(loss: str, penalty: str) -> None:
    """With 2 of 4 pictures at a time, both networks' gradients (Adam's first moments) are those of all 4 at once."""
    whole = trained(loss=loss, penalty=penalty)
    parts = trained(loss=loss, penalty=penalty, micro_batch=2)
    for name in ("optimizer_d", "optimizer_g"):
        pairs = zip(getattr(whole, name).variables, getattr(parts, name).variables, strict=True)
        for one, other in pairs:
            scale = float(np.abs(one.numpy()).max())
            np.testing.assert_allclose(other.numpy(), one.numpy(), rtol=1e-3, atol=1e-5 * scale + 1e-7)
    np.testing.assert_allclose(parts.sums.numpy(), whole.sums.numpy(), rtol=1e-5)


def test_each_part_of_a_batch_has_its_own_random_numbers() -> None:
    """Seeds differ from part to part, and the first one's is that of a batch in one piece."""
    updates = Gan(CONFIG).updates
    step = tf.constant(7, tf.int64)
    seeds = [tuple(updates.seed(3, step, part).numpy().tolist()) for part in range(4)]
    assert len(set(seeds)) == 4
    assert seeds[0] == tuple(updates.seed(3, step).numpy().tolist())


@pytest.mark.usefixtures("_eager")
def test_augmentation_changes_what_the_discriminator_sees() -> None:
    """With strength 0 a step is that of no augmentation, bit for bit; with 1 it is another one."""
    names = ("color", "translation", "cutout")
    assert differing(trained(augment=names, augment_strength=0.0).state(), trained().state()) == []
    assert differing(trained(augment=names).state(), trained().state(), "discriminator") != []


def test_augmentation_knows_the_normalization() -> None:
    """Under [0, 1], pictures are changed as their [-1, 1] counterparts are."""
    names = ("color", "translation", "cutout")
    form = NORMALIZATIONS["[0,1]"]((0.0,), (0.0,))
    plain, shifted = Gan(configured(augment=names)), Gan(configured(augment=names), form)
    images = np.random.default_rng(1).uniform(-1, 1, (BATCH, 28, 28, 1)).astype(np.float32)
    seed = tf.constant([1, 2], tf.int64)
    expected = plain.updates._augmented(tf.constant(images), 1.0, seed).numpy()
    found = shifted.updates._augmented(tf.constant((images + 1) / 2), 1.0, seed).numpy()
    np.testing.assert_allclose(found * 2 - 1, expected, atol=1e-5)


def test_the_strength_follows_the_discriminator() -> None:
    """Every fourth step it moves by 4 batches / augment_kimg, up where mean sign(D(real)) is above the target."""
    gan = Gan(configured(augment=("color",), augment_strength=0.5, augment_target=0.5, augment_kimg=0.16))
    for step, (sign, expected) in enumerate(
        [(1.0, 0.5), (1.0, 0.5), (1.0, 0.5), (1.0, 0.6), (1.0, 0.6), (-1.0, 0.6), (-1.0, 0.6), (-1.0, 0.5)]
    ):
        gan._adapt(tf.constant([[sign]] * BATCH), tf.constant(step, tf.int64))
        assert gan.strength.numpy() == pytest.approx(expected, abs=1e-6)


@pytest.mark.usefixtures("_eager")
@pytest.mark.parametrize(
    ("loss", "real", "fake", "expected", "mean_sign"),
    [
        ("bce", (3.0, 1.0, 1.0, -1.0), (-1.0, 1.0, -1.0, 2.0), (0.75, 0.5), 0.5),
        ("lsgan", (1.0, 0.75, 0.25, 0.6), (0.0, 0.6, 0.4, 0.25), (0.75, 0.75), 0.5),
        # The middle of the means is 101: what a relativistic discriminator calls 100 may be anything.
        ("relativistic", (104.0, 102.0, 102.0, 100.0), (98.0, 102.0, 100.0, 100.0), (0.75, 0.75), 0.5),
        ("wgan-gp", (-90.0, -91.0, -90.0, -89.0), (-109.0, -111.0, -110.0, -90.5), (1.0, 0.75), 1.0),
    ],
)
def test_accuracies_are_those_about_the_loss_boundary(
    monkeypatch: pytest.MonkeyPatch,
    loss: str,
    real: tuple[float, ...],
    fake: tuple[float, ...],
    expected: tuple[float, float],
    mean_sign: float,
) -> None:
    """A picture is taken for real above the loss' boundary: 0, 1/2, or the middle between both kinds."""
    penalty = "gp" if loss == "wgan-gp" else "none"
    gan = Gan(configured(loss=loss, penalty=penalty, augment=("color",), augment_target=0.5))
    said = tf.constant([[logit] for logit in (*real, *fake)])
    monkeypatch.setattr(gan, "_whole_batch", lambda *_: (said, tf.zeros([]), tf.zeros([])))
    gan.train_steps(np.zeros((1, BATCH, 28, 28, 1), np.uint8), tf.constant(0, tf.int64))
    measured = gan.measured(1)
    assert (measured["accuracy_real"], measured["accuracy_fake"]) == expected
    assert float(gan.signs.numpy()) == mean_sign


@pytest.mark.usefixtures("_eager")
def test_a_schedule_ends_where_it_says() -> None:
    """Both learning rates start as given and end, from `schedule_kimg` on, at their share; beta2 leaves its start."""
    ends = {"schedule_kimg": 0.04, "learning_rate_end": 0.25, "learning_rate_g": 4e-4, "learning_rate_d": 2e-4}
    for step, share in ((0, 1.0), (5, 0.625), (10, 0.25), (1000, 0.25)):
        gan = trained(1, step, **ends)
        rates = [float(optimizer.learning_rate.numpy()) for optimizer in (gan.optimizer_g, gan.optimizer_d)]
        np.testing.assert_allclose(rates, [4e-4 * share, 2e-4 * share], rtol=1e-6)
    moving = {"schedule_kimg": 0.04, "beta2": 0.9, "beta2_end": 0.99}
    for step, beta2 in ((0, 0.9), (1000, 0.99)):
        ends, constant = trained(1, step, **moving).state(), trained(1, step, beta2=beta2).state()
        for name, value in constant.items():
            np.testing.assert_allclose(ends[name], value, rtol=1e-4, atol=1e-7, err_msg=name)


@pytest.mark.usefixtures("_eager")
def test_the_penalty_and_the_average_have_schedules() -> None:
    """At the end of the schedule the penalty weighs its share, and the average has its other half-life."""
    late = {"schedule_kimg": 0.04, "penalty": "r1"}
    scheduled = trained(1, 1000, **late, penalty_weight=8.0, penalty_weight_end=0.25)
    assert differing(scheduled.state(), trained(1, 1000, penalty="r1", penalty_weight=2.0).state()) == []
    scheduled = trained(1, 1000, schedule_kimg=0.04, ema_halflife_kimg=0.1, ema_halflife_end=5.0)
    assert differing(scheduled.state(), trained(1, 1000, ema_halflife_kimg=0.5).state()) == []


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_everything_at_once_resumes_bit_for_bit(precision: str) -> None:
    """Adaptive augmentation, lazy penalties, schedules, micro-batches and loss scaling: all state is in `state`."""
    changes: dict[str, object] = {
        "precision": precision,
        "loss": "relativistic",
        "penalty": "r1+r2",
        "penalty_every": 2,
        "penalty_weight_end": 0.5,
        "micro_batch": 2,
        "augment": ("color", "translation"),
        "augment_strength": 0.4,
        "augment_target": 0.6,
        "augment_kimg": 0.1,
        "schedule_kimg": 0.03,
        "learning_rate_end": 0.5,
        "beta2_end": 0.99,
    }
    images = np.random.default_rng(0).integers(0, 256, (9, BATCH, 28, 28, 1), np.uint8)
    whole, first, second = (Gan(configured(**changes)) for _ in range(3))
    whole.train_steps(images, tf.constant(0, tf.int64))
    first.train_steps(images[:5], tf.constant(0, tf.int64))
    second.restore(first.state())
    second.train_steps(images[5:], tf.constant(5, tf.int64))
    assert differing(whole.state(), second.state()) == []
    assert float(whole.strength.numpy()) != pytest.approx(0.4, abs=1e-3)
