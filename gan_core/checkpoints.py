"""Checkpoints: the whole training state as one published folder each, plain arrays only, never a pickle."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core import artifacts
from gan_core.artifacts import Manifest, digest_of
from gan_core.conditions import Condition
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import Checkpoint
from gan_core.normalization import Normalization

State = dict[str, npt.NDArray[Any]]

_LOG = logging.getLogger(__name__)
_STATE_FILE = "state.npz"


def checkpoint_folder(run_dir: Path, images_seen: int) -> Path:
    """Return the folder of the checkpoint after `images_seen` images; names sort by time."""
    return run_dir / "checkpoints" / f"{images_seen:012d}"


def save_checkpoint(
    run_dir: Path,
    config: RunConfig,
    images_seen: int,
    state: State,
    progress: dict[str, Any],
    normalization: Normalization | None = None,
    condition: Condition | None = None,
) -> Checkpoint:
    """Publish the state after `images_seen` images, then drop all but the newest `train.keep_checkpoints`.

    Checkpoints past `images_seen` go as well: training went back behind them, because they are damaged.

    Args:
        run_dir: the run's folder.
        config: what is trained; stored beside the state, so that a checkpoint can be sampled from alone.
        images_seen: real images shown so far.
        state: arrays by name, see `gan.Gan.state`.
        progress: what the loop needs besides: JSON types.
        normalization: what training sees of a pixel, which turns generated pictures into pixels; None is [-1, 1].
        condition: what the networks are told of each picture; None is unconditional.
    """
    final = checkpoint_folder(run_dir, images_seen)
    fields: dict[str, Any] = {"images_seen": images_seen, "config": config.to_json(), "progress": progress}
    if normalization is not None:
        fields["normalization"] = normalization.to_json()
    if condition is not None:
        fields["condition"] = condition.to_json()
    with artifacts.publishing(final) as draft:
        with (draft / _STATE_FILE).open("wb") as stream:
            np.savez(stream, allow_pickle=False, **state)
        sha256 = artifacts.sha256_file(draft / _STATE_FILE)
        artifacts.write_manifest(draft, "checkpoint", digest_of({"state": sha256, "images_seen": images_seen}), fields)
    folders = _folders(run_dir)
    newest = folders.index(final) + 1
    for old in folders[: max(0, newest - config.train.keep_checkpoints)] + folders[newest:]:
        artifacts.discard(old)
        artifacts.lock_of(old).unlink(missing_ok=True)  # safe: the run itself is locked while it trains
    return Checkpoint(run_dir, images_seen, final)


def load_manifest(checkpoint: Checkpoint) -> Manifest:
    """Read the manifest of a checkpoint.

    Its `fields` has images_seen, config, progress, and perhaps normalization and condition.
    """
    return artifacts.read_manifest(checkpoint.path, "checkpoint")


def load_normalization(checkpoint: Checkpoint) -> Normalization | None:
    """Return what training saw of a pixel; None, which is [-1, 1], where the checkpoint does not say."""
    saved = load_manifest(checkpoint).fields.get("normalization")
    return None if saved is None else Normalization.from_json(saved)


def load_condition(checkpoint: Checkpoint) -> Condition | None:
    """Return what the networks of a checkpoint are told of each picture; None where they are unconditional."""
    saved = load_manifest(checkpoint).fields.get("condition")
    return None if saved is None else Condition.from_json(saved)


def load_state(checkpoint: Checkpoint, owner: str = "") -> State:
    """Return the arrays of a checkpoint, or only those of one `owner` such as "averaged".

    Raises:
        ArtifactError: the file is missing or damaged, or holds something else than plain arrays.
    """
    manifest = load_manifest(checkpoint)
    path = manifest.file(_STATE_FILE)
    artifacts.verify(manifest)
    prefix = f"{owner}/" if owner else ""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name.startswith(prefix)}
    except (OSError, ValueError, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read ({error}); delete {checkpoint.path} and train again") from None


def latest_checkpoint(run_dir: Path) -> Checkpoint | None:
    """Return the newest checkpoint whose every byte verifies; a damaged one is passed over with a warning."""
    for folder in reversed(_folders(run_dir)):
        if artifacts.find(folder, "checkpoint") is not None:
            return Checkpoint(run_dir, int(folder.name), folder)
        _LOG.warning("%s is damaged; going back to the checkpoint before it", folder)
    return None


def find_checkpoint(path: Path) -> Checkpoint:
    """Return the checkpoint that `path` names: its own folder, or that of a run, of which it is the newest one.

    Only manifests are read: `load_state` finds out whether the arrays are whole.

    Raises:
        ConfigError: there is none.
    """
    for folder in (path, *reversed(_folders(path))):
        with contextlib.suppress(ArtifactError):
            manifest = artifacts.read_manifest(folder, "checkpoint")
            return Checkpoint(folder.parent.parent, int(manifest.fields["images_seen"]), folder)
    raise ConfigError(f"train.transfer: {path} is neither a checkpoint nor the folder of a run that has one")


def transferred_digest(config: RunConfig) -> str:
    """Return the digest of the checkpoint that `train.transfer` names, empty where it names none.

    Raises:
        ConfigError: there is no such checkpoint.
    """
    path = config.train.transfer
    return load_manifest(find_checkpoint(Path(path))).digest if path else ""


def finished_checkpoint(run_dir: Path, config: RunConfig) -> Checkpoint | None:
    """Return the checkpoint at the end of the training that `config` asks for, or None while there is none."""
    images = config.train.total_steps * config.train.batch_size
    folder = checkpoint_folder(run_dir, images)
    return Checkpoint(run_dir, images, folder) if artifacts.find(folder, "checkpoint") else None


def _folders(run_dir: Path) -> list[Path]:
    folder = run_dir / "checkpoints"
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir()) if folder.is_dir() else []
