"""What a training leaves to look at: metrics.jsonl, snapshot_scores.jsonl, snapshots/, tensorboard/.

A killed run may have logged further than its last checkpoint. On resume, everything past it is cut off, so the files
have neither gaps nor repeats; TensorBoard's events, which cannot be cut, are written again from them.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from gan_core import artifacts


class RunLog:
    """The logs of one run, opened at `images_seen`; 0 is a new start, of which nothing is logged yet."""

    def __init__(self, run_dir: Path, images_seen: int) -> None:
        self.metrics_path = run_dir / "metrics.jsonl"
        self.scores_path = run_dir / "snapshot_scores.jsonl"
        self.snapshots = run_dir / "snapshots"
        artifacts.make_folder(self.snapshots)
        metrics = _cut(self.metrics_path, images_seen)
        scores = _cut(self.scores_path, images_seen)
        shutil.rmtree(run_dir / "tensorboard", ignore_errors=True)
        self._events = tf.summary.create_file_writer(str(run_dir / "tensorboard"))
        for line in (*metrics, *scores):
            self._scalars(line)
        for path in sorted(self.snapshots.glob("[0-9]*.png")):
            if _is_past(int(path.stem), images_seen):
                path.unlink()
            else:
                with Image.open(path) as picture:
                    self._picture(int(path.stem), picture)

    def metrics(self, figures: Mapping[str, float]) -> None:
        """Append a line of losses and rates; `figures` has `images`."""
        self._append(self.metrics_path, figures)

    def score(self, figures: Mapping[str, float]) -> None:
        """Append a line of scores; `figures` has `images`."""
        self._append(self.scores_path, figures)

    def snapshot(self, images_seen: int, picture: Image.Image) -> None:
        """Write the fixed-latent grid after `images_seen` images."""
        path = self.snapshots / f"{images_seen:012d}.png"
        temporary = path.with_name(f".{path.name}")
        picture.save(temporary, format="png")
        temporary.replace(path)
        self._picture(images_seen, picture)

    def _append(self, path: Path, figures: Mapping[str, float]) -> None:
        line = {"kimg": figures["images"] / 1000, **figures}
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self._scalars(line)

    def _scalars(self, line: Mapping[str, float]) -> None:
        with self._events.as_default(step=int(line["images"])):
            for name, value in line.items():
                if name not in {"kimg", "images"}:
                    tf.summary.scalar(name, value)
        self._events.flush()

    def _picture(self, images_seen: int, picture: Image.Image) -> None:
        with self._events.as_default(step=images_seen):
            tf.summary.image("fixed latents", np.asarray(picture.convert("RGB"))[None])
        self._events.flush()


def forget_snapshot(run_dir: Path, images_seen: int) -> None:
    """Drop the score after `images_seen` images and later ones: that snapshot is taken again. Images are above 1."""
    _cut(run_dir / "snapshot_scores.jsonl", images_seen - 1)


def _is_past(images: float, images_seen: int) -> bool:
    return images > images_seen or images_seen == 0


def _cut(path: Path, images_seen: int) -> list[dict[str, float]]:
    """Drop the lines past `images_seen`, and a line that a kill cut short; return the others."""
    if not path.exists():
        return []
    kept = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            break
        if _is_past(line["images"], images_seen):
            break
        kept.append(line)
    artifacts.replace_file(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
    return kept
