"""The arithmetic of the training benchmarks, and how they take code out of others' files. Nothing here is timed."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.training import architecture, flops, pace, peers, results
from benchmarks.training.contenders import Contender, Sources, chosen, for_quality, for_throughput, read_recipes, run
from benchmarks.training.faces import held_out
from benchmarks.training.scores import frechet
from gan_core.config import load_config
from gan_core.handoff import DatasetManifest

RECIPES = Path(__file__).parents[1] / "benchmarks" / "training" / "recipes.toml"


def test_operations_of_a_layer_are_those_of_its_products() -> None:
    """A dense layer is one product of matrices; a convolution one for each place of its smaller side."""
    assert flops.dense(100, 8192) == 2 * 100 * 8192
    assert flops.convolution(4, 3, 64, 32) == 2 * 16 * 3 * 64 * 32 * 32


def test_operations_of_a_step_leave_out_what_no_update_needs() -> None:
    """G = 1 + 2, D = 10 + 20: G + 2 D + 2 (2 D - D1) + D + D + 2 G - G1 by hand."""
    assert flops.step([1, 2], [10, 20]) == 3 + 60 + 2 * 50 + 30 + 30 + 5


def test_operations_of_a_simultaneous_step_leave_out_what_is_known_already() -> None:
    """Of the generated picture only the gradient through D's first layer is left: G + 2 D + 2 (2 D - D1) + D1 + ..."""
    assert flops.step([1, 2], [10, 20], simultaneous=True) == 3 + 60 + 2 * 50 + 10 + 5


def test_operations_of_the_classic_networks_are_counted_from_their_layers() -> None:
    """The classic DCGAN at 64x64: each of three inner layers of either network has 67 million, the ends have less."""
    from gan_core import models

    config = load_config(architecture.PRESET, architecture.NETWORKS)
    generator, discriminator = models.build(config.data, config.model, "float32")
    inner = 2 * 16 * 512 * 256 * 16
    end = 2 * 16 * 3 * 64 * 1024
    assert flops.forward(generator.layers) == [2 * 100 * 8192, inner, inner, inner, end]
    assert flops.forward(discriminator.layers) == [end, inner, inner, inner, 2 * 8192]


def test_peers_get_the_networks_with_layers_of_keras_own() -> None:
    """No class of faceloom's is left, and the first weights are the same."""
    import keras

    from benchmarks.training.tensorflow_driver import stock
    from gan_core import models

    config = load_config(architecture.PRESET, [*architecture.NETWORKS, "model.base_channels=4"])
    replaced = 0
    for network in models.build(config.data, config.model, "float32"):
        theirs = keras.models.clone_model(network, clone_function=stock)
        assert {type(layer).__module__.partition(".")[0] for layer in theirs.layers} == {"keras"}
        replaced += sum(type(one) is not type(other) for one, other in zip(network.layers, theirs.layers, strict=True))
        for one, other in zip(network.weights, theirs.weights, strict=True):
            np.testing.assert_array_equal(one, other)
    assert replaced == 8  # four normalisations, four dropouts


LOOPS = """
import sys
steps = []
dataloader = None
class optimizerG:
    @staticmethod
    def step():
        steps.append(data[0])
for epoch in range(3):
    for i, data in enumerate(dataloader, 0):
        errG = data[0] * 2
        optimizerG.step()
        raise AssertionError("what follows the step is left out")
    print("so is what follows the loop")
"""


def test_the_step_of_a_torch_script_runs_without_its_loops(tmp_path: Path) -> None:
    """What comes before the loops runs once; the step runs as often as it is asked to, on the data that it is given."""
    path = tmp_path / "main.py"
    path.write_text(LOOPS)
    setup, step = peers.torch_example(path)
    names: dict[str, Any] = {}
    exec(setup, names)
    for number in (1, 2):
        names["data"] = [number]
        exec(step, names)
    assert names["steps"] == [1, 2]
    assert names["errG"] == 4


def test_a_script_without_the_loop_is_refused(tmp_path: Path) -> None:
    """The message names the file and what it should have been."""
    path = tmp_path / "other.py"
    path.write_text("for epoch in range(3):\n    pass\n")
    with pytest.raises(SystemExit, match=r"other\.py has no loop over `dataloader`"):
        peers.torch_example(path)


KERAS = """
import os
import gdown_that_is_not_there
gdown_that_is_not_there.download()
for x in dataset:
    show(x)
latent_dim = 128
discriminator = "its own"
generator = "its own"
class GAN:
    def __init__(self, discriminator):
        self.discriminator = discriminator
    def compile(self, loss):
        self.loss = loss
gan = GAN(discriminator)
gan.compile(loss="as published")
gan.fit(dataset)
"""


