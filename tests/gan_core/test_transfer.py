"""Training that begins with another run's weights, and layers that keep theirs."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from gan_core import training
from gan_core.checkpoints import find_checkpoint, latest_checkpoint, load_manifest, load_state, save_checkpoint
from gan_core.conditions import Condition
from gan_core.config import DataConfig, EvalConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.errors import ArtifactError, ConfigError
from gan_core.gan import Gan
from gan_core.handoff import Checkpoint
from gan_core.progress import Progress
from gan_core.transfer import transfer
from gan_core.updates import Batch
from tests.datasets import make_dataset

CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=32, flip="none"),
    model=ModelConfig(base_channels=8, latent_size=8),
    train=TrainConfig(batch_size=4, seed=1),
    eval=EvalConfig(snapshot_score_count=0),
)
State = dict[str, np.ndarray]


def with_train(config: RunConfig = CONFIG, **changes: object) -> RunConfig:
    """Return a config with other training options."""
    return dataclasses.replace(config, train=dataclasses.replace(config.train, **changes))  # type: ignore[arg-type]


def with_model(**changes: object) -> RunConfig:
    """Return CONFIG with another seed and other options of the networks."""
    other = dataclasses.replace(CONFIG, model=dataclasses.replace(CONFIG.model, **changes))  # type: ignore[arg-type]
    return with_train(other, seed=2)


def batches(steps: int = 1) -> np.ndarray:
    """Return seeded noise: uint8 [steps, 4, 32, 32, 3]."""
    return np.random.default_rng(0).integers(0, 256, (steps, 4, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Publish a checkpoint after two steps, so that no two of its networks are alike."""
    gan = Gan(CONFIG)
    gan.train_steps(batches(2), tf.constant(0, tf.int64))
    gan.settle_average()
    return save_checkpoint(tmp_path_factory.mktemp("source"), CONFIG, 8, gan.state(), {})


def weights(state: State, owner: str) -> list[np.ndarray]:
    """Return a network's float arrays, in order."""
    return [value for name, value in state.items() if name.startswith(f"{owner}/") and value.dtype == np.float32]


def test_the_same_networks_take_every_weight_and_nothing_else(source: Checkpoint) -> None:
    """All three networks are those of the checkpoint; optimizers, random state and sums stay those of a new start."""
    gan = Gan(with_train(seed=2))
    before = gan.state()
    digest, taken = transfer(gan.networks, source.run_dir)
    after, given = gan.state(), load_state(source)
    assert digest == load_manifest(source).digest
    for owner in ("generator", "discriminator", "averaged"):
        for mine, theirs in zip(weights(after, owner), weights(given, owner), strict=True):
            np.testing.assert_array_equal(mine, theirs)
        assert taken[owner].left == ()
        assert taken[owner].taken_parameters == taken[owner].parameters == sum(w.size for w in weights(after, owner))
    kept = [name for name in before if name.startswith(("optimizer", "sums")) or "seed_generator" in name]
    assert len(kept) > 10
    assert [name for name in kept if not np.array_equal(before[name], after[name])] == []


def test_layers_of_another_resolution_are_taken_by_name(source: Checkpoint, caplog: pytest.LogCaptureFixture) -> None:
    """At twice the side with half the channels, all layers inside match, and the log says which do not."""
    config = with_model(base_channels=4)
    gan = Gan(dataclasses.replace(config, data=DataConfig(resolution=64)))
    before, given = gan.state(), Gan(CONFIG)
    given.restore(load_state(source))
    with caplog.at_level(logging.WARNING, "gan_core.transfer"):
        _, taken = transfer(gan.networks, source.path)
    assert taken["discriminator"].taken == (
        "down16/bias",
        "down8/kernel",
        "down8/bias",
        "down4/kernel",
        "down4/bias",
        "logit/kernel",
        "logit/bias",
    )
    assert taken["discriminator"].left == ("down32/kernel", "down32/bias", "down16/kernel")  # 4 inputs each, not 3
    assert taken["generator"].left[0].startswith("up32")
    kernel = gan.averaged.get_layer("up16").kernel.numpy()
    np.testing.assert_array_equal(kernel, given.averaged.get_layer("up16").kernel.numpy())
    first = next(name for name in before if name.startswith("discriminator/000"))
    np.testing.assert_array_equal(gan.state()[first], before[first])
    assert f"discriminator from {source.path}: {taken['discriminator']}" in caplog.text


def test_an_unconditional_run_begins_a_conditional_one(source: Checkpoint) -> None:
    """Everything is taken but what the condition is multiplied with; the generator makes the same pictures at first."""
    labels = Condition("label", ("a", "b"), ((0,), (1,)), (1, 1))
    gan, plain = Gan(with_model(condition=("label",)), None, labels), Gan(CONFIG)
    plain.restore(load_state(source))
    _, taken = transfer(gan.networks, source.run_dir)
    assert taken["discriminator"].left == ("embed/kernel",)
    assert {name.split("/")[0] for name in taken["generator"].left} == {
        "project_condition",
        "up8_condition",
        "up16_condition",
    }
    latent = np.random.default_rng(0).standard_normal((3, 8)).astype(np.float32)
    expected = plain.averaged(latent).numpy()
    np.testing.assert_array_equal(gan.averaged([latent, np.eye(2, dtype=np.float32)[[0, 1, 1]]]).numpy(), expected)


