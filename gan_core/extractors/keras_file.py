"""Networks in Keras files (.keras, .h5), of Keras' own layers only.

Keras' safe mode refuses lambdas. Refused before Keras sees the file, by its description: every class that is not of
Keras' public packages, functions other than activations, layers that wrap code or read files, and links out of HDF5.
"""

from __future__ import annotations

import importlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gan_core.errors import ConfigError, DataError
from gan_core.extractors.declaration import Declaration, Pixels

if TYPE_CHECKING:
    from gan_core.extractors.files import Run

h5py: Any = importlib.import_module("h5py")  # Keras brings it; it has no types

_MODULES = (
    "keras",
    "keras.layers",
    "keras.models",
    "keras.activations",
    "keras.initializers",
    "keras.regularizers",
    "keras.constraints",
    "keras.dtype_policies",
    "keras.src.models.functional",
    "keras.src.models.sequential",
)
_REFUSED = (
    "Lambda",
    "__lambda__",
    "__typespec__",
    "TFSMLayer",
    "TorchModuleWrapper",
    "JaxLayer",
    "FlaxLayer",
    "StringLookup",
    "IntegerLookup",
    "TextVectorization",
)
_UNNAMED = (
    "Functional",
    "Model",
    "Sequential",
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__ellipsis__",
    "__slice__",
)
_CONFIG_BYTES = 64 << 20  # the largest of keras.applications has 2 MB


def load(path: Path, declared: Declaration) -> Run:
    """Return what runs the network. ConfigError, DataError: see `files.load`."""
    _check(path)
    try:
        model = keras.saving.load_model(str(path), compile=False, safe_mode=True)
    except Exception as error:  # damaged files raise whatever their readers do
        text = " ".join(str(error).split())
        raise DataError(f"{path} cannot be loaded: {text[:300]}") from None
    return _checked(model, path, declared)


def _checked(model: Any, path: Path, declared: Declaration) -> Run:
    shapes = [tuple(tensor.shape) for tensor in getattr(model, "inputs", None) or []]
    wanted = (None, *declared.shape)
    fits = len(shapes) == 1 and len(shapes[0]) == 4 and shapes[0][0] is None
    if not fits or any(size not in (want, None) for size, want in zip(shapes[0], wanted, strict=True)):
        raise ConfigError(f"{declared.path} declares one input {wanted}, {path} has {shapes}")
    tensors = {layer.name: layer.output for layer in model.layers if not isinstance(layer, keras.layers.InputLayer)}
    for name in declared.outputs:
        if name not in tensors:
            raise ConfigError(f"{declared.path} declares the output '{name}', {path} has layers {', '.join(tensors)}")
    part = keras.Model(model.inputs[0], [tensors[name] for name in declared.outputs])
    signature = [tf.TensorSpec(wanted, tf.float32)]
    forward = tf.function(lambda pixels: part(pixels, training=False), input_signature=signature)

    def run(pixels: Pixels) -> list[Any]:
        return [tensor.numpy() for tensor in keras.tree.flatten(forward(tf.constant(pixels)))]

    return run


def _check(path: Path) -> None:
    """Raise DataError unless the file describes Keras' own layers and keeps its weights inside."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive:
                if archive.getinfo("config.json").file_size > _CONFIG_BYTES:
                    raise DataError(f"{path} cannot be loaded: its description has more than {_CONFIG_BYTES:,} bytes")
                described = json.loads(archive.read("config.json"))
                with archive.open("model.weights.h5") as stream, h5py.File(io.BytesIO(stream.read()), "r") as weights:
                    outside = _outside(weights)
        else:
            with h5py.File(path, "r") as weights:
                text = weights.attrs["model_config"]
                described, outside = json.loads(text), _outside(weights)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a Keras network: {' '.join(str(error).split())[:300]}") from None
    found = [*_foreign(described), *outside]
    if found:
        raise DataError(f"{path} has {found[0]}, which is not loaded: only Keras' own layers, weights in the file")


def _foreign(node: Any) -> Iterator[str]:
    """Yield what in a description is not of Keras' own layers."""
    if isinstance(node, list):
        for item in node:
            yield from _foreign(item)
    if not isinstance(node, dict):
        return
    kind, module = node.get("class_name"), node.get("module")
    if kind in _REFUSED:
        yield f"the layer {kind}"
    elif "class_name" in node and module is not None and module not in _MODULES:
        yield f"{kind} of {module}"
    elif "class_name" in node and module is None and not _is_keras_own(str(kind)):
        yield f"{kind}, which Keras does not have"
    elif kind == "function" and module != "keras.activations":
        yield f"the function {node.get('config')}"
    elif isinstance(node.get("registered_name"), str) and ">" in node["registered_name"]:
        yield f"the custom object {node['registered_name']}"
    for item in node.values():
        yield from _foreign(item)


def _is_keras_own(kind: str) -> bool:
    """Return whether a class without a module, as .h5 files have them, is one of Keras."""
    packages = (keras.layers, keras.initializers, keras.regularizers, keras.constraints, keras.dtype_policies)
    return kind in _UNNAMED or any(isinstance(getattr(package, kind, None), type) for package in packages)


def _outside(weights: Any) -> Iterator[str]:
    """Return an iterator over links and arrays of an HDF5 file that lie in other files."""
    found: list[str] = []

    def visit(group: Any) -> None:
        for name in group:
            link = group.get(name, getlink=True)
            if isinstance(link, h5py.ExternalLink):
                found.append(f"a link to {link.filename}")
            elif isinstance(link, h5py.HardLink):
                item = group[name]
                if isinstance(item, h5py.Group):
                    visit(item)
                elif item.external or item.is_virtual:
                    found.append(f"the array {item.name} outside of the file")

    visit(weights)
    return iter(found)