def test_a_keras_example_is_built_without_its_data(tmp_path: Path) -> None:
    """Networks, model and `compile` stay; downloads, pictures and `fit` go."""
    path = tmp_path / "example.py"
    path.write_text(KERAS)
    names: dict[str, Any] = {}
    exec(peers.keras_example(path), names)
    assert names["gan"].discriminator == "its own"
    assert names["gan"].loss == "as published"


def test_a_keras_example_takes_networks_that_are_given(tmp_path: Path) -> None:
    """What is given is not defined a second time."""
    path = tmp_path / "example.py"
    path.write_text(KERAS)
    names: dict[str, Any] = {"discriminator": "given", "generator": "given"}
    exec(peers.keras_example(path, names.keys()), names)
    assert names["gan"].discriminator == "given"
    assert names["latent_dim"] == 128


def test_an_example_that_lacks_a_definition_is_refused(tmp_path: Path) -> None:
    """Another version of the file must not be measured as something that it is not."""
    path = tmp_path / "example.py"
    path.write_text(KERAS.replace("latent_dim", "noise_dim"))
    with pytest.raises(SystemExit, match=r"example\.py does not define latent_dim"):
        peers.keras_example(path)


def test_a_notebook_gives_its_step_and_not_its_networks(tmp_path: Path) -> None:
    """Lines for the notebook's shell are left out, as are cells of text and definitions that are not asked for."""
    lines = [f"{name} = '{name}'\n" for name in ("cross_entropy", "generator_optimizer", "discriminator_optimizer")]
    lines += ["!pip install something\n", "generator = 'for 28x28'\n", "noise_dim = 100\n"]
    lines += [f"def {name}():\n    return '{name}'\n" for name in ("discriminator_loss", "generator_loss")]
    lines += ["def train_step():\n", "    return generator\n", "train_step()\n", "raise AssertionError\n"]
    cells = [{"cell_type": "markdown", "source": ["no code"]}, {"cell_type": "code", "source": lines}]
    path = tmp_path / "dcgan.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    names: dict[str, Any] = {"generator": "for 64x64"}
    exec(peers.tutorial(path), names)
    assert names["train_step"]() == "for 64x64"


def test_an_epoch_shows_each_picture_once() -> None:
    """Two batches of three are an epoch of seven, one picture of which waits for another epoch."""
    images = np.arange(7, dtype=np.uint8).reshape(7, 1, 1, 1)
    following = pace.batches(images, 3, seed=0)
    epochs = [np.concatenate([following(), following()]).ravel().tolist() for _ in range(20)]
    assert all(len(set(epoch)) == 6 for epoch in epochs)
    assert set().union(*epochs) == set(range(7))


def test_pixels_of_either_range_end_at_0_and_255() -> None:
    """[-1, 1] and [0, 1] both become 0 to 255, rounded; what is beyond is cut."""
    ends = np.array([-1.1, -1.0, 0.0, 1.0, 1.1])
    assert pace.to_pixels(ends, low=-1.0).tolist() == [0, 0, 128, 255, 255]
    assert pace.to_pixels(ends, low=0.0).tolist() == [0, 0, 0, 255, 255]


def test_pictures_are_held_out_by_person() -> None:
    """Nobody is in both parts, and the count is reached with whole persons."""
    person_of = {f"{index:06d}.jpg": str(index % 40) for index in range(100)}
    out = held_out(person_of, 25)
    persons = {person_of[name] for name in out}
    assert 25 <= len(out) <= 27
    assert out == {name for name, person in person_of.items() if person in persons}


def test_the_frechet_distance_of_two_normal_distributions() -> None:
    """Means 5 apart, covariances 4/3 I and 16/3 I in two dimensions: 25 + 2 (4/3 + 16/3 - 2 * 8/3)."""
    first = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    second = 2 * first + [3, 4]
    assert frechet(first, second) == pytest.approx(25 + 8 / 3, rel=1e-12)
    assert frechet(first, first) == pytest.approx(0, abs=1e-12)


def _line(name: str, family: str, swd: float, faces: float, seed: int = 0) -> dict[str, Any]:
    return {
        "name": name,
        "about": "",
        "family": family,
        "settings": ["train.seed=1"] if family == "faceloom" else [],
        "seed": seed,
        "minutes": 12.0,
        "samples": 2500,
        "images": 1000,
        "swd": {"value": swd, "floor": 2.0},
        "faces": {"value": faces, "floor": 0.01},
        "ms_ssim": {"value": 0.25, "floor": 0.2},
        "grid": f"quality/{name}/grid.png",
        "machine": {"date": "2026-01-01", "processor": "P", "cores": 2, "bfloat16": []},
    }


