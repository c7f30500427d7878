"""A version of a model: one published folder that needs no run beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core import artifacts
from gan_core.artifacts import Manifest
from gan_core.errors import ArtifactError
from gan_core.handoff import Checkpoint

KIND = "model"
PICTURES = "pictures.npy"
CHECKPOINT = "checkpoint"  # folder of the checkpoint inside that of its version


@dataclass(frozen=True)
class Version:
    """What the manifest of a version says.

    Attributes:
        path: `<data root>/registry/<model>/<number, four digits>`.
        digest: of checkpoint and data set; the same pair is registered once.
        number: counts from 1 within a model; a number is never used again.
        model: name of the line of versions, the preset's.
        run: name of the run's folder.
        images_seen: real images shown until the checkpoint.
        checkpoint_digest: of the checkpoint, 64 hex digits.
        dataset: digest, path and name of what it was trained on.
        source: kind, name, location, fingerprint, counts of the pictures behind it.
        statistics: mean and deviation per channel of the training pixels in [0, 255], and count.
        config: `RunConfig.to_json` of its training.
        scores: measure -> value, error, floor, unit, better; empty where nothing was measured.
        protocol: what the scores depend on.
        licences: licence -> number of pictures.
        decision: of the gate, see gan_core/gate/decision.py; None where it was not asked.
        parent: the version that was blessed when this one was registered; None where there was none.
        created: UTC, ISO 8601.
        created_by: versions of faceloom and its libraries.
    """

    path: Path
    digest: str
    number: int
    model: str
    run: str
    images_seen: int
    checkpoint_digest: str
    dataset: Mapping[str, Any]
    source: Mapping[str, Any]
    statistics: Mapping[str, Any]
    config: Mapping[str, Any]
    scores: Mapping[str, Mapping[str, Any]]
    protocol: Mapping[str, Any]
    licences: Mapping[str, int]
    decision: Mapping[str, Any] | None
    parent: int | None
    created: str
    created_by: Mapping[str, str]

    @classmethod
    def from_manifest(cls, manifest: Manifest) -> Version:
        """Read the typed form. Raises ArtifactError when a field is missing."""
        try:
            return cls(path=manifest.path, digest=manifest.digest, **manifest.fields)
        except TypeError as error:
            raise ArtifactError(f"{manifest.path} has an incomplete manifest ({error}); delete it") from None

    @classmethod
    def load(cls, folder: Path) -> Version:
        """Read the manifest of a version, not its files. Raises ArtifactError."""
        return cls.from_manifest(artifacts.read_manifest(folder, KIND))

    @property
    def name(self) -> str:
        """What people call it, such as "celeba64 v3"."""
        return f"{self.model} v{self.number}"

    @property
    def checkpoint(self) -> Checkpoint:
        """The training state inside the version's folder: sampled, measured and transferred from without its run."""
        return Checkpoint(self.path, self.images_seen, self.path / CHECKPOINT)

    def pictures(self) -> npt.NDArray[np.uint64] | None:
        """Return one number for each picture of its source, sorted; None where the version does not know them."""
        try:
            return np.asarray(np.load(self.path / PICTURES, allow_pickle=False), np.uint64)
        except (OSError, ValueError):
            return None

    def verify(self) -> None:
        """Read every file. Raises ArtifactError naming the first that is missing or damaged."""
        artifacts.verify(artifacts.read_manifest(self.path, KIND))

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**self.__dict__, "path": str(self.path)}
