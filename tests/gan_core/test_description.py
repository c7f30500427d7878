"""networks.json: shapes, parameters, receptive fields and edges of every pair, against numbers computed by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_core.config import DataConfig, ModelConfig
from gan_core.models import MODELS, build
from gan_core.models.description import NETWORKS_FILE, describe, write_networks
from gan_core.models.layers import Pair
from gan_core.normalization import Normalization
from gan_core.transfer import freeze_lowest


def pair(name: str, resolution: int = 32, base_channels: int = 4, size: int = 0, **model: Any) -> Pair:
    """Build networks with latents of 100 numbers."""
    config = ModelConfig(name=name, base_channels=base_channels, latent_size=100, **model)
    return build(DataConfig(resolution=resolution), config, condition_size=size)


def rows(described: dict[str, Any], *keys: str) -> list[tuple[Any, ...]]:
    """Return these facts of the layers that have weights."""
    return [tuple(layer[key] for key in keys) for layer in described["layers"] if layer["parameters"]]


def fields(described: dict[str, Any]) -> dict[str, int | None]:
    """Return layer -> receptive field."""
    return {layer["name"]: layer["receptive_field"] for layer in described["layers"]}


def edges(described: dict[str, Any]) -> dict[str, list[str]]:
    """Return layer -> what it reads."""
    return {layer["name"]: layer["from"] for layer in described["layers"]}


def test_dcgan_by_hand() -> None:
    """64x64, base 64: kernels 4x4 with stride 2, from 64 to 512 channels; fields 4, 10, 22, 46, then the picture."""
    generator, discriminator = map(describe, pair("dcgan", 64, 64))
    assert rows(generator, "name", "kind", "output", "parameters", "from") == [
        ("project", "Dense", [8192], 100 * 8192, ["latent"]),
        ("project_norm", "BatchNormalization", [4, 4, 512], 4 * 512, ["reshape"]),
        ("up8", "Conv2DTranspose", [8, 8, 256], 16 * 512 * 256, ["project_relu"]),
        ("up8_norm", "BatchNormalization", [8, 8, 256], 4 * 256, ["up8"]),
        ("up16", "Conv2DTranspose", [16, 16, 128], 16 * 256 * 128, ["up8_relu"]),
        ("up16_norm", "BatchNormalization", [16, 16, 128], 4 * 128, ["up16"]),
        ("up32", "Conv2DTranspose", [32, 32, 64], 16 * 128 * 64, ["up16_relu"]),
        ("up32_norm", "BatchNormalization", [32, 32, 64], 4 * 64, ["up32"]),
        ("up64", "Conv2DTranspose", [64, 64, 3], 16 * 64 * 3 + 3, ["up32_relu"]),
    ]
    assert (generator["parameters"], generator["trainable"]) == (3_578_627, 3_578_627 - 2 * 960)  # moving statistics
    assert (generator["inputs"], set(fields(generator).values())) == ([[100]], {None})
    assert rows(discriminator, "name", "output", "parameters", "receptive_field") == [
        ("down32", [32, 32, 64], 16 * 3 * 64 + 64, 4),
        ("down16", [16, 16, 128], 16 * 64 * 128 + 128, 10),
        ("down8", [8, 8, 256], 16 * 128 * 256 + 256, 22),
        ("down4", [4, 4, 512], 16 * 256 * 512 + 512, 46),
        ("logit", [1], 8193, 64),
    ]
    assert {(layer["kernel"], layer["stride"]) for layer in discriminator["layers"] if "kernel" in layer} == {(4, 2)}
    assert (discriminator["parameters"], discriminator["trainable"]) == (2_764_737, 2_764_737)
    assert discriminator["inputs"] == [[64, 64, 3]]
    assert edges(discriminator)["down16"] == ["down32_dropout"]
    assert fields(discriminator)["flatten"] == 46


def test_mlp_by_hand() -> None:
    """64 units twice; behind the first layer every unit sees the whole picture."""
    generator, discriminator = map(describe, pair("mlp"))
    assert rows(generator, "name", "kind", "output", "parameters", "receptive_field") == [
        ("hidden1", "Dense", [64], 6464, None),
        ("hidden2", "Dense", [64], 4160, None),
        ("pixels", "Dense", [3072], 65 * 3072, None),
    ]
    assert rows(discriminator, "name", "kind", "output", "parameters", "receptive_field") == [
        ("hidden1", "Dense", [64], 3073 * 64, 32),
        ("hidden2", "Dense", [64], 4160, 32),
        ("logit", "Dense", [1], 65, 32),
    ]
    assert fields(discriminator)["flatten"] == 1


def test_r3_by_hand() -> None:
    """A block's 3x3 adds two steps, halving with four taps three; its Add reads the block's way and the skip."""
    generator, discriminator = map(describe, pair("r3", 32, 16))
    assert fields(generator).keys() >= {"basis", "up8", "side32_block1", "pixels"}
    assert edges(generator)["side8_block1"] == ["up8", "side8_block1_project"]
    assert next(layer for layer in generator["layers"] if layer["name"] == "basis") == {
        "name": "basis",
        "kind": "Basis",
        "output": [4, 4, 128],
        "parameters": 4 * 4 * 128 + 100 * 128,
        "receptive_field": None,
        "from": ["latent"],
    }
    found = fields(discriminator)
    path = ["pixels", "side32_block1_grouped", "side32_block1", "down16", "side16_block1", "down8", "side8_block1"]
    assert [found[name] for name in path] == [1, 3, 3, 6, 10, 16, 24]
    assert [found[name] for name in ("down4", "side4_block1", "readout", "logit")] == [32] * 4  # 36 and 52, cut off
    assert edges(discriminator)["side16_block1"] == ["widen16", "side16_block1_project"]
    assert rows(discriminator, "name", "parameters")[:4] == [
        ("pixels", 3 * 16),
        ("side32_block1_expand", 16 * 32 + 32),
        ("side32_block1_grouped", 9 * 16 * 32 + 32),
        ("side32_block1_project", 32 * 16),
    ]


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("name", MODELS)
def test_every_pair_is_known_throughout(name: str, size: int) -> None:
    """Totals are Keras' own, edges name earlier layers, and only the way of a condition sees nothing of a picture."""
    for network in pair(name, size=size):
        found = describe(network)
        assert found["parameters"] == network.count_params() == sum(layer["parameters"] for layer in found["layers"])
        assert found["inputs"] == [list(one.shape[1:]) for one in network.inputs]
        assert found["layers"][0]["output"] == found["inputs"][0]
        names = [layer["name"] for layer in found["layers"]]
        assert len(set(names)) == len(names)
        for index, layer in enumerate(found["layers"]):
            assert set(layer["from"]) <= set(names[:index])
            assert bool(layer["from"]) == (layer["kind"] != "InputLayer")
        unseeing = [layer["name"] for layer in found["layers"] if layer["receptive_field"] is None]
        is_judge = network.name == "discriminator"
        assert unseeing == (["condition", "embed"] if size else []) if is_judge else unseeing == names


