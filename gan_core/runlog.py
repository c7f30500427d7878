"""What a training leaves to look at: metrics.jsonl, snapshot_scores.jsonl, snapshots/, training.gif, tensorboard/.

A killed run may have logged further than its last checkpoint. On resume, everything past it is cut off, so the files
have neither gaps nor repeats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from PIL import Image

from gan_core import artifacts, events
from gan_core.film import Film

FIXED, REAL = "fixed latents", "real pictures"


class RunLog:
    """The logs of one run, opened at `images_seen`; 0 is a new start, of which nothing is logged yet."""

    def __init__(self, run_dir: Path, images_seen: int) -> None:
        self.metrics_path = run_dir / "metrics.jsonl"
        self.scores_path = run_dir / "snapshot_scores.jsonl"
        self.snapshots = run_dir / "snapshots"
        artifacts.make_folder(self.snapshots)
        metrics = _cut(self.metrics_path, images_seen)
        scores = _cut(self.scores_path, images_seen)
        self._events = events.Events(run_dir / "tensorboard", images_seen)
        self._film = Film(run_dir)
        self._cut_snapshots(images_seen)
        if not self._events.tags:
            self._write_events_again([*metrics, *scores])

    @property
    def shows_real(self) -> bool:
        """Whether TensorBoard has the real pictures."""
        return REAL in self._events.tags

    def metrics(self, figures: Mapping[str, float]) -> None:
        """Append a line of losses and rates; `figures` has `images`."""
        self._append(self.metrics_path, figures)

    def score(self, figures: Mapping[str, float]) -> None:
        """Append a line of scores; `figures` has `images`."""
        self._append(self.scores_path, figures)

    def snapshot(
        self, images_seen: int, picture: Image.Image, distributions: Mapping[str, npt.NDArray[Any]] | None = None
    ) -> None:
        """Write the fixed-latent grid after `images_seen` images, the film with it, and histograms by tag."""
        path = self.snapshots / f"{images_seen:012d}.png"
        temporary = path.with_name(f".{path.name}")
        picture.save(temporary, format="png")
        temporary.replace(path)
        found = [events.histogram(tag, numbers) for tag, numbers in (distributions or {}).items()]
        self._events.add(images_seen, events.picture(FIXED, picture), *found)
        self._film.show(self._snapshots())

    def real(self, picture: Image.Image) -> None:
        """Show a grid of real pictures in TensorBoard, for comparison: once in a run."""
        self._events.add(0, events.picture(REAL, picture))

    def _append(self, path: Path, figures: Mapping[str, float]) -> None:
        line = {"kimg": figures["images"] / 1000, **figures}
        with path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self._scalars(line)

    def _scalars(self, line: Mapping[str, float]) -> None:
        values = [events.scalar(name, value) for name, value in line.items() if name not in {"kimg", "images"}]
        self._events.add(int(line["images"]), *values)

    def _snapshots(self) -> list[Path]:
        return sorted(self.snapshots.glob("[0-9]*.png"))

    def _cut_snapshots(self, images_seen: int) -> None:
        past = [path for path in self._snapshots() if _is_past(int(path.stem), images_seen)]
        for path in past:
            path.unlink()
        if past:
            self._film.show(self._snapshots())

    def _write_events_again(self, lines: list[dict[str, float]]) -> None:
        """Fill TensorBoard's empty folder from the other logs. Its histograms were nowhere else."""
        for line in lines:
            self._scalars(line)
        for path in self._snapshots():
            with Image.open(path) as picture:
                self._events.add(int(path.stem), events.picture(FIXED, picture))


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
