"""Samples: the picture belongs to the seed, and the files are what was asked for."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from gan_core import artifacts
from gan_core.checkpoints import load_normalization, save_checkpoint
from gan_core.config import DataConfig, EvalConfig, ModelConfig, RunConfig, TrainConfig
from gan_core.gan import Gan
from gan_core.grids import grid
from gan_core.handoff import Checkpoint
from gan_core.models import tanh_normalization
from gan_core.normalization import NORMALIZATIONS
from gan_core.progress import Progress
from gan_core.sampling import generate, latents, render, sample

CONFIG = RunConfig(
    preset="test",
    data=DataConfig(resolution=32),
    model=ModelConfig(base_channels=4, latent_size=8),
    train=TrainConfig(batch_size=4),
    eval=EvalConfig(sample_count=70, seed=5),
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """Publish an untrained checkpoint with two snapshots beside it."""
    run_dir = tmp_path_factory.mktemp("run")
    (run_dir / "snapshots").mkdir()
    for images, shade in ((0, 0), (4, 200)):
        Image.new("RGB", (20, 10), (shade, 0, 0)).save(run_dir / "snapshots" / f"{images:012d}.png")
    return save_checkpoint(run_dir, CONFIG, 4, Gan(CONFIG).state(), {})


def test_the_seed_decides_the_picture(checkpoint: Checkpoint) -> None:
    """A picture is the same alone, among others, and in any batch size; other seeds give other pictures."""
    together = generate(checkpoint, range(70))
    assert together.shape == (70, 32, 32, 3)
    assert together.dtype == np.uint8
    np.testing.assert_array_equal(generate(checkpoint, range(33, 34))[0], together[33])
    np.testing.assert_array_equal(generate(checkpoint, range(3, 45), batch_size=10), together[3:45])
    assert len({picture.tobytes() for picture in together}) == 70


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_a_saturated_generator_renders_black_and_white(tmp_path: Path, name: str) -> None:
    """Where tanh is -1 or 1, a checkpoint alone renders 0 or 255 in every channel, whatever the normalization is."""
    form = NORMALIZATIONS[name]((130.2, 108.9, 96.4), (71.3, 0.0, 5.5))
    for extreme, pixel in ((-100.0, 0), (100.0, 255)):
        gan = Gan(CONFIG, form)
        last = gan.averaged.get_layer("up32")
        last.kernel.assign(np.zeros(last.kernel.shape))
        last.bias.assign(np.full(3, extreme))
        rendered = generate(save_checkpoint(tmp_path, CONFIG, 4, gan.state(), {}, form), range(3))
        assert rendered.shape == (3, 32, 32, 3)
        assert np.unique(rendered).tolist() == [pixel]


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_rendering_is_the_inverse_of_normalizing(name: str) -> None:
    """A generator that makes what training sees of a picture renders that picture; what is beyond white is clipped."""
    form = NORMALIZATIONS[name]((130.2, 108.9, 96.4), (71.3, 0.0, 5.5))
    copyist = keras.Sequential([keras.Input((768,)), keras.layers.Reshape((16, 16, 3))])
    images = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    np.testing.assert_array_equal(render(copyist, form.apply(images).reshape(1, 768), form), images)
    levels = np.random.default_rng(0).uniform(-99, 355, (40, 16, 16, 3))
    levels = levels[np.abs(levels % 1 - 0.5).min(axis=(1, 2, 3)) > 1e-4]  # float32 may round a half to either side
    values = (levels * form.scale + form.offset).astype(np.float32)
    rendered = render(copyist, values.reshape(-1, 768), form)
    assert len(rendered) > 10
    np.testing.assert_array_equal(rendered, form.invert(values))


def test_a_checkpoint_without_normalization_is_one_of_tanh(tmp_path: Path) -> None:
    """A checkpoint that says nothing of it is sampled as [-1, 1]."""
    form = tanh_normalization(3)
    state = Gan(CONFIG).state()
    silent = save_checkpoint(tmp_path / "silent", CONFIG, 4, state, {})
    clear = save_checkpoint(tmp_path / "clear", CONFIG, 4, state, {}, form)
    assert (load_normalization(silent), load_normalization(clear)) == (None, form)
    np.testing.assert_array_equal(generate(silent, range(3)), generate(clear, range(3)))


def test_latents_are_fixed_for_all_time() -> None:
    """Seed 1's latent vector is these numbers: published seeds keep their meaning between versions."""
    expected = np.array([[1.7291036, -1.4284534, 1.0277447]], np.float32)
    np.testing.assert_allclose(latents(range(1, 2), 3), expected, rtol=1e-6)


