"""Conditional networks, their training, and their samples."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from gan_core import training
from gan_core.artifacts import read_manifest
from gan_core.checkpoints import finished_checkpoint, load_condition, load_state, save_checkpoint
from gan_core.conditions import Condition
from gan_core.config import DataConfig, EvalConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.errors import ConfigError
from gan_core.gan import Gan
from gan_core.grids import grid
from gan_core.handoff import Checkpoint, DatasetManifest
from gan_core.models import MODELS, build
from gan_core.models.conditional import ConditionalScale
from gan_core.progress import Progress
from gan_core.sampling import generate, latents, load_generator, render, sample
from tests.datasets import make_dataset, split_pictures

DATA = DataConfig(resolution=32, channels=1)
SHADES = Condition("label", ("dark", "bright"), ((0,), (1,)), (1, 1))
CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=28, channels=1, flip="none"),
    model=ModelConfig(name="mlp", base_channels=4, latent_size=8, dropout=0.0, condition=("label",)),
    train=TrainConfig(batch_size=4),
)


def configured(**changes: object) -> RunConfig:
    """Return CONFIG with other training options."""
    return dataclasses.replace(CONFIG, train=dataclasses.replace(CONFIG.train, **changes))  # type: ignore[arg-type]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    """Return float32 N(0, 1)."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def shades(steps: int, batch: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Return MNIST-like pictures, uint8 [steps, batch, 28, 28, 1], and their classes, two of each by turns."""
    labels = np.arange(steps * batch) // 2 % 2
    images = np.random.default_rng(0).integers(0, 80, (steps * batch, 28, 28, 1)) + 170 * labels[:, None, None, None]
    return images.astype(np.uint8).reshape(steps, batch, 28, 28, 1), SHADES.array(labels[:, None]).reshape(
        steps, batch, 2
    )


def trained(steps: int, first_step: int = 0, **changes: object) -> Gan:
    """Return a new conditional pair after so many steps on `shades`."""
    gan = Gan(configured(**changes), None, SHADES)
    images, conditions = shades(steps)
    gan.train_steps(images, tf.constant(first_step, tf.int64), conditions)
    return gan


def differing(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> list[str]:
    """Return the names whose arrays differ."""
    return [name for name in one if not np.array_equal(one[name], other[name])]


@pytest.mark.parametrize(("name", "spectral"), [("dcgan", False), ("dcgan", True), ("mlp", True), ("r3", False)])
def test_the_logit_is_the_plain_one_plus_the_projection(name: str, spectral: bool) -> None:
    """D(x, c) = logit(features) + <c E, features>, where E is divided by its largest singular value if others are."""
    model = ModelConfig(name=name, base_channels=4, latent_size=8, spectral_norm=spectral)
    _, discriminator = build(DATA, model, condition_size=3)
    suffix = "_spectral" if spectral else ""
    logit, embed = discriminator.get_layer(f"logit{suffix}"), discriminator.get_layer(f"embed{suffix}")
    images, conditions = noise(5, 32, 32, 1), np.eye(3, dtype=np.float32)[[0, 1, 2, 1, 0]]
    conditions[4] = (1, 0, 1)  # as attributes have it
    features, plain = keras.Model(discriminator.inputs, [logit.input, logit.output])([images, conditions])
    kernel = (embed.layer if spectral else embed).kernel.numpy()
    if spectral:
        v = kernel @ embed.u.numpy()
        v /= np.linalg.norm(v)
        kernel = kernel / np.linalg.norm(v @ kernel)
    expected = plain.numpy()[:, 0] + ((conditions @ kernel) * features.numpy()).sum(1)
    logits = discriminator([images, conditions]).numpy()
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits[:, 0], expected, rtol=1e-4, atol=1e-5)
    assert np.abs(logits - plain.numpy()).max() > 1e-4


def test_conditional_normalisation_begins_as_the_plain_one() -> None:
    """With embeddings of 0 the conditional generator is the unconditional one of the same seed, bit for bit."""
    model = ModelConfig(base_channels=4, latent_size=8)
    (plain, _), (conditional, _) = build(DATA, model), build(DATA, model, condition_size=2)
    latent, conditions = noise(4, 8), np.eye(2, dtype=np.float32)[[0, 1, 0, 1]]
    for is_training in (True, False):
        expected = plain(latent, training=is_training).numpy()
        np.testing.assert_array_equal(conditional([latent, conditions], training=is_training).numpy(), expected)