def test_a_distance_is_compared_above_its_floor_with_the_best_peer() -> None:
    """The best peer may be another one for each distance; its mean over the seeds counts."""
    lines = [
        _line("a", "pytorch", 12.0, 0.11),
        _line("a", "pytorch", 32.0, 0.11, seed=1),
        _line("b", "keras", 42.0, 0.06),
        _line("ours", "faceloom", 5.0, 0.02),
    ]
    rows = [row.split(" | ") for row in results.quality(lines).splitlines()[2:5]]
    assert rows[0][3:5] == ["20.000 (10.000 to 30.000)", "1.00"]
    assert rows[0][6] == "2.00"
    assert rows[1][4] == "2.00"
    assert rows[2][3:7] == ["3.000 (3.000 to 3.000)", "0.15", "0.010 (0.010 to 0.010)", "0.20"]


def test_results_of_other_machines_stand_in_a_table_of_their_own() -> None:
    """Who has instructions for bfloat16 shows more pictures in the same minutes."""
    here, there = _line("a", "pytorch", 12.0, 0.11), _line("b", "keras", 5.0, 0.02)
    there["machine"] = {**there["machine"], "bfloat16": ["avx512_bf16"]}
    text = results.quality([here, there])
    assert text.count("| contender |") == 2
    assert "bfloat16: none." in text
    assert "bfloat16: avx512_bf16." in text


def test_recipes_alone_are_no_comparison() -> None:
    """Where no peer trained as long, there is no table of ratios."""
    assert results.quality([_line("ours", "faceloom", 5.0, 0.02)]) == ""


def test_recipes_are_listed_best_first_and_without_peers() -> None:
    """Both distances count alike, by rank."""
    lines = [_line("worse", "faceloom", 9, 0.5), _line("peer", "keras", 3, 0.1), _line("better", "faceloom", 4, 0.2)]
    rows = results.recipes(lines).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| `better`", "| `worse`"]


def test_throughput_is_compared_round_by_round_in_the_form_that_each_does_best() -> None:
    """Medians choose the forms; the ratio is the median of the rounds' ratios, beside the lowest and the highest."""
    rates = {"slow": [10, 11, 12], "fast": [20, 40, 20], "ours-single": [29, 29, 29], "ours-half": [50, 30, 50]}
    single = {"about": "", "precision": "float32", "updates": "alternating"}
    about = {name: {"family": "peer", **single} for name in rates}
    about |= {name: {"family": "faceloom", **single} for name in ("ours-single", "ours-half")}
    about["ours-half"]["updates"] = "simultaneous"
    found = {
        "machine": {"date": "2026-01-01", "processor": "P", "cores": 2, "load_before": 0.0, "bfloat16": []},
        "batch": 128,
        "steps": 8,
        "flops_per_picture": {"alternating": 2 * 10**9, "simultaneous": 10**9},
        "contenders": about,
        "matrix": [{"float32": 1e11, "mixed_bfloat16": 1e11}] * 3,
        "runs": [
            {"name": name, "round": number, "images_per_second": rate}
            for name, values in rates.items()
            for number, rate in enumerate(values)
        ],
    }
    text = results.throughput(found)
    assert "`ours-half` to `fast`, round by round: **2.50 (0.75 to 2.50)**" in text
    assert "| `ours-half` |  | 50.0 (30.0 to 50.0) | 50% |" in text
    assert "| `fast` |  | 20.0 (20.0 to 40.0) | 40% |" in text
    assert "needs for a picture (`flops.py`): 2.00 GFLOP alternating, 1.00 GFLOP simultaneous." in text


def test_every_recipe_is_a_config() -> None:
    """A typing mistake must not show after hours of measuring."""
    recipes = read_recipes(RECIPES)
    assert recipes
    for _, about, settings in recipes:
        assert about
        load_config("celeba64", settings)


def test_the_recipe_for_a_cpu_is_the_preset() -> None:
    """What was measured as `cpu` is what celeba64-cpu trains, but for when it looks and how many steps a call has."""
    settings = {name: settings for name, _, settings in read_recipes(RECIPES)}["cpu"]
    measured, preset = load_config("celeba64", settings), load_config("celeba64-cpu")
    assert (preset.data, preset.model) == (measured.data, measured.model)
    own = ("total_kimg", "steps_per_execution", "snapshot_every_kimg", "checkpoint_every_kimg")
    assert preset.train == dataclasses.replace(measured.train, **{name: getattr(preset.train, name) for name in own})