def test_a_run_that_matches_in_nothing_is_refused(source: Checkpoint) -> None:
    """The generator of another architecture has no layer of the same name and shape: no weight is touched."""
    gan = Gan(with_model(name="mlp"))
    before = gan.state()
    with pytest.raises(ConfigError, match=r"no layer of the generator has the same .*\(model.name=dcgan, .*side 32\)"):
        transfer(gan.networks, source.run_dir)
    assert all(np.array_equal(before[name], value) for name, value in gan.state().items())


def test_the_newest_checkpoint_of_a_run_is_found(tmp_path: Path) -> None:
    """A run means its newest checkpoint, a checkpoint itself; anything else is an error, as are damaged arrays."""
    first, second = (save_checkpoint(tmp_path, CONFIG, count, {"a": np.ones(1)}, {}) for count in (4, 8))
    assert find_checkpoint(tmp_path) == second
    assert find_checkpoint(first.path) == first
    with pytest.raises(ConfigError, match=r"train.transfer: .*nowhere is neither a checkpoint nor the folder of a run"):
        find_checkpoint(tmp_path / "nowhere")
    (second.path / "state.npz").write_bytes(b"rotten")
    with pytest.raises(ArtifactError, match=r"state\.npz"):
        transfer(Gan(CONFIG).networks, tmp_path)


def test_a_resumed_run_transfers_nothing(tmp_path: Path, source: Checkpoint) -> None:
    """A new start takes the weights, and its checkpoints say whose; going on needs the source no more."""
    dataset = make_dataset(tmp_path / "data", count=12)
    elsewhere = tmp_path / "source"
    shutil.copytree(source.run_dir, elsewhere)
    config = with_train(
        transfer=str(elsewhere),
        total_kimg=0.016,
        log_every_kimg=0.004,
        checkpoint_every_kimg=0.008,
        learning_rate_g=0.0,
        seed=5,
    )

    def stop(progress: Progress) -> None:
        if progress.done == 12:
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        training.train(config, dataset, tmp_path / "run", stop)
    saved = latest_checkpoint(tmp_path / "run")
    assert saved is not None
    assert saved.images_seen == 8
    shutil.rmtree(elsewhere)
    state, given = load_state(training.train(config, dataset, tmp_path / "run")), load_state(source)
    last = latest_checkpoint(tmp_path / "run")
    assert last is not None
    notes = [load_manifest(one).fields["progress"]["transferred"] for one in (saved, last)]
    assert notes[0] == notes[1]
    assert notes[0]["checkpoint"] == load_manifest(source).digest
    assert notes[0]["discriminator"] == "8 of 8 tensors (11,193 of 11,193 parameters)"
    kernels = [name for name in given if name.startswith("generator/") and name.endswith("kernel")]
    assert kernels
    assert [name for name in kernels if not np.array_equal(state[name], given[name])] == []  # its rate is 0


@pytest.mark.parametrize("changes", [{}, {"spectral_norm": True}, {"name": "r3"}, {"name": "mlp"}])
def test_frozen_layers_keep_their_weights(changes: dict[str, object]) -> None:
    """The two layers nearest the picture stay as they are, bit for bit, unknown to the optimizer; all others move."""
    config = with_train(with_model(**{"base_channels": 4, "dropout": 0.0, **changes}), freeze_d=2, penalty="r1")
    gan, free = Gan(config), Gan(with_train(config, freeze_d=0))
    before = gan.state()
    gan.train_steps(batches(3), tf.constant(0, tf.int64))
    after = gan.state()
    lowest = {
        "dcgan": ["down16", "down8"],
        "mlp": ["hidden1", "hidden2"],
        "r3": ["pixels", "side32_block1_expand"],
    }[config.model.name]
    frozen = [layer for layer in gan.discriminator.layers if layer.name.removesuffix("_spectral") in lowest]
    still = sum(len(layer.variables) for layer in frozen)
    names = [name for name in before if name.startswith("discriminator/")]
    kept = [name for name in names if np.array_equal(before[name], after[name])]
    assert len(frozen) == 2
    assert kept == names[:still]
    known = len(gan.optimizer_d.variables) - 2  # the step and the learning rate
    assert known == 2 * len(gan.discriminator.trainable_variables)
    assert len(free.optimizer_d.variables) - 2 - known == 2 * sum(
        variable.name in ("kernel", "bias") for layer in frozen for variable in layer.variables
    )


def test_no_gradient_of_frozen_layers_is_computed() -> None:
    """The discriminator's update has one convolution's gradients less for each frozen layer."""
    counts = []
    for frozen in range(4):
        gan = Gan(with_train(freeze_d=frozen))
        images = tf.zeros([4, 32, 32, 3])

        def judge(gan: Gan = gan, images: tf.Tensor = images) -> object:
            return gan.updates.judge(Batch(images, images, None, 0.0, tf.constant(0, tf.int64)), lambda loss: loss)

        operations = [operation.type for operation in tf.function(judge).get_concrete_function().graph.get_operations()]
        counts.append((operations.count("Conv2DBackpropFilter"), operations.count("Conv2DBackpropInput")))
    assert counts == [(3, 3), (2, 2), (1, 1), (0, 0)]


def test_more_layers_than_there_are_cannot_be_frozen() -> None:
    """The logit must train; the message says how many layers there are below it."""
    with pytest.raises(
        ConfigError, match=r"train.freeze_d must be in \[0, 3\], the discriminator's layers below its log"
    ):
        Gan(with_train(freeze_d=4))
    Gan(with_train(freeze_d=3))
