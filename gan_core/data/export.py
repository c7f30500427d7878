"""`faceloom data export`: the pictures of a data set as files that other programs read, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan_core.data.entries import chosen_splits
from gan_core.data.export_formats import FORMATS
from gan_core.data.selection import Selection
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.progress import ReportProgress, silent


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        path: the folder or file.
        format: a key of FORMATS.
        pictures: how many.
        labelled: whether every one has a class.
        size_bytes: of all files.
    """

    path: Path
    format: str
    pictures: int
    labelled: bool
    size_bytes: int

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "path": str(self.path)}


def export(
    dataset: DatasetManifest,
    target: Path,
    form: str,
    *,
    split: str = "train",
    count: int | None = None,
    mirrored: bool = False,
    report_progress: ReportProgress = silent,
) -> Export:
    """Write pictures of a data set to `target`, which appears whole or not at all.

    Args:
        dataset: where they are from.
        target: a folder or file that does not exist yet; its parents are created.
        form: a key of FORMATS.
            `folder`: PNG files <split>/<key>.png, and dataset.json where every picture has a label.
            `zip`: what StyleGAN's dataset_tool.py writes: 00000/img00000000.png ..., stored uncompressed, and
            dataset.json with the labels, or null where a picture has none (NVlabs/stylegan3, training/dataset.py).
            `npz`: arrays images uint8 [N, H, W, C], keys, splits, labels int64 [N], identities int64 [N], mirrored
            bool [N], attributes int64 [N, A], landmarks float32 [N, L], licences, authors, label_names,
            attribute_names.
        split: one split, or "all".
        count: at most so many pictures.
        mirrored: mirrored copies too.
        report_progress: called every few pictures.

    Raises:
        ConfigError: the target exists or cannot be made, there is no such split, or the pictures do not fit the
            format. ArtifactError: a shard is damaged, or the disk is full.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format must be one of {', '.join(FORMATS)}, got '{form}'")
    chosen = Selection(dataset, chosen_splits(dataset, split), count, mirrored)
    side = dataset.resolution
    if form == "zip" and target.suffix.lower() != ".zip":
        raise ConfigError(f"--to {target} must end in .zip: StyleGAN goes by the name")
    if form == "zip" and side & (side - 1):
        raise ConfigError(
            f"--format zip is StyleGAN's, which takes sides that are powers of two, and {dataset.path} has "
            f"{side}x{side}; take --format folder or npz, or prepare with another data.resolution"
        )
    with _appearing(target, dataset.path) as draft:
        pictures, labelled = FORMATS[form](chosen, draft, report_progress)
        size_bytes = sum(path.stat().st_size for path in (draft, *draft.rglob("*")) if path.is_file())
    return Export(target, form, pictures, labelled, size_bytes)


@contextlib.contextmanager
def _appearing(target: Path, source: Path) -> Iterator[Path]:
    """Yield a hidden sibling to write; it becomes `target` when the block ends well, and is removed otherwise."""
    _refuse(target, source)
    draft = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"--to {target} cannot be made: {error.strerror}: {error.filename}") from None
    try:
        yield draft
        _refuse(target, source)
        draft.rename(target)
    except OSError as error:
        raise ArtifactError(f"cannot write {target}: {error.strerror or error}; nothing of it is left there") from None
    finally:
        _remove(draft)


def _refuse(target: Path, source: Path) -> None:
    if target.exists() or target.is_symlink():
        raise ConfigError(f"--to {target} exists already; name another place, or delete it first")
    if target.resolve().is_relative_to(source.resolve()):
        raise ConfigError(f"--to {target} lies inside the data set, which must not change; name another place")


def _remove(draft: Path) -> None:
    if draft.is_dir():
        shutil.rmtree(draft, ignore_errors=True)
    else:
        draft.unlink(missing_ok=True)