def test_conditional_normalisation_has_a_scale_and_shift_for_each_condition() -> None:
    """Behind BN(x) = gamma x' + beta it is gamma (1 + c G) x' + beta (1 + c G) + c B."""
    x, conditions = noise(6, 4, 4, 3), np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 1, 1]]
    norm, scale = keras.layers.BatchNormalization(epsilon=1e-5), ConditionalScale()
    scale([norm(x), conditions])
    gamma, beta, g, b = (np.arange(size, dtype=np.float32) / 8 - 0.3 for size in (3, 3, 6, 6))
    g, b = g.reshape(2, 3), b.reshape(2, 3) - 1
    for variable, value in ((norm.gamma, gamma), (norm.beta, beta), (scale.gamma, g), (scale.beta, b)):
        variable.assign(value)
    standard = (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + 1e-5)
    scales, shifts = gamma * (1 + conditions @ g), beta * (1 + conditions @ g) + conditions @ b
    expected = scales[:, None, None] * standard + shifts[:, None, None]
    np.testing.assert_allclose(scale([norm(x, training=True), conditions]).numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_the_weights_of_the_condition(name: str) -> None:
    """Every variable that the condition is multiplied with has a gradient that is not 0."""
    networks = build(DATA, ModelConfig(name=name, base_channels=4, latent_size=8), condition_size=2)
    of_condition = [
        variable
        for network in networks
        for layer in network.layers
        if "embed" in layer.name or "condition" in layer.name
        for variable in layer.trainable_variables
    ]
    assert len(of_condition) == (1 + 2 * 3 if name == "dcgan" else 2)
    conditions = tf.constant(np.eye(2, dtype=np.float32)[[0, 1, 1]])
    with tf.GradientTape() as tape:
        images = networks[0]([tf.constant(noise(3, 8)), conditions], training=True)
        loss = tf.reduce_sum(networks[1]([images, conditions], training=True) * noise(3, 1))
    gradients = tape.gradient(loss, of_condition)
    assert all(np.asarray(gradient).any() for gradient in gradients)


def test_both_networks_learn_the_classes() -> None:
    """After 150 steps on dark and bright pictures, G paints what it is asked for, and D likes no swapped labels."""
    gan = trained(150, loss="relativistic", penalty="r1", learning_rate_g=2e-3, learning_rate_d=2e-3, beta1=0.0)
    one_hot = np.eye(2, dtype=np.float32)
    dark, bright = (gan.generator([noise(32, 8), np.repeat(row[None], 32, 0)]).numpy().mean() for row in one_hot)
    assert dark < -0.2 < 0.2 < bright
    images, conditions = shades(1, 32)
    real = gan.updates.seen(tf.constant(images[0]), tf.constant(0, tf.int64))
    right, swapped = (
        gan.discriminator([real, tf.constant(given)]).numpy() for given in (conditions[0], conditions[0][:, ::-1])
    )
    assert (right > swapped).all()


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "relativistic", "penalty": "r1+r2", "penalty_every": 2},
        {"loss": "wgan-gp", "penalty": "gp", "precision": "mixed_float16"},
        {"penalty": "r2", "precision": "mixed_bfloat16", "micro_batch": 2},
        {"xla": True},
    ],
)
def test_every_step_takes_conditions(changes: dict[str, object]) -> None:
    """Penalties of both halves at once, half precision, micro-batches and XLA train to finite losses."""
    gan = trained(3, **changes)
    assert np.isfinite(list(gan.measured(3).values())).all()


@pytest.mark.parametrize("penalty", ["none", "r1+r2"])
def test_parts_of_a_batch_keep_their_conditions(penalty: str) -> None:
    """The gradients of a micro-batch, two pictures at a time, add up to those of the batch."""
    options = {"penalty": penalty, "loss": "hinge"}
    whole, parts = trained(1, **options).state(), trained(1, micro_batch=2, **options).state()
    moments = [name for name in whole if name.startswith("optimizer_d")]
    for name in moments:
        np.testing.assert_allclose(parts[name], whole[name], rtol=1e-3, atol=1e-5, err_msg=name)


