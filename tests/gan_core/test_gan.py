"""One training step: what it updates, and that it depends on state and step number alone."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.errors import ArtifactError
from gan_core.gan import Gan
from gan_core.normalization import NORMALIZATIONS, Normalization
from gan_core.step_means import MEASURED

CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=32),
    model=ModelConfig(base_channels=4, latent_size=8, dropout=0.2),
    train=TrainConfig(batch_size=4, ema_halflife_kimg=1.0),
)


def with_train(**changes: object) -> RunConfig:
    """Return CONFIG with other training options."""
    return dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, **changes))  # type: ignore[arg-type]


def normalization(name: str) -> Normalization:
    """Return a normalization for pictures with these means and deviations of red, green and blue."""
    return NORMALIZATIONS[name]((130.2, 108.9, 96.4), (71.3, 0.0, 5.5))


def batches(steps: int) -> np.ndarray:
    """Return seeded noise: uint8 [steps, 4, 32, 32, 3]."""
    return np.random.default_rng(0).integers(0, 256, (steps, 4, 32, 32, 3), np.uint8)


def advance(gan: Gan, images: np.ndarray, first_step: int) -> None:
    """Run one step for each batch, numbered from `first_step`."""
    gan.train_steps(images, tf.constant(first_step, tf.int64))


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    """Return the names whose arrays differ."""
    return [name for name in one if not np.array_equal(one[name], other[name])]


def test_one_call_equals_single_steps() -> None:
    """Three steps in one device call and three calls of one step give the same bits."""
    images = batches(3)
    together, apart = Gan(CONFIG), Gan(CONFIG)
    advance(together, images, 0)
    for step in range(3):
        advance(apart, images[step : step + 1], step)
    assert differing(together.state(), apart.state()) == []


def test_restore_continues_bit_for_bit() -> None:
    """A new object with the restored state goes on exactly as the old one does, dropout included."""
    images = batches(4)
    whole, first = Gan(CONFIG), Gan(CONFIG)
    advance(whole, images, 0)
    advance(first, images[:2], 0)
    second = Gan(with_train(steps_per_execution=7))
    second.restore(first.state())
    advance(second, images[2:], 2)
    assert differing(whole.state(), second.state()) == []


def test_every_part_moves() -> None:
    """A step changes all weights of both networks, the moments, the averages and the random state of dropout."""
    gan = Gan(CONFIG)
    before = gan.state()
    advance(gan, batches(1), 0)
    gan.settle_average()
    unchanged = {name.split("/")[0] for name, value in gan.state().items() if np.array_equal(before[name], value)}
    learning_rates = {"optimizer_g", "optimizer_d"}
    assert unchanged == learning_rates


def test_the_average_follows_its_half_life() -> None:
    """After the ramp-up, the average keeps 0.5 ** (batch / half-life) of itself."""
    gan = Gan(with_train(ema_halflife_kimg=0.008))  # two batches
    step = 1000
    advance(gan, batches(1), step)
    first = [variable.numpy() for variable in gan.averaged.trainable_variables]
    advance(gan, batches(1), step + 1)
    pairs = zip(gan.averaged.trainable_variables, gan.generator.trainable_variables, strict=True)
    for before, (average, current) in zip(first, pairs, strict=True):
        expected = current.numpy() + (before - current.numpy()) * np.float32(0.5**0.5)
        np.testing.assert_allclose(average.numpy(), expected, rtol=1e-5, atol=1e-7)


def test_without_half_life_the_average_is_the_generator() -> None:
    """`ema_halflife_kimg = 0` turns averaging off."""
    gan = Gan(with_train(ema_halflife_kimg=0.0))
    advance(gan, batches(2), 0)
    pairs = zip(gan.averaged.trainable_variables, gan.generator.trainable_variables, strict=True)
    for average, current in pairs:
        np.testing.assert_array_equal(average.numpy(), current.numpy())


def test_the_average_gets_its_own_batch_statistics() -> None:
    """Settling gives the first normalisation the exact mean and variance of its input over the fixed latents.

    It depends on the averaged weights alone: settling twice changes nothing, and neither does what was there before.
    """
    gan = Gan(CONFIG)
    advance(gan, batches(2), 0)
    gan.settle_average()
    fixed = [tf.random.stateless_normal([64, 8], tf.constant([0, index], tf.int64)).numpy() for index in range(4)]
    kernel = gan.averaged.get_layer("project").kernel.numpy()
    inputs = [(batch @ kernel).reshape(-1, gan.averaged.get_layer("project_norm").gamma.shape[0]) for batch in fixed]
    norm = gan.averaged.get_layer("project_norm")
    np.testing.assert_allclose(norm.moving_mean.numpy(), np.mean([x.mean(0) for x in inputs], 0), atol=1e-6)
    np.testing.assert_allclose(norm.moving_variance.numpy(), np.mean([x.var(0) for x in inputs], 0), rtol=1e-4)
    settled = gan.state()
    gan.settle_average()
    assert differing(settled, gan.state()) == []
    assert norm.momentum == 0.9


def test_flips_are_mirror_images() -> None:
    """At load, each picture is either itself or its mirror image, both occur, and `none` leaves all alone."""
    images = batches(1)[0]
    scaled = images.astype(np.float32) * np.float32(2 / 255) - 1
    seen = set()
    gan = Gan(CONFIG)
    for step in range(4):
        for original, augmented in zip(
            scaled, gan.updates.seen(tf.constant(images), tf.constant(step, tf.int64)).numpy(), strict=True
        ):
            mirrored = np.array_equal(augmented, original[:, ::-1])
            assert mirrored or np.array_equal(augmented, original)
            seen.add(mirrored)
    assert seen == {True, False}
    still = Gan(dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, flip="none")))
    np.testing.assert_array_equal(still.updates.seen(tf.constant(images), tf.constant(0, tf.int64)).numpy(), scaled)


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_real_pictures_are_normalized_as_said(name: str) -> None:
    """Training sees the same bits of a picture as `Normalization.apply` gives, and they lead back to the picture."""
    images = np.arange(256, dtype=np.uint8).repeat(48).reshape(4, 32, 32, 3)
    images[..., 1] = 255 - images[..., 1]
    still = Gan(dataclasses.replace(CONFIG, data=dataclasses.replace(CONFIG.data, flip="none")), normalization(name))
    seen = still.updates.seen(tf.constant(images), tf.constant(0, tf.int64)).numpy()
    np.testing.assert_array_equal(seen, normalization(name).apply(images))
    np.testing.assert_array_equal(normalization(name).invert(seen), images)


def test_the_default_normalization_is_that_of_tanh() -> None:
    """[-1, 1] given and left out are the same training, bit for bit, and tanh is the last layer of both."""
    given, default = Gan(CONFIG, normalization("[-1,1]")), Gan(CONFIG)
    for one in (given, default):
        advance(one, batches(2), 0)
    assert differing(given.state(), default.state()) == []
    assert [gan.generator.layers[-1].name for gan in (given, default)] == ["image", "image"]


@pytest.mark.parametrize(
    ("name", "changes"), [("[0,1]", {"xla": True}), ("mean-deviation", {"precision": "mixed_bfloat16"})]
)
def test_every_normalization_trains(name: str, changes: dict[str, object]) -> None:
    """Compiled and in half precision, losses are finite, and generated pictures lie in the range of the real ones."""
    form = normalization(name)
    gan = Gan(with_train(**changes), form)
    advance(gan, batches(2), 0)
    assert np.isfinite(list(gan.measured(2).values())).all()
    gan.settle_average()
    images = gan.averaged(np.random.default_rng(0).standard_normal((16, 8)).astype(np.float32)).numpy()
    black, white = (form.apply(np.full((1, 3), value, np.uint8))[0] for value in (0, 255))
    assert images.dtype == np.float32
    assert (images > black).all()
    assert (images < white).all()


def test_measured_is_the_mean_since_the_last_call() -> None:
    """`measured` divides the sums by the steps, those of norms by their own counts, and starts anew."""
    gan = Gan(CONFIG)
    gan.sums.assign([2.0, 4.0, 1.0, 0.5, 3.0, 8.0, 1.0, 2.0])
    norms = {"gradient_norm_g": 3.0, "gradient_norm_d": 4.0}
    assert gan.measured(2) == dict(zip(MEASURED, (1.0, 2.0, 0.5, 0.25), strict=True)) | norms
    assert gan.measured(1) == dict.fromkeys(MEASURED, 0.0)


def test_another_networks_state_is_refused() -> None:
    """A state of other shapes or names is one clear error, not a crash later."""
    wide = dataclasses.replace(CONFIG, model=ModelConfig(base_channels=8, latent_size=8, dropout=0.2))
    with pytest.raises(
        ArtifactError, match=r"generator/000/.* has shape \(8, 256\) in the checkpoint, \(8, 512\) here"
    ):
        Gan(wide).restore(Gan(CONFIG).state())
    state = Gan(CONFIG).state()
    state["stranger"] = np.zeros(1)
    with pytest.raises(ArtifactError, match="other variables than this config's networks, such as stranger"):
        Gan(CONFIG).restore(state)


@pytest.mark.parametrize("changes", [{"precision": "mixed_bfloat16"}, {"precision": "mixed_float16"}, {"xla": True}])
def test_precisions_and_xla_train(changes: dict[str, object]) -> None:
    """Half precision (float16 with loss scaling) and XLA train: finite losses, near those of plain float32."""
    plain, gan = Gan(CONFIG), Gan(with_train(**changes))
    for one in (plain, gan):
        advance(one, batches(2), 0)
    reference = plain.measured(2)
    measured = gan.measured(2)
    for name in ("loss_g", "loss_d"):
        assert measured[name] == pytest.approx(reference[name], abs=0.05)
    scaled = isinstance(gan.optimizer_d, keras.optimizers.LossScaleOptimizer)
    assert scaled == (changes.get("precision") == "mixed_float16")
    assert len(gan.state()) - len(plain.state()) == (4 * 2 if scaled else 0)  # scale and counter, twice over
