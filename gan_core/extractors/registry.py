"""EXTRACTORS: the networks that pictures are compared by, and how a user's choice becomes one.

A name of EXTRACTORS, "keras:NAME" for any network of keras.applications, or the path of an .onnx or .keras file with
its declaration. TensorFlow is imported by the functions that need it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from gan_core.errors import ConfigError
from gan_core.extractors.base import Choice, Extractor
from gan_core.options import suggestion
from gan_core.sections import EvalConfig

KERAS = "keras:"
FILE_ENDINGS = (".onnx", ".keras", ".h5", ".hdf5")


def _embedded(choice: Choice) -> Extractor:
    from gan_core.extractors import embedded

    return embedded.load(choice)


def _inception_2015(choice: Choice) -> Extractor:
    from gan_core.extractors import inception_2015

    return inception_2015.load(choice)


def _inception_keras(choice: Choice) -> Extractor:
    from gan_core.extractors import keras_applications

    return keras_applications.load(choice, "InceptionV3")


EXTRACTORS: dict[str, Callable[[Choice], Extractor]] = {
    "embedded": _embedded,
    "inception-2015": _inception_2015,
    "inception-keras": _inception_keras,
}


def asked(config: EvalConfig, data_root: Path) -> Choice:
    """Return the extractor that the config asks for; downloads go below the data root."""
    return Choice(
        name=config.extractor,
        weights=config.weights,
        resizing=config.resizing,
        downloads=data_root / "weights",
    )


def check(choice: Choice) -> None:
    """Look whether names and files make sense, before hours of training; opens no network, imports no TensorFlow.

    Raises:
        ConfigError: no such extractor or file, or a file without its declaration.
    """
    is_file = choice.name.endswith(FILE_ENDINGS)
    if choice.name not in EXTRACTORS and not choice.name.startswith(KERAS) and not is_file:
        raise _unknown(choice.name)
    if choice.name == "embedded":
        _embedded(choice)
    if is_file:
        if not Path(choice.name).is_file():
            raise ConfigError(f"eval.extractor names no file: {choice.name}")
        from gan_core.extractors import declaration

        declaration.read(Path(choice.name))
    if choice.weights and "://" not in choice.weights and not Path(choice.weights).is_file():
        raise ConfigError(f"eval.weights names no file: {choice.weights}")


def _unknown(name: str) -> ConfigError:
    return ConfigError(
        f"eval.extractor must be one of {', '.join(EXTRACTORS)}, {KERAS}NAME of keras.applications, "
        f"or a file that ends with .onnx or .keras, got '{name}'{suggestion(name, EXTRACTORS)}"
    )


def open_extractor(choice: Choice) -> Extractor:
    """Return the extractor that the user asks for, its weights loaded.

    Raises:
        ConfigError: no such extractor, or an option that it does not take.
        DataError, ArtifactError: its weights are not there or not its own.
    """
    if choice.name in EXTRACTORS:
        return EXTRACTORS[choice.name](choice)
    if choice.name.startswith(KERAS):
        from gan_core.extractors import keras_applications

        return keras_applications.load(choice, choice.name.removeprefix(KERAS))
    if choice.name.endswith(FILE_ENDINGS):
        from gan_core.extractors import files

        return files.load(choice, Path(choice.name))
    raise _unknown(choice.name)