def test_the_average_is_settled_on_conditions_of_training() -> None:
    """Its batch statistics are the means over fixed latents whose conditions are those of the seeds 0 to 255."""
    condition = Condition("label", ("a", "b"), ((0,), (1,)), (3, 2))
    gan = Gan(dataclasses.replace(RUN, train=TrainConfig(batch_size=4)), None, condition)
    scale = gan.averaged.get_layer("project_condition")
    scale.gamma.assign(noise(*scale.gamma.shape))
    scale.beta.assign(noise(*scale.beta.shape, seed=1))
    gan.settle_average()
    norm = gan.averaged.get_layer("up8_norm")
    settled = norm.moving_mean.numpy()
    until = keras.Model(gan.averaged.inputs, norm.input)
    means = []
    for index in range(4):
        latent = tf.random.stateless_normal([64, 8], tf.constant([0, index], tf.int64))
        given = tf.constant(condition.drawn(range(64 * index, 64 * index + 64)))
        means.append(until([latent, given], training=True).numpy().mean((0, 1, 2)))
    np.testing.assert_allclose(settled, np.mean(means, 0), atol=1e-6)


def test_a_restored_pair_continues_bit_for_bit() -> None:
    """Conditions come with the pictures: state and step are all that a resumed training needs besides."""
    images, conditions = shades(4)
    whole, first, second = (Gan(configured(penalty="r1"), None, SHADES) for _ in range(3))
    whole.train_steps(images, tf.constant(0, tf.int64), conditions)
    first.train_steps(images[:2], tf.constant(0, tf.int64), conditions[:2])
    second.restore(first.state())
    for step in (2, 3):
        second.train_steps(images[step : step + 1], tf.constant(step, tf.int64), conditions[step : step + 1])
    assert differing(whole.state(), second.state()) == []


RUN = RunConfig(
    preset="test",
    data=DataConfig(resolution=32, flip="none"),
    model=ModelConfig(base_channels=4, latent_size=8, condition=("label",)),
    train=TrainConfig(
        batch_size=4,
        total_kimg=0.048,
        log_every_kimg=0.008,
        snapshot_every_kimg=0.048,
        checkpoint_every_kimg=0.016,
        steps_per_execution=2,
    ),
    eval=EvalConfig(snapshot_score_count=0, sample_count=20, sample_format="npz"),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 18 pictures; picture i has the class i modulo 3."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=18)


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory, dataset: DatasetManifest) -> Path:
    """Train a conditional run to its end."""
    folder = tmp_path_factory.mktemp("run")
    training.train(RUN, dataset, folder)
    return folder


@pytest.fixture(scope="module")
def checkpoint(run_dir: Path) -> Checkpoint:
    """Return the checkpoint at the end."""
    found = finished_checkpoint(run_dir, RUN)
    assert found is not None
    return found


class Killed(Exception):
    """What ends a training in the middle."""


@pytest.mark.parametrize("placement", ["memory", "stream"])
def test_an_interrupted_run_ends_in_the_same_bits(
    tmp_path: Path, dataset: DatasetManifest, checkpoint: Checkpoint, placement: str
) -> None:
    """Stopped after 24 of 48 pictures, it goes on from its checkpoint at 16, with the pictures elsewhere."""
    elsewhere = dataclasses.replace(RUN, train=dataclasses.replace(RUN.train, placement=placement))

    def stop(progress: Progress) -> None:
        if progress.done == 24:
            raise Killed

    with pytest.raises(Killed):
        training.train(elsewhere, dataset, tmp_path, stop)
    again = training.train(elsewhere, dataset, tmp_path)
    assert differing(load_state(checkpoint), load_state(again)) == []
    assert load_condition(again) == load_condition(checkpoint)


