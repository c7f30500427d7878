import json
from pathlib import Path
from typing import Any

import pytest

from gan_core.report import networks
from tests.report_runs import NETWORKS


def _generator() -> networks.Network:
    return networks.drawn("Generator", NETWORKS["generator"])


def test_layers_that_keep_the_shape_join_the_box_before(tmp_path: Path) -> None:
    """Normalizations and activations have no box of their own; additions and inputs do."""
    (tmp_path / "networks.json").write_text(json.dumps(NETWORKS))
    generator, discriminator = networks.read_networks(tmp_path / "networks.json")
    assert [row.label for row in generator.rows] == [
        "InputLayer",
        "InputLayer",
        "Dense",
        "Concatenate",
        "Conv2DTranspose + BatchNormalization + ReLU",
        "Conv2DTranspose",
        "Conv2D + LeakyReLU",
        "Add",
        "Conv2DTranspose",
        "Conv2DTranspose + Activation",
    ]
    assert generator.rows[4].parameters == 950_272 + 2_048
    assert [row.field for row in discriminator.rows] == [1, 4, 10, 22, None, 32]
    assert generator.text == (
        "Generator: 10 boxes from 100 and 2 to 32 \u00d7 32 \u00d7 3, 3,576,704 parameters, "
        "2 connections that skip boxes."
    )


def test_boxes_grow_with_channels_and_resolution() -> None:
    """More channels are wider, a larger resolution is higher, and no box leaves the drawing."""
    rows = {row.name: row for row in _generator().rows}
    assert rows["project"].width > rows["up8"].width > rows["up16"].width > rows["up32"].width
    assert rows["project"].height < rows["up8"].height < rows["up16"].height < rows["up32"].height
    assert all(row.x >= 0 and row.x + row.width <= 360 for row in rows.values())


def test_skips_and_conditions_are_marked() -> None:
    """The second input and its embedding are a condition; a connection over boxes goes around them."""
    generator = _generator()
    assert [row.name for row in generator.rows if row.is_condition] == ["class", "embed"]
    assert [(skip.start < skip.end, skip.is_condition) for skip in generator.skips] == [(True, False), (True, False)]
    names = [row.name for row in generator.rows]
    assert generator.rows[names.index("add8")].sources == [names.index("up8"), names.index("a8")]


@pytest.mark.parametrize(
    "saved",
    [
        "[]",
        "{",
        '{"generator": {"layers": []}}',
        '{"generator": {"layers": [{"name": "a"}]}}',
        '{"generator": {"layers": [{"name": "a", "kind": "b", "output": [0], "from": []}]}}',
    ],
)
def test_what_is_no_description_is_left_out(tmp_path: Path, saved: str) -> None:
    """A damaged file costs the drawing, and nothing else."""
    (tmp_path / "networks.json").write_text(saved)
    assert networks.read_networks(tmp_path / "networks.json") == []
    assert networks.read_networks(tmp_path / "none.json") == []


def test_a_very_deep_network_is_cut() -> None:
    """Past 200 boxes the drawing ends and says how many layers are not in it."""
    layers: list[Any] = [
        {"name": str(i), "kind": "Dense", "output": [i + 1], "parameters": 1, "from": [str(i - 1)] if i else []}
        for i in range(203)
    ]
    deep = networks.drawn("Generator", {"parameters": 203, "trainable": 203, "layers": layers})
    assert (len(deep.rows), deep.left_out) == (200, 3)


@pytest.mark.parametrize(("count", "shown"), [(1_179_648, "1.18 M"), (3_072, "3.07 k"), (7, "7"), (0, "")])
def test_parameters_for_narrow_places(count: int, shown: str) -> None:
    """Three digits and a unit; none has no text."""
    assert networks.compact(count) == shown
