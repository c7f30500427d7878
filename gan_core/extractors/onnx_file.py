"""Networks in ONNX files, run by onnxruntime on the CPU: ONNX's own operators, all weights in the one file."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_core.errors import ConfigError, DataError
from gan_core.extractors.declaration import Declaration, Pixels

if TYPE_CHECKING:
    from gan_core.extractors.files import Run


def load(path: Path, declared: Declaration) -> Run:
    """Return what runs the network. ConfigError, DataError: see `files.load`."""
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError:
        raise ConfigError(f"{path} needs onnxruntime: pip install faceloom[onnx]") from None
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # what is wrong is said by the error
    # Weights that the file names elsewhere would be read from there, and are not in its digest: they are looked for
    # where there are none.
    with tempfile.TemporaryDirectory() as nowhere:
        options.add_session_config_entry("session.model_external_initializers_file_folder_path", nowhere)
        try:
            session = runtime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime's errors have no base of their own
            text = " ".join(str(error).split())
            hint = "; save all weights into the one file" if "xternal" in text else ""
            raise DataError(f"{path} cannot be loaded: {text[:300]}{hint}") from None
    return _checked(session, path, declared)


def _checked(session: Any, path: Path, declared: Declaration) -> Run:
    inputs = session.get_inputs()
    wanted = (None, *declared.shape)
    shape = inputs[0].shape if len(inputs) == 1 else []
    fits = len(shape) == 4 and all(
        type(size) is not int or size in (want, None) for size, want in zip(shape, wanted, strict=True)
    )
    if not fits or type(shape[0]) is int:
        found = ", ".join(f"{each.name} {each.shape}" for each in inputs)
        shown = ["N", *declared.shape]
        raise ConfigError(f"{declared.path} declares one input {shown} with any N, {path} has {found}")
    if inputs[0].type != "tensor(float)":
        raise ConfigError(f"{path} must take float32, it takes {inputs[0].type}")
    names = [output.name for output in session.get_outputs()]
    for name in declared.outputs:
        if name not in names:
            raise ConfigError(f"{declared.path} declares the output '{name}', {path} has {', '.join(names)}")

    def run(pixels: Pixels) -> list[Any]:
        try:
            made = session.run(declared.outputs, {inputs[0].name: pixels})
        except Exception as error:
            raise DataError(f"{path} fails on {pixels.shape}: {' '.join(str(error).split())[:300]}") from None
        return [np.asarray(array) for array in made]

    return run
