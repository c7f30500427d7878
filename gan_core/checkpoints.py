"""Checkpoints: the whole training state as one published folder each, plain arrays only, never a pickle."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
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

    Beside them stays the best by score of each, as its progress names it in `best`. Checkpoints past `images_seen` go:
    training went back behind them, because they are damaged.

    Args:
        run_dir: the run's folder.
        config: what is trained; stored beside the state, so that a checkpoint can be sampled from alone.
        images_seen: real images shown so far.
        state: arrays by name, see `gan.Gan.state`.
        progress: what the loop needs besides: JSON types.
        normalization: what training sees of a pixel, which turns generated pictures into pixels; None is [-1, 1].
        condition: what the networks are told of each picture; None is unconditional.

    Raises:
        ArtifactError: the disk refuses it, because it is full for example; the checkpoints before are as they were.
    """
    final = checkpoint_folder(run_dir, images_seen)
    fields: dict[str, Any] = {"images_seen": images_seen, "config": config.to_json(), "progress": progress}
    if normalization is not None:
        fields["normalization"] = normalization.to_json()
    if condition is not None:
        fields["condition"] = condition.to_json()
    try:
        with artifacts.publishing(final) as draft:
            with (draft / _STATE_FILE).open("wb") as stream:
                np.savez(stream, allow_pickle=False, **state)
            digest = digest_of({"state": artifacts.sha256_file(draft / _STATE_FILE), "images_seen": images_seen})
            artifacts.write_manifest(draft, "checkpoint", digest, fields)
    except OSError as error:
        raise ArtifactError(
            f"the checkpoint at {images_seen / 1000:g} kimg cannot be written to {final} ({error.strerror or error}); "
            "those before it are kept: make room, and the same command continues from there"
        ) from None
    _drop_old(run_dir, final, config.train.keep_checkpoints)
    return Checkpoint(run_dir, images_seen, final)


def _drop_old(run_dir: Path, newest: Path, keep: int) -> None:
    folders = _folders(run_dir)
    end = folders.index(newest) + 1
    kept = folders[max(0, end - keep) : end]
    best = {checkpoint_folder(run_dir, images) for images in map(_best_images, kept) if images is not None}
    for old in folders:
        if old not in kept and old not in best:
            artifacts.discard(old)
            artifacts.lock_of(old).unlink(missing_ok=True)  # safe: the run itself is locked while it trains


def _best_images(folder: Path) -> int | None:
    """Return after how many images the score was best when a checkpoint was saved; None where that is unknown."""
    try:
        best = _progress(artifacts.read_manifest(folder, "checkpoint")).get("best")
        return None if best is None else int(best["images"])
    except (ArtifactError, KeyError, TypeError, ValueError):
        return None


def _progress(manifest: Manifest) -> Mapping[str, Any]:
    progress = manifest.fields.get("progress")
    return progress if isinstance(progress, Mapping) else {}


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
    """Return the newest checkpoint whose every byte verifies, None where there are none.

    A damaged one is passed over with a warning.

    Raises:
        ArtifactError: there are checkpoints, and all of them are damaged.
    """
    damaged = []
    for folder in reversed(_folders(run_dir)):
        if artifacts.find(folder, "checkpoint") is not None:
            return Checkpoint(run_dir, int(folder.name), folder)
        if (folder / artifacts.MANIFEST).exists():  # else a kill came between a checkpoint's manifest and its files
            damaged.append(folder)
            _LOG.warning("%s is damaged; going back to the checkpoint before it", folder)
    if damaged:
        raise ArtifactError(
            f"all checkpoints in {run_dir / 'checkpoints'} are damaged ({len(damaged)}); bring one back from a backup, "
            f"or delete the folder to train from the start"
        )
    return None


def newest_images(run_dir: Path) -> int:
    """Return after how many images the newest checkpoint was published, unchecked; 0 where there is none."""
    return max((int(folder.name) for folder in _folders(run_dir) if (folder / artifacts.MANIFEST).is_file()), default=0)


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
    """Return the checkpoint at the end of the training that `config` asks for, or None while there is none.

    The end is after `train.total_kimg`, or where `train.patience_kimg` ended it early.
    """
    images = config.train.total_steps * config.train.batch_size
    folder = checkpoint_folder(run_dir, images)
    last = artifacts.find(folder, "checkpoint")
    if last is not None and not _progress(last).get("snapshot_due"):
        return Checkpoint(run_dir, images, folder)
    folders = _folders(run_dir) if config.train.patience_kimg else []
    newest = artifacts.find(folders[-1], "checkpoint") if folders else None
    return Checkpoint(run_dir, int(newest.path.name), newest.path) if newest and stopped_early(newest) else None


def is_whole(run_dir: Path, images_seen: int) -> bool:
    """Return whether there is a checkpoint after `images_seen` images, and every byte of it verifies."""
    return artifacts.find(checkpoint_folder(run_dir, images_seen), "checkpoint") is not None


def chosen_checkpoint(run_dir: Path, config: RunConfig) -> Checkpoint | None:
    """Return what `eval.checkpoint` says of a finished training, the last or the best; None while it is not finished.

    Raises:
        ArtifactError: the best is asked for, and missing or damaged.
    """
    last = finished_checkpoint(run_dir, config)
    return best_checkpoint(last) if last is not None and config.eval.checkpoint == "best" else last


def best_checkpoint(last: Checkpoint) -> Checkpoint:
    """Return the checkpoint whose score on the way was the lowest until `last` was saved.

    Raises:
        ArtifactError: it is missing or damaged, or no score was taken.
    """
    images = _best_images(last.path)
    folder = None if images is None else checkpoint_folder(last.run_dir, images)
    if images is None or folder is None or not is_whole(last.run_dir, images):
        what = "no score was taken on the way" if folder is None else f"{folder} is missing or damaged"
        raise ArtifactError(f"the best checkpoint of {last.run_dir} cannot be used: {what}; use eval.checkpoint=last")
    return Checkpoint(last.run_dir, images, folder)


def stopped_early(last: Manifest) -> str:
    """Return why a training ended before `train.total_kimg`, by its last checkpoint's manifest; empty if it did not."""
    return str(_progress(last).get("stopped_early", ""))


def _folders(run_dir: Path) -> list[Path]:
    folder = run_dir / "checkpoints"
    return sorted(path for path in folder.glob("[0-9]*") if path.is_dir()) if folder.is_dir() else []