def test_peers_that_are_not_given_are_left_out(tmp_path: Path) -> None:
    """What is left is faceloom and its recipes; PyTorch's file brings all of its forms."""
    nobody = Sources(pytorch=None, keras=None, tutorial=None, torch_python="python", torch_threads=2)
    ours = ["faceloom-alternating-float32", "faceloom-float32", "faceloom-alternating-bf16", "faceloom-bf16"]
    assert list(for_throughput(nobody, tmp_path)) == ours
    recipes = [name for name, _, _ in read_recipes(RECIPES)]
    assert list(for_quality(nobody, tmp_path, RECIPES)) == ["celeba64", *recipes]
    torch = Sources(pytorch=tmp_path / "main.py", keras=None, tutorial=None, torch_python="python", torch_threads=2)
    forms = [name for name in for_throughput(torch, tmp_path) if name.startswith("pytorch")]
    assert forms == ["pytorch-float32", "pytorch-last-float32", "pytorch-bf16", "pytorch-last-bf16"]


def test_an_unknown_contender_is_refused(tmp_path: Path) -> None:
    """Before anything is measured, with the names that there are."""
    nobody = Sources(pytorch=None, keras=None, tutorial=None, torch_python="python", torch_threads=2)
    entered = for_throughput(nobody, tmp_path)
    assert chosen(entered, None) == list(entered)
    with pytest.raises(SystemExit, match="unknown keras; there are faceloom-alternating-float32, faceloom-float32"):
        chosen(entered, ["keras"])


def test_a_recipe_takes_what_it_does_not_set_from_another(tmp_path: Path) -> None:
    """In the order of the other's settings, those of its own after them."""
    path = tmp_path / "recipes.toml"
    path.write_text(
        '[one]\nset = ["train.beta1=0.5", "train.loss=bce"]\n'
        '[two]\nabout = "more"\nlike = "one"\nset = ["train.beta2=0.9", "train.beta1=0"]\n'
    )
    assert read_recipes(path) == [
        ("one", "", ["train.beta1=0.5", "train.loss=bce"]),
        ("two", "more", ["train.beta1=0", "train.loss=bce", "train.beta2=0.9"]),
    ]


@pytest.mark.parametrize("text", ['[one]\nabout = "no settings"\n', '[one]\nlike = "nobody"\nset = []\n'])
def test_a_file_that_is_no_list_of_recipes_is_refused(text: str, tmp_path: Path) -> None:
    """The message says what a recipe is."""
    path = tmp_path / "recipes.toml"
    path.write_text(text)
    with pytest.raises(SystemExit, match=r"recipes\.toml must have a table \[name\] with set = "):
        read_recipes(path)


SMALL = ("data.resolution=32", "model.base_channels=4", "model.latent_size=8", "train.batch_size=4")


def _trained(dataset: DatasetManifest, out: Path, told: list[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.training.faceloom_driver", "--dataset", str(dataset.path)]
    command += [text for option in SMALL for text in ("--set", option)]
    return run(Contender("faceloom", "small", tuple(command)), dataset.path / "not-read.npy", out, told)


def test_faceloom_stops_after_its_time_and_leaves_samples(tiny_dataset: DatasetManifest, tmp_path: Path) -> None:
    """The time is over before the first line of the log, which comes all the same: batches, and the samples."""
    soon = ["--seconds", "0", "--samples", "3", "--set", "train.log_every_kimg=0.004"]
    report = _trained(tiny_dataset, tmp_path / "out", soon)
    assert report["images"] >= 4
    assert report["images"] % 4 == 0
    assert report["seconds"] > 0
    samples = np.load(tmp_path / "out" / pace.SAMPLES)["images"]
    assert samples.shape == (3, 32, 32, 3)
    assert samples.dtype == np.uint8


def test_faceloom_is_stopped_once_it_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Before, the signal would end the process without a checkpoint; and so it would before the first line."""
    from benchmarks.training import faceloom_driver

    handlers = [signal.SIG_DFL, signal.SIG_DFL, signal.default_int_handler]
    seen: list[Any] = []
    monkeypatch.setattr(signal, "getsignal", lambda number: handlers.pop(0))
    monkeypatch.setattr(os, "kill", lambda process, number: seen.append((process, number, len(handlers))))
    (tmp_path / "metrics.jsonl").touch()
    faceloom_driver._stop_after(0.0, tmp_path / "metrics.jsonl")
    assert seen == [(os.getpid(), signal.SIGTERM, 0)]


def test_faceloom_is_timed_by_its_own_log(tiny_dataset: DatasetManifest, tmp_path: Path) -> None:
    """The last of two lines counts, each of as many steps as are asked for."""
    report = _trained(tiny_dataset, tmp_path / "out", ["--steps", "3", "--batch", "4"])
    lines = (tmp_path / "out" / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["images"] for line in lines] == [12, 24]
    assert report["images_per_second"] == json.loads(lines[1])["images_per_second"]
    assert report["images"] == 12
