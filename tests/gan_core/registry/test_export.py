"""An exported model draws what its checkpoint draws."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_core import artifacts
from gan_core.checkpoints import save_checkpoint
from gan_core.conditions import Condition
from gan_core.config import DataConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.errors import ArtifactError, ConfigError
from gan_core.gan import Gan
from gan_core.registry import Registry, Version
from gan_core.registry.export import export
from gan_core.sampling import generate, latents
from tests.gan_core.registry.test_registry import dataset

# Keras' own, on every numpy(variable) with NumPy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=32),
    model=ModelConfig(base_channels=4, latent_size=8),
    train=TrainConfig(batch_size=4),
)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """Register an untrained checkpoint."""
    run_dir = tmp_path / "runs" / "one"
    run_dir.mkdir(parents=True)
    checkpoint = save_checkpoint(run_dir, CONFIG, 4, Gan(CONFIG).state(), {})
    return Registry(tmp_path, "test").register(run_dir, checkpoint, dataset(tmp_path))


def test_both_forms_draw_the_pictures_of_the_checkpoint(version: Version, tmp_path: Path) -> None:
    """The signature gives exactly those bytes in batches as faceloom makes them, and so does the Keras file."""
    folder = export(version, tmp_path / "out")
    latent = latents(range(32), 8)
    expected = generate(version.checkpoint, range(32))
    draw = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    np.testing.assert_array_equal(draw(latent=tf.constant(latent))["images"].numpy(), expected)
    model = keras.saving.load_model(folder / "generator.keras", compile=False)
    pixels = np.round((model.predict(latent, batch_size=32, verbose=0) + 1.0) * 127.5)
    np.testing.assert_array_equal(np.clip(pixels, 0, 255).astype(np.uint8), expected)
    assert (folder / "README.md").read_text() == (version.path / "README.md").read_text()
    assert artifacts.find(folder, "export") is not None


@pytest.mark.parametrize(("name", "condition"), [("mlp", ()), ("r3", ()), ("dcgan", ("label",))])
def test_other_networks_are_exported_too(tmp_path: Path, name: str, condition: tuple[str, ...]) -> None:
    """The SavedModel needs no class of faceloom's; Keras finds those of its file once gan_core.models is imported."""
    model = ModelConfig(name=name, base_channels=16, latent_size=8, condition=condition)
    config, told = (
        dataclasses.replace(CONFIG, model=model),
        Condition("label", ("cat", "dog"), ((0,), (1,)), (3, 5)) if condition else None,
    )
    run_dir = tmp_path / "runs" / "one"
    run_dir.mkdir(parents=True)
    state = Gan(config, condition=told).state()
    checkpoint = save_checkpoint(run_dir, config, 4, state, {}, condition=told)
    version = Registry(tmp_path, "test").register(run_dir, checkpoint, dataset(tmp_path))
    folder = export(version, tmp_path / "out")
    given = {"latent": tf.constant(latents(range(32), 8))}
    if told:
        given["condition"] = tf.constant(told.drawn(range(32)))
    drawn = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"](**given)["images"].numpy()
    np.testing.assert_array_equal(drawn, generate(checkpoint, range(32)))
    loaded = keras.saving.load_model(folder / "generator.keras", compile=False)
    pixels = np.round((loaded(list(given.values()) if told else given["latent"]).numpy() + 1.0) * 127.5)
    np.testing.assert_array_equal(np.clip(pixels, 0, 255).astype(np.uint8), drawn)


def test_a_folder_of_the_users_is_not_overwritten(version: Version, tmp_path: Path) -> None:
    """What is no export stays; an export is replaced."""
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("years")
    with pytest.raises(ConfigError, match="mine exists and is not an export"):
        export(version, mine)
    assert (mine / "thesis.txt").read_text() == "years"
    assert export(version, tmp_path / "out") == export(version, tmp_path / "out")


def test_a_damaged_version_is_not_exported(version: Version, tmp_path: Path) -> None:
    """Nothing is left at the place."""
    (version.path / "README.md").write_text("changed")
    with pytest.raises(ArtifactError, match=r"README\.md is damaged"):
        export(version, tmp_path / "out")
    assert not (tmp_path / "out").exists()
