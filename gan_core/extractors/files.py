"""Networks in files as extractors: ONNX and Keras, with a declared preprocessing.

Loading executes nothing that a file brings along: see `onnx_file` and `keras_file`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gan_core.artifacts import sha256_file
from gan_core.errors import ConfigError, DataError
from gan_core.extractors import declaration
from gan_core.extractors.base import Choice, Extracted, Facts, Images
from gan_core.extractors.declaration import Declaration, Pixels

Run = Callable[[Pixels], list[npt.NDArray[np.float32]]]

BATCH = 32
MAX_BYTES = 4 << 30


def load(choice: Choice, path: Path) -> NetworkFile:
    """Return the network of an .onnx, .keras or .h5 file.

    Raises:
        ConfigError: no such file, its declaration is missing or does not fit, or an option that it does not take.
        DataError: the file is damaged, too large, or holds what is not loaded.
    """
    if choice.weights:
        raise ConfigError(f"eval.weights must be empty for the file {path}, which has its own, got '{choice.weights}'")
    if not path.is_file():
        raise ConfigError(f"eval.extractor names no file: {path}")
    declared = declaration.read(path)
    if choice.resizing not in ("", declared.resizing):
        raise ConfigError(f"eval.resizing is '{choice.resizing}', but {declared.path} declares '{declared.resizing}'")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path} must have at most {MAX_BYTES:,} bytes, it has {path.stat().st_size:,}")
    return NetworkFile(path, declared, _runner(path, declared))


class NetworkFile:
    """A network and what it wants to be given. Memory: the weights, and activations of 32 pictures."""

    def __init__(self, path: Path, declared: Declaration, run: Run) -> None:
        self._path, self._declared, self._run = path, declared, run
        probe = np.random.default_rng(0).integers(0, 256, (2, declared.side, declared.side, 3), np.uint8)
        made = self._batch(probe)
        licence = f"; licence: {declared.licence}" if declared.licence else ""
        note = f"{declared.note}; compares with scores by the same file and declaration only{licence}"
        self._facts = Facts(
            name=path.name,
            title=declared.title,
            weights=declared.digest(sha256_file(path)),
            resizing=declared.resizing,
            side=declared.side,
            dimensions=made[0].shape[1],
            classes=made[1].shape[1] if declared.logits else 0,
            note=note.removeprefix("; "),
        )

    @property
    def facts(self) -> Facts:
        """What the numbers depend on."""
        return self._facts

    def extract(self, images: Images) -> Extracted:
        """Return features float32 [N, D], and logits where they are declared, of uint8 [N, S, S, C], C = 1 or 3."""
        features = np.empty((len(images), self._facts.dimensions), np.float32)
        logits = np.empty((len(images), self._facts.classes), np.float32) if self._facts.classes else None
        for start in range(0, len(images), BATCH):
            part = slice(start, start + BATCH)
            made = self._batch(images[part])
            features[part] = made[0]
            if logits is not None:
                logits[part] = made[1]
        return Extracted(features, logits)

    def _batch(self, images: Images) -> list[npt.NDArray[np.float32]]:
        made = self._run(self._declared.pixels(images))
        return [
            self._vectors(array, name, len(images)) for array, name in zip(made, self._declared.outputs, strict=True)
        ]

    def _vectors(self, array: npt.NDArray[np.float32], name: str, count: int) -> npt.NDArray[np.float32]:
        """Return an output as [N, D]. Raises DataError where it is none, or not finite."""
        if array.ndim == 4:
            array = array.mean(axis=(2, 3) if self._declared.layout == "nchw" else (1, 2))
        if array.ndim != 2 or len(array) != count:
            raise DataError(
                f"{self._path}: output '{name}' must be [N, D] or a picture of it with any N, "
                f"got {array.shape} for {count} pictures"
            )
        if not np.isfinite(array).all():
            raise DataError(
                f"{self._path}: output '{name}' has values that are not finite; is {self._declared.path} right?"
            )
        return array.astype(np.float32)


def _runner(path: Path, declared: Declaration) -> Run:
    if path.suffix == ".onnx":
        from gan_core.extractors import onnx_file

        return onnx_file.load(path, declared)
    from gan_core.extractors import keras_file

    return keras_file.load(path, declared)
