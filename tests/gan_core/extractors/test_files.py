import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from gan_core.errors import ConfigError, DataError
from gan_core.extractors import declaration
from gan_core.extractors.base import Choice, Extractor, Images
from gan_core.extractors.registry import open_extractor

# What Keras saves arrays with does not know NumPy 2's copy=False.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE = 8
BASE = f'title = "t"\nside = {SIDE}\nchannels = "rgb"\nlayout = "nchw"\nfeatures = "f"\n'
WEIGHTS = np.arange(12, dtype=np.float32).reshape(3, 4) / 10


def images(count: int = 5, channels: int = 3) -> Images:
    """Return random pictures of the network's side, so that nothing is resized."""
    return np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, channels), np.uint8)


def write_onnx(
    path: Path,
    declared: str,
    *,
    batch: int | str = "N",
    domain: str = "",
    external: str = "",
) -> str:
    """Write means over the picture, times WEIGHTS, with their declaration; return the path."""
    weights = onnx.numpy_helper.from_array(WEIGHTS, "w")
    if external:
        weights.ClearField("raw_data")
        weights.data_location = TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = "location", external
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["f"], domain=domain),
        helper.make_node("Identity", ["x"], ["picture"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("f", "picture", "flat")],
        [weights],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("mine", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString())
    path.with_name(f"{path.name}.toml").write_text(declared, encoding="utf-8")
    return str(path)


def write_keras(path: Path, declared: str, layer: Any = None) -> str:
    """Write the same network as a Keras file, with another layer if given."""
    picture = keras.Input((SIDE, SIDE, 3))
    inner = layer(picture) if layer is not None else picture
    pooled = keras.layers.GlobalAveragePooling2D(name="p")(inner)
    model = keras.Model(picture, keras.layers.Dense(4, use_bias=False, name="f")(pooled))
    model.get_layer("f").set_weights([WEIGHTS])
    model.save(path)
    path.with_name(f"{path.name}.toml").write_text(declared.replace("nchw", "nhwc"), encoding="utf-8")
    return str(path)


def opened(name: str) -> Extractor:
    """Return the extractor of a file."""
    return open_extractor(Choice(name=name))


@pytest.mark.parametrize("write", [write_onnx, write_keras], ids=["onnx", "keras"])
def test_a_network_is_given_what_is_declared(tmp_path: Path, write: Callable[[Path, str], str]) -> None:
    """Range, mean and deviation, and the order of channels reach the network; grey is repeated."""
    path = tmp_path / ("net.onnx" if write is write_onnx else "net.keras")
    extractor = opened(write(path, BASE + 'range = [-1, 1]\nlicence = "MIT"\nnote = "of faces"\n'))
    facts = extractor.facts
    assert (facts.name, facts.title, facts.side, facts.dimensions, facts.classes) == (path.name, "t", SIDE, 4, 0)
    assert facts.note == "of faces; compares with scores by the same file and declaration only; licence: MIT"
    means = images().mean(axis=(1, 2))
    found = extractor.extract(images())
    assert found.logits is None
    np.testing.assert_allclose(found.features, (means / 127.5 - 1) @ WEIGHTS, rtol=0, atol=1e-5)
    grey = images(channels=1)
    expected = np.repeat(grey.mean(axis=(1, 2)) / 127.5 - 1, 3, axis=1) @ WEIGHTS
    np.testing.assert_allclose(extractor.extract(grey).features, expected, rtol=0, atol=1e-5)

    other = opened(write(path, BASE.replace("rgb", "bgr") + "mean = [100, 110, 120]\nstd = [50]\n"))
    expected = (means[:, ::-1] - (100, 110, 120)) / 50 @ WEIGHTS
    np.testing.assert_allclose(other.extract(images()).features, expected, rtol=0, atol=1e-5)
    assert other.facts.digest != facts.digest


def test_pictures_are_averaged_and_logits_kept(tmp_path: Path) -> None:
    """An output that is a picture is averaged; a second declared output becomes the logits."""
    declared = BASE.replace('"f"', '"picture"') + 'logits = "f"\nrange = [0, 255]\n'
    found = opened(write_onnx(tmp_path / "net.onnx", declared)).extract(images(40))
    means = images(40).mean(axis=(1, 2))
    np.testing.assert_allclose(found.features, means, rtol=1e-5)
    assert found.logits is not None
    np.testing.assert_allclose(found.logits, means @ WEIGHTS, rtol=1e-5)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        (BASE, "give either range or both mean and std"),
        (BASE + "range = [0, 1]\nmean = [1]\nstd = [1]\n", "give either range or both mean and std"),
        (BASE + "range = [1]\n", "range must be a list of 2 finite numbers, got [1]"),
        (BASE + "range = [1, 1]\n", "range must have two different numbers"),
        (BASE + "mean = [1]\nstd = [0]\n", "std must be above 0, got [0]"),
        (BASE + "range = [0, 1]\nsize = 3\n", "there is no 'size' (did you mean 'side'?)"),
        (BASE.replace("rgb", "bgra") + "range = [0, 1]\n", "channels must be one of rgb, bgr, grey, got 'bgra'"),
        (BASE.replace(f"= {SIDE}", "= 8.5") + "range = [0, 1]\n", "side must be a whole number in [1, 1024], got 8.5"),
        (BASE.replace("title", "#"), "title is missing"),
        ("side = ", "is not TOML"),
        (BASE.replace('"f"', '"g"') + "range = [0, 1]\n", "declares the output 'g'"),
        (BASE.replace("nchw", "nhwc") + "range = [0, 1]\n", "declares one input ['N', 8, 8, 3] with any N"),
    ],
)
def test_a_wrong_declaration_is_an_error(tmp_path: Path, declared: str, message: str) -> None:
    """What is missing, unknown, or does not fit the network is named."""
    path = write_onnx(tmp_path / "net.onnx", declared)
    with pytest.raises(ConfigError) as caught:
        opened(path)
    assert message in str(caught.value)
    assert "net.onnx.toml" in str(caught.value)