def test_png_files_and_grid(checkpoint: Checkpoint) -> None:
    """`sample` writes a PNG a seed, the grid of the first 64, and a manifest of all."""
    reports: list[Progress] = []
    result = sample(CONFIG, checkpoint, reports.append)
    assert (result.count, result.seed, result.path) == (70, 5, checkpoint.run_dir / "samples")
    manifest = artifacts.read_manifest(result.path, "samples")
    names = [f"pictures/seed{seed:08d}.png" for seed in range(5, 75)]
    assert sorted(manifest.files) == ["grid.png", "interpolations.png", *names]
    pictures = generate(checkpoint, range(5, 75))
    for name, picture in zip(names, pictures, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(result.path / name)), picture)
    np.testing.assert_array_equal(np.asarray(Image.open(result.path / "grid.png")), np.asarray(grid(pictures[:64], 8)))
    assert [(report.done, report.total) for report in reports] == [(70, 70)]


def test_ways_between_seeds_are_beside_the_samples(checkpoint: Checkpoint) -> None:
    """The first and the last of each row are the pictures of its two seeds; the manifest names them."""
    result = sample(CONFIG, checkpoint)
    facts = artifacts.read_manifest(result.path, "samples").fields
    seeds = [[5 + 2 * row, 6 + 2 * row] for row in range(6)]
    assert facts["interpolations"] == {"file": "interpolations.png", "rows": 6, "columns": 9, "seeds": seeds}
    assert "classes" not in facts
    sheet = np.asarray(Image.open(result.path / "interpolations.png"))
    assert sheet.shape == (6 * 34 - 2, 9 * 34 - 2, 3)
    pictures = generate(checkpoint, range(5, 17))
    for row in range(6):
        strip = sheet[34 * row : 34 * row + 32]
        np.testing.assert_array_equal(strip[:, :32], pictures[2 * row])
        np.testing.assert_array_equal(strip[:, -32:], pictures[2 * row + 1])
        assert len({strip[:, 34 * column : 34 * column + 32].tobytes() for column in range(9)}) == 9


def test_a_run_without_a_description_of_its_networks_gets_one(checkpoint: Checkpoint) -> None:
    """Sampling a run of an earlier version writes networks.json, also where the samples are there already."""
    sample(CONFIG, checkpoint)
    path = checkpoint.run_dir / "networks.json"
    before = path.read_bytes()
    path.unlink()
    sample(CONFIG, checkpoint)
    assert path.read_bytes() == before
    assert [layer["name"] for layer in json.loads(before)["generator"]["layers"]][-1] == "image"


def test_the_same_samples_are_not_made_twice(checkpoint: Checkpoint) -> None:
    """A second call returns the published set; another count or seed replaces it."""
    first = sample(CONFIG, checkpoint)
    stamp = (first.path / "grid.png").stat().st_mtime_ns
    assert sample(CONFIG, checkpoint) == first
    assert (first.path / "grid.png").stat().st_mtime_ns == stamp
    other = dataclasses.replace(CONFIG, eval=EvalConfig(sample_count=3, seed=9))
    assert sample(other, checkpoint).count == 3
    assert len(list((first.path / "pictures").iterdir())) == 3


def test_npz(checkpoint: Checkpoint) -> None:
    """`eval.sample_format=npz` writes one archive of pictures and seeds, readable without pickle."""
    config = dataclasses.replace(CONFIG, eval=EvalConfig(sample_count=5, seed=2, sample_format="npz"))
    result = sample(config, checkpoint)
    with np.load(Path(result.path / "pictures.npz"), allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["seeds"], np.arange(2, 7))
        np.testing.assert_array_equal(archive["images"], generate(checkpoint, range(2, 7)))
    assert not (result.path / "pictures").exists()