def test_a_condition_enters_where_it_enters() -> None:
    """DCGAN: scale and shift behind each normalisation; the projection meets the logit in an addition."""
    generator, discriminator = map(describe, pair("dcgan", size=3))
    assert generator["inputs"] == [[100], [3]]
    readers = [name for name, sources in edges(generator).items() if "condition" in sources]
    assert readers == ["project_condition", "up8_condition", "up16_condition"]
    assert edges(generator)["up8_condition"] == ["up8_norm", "condition"]
    assert edges(discriminator)["embed"] == ["condition"]
    assert edges(discriminator)["projection"] == ["flatten", "embed"]
    assert edges(discriminator)["conditional_logit"] == ["logit", "projection"]
    assert fields(discriminator)["projection"] == 32


def test_spectral_normalisation_is_said_and_its_vectors_do_not_train() -> None:
    """Each normalised layer has one more number an output channel."""
    _, discriminator = map(describe, pair("dcgan", spectral_norm=True))
    assert rows(discriminator, "name", "kind", "parameters", "receptive_field") == [
        ("down16_spectral", "Conv2D, spectral", 16 * 3 * 4 + 4 + 4, 4),
        ("down8_spectral", "Conv2D, spectral", 16 * 4 * 8 + 8 + 8, 10),
        ("down4_spectral", "Conv2D, spectral", 16 * 8 * 16 + 16 + 16, 22),
        ("logit_spectral", "Dense, spectral", 257 + 1, 32),
    ]
    assert discriminator["parameters"] - discriminator["trainable"] == 4 + 8 + 16 + 1


def test_a_normalization_of_its_own_and_frozen_layers() -> None:
    """The generator ends with the layer that scales its pictures; what is frozen counts, and does not train."""
    model = ModelConfig(base_channels=4, latent_size=8)
    form = Normalization((1 / 255,) * 3, (0.0,) * 3)
    generator, discriminator = build(DataConfig(resolution=32), model, normalization=form)
    freeze_lowest(discriminator, 1)
    assert describe(generator)["layers"][-1]["name"] == "as_seen"
    found = describe(discriminator)
    assert found["parameters"] - found["trainable"] == 16 * 3 * 4 + 4


@pytest.mark.parametrize(("name", "layer"), [("dcgan", "down8"), ("r3", "side16_block1")])
def test_receptive_fields_are_those_of_gradients(name: str, layer: str) -> None:
    """The gradient of one unit in the middle is not 0 on a square of exactly that side."""
    network = pair(name, 64, dropout=0.0)[1]
    image = tf.Variable(np.random.default_rng(0).standard_normal((1, 64, 64, 3)).astype(np.float32))
    for weight in network.weights:  # no kernel that is 0, as the last of a residual block is
        weight.assign(np.random.default_rng(1).uniform(0.1, 1, weight.shape))
    part = keras.Model(network.inputs, network.get_layer(layer).output)
    with tf.GradientTape() as tape:
        unit = part(image)[0, 4, 4, 0]
    touched = np.abs(tape.gradient(unit, image).numpy()).sum((0, 3)) > 0
    sides = [int(np.ptp(np.nonzero(touched.any(axis))[0])) + 1 for axis in (0, 1)]
    assert sides == [fields(describe(network))[layer]] * 2


def test_the_file_changes_only_with_what_it_says(tmp_path: Path) -> None:
    """Written anew by another process's networks it stays; another network, or damage, replaces it."""
    write_networks(tmp_path, pair("dcgan"))
    path = tmp_path / NETWORKS_FILE
    before = path.stat().st_ino, path.read_bytes()
    assert list(json.loads(before[1])) == ["generator", "discriminator"]
    write_networks(tmp_path, pair("dcgan"))
    assert (path.stat().st_ino, path.read_bytes()) == before
    write_networks(tmp_path, pair("dcgan", base_channels=8))
    assert path.read_bytes() != before[1]
    path.write_text("{cut")
    write_networks(tmp_path, pair("dcgan"))
    assert path.read_bytes() == before[1]
    assert [one.name for one in tmp_path.iterdir()] == [NETWORKS_FILE]
