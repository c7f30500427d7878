"""What a run is doing, from the files that its training leaves: nothing is locked, no TensorFlow imported."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flows.following import Tail
from gan_core import artifacts, lineage
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError, ConfigError

WAITING, TRAINING, SILENT = "waiting", "training", "silent"
FINISHED, FAILED, INTERRUPTED, STOPPED = "finished", "failed", "interrupted", "stopped"
ENDED = (FINISHED, FAILED, INTERRUPTED, STOPPED)

_SILENT_SECONDS = 60.0
_SILENT_LINES = 10  # so many intervals of the log without a line
_RATE_LINES = 10
_UNTIL_TRAINED = ("ingest", "prepare", "train")
_NOT_A_MEASURE = ("kimg", "images", "n", "seconds")


@dataclass(frozen=True)
class State:
    """How a run stands at one moment. Numbers that nobody has written yet are None or empty."""

    name: str
    path: str
    preset: str
    device: str
    state: str
    detail: str
    images: int
    images_total: int
    images_per_second: float | None
    seconds_left: float | None
    seconds_since_line: float | None
    figures: Mapping[str, float] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    snapshot: str = ""


def find_run(data_root: Path, name: str | None) -> Path:
    """Return the run that is meant: a name, the beginning of one, or a folder; None is the newest.

    Of several that begin so, it is the one that was worked on last.

    Raises:
        ConfigError: there is none.
    """
    folder = data_root / "runs"
    runs = [path for path in folder.glob("*") if path.is_dir() and not path.name.startswith(".")]
    if name is not None and (folder / name).is_dir():
        return folder / name
    if name is not None and Path(name).is_dir():
        return Path(name)
    meant = [path for path in runs if path.name.startswith(name or "")]
    if meant:
        return max(meant, key=lambda path: (_worked_on(path), path.name))
    if not runs:
        raise ConfigError(f"no runs below {data_root}; make one with: faceloom run smoke --data-root {data_root}")
    raise ConfigError(f"no run begins with '{name}'; known: {', '.join(sorted(path.name for path in runs))}")


class Watch:
    """One run, looked at again and again."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.metrics = Tail(run_dir / "metrics.jsonl")
        self.scores = Tail(run_dir / "snapshot_scores.jsonl")

    def read(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int | None]:
        """Return what is new in metrics and scores, and the images to which a resume cut them, None without one."""
        before = self.metrics.lines
        metrics, metrics_cut = self.metrics.read()
        scores, scores_cut = self.scores.read()
        if not metrics_cut and not scores_cut:
            return metrics, scores, None
        kept = len(self.metrics.lines) - len(metrics) if metrics_cut else len(before)
        return metrics, scores, int(before[kept - 1].get("images", 0)) if kept else 0

    def state(self) -> State:
        """Return how the run stands by what was read."""
        saved = lineage.read_run(self.run_dir) or {"config": {}}
        total, log_images = _lengths(saved["config"])
        figures = {key: value for key, value in (self.metrics.lines or [{}])[-1].items() if _is_number(value)}
        saved_images = _saved_images(self.run_dir)
        images = max(int(figures.get("images", 0)), saved_images)
        rate = _rate(self.metrics.lines)
        waited = _seconds_since(self.metrics.path) if self.metrics.lines else None
        patience = max(_SILENT_SECONDS, _SILENT_LINES * log_images / rate if rate else 0.0)
        state, detail = judged(self.run_dir, saved_images >= total > 0, waited, patience)
        process = _process(self.run_dir)
        snapshots = sorted((self.run_dir / "snapshots").glob("[0-9]*.png"))
        return State(
            name=self.run_dir.name,
            path=str(self.run_dir),
            preset=str(saved["config"].get("preset", "")),
            device=_device(process, saved),
            state=state,
            detail=detail,
            images=images,
            images_total=total,
            images_per_second=rate,
            seconds_left=(total - images) / rate if rate and images < total else None,
            seconds_since_line=waited,
            figures=figures,
            scores=_best_and_last(self.scores.lines),
            snapshot=str(snapshots[-1]) if snapshots else "",
        )