def test_each_picture_comes_with_its_class(
    tmp_path: Path, dataset: DatasetManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step is given: the pictures in the shown order, and beside each its own class."""
    shown: list[tuple[bytes, int]] = []
    build_gan = Gan.__init__

    def spying(gan: Gan, *arguments: Any) -> None:
        build_gan(gan, *arguments)

        def train_steps(images: np.ndarray, _: Any, conditions: np.ndarray) -> None:
            assert images.shape[:2] == conditions.shape[:2]
            shown.extend(zip((one.tobytes() for one in images[0]), conditions[0].argmax(1).tolist(), strict=True))

        gan.train_steps = train_steps

    monkeypatch.setattr(Gan, "__init__", spying)
    single = dataclasses.replace(RUN, train=dataclasses.replace(RUN.train, steps_per_execution=1))
    training.train(single, dataset, tmp_path)
    place_of = {picture.tobytes(): place for place, picture in enumerate(split_pictures("train", 18))}
    assert len(shown) == 48
    assert [label for _, label in shown] == [place_of[picture] % 3 for picture, _ in shown]


def test_an_unknown_attribute_is_said_before_training(tmp_path: Path, dataset: DatasetManifest) -> None:
    """No folder of a run is written into."""
    hats = dataclasses.replace(RUN, model=dataclasses.replace(RUN.model, condition=("Hat",)))
    with pytest.raises(
        ConfigError, match="no attribute 'Hat'; it has the attributes Smiling, Eyeglasses; it has class"
    ):
        training.train(hats, dataset, tmp_path)
    assert not list(tmp_path.glob("[!.]*"))


def test_a_snapshot_has_a_column_for_each_class(run_dir: Path, checkpoint: Checkpoint) -> None:
    """Three classes have two columns each, in eight rows, of latents that are all different."""
    condition = load_condition(checkpoint)
    assert condition is not None
    conditions = np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2] * 8]
    pictures = render(load_generator(checkpoint), latents(range(48), 8), None, conditions)
    with Image.open(run_dir / "snapshots" / "000000000048.png") as snapshot:
        np.testing.assert_array_equal(np.asarray(snapshot), np.asarray(grid(pictures, 6)))


def test_samples_have_the_condition_of_their_seed_or_the_one_asked_for(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """As in training without a choice; with one, the same seeds show that class alone, in samples of their own."""
    state, condition = load_state(checkpoint), load_condition(checkpoint)
    assert condition is not None
    rng = np.random.default_rng(0)
    for name in state:
        if name.startswith("averaged") and state[name].shape[:1] == (3,) and state[name].ndim == 2:
            state[name] = rng.standard_normal(state[name].shape).astype(np.float32)  # classes that can be told apart
    told = save_checkpoint(tmp_path, RUN, 48, state, {}, condition=condition)
    generator, latent = load_generator(told), latents(range(20), 8)
    np.testing.assert_array_equal(
        generate(told, range(20)), render(generator, latent, None, condition.drawn(range(20)))
    )

    made: list[np.ndarray] = []
    for name, label in (("", None), ("dog", 1), ("2", 2)):
        asked = dataclasses.replace(RUN, eval=dataclasses.replace(RUN.eval, sample_class=name))
        samples = sample(asked, told)
        _check_sheets(samples.path, generator, [0, 1, 2] * 2 if label is None else [label] * 6)
        with np.load(samples.path / "pictures.npz", allow_pickle=False) as archive:
            images, conditions = archive["images"], archive["conditions"]
        expected = condition.drawn(range(20)) if label is None else np.eye(3, dtype=np.float32)[[label] * 20]
        np.testing.assert_array_equal(conditions, expected)
        np.testing.assert_array_equal(images, render(generator, latent, None, expected))
        made.append(images)
    assert not np.array_equal(made[1], made[2])
    with pytest.raises(ConfigError, match="unknown class 'cow'"):
        sample(dataclasses.replace(RUN, eval=dataclasses.replace(RUN.eval, sample_class="cow")), told)


def _check_sheets(samples: Path, generator: keras.Model, labels: list[int]) -> None:
    """All classes have a row of the same latents; the ways between latents stay in the class of their row."""
    facts = read_manifest(samples, "samples").fields
    assert facts["classes"] == {"file": "classes.png", "names": ["cat", "dog", "frog"], "columns": 8, "of": 3}
    every = np.eye(3, dtype=np.float32).repeat(8, axis=0)
    pictures = render(generator, np.tile(latents(range(8), 8), (3, 1)), None, every)
    with Image.open(samples / "classes.png") as sheet:
        np.testing.assert_array_equal(np.asarray(sheet), np.asarray(grid(pictures, 8)))
    assert facts["interpolations"]["names"] == [("cat", "dog", "frog")[label] for label in labels]
    starts = render(generator, latents(range(0, 12, 2), 8), None, np.eye(3, dtype=np.float32)[labels])
    with Image.open(samples / "interpolations.png") as sheet:
        np.testing.assert_array_equal(np.asarray(sheet)[:, :32], np.asarray(grid(starts, 1)))
