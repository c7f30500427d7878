"""What two flow runs left in a data root: stages, when each had the GPU, and the bytes that must not differ."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from gan_core import artifacts, lineage

GPU_STAGES = ("train", "sample", "evaluate", "judge", "promote")
MIDDLE_IMAGES = 6_000  # of the 24,000 that tests/postgres/team.py asks for
# Not compared: they say when and where things were made.
_TIMES = ("manifest.json", "config.json", "stages.jsonl", "metrics.jsonl", "training.json")
_COMPARED = ("datasets/**/*.tfrecord", "runs/*/checkpoints/**/*", "runs/*/samples/**/*", "runs/*/snapshots/**/*")
# stages.jsonl has whole seconds for the start.
_ROUNDED_SECONDS = 1.0


@dataclass(frozen=True)
class DataRoot:
    """A data root in which runs of one preset with different seeds are made."""

    path: Path

    def run(self, seed: int) -> Path | None:
        """Return the folder of the run whose training has this seed; None while there is none."""
        for path in self.path.glob("runs/*/config.json"):
            if (found := lineage.read_run(path.parent)) and found["config"]["train"]["seed"] == seed:
                return path.parent
        return None

    def stages(self, seed: int, outcome: str = lineage.DONE) -> Counter[str]:
        """Return how often each stage of a run ended in this way."""
        run = self.run(seed)
        lines = lineage.read_stages(run) if run else []
        return Counter(line["stage"] for line in lines if line["outcome"] == outcome)

    def checkpoints(self, seed: int) -> int:
        """Return after how many images the newest checkpoint was published; 0 while there is none."""
        run = self.run(seed)
        found = sorted(run.glob("checkpoints/[0-9]*/manifest.json")) if run else []
        return int(found[-1].parent.name) if found else 0

    def is_training(self, seed: int) -> bool:
        """Return whether a training is in its middle."""
        return self.checkpoints(seed) >= MIDDLE_IMAGES and not self.stages(seed)["train"]

    def trained_images(self, seed: int) -> list[int]:
        """Return how many images each execution of the training has shown."""
        run = self.run(seed)
        return [line["images"] for line in lineage.read_stages(run or self.path) if line["stage"] == "train"]

    def overlaps(self) -> list[str]:
        """Return the pairs of GPU stages, of all runs, that ran at the same time."""
        spans = sorted(self._spans())
        return [
            f"{before} and {after}"
            for (_, end, before), (start, _, after) in pairwise(spans)
            if start + _ROUNDED_SECONDS < end
        ]

    def digests(self) -> dict[str, str]:
        """Return path -> SHA-256 of every shard, checkpoint, sample and snapshot.

        Raises:
            ArtifactError: a published folder's files are not those of its manifest.
        """
        for manifest in self.path.glob("runs/*/*/manifest.json"):
            kind = json.loads(manifest.read_text())["kind"]
            artifacts.verify(artifacts.read_manifest(manifest.parent, kind))
        found = {path for pattern in _COMPARED for path in self.path.glob(pattern) if path.is_file()}
        return {
            str(path.relative_to(self.path)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(found)
            if path.name not in _TIMES
        }

    def scores(self, seed: int) -> dict[str, Any]:
        """Return the value of each measure."""
        run = self.run(seed)
        assert run is not None, "the run was made"
        found = artifacts.read_manifest(run / "scores", "scores").fields["values"]
        return {name: facts["value"] for name, facts in found.items()}

    def _spans(self) -> Iterator[tuple[float, float, str]]:
        for run in self.path.glob("runs/*"):
            for line in lineage.read_stages(run) if run.is_dir() else []:
                start = datetime.fromisoformat(line["started"]).timestamp()
                if line["stage"] in GPU_STAGES:
                    yield start, start + line["seconds"], f"{line['stage']} of {run.name}"