def test_a_missing_declaration_comes_with_an_example_that_works(tmp_path: Path) -> None:
    """The message shows a declaration that can be copied."""
    path = tmp_path / "net.onnx"
    path.write_bytes(b"")
    with pytest.raises(ConfigError) as caught:
        opened(str(path))
    example = str(caught.value).split("such as:\n")[1]
    path.with_name("net.onnx.toml").write_text(example, encoding="utf-8")
    assert declaration.read(path).outputs == ["embedding"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"external": "secret.bin"}, "save all weights into the one file"),
        ({"external": "../secret.bin"}, "save all weights into the one file"),
        ({"domain": "mine"}, "cannot be loaded"),
    ],
)
def test_onnx_files_bring_no_code_and_read_no_others(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    """Weights in other files, beside it or elsewhere, and operators of other makers are refused."""
    (tmp_path / "in").mkdir()
    for folder in (tmp_path, tmp_path / "in"):
        (folder / "secret.bin").write_bytes(WEIGHTS.tobytes())
    path = write_onnx(tmp_path / "in" / "net.onnx", BASE + "range = [0, 1]\n", **options)
    with pytest.raises(DataError, match=message):
        opened(path)


def test_a_fixed_batch_and_values_without_end_are_refused(tmp_path: Path) -> None:
    """A network takes any number of pictures, and what comes out is finite."""
    with pytest.raises(ConfigError, match="with any N"):
        opened(write_onnx(tmp_path / "net.onnx", BASE + "range = [0, 1]\n", batch=1))
    with pytest.raises(DataError, match="not finite"):
        opened(write_onnx(tmp_path / "net.onnx", BASE + "range = [0, 3e38]\n"))


def test_onnx_files_need_onnxruntime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without onnxruntime the error says what to install."""
    path = write_onnx(tmp_path / "net.onnx", BASE + "range = [0, 1]\n")
    found = importlib.import_module

    def without(name: str, package: str | None = None) -> Any:
        if name == "onnxruntime":
            raise ImportError(name)
        return found(name, package)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(ConfigError, match=r"pip install faceloom\[onnx\]"):
        opened(path)


@keras.saving.register_keras_serializable(package="mine")
class Twice(keras.layers.Layer):
    """A layer that Keras has not."""

    def call(self, given: Any) -> Any:
        """Return twice what is given."""
        return given * 2


@pytest.mark.parametrize("ending", ["keras", "h5"])
@pytest.mark.parametrize("layer", [lambda: keras.layers.Lambda(lambda x: x), Twice], ids=["lambda", "custom"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
def test_keras_files_bring_no_code(tmp_path: Path, layer: Callable[[], Any], ending: str) -> None:
    """Lambdas and classes of other makers are refused, even where the class is registered."""
    path = write_keras(tmp_path / f"net.{ending}", BASE + "range = [0, 1]\n", layer())
    with pytest.raises(DataError, match=r"which is not loaded: only Keras' own layers"):
        opened(path)


def test_keras_files_read_no_others(tmp_path: Path) -> None:
    """Links out of an HDF5 file are refused; what is no network at all is said to be none."""
    path = tmp_path / "net.h5"
    path.with_name("net.h5.toml").write_text(BASE + "range = [0, 1]\n", encoding="utf-8")
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = "{}"
        file["weights"] = h5py.ExternalLink("other.h5", "/weights")
    with pytest.raises(DataError, match=r"has a link to other\.h5"):
        opened(str(path))
    path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="is not a Keras network"):
        opened(str(path))


def test_the_docs_show_the_example() -> None:
    """What can be copied from the docs is what the messages show."""
    page = Path(__file__).parents[3] / "docs" / "extractors.md"
    assert f"```toml\n{declaration.EXAMPLE}```\n" in page.read_text(encoding="utf-8")