def judged(run_dir: Path, is_complete: bool, waited: float | None, patience: float) -> tuple[str, str]:
    """Return the state of a run's training, and a sentence on it.

    Args:
        run_dir: the run.
        is_complete: whether there is a checkpoint of its end.
        waited: seconds since the last line of its log, None where there is none.
        patience: so many seconds without a line are silence.
    """
    if is_training(run_dir):
        if waited is not None and waited > patience:
            return SILENT, f"the training process is there, but its log has had no line for {waited:.0f} s"
        return TRAINING, "" if waited is not None else "no line yet: the first step takes longest"
    lines = [line for line in lineage.read_stages(run_dir) if isinstance(line, dict)]
    until_trained = [line for line in lines if line.get("stage") in _UNTIL_TRAINED]
    stage, outcome = (
        (str(until_trained[-1].get(key, "")) for key in ("stage", "outcome")) if until_trained else ("", "")
    )
    if outcome == lineage.FAILED:
        return FAILED, f"{stage} failed; the command that started it says why, and the same command continues"
    if outcome == lineage.INTERRUPTED:
        return INTERRUPTED, f"{stage} was interrupted; the same command continues"
    if is_complete:
        return FINISHED, "the training is finished"
    if waited is None:
        return WAITING, "the training has not begun"
    if min(waited, time.time() - _worked_on(run_dir)) <= patience:
        return TRAINING, ""
    return STOPPED, f"no process trains this run, and its log has had no line for {waited:.0f} s: it was killed"


def is_training(run_dir: Path) -> bool:
    """Whether a process of this machine holds the run's training lock. To try it would be to lock a training out."""
    try:
        wanted = (run_dir / ".training.lock").stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return _is_alive(_process(run_dir))
    # "1: FLOCK  ADVISORY  WRITE 1234 00:2d:5678 0 EOF"
    fields = [line.split() for line in locks]
    return any(words[1] == "FLOCK" and words[5].rsplit(":", 1)[-1] == str(wanted) for words in fields)


def _is_alive(process: Mapping[str, Any]) -> bool:
    pid = process.get("pid")
    if not isinstance(pid, int) or process.get("host") != lineage.machine()["host"]:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _process(run_dir: Path) -> dict[str, Any]:
    """Return what training.json says of the process that trains, or trained."""
    try:
        found = json.loads((run_dir / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _device(process: Mapping[str, Any], saved: Mapping[str, Any]) -> str:
    if not process:
        return ""
    cpus = saved.get("machine", {}).get("cpus")
    device = f"CPU ({cpus} cores)" if process.get("device") == "CPU" and cpus else str(process.get("device", ""))
    return f"{device}, {process['precision']}, on {process.get('host', '?')}" if "precision" in process else device


def _lengths(config: Mapping[str, Any]) -> tuple[int, float]:
    """Return the images to be shown, and those between two lines of the log; 0 where the config cannot be read."""
    try:
        train = RunConfig.from_json(config).train
    except (ConfigError, AttributeError, KeyError, TypeError, ValueError):
        return 0, 0.0
    return train.total_steps * train.batch_size, max(train.batch_size, train.log_every_kimg * 1000)


def _saved_images(run_dir: Path) -> int:
    """Return the images of the newest checkpoint: a finished run may have lost its log."""
    for folder in sorted((run_dir / "checkpoints").glob("[0-9]*"), reverse=True):
        try:
            return int(artifacts.read_manifest(folder, "checkpoint").fields["images_seen"])
        except (ArtifactError, KeyError, TypeError, ValueError):
            continue
    return 0


def _rate(lines: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the images per second over the last lines, None before the first."""
    shares = [line["images_per_second"] for line in lines[-_RATE_LINES:] if _is_number(line.get("images_per_second"))]
    shares = [share for share in shares if share > 0]
    # Lines are as many images apart: the mean of the times, not of the rates.
    return len(shares) / sum(1 / share for share in shares) if shares else None


def _best_and_last(lines: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return measure -> last value and where it was best, in kimg; less is better for those with a floor.

    What is not trained yet, at 0 kimg, is not the best.
    """
    found: dict[str, dict[str, float]] = {}
    names = dict.fromkeys(key for line in lines for key in line)
    for name in names:
        points = [(line[name], line.get("kimg", 0.0)) for line in lines if _is_number(line.get(name))]
        if name in _NOT_A_MEASURE or name.endswith("_floor") or not points:
            continue
        found[name] = {"last": points[-1][0], "last_kimg": points[-1][1]}
        floors = [line[f"{name}_floor"] for line in lines if _is_number(line.get(f"{name}_floor"))]
        trained = [point for point in points if point[1] > 0]
        if floors and trained:
            best, best_kimg = min(trained)
            found[name] |= {"best": best, "best_kimg": best_kimg, "floor": floors[-1]}
    return found


def _worked_on(run_dir: Path) -> float:
    names = ("metrics.jsonl", "stages.jsonl", "training.json", "config.json")
    return max((path.stat().st_mtime for name in names if (path := run_dir / name).is_file()), default=0.0)


def _seconds_since(path: Path) -> float:
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
