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
    raise ConfigError(
        f"eval.extractor must be one of {', '.join(EXTRACTORS)}, {KERAS}NAME of keras.applications, "
        f"or a file that ends with .onnx or .keras, got '{choice.name}'{suggestion(choice.name, EXTRACTORS)}"
    )
