import subprocess
import sys
from pathlib import Path

import pytest

from gan_core.errors import ConfigError
from gan_core.extractors import registry
from gan_core.extractors.base import Choice
from gan_core.extractors.embedded import Embedded
from gan_core.extractors.registry import EXTRACTORS, open_extractor
from gan_core.sections import EvalConfig


def test_a_name_opens_its_extractor() -> None:
    """The embedded extractor needs nothing but its name."""
    assert list(EXTRACTORS) == ["embedded", "inception-2015", "inception-keras"]
    assert isinstance(open_extractor(Choice(name="embedded")), Embedded)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice(name="embeded"), "got 'embeded' (did you mean 'embedded'?)"),
        (Choice(name="keras:ResNet5"), "keras.applications has no 'ResNet5' (did you mean 'ResNet50'?)"),
        (Choice(name="nowhere.onnx"), "eval.extractor names no file: nowhere.onnx"),
        (Choice(name="embedded", weights="x.h5"), "eval.weights must be empty"),
        (Choice(name="embedded", resizing="clean"), "eval.resizing must be empty"),
        (Choice(name="keras:VGG16", resizing="cubic"), "eval.resizing must be one of legacy, tensorflow, clean"),
        (Choice(name="inception-keras", weights="nowhere.h5"), "eval.weights names no file: nowhere.h5"),
    ],
)
def test_what_there_is_not_is_named(choice: Choice, message: str) -> None:
    """An unknown extractor, network, file or option is an error with what there is, and the near miss."""
    with pytest.raises(ConfigError) as caught:
        open_extractor(choice)
    assert message in str(caught.value)


def test_the_embedded_extractor_needs_no_tensorflow() -> None:
    """Opening it, by the registry, leaves TensorFlow and Keras alone."""
    code = (
        "import sys\n"
        "from gan_core.extractors.base import Choice\n"
        "from gan_core.extractors.registry import open_extractor\n"
        "open_extractor(Choice(name='embedded'))\n"
        "sys.exit(len({'tensorflow', 'keras'} & sys.modules.keys()))\n"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


@pytest.mark.parametrize(
    ("name", "weights", "message"),
    [
        ("inceptoin-2015", "", r"got 'inceptoin-2015' \(did you mean 'inception-2015'\?\)"),
        ("face.onnx", "", "eval.extractor names no file: face.onnx"),
        ("inception-2015", "no.pth", "eval.weights names no file: no.pth"),
        ("embedded", "no.pth", "eval.weights must be empty for eval.extractor=embedded"),
    ],
)
def test_what_cannot_work_is_found_before_a_training(name: str, weights: str, message: str) -> None:
    """Names and files are looked at without opening a network."""
    with pytest.raises(ConfigError, match=message):
        registry.check(Choice(name=name, weights=weights))


@pytest.mark.parametrize("choice", [Choice(name=name) for name in (*EXTRACTORS, "keras:MobileNet")])
def test_what_may_work_is_let_through(choice: Choice) -> None:
    """Weights that would be downloaded are not asked for."""
    registry.check(choice)


def test_the_config_asks_for_an_extractor(tmp_path: Path) -> None:
    """Name, weights and resizing are the user's; downloads lie in the data root."""
    config = EvalConfig(extractor="inception-2015", weights="pt.pth", resizing="clean")
    expected = Choice(name="inception-2015", weights="pt.pth", resizing="clean", downloads=tmp_path / "weights")
    assert registry.asked(config, tmp_path) == expected
