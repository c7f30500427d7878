"""Who is compared: each is a whole command, and a way to see that it did all of its work."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pictures import Input
from gan_core.records import read_records


@dataclass(frozen=True)
class Task:
    """What is asked of every contender.

    Attributes:
        pictures: the input.
        preset: that of faceloom.
        crop: a named crop, for the loops; the preset's own.
        side: of the result, pixels.
        options: more of faceloom's `section.key=value`.
    """

    pictures: Input
    preset: str = "celeba64"
    crop: str = "celeba-148"
    side: int = 64
    options: Sequence[str] = ()


@dataclass(frozen=True)
class DatasetTool:
    """Where StyleGAN3's dataset_tool.py is, and which Python has what it imports."""

    script: Path
    python: Path


@dataclass(frozen=True)
class Outcome:
    """What a command has left: records or pictures, and their bytes."""

    pictures: int
    size_bytes: int


@dataclass(frozen=True)
class Contender:
    """A command that prepares pictures. `command` gets the task and a path that does not exist yet."""

    about: str
    command: Callable[[Task, Path], list[str]]
    outcome: Callable[[Path], Outcome]


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def contenders(tool: DatasetTool | None) -> dict[str, Contender]:
    """Return all of them by name; without `tool` there is no dataset_tool."""
    known = {
        "loop": Contender("one process of the Pillow loop", _loop(1), _records),
        "limit": Contender(f"{cores()} processes of the same loop", _loop(cores()), _records),
        "limit-scaled": Contender(
            f"{cores()} processes of the same loop, libjpeg decoding at a fraction of the size",
            _loop(cores(), "--scaled-decode"),
            _records,
        ),
        "faceloom": Contender("faceloom prepare", _faceloom, _data_set),
    }
    if tool is not None:
        known["dataset_tool"] = Contender("StyleGAN3's dataset_tool.py, to a zip", _dataset_tool(tool), _zip)
    return known


def _loop(processes: int, *more: str) -> Callable[[Task, Path], list[str]]:
    def command(task: Task, out: Path) -> list[str]:
        asked = ["--crop", task.crop, "--resolution", str(task.side), "--processes", str(processes), *more]
        return [sys.executable, "-m", "benchmarks.pillow_loop", str(task.pictures.folder), str(out), *asked]

    return command


def _faceloom(task: Task, out: Path) -> list[str]:
    command = [str(Path(sys.executable).with_name("faceloom")), "prepare", task.preset]
    command += ["--source", str(task.pictures.source), "--data-root", str(out)]
    for option in (f"data.resolution={task.side}", *task.options):
        command += ["--set", option]
    return command


def _dataset_tool(tool: DatasetTool) -> Callable[[Task, Path], list[str]]:
    def command(task: Task, out: Path) -> list[str]:
        paths = [f"--source={task.pictures.folder}", f"--dest={out / 'dataset.zip'}"]
        asked = ["--transform=center-crop", f"--resolution={task.side}x{task.side}"]
        return [str(tool.python), str(tool.script), *paths, *asked]

    return command


def _records(out: Path) -> Outcome:
    paths = list(out.glob("*.tfrecord"))
    return Outcome(sum(1 for path in paths for _ in read_records(path)), sum(path.stat().st_size for path in paths))


def _data_set(out: Path) -> Outcome:
    (manifest,) = out.glob("datasets/*/manifest.json")
    shards = list(manifest.parent.glob("*.tfrecord"))
    counted = sum(shard["count"] for split in json.loads(manifest.read_text())["splits"].values() for shard in split)
    return Outcome(counted, sum(path.stat().st_size for path in shards))


def _zip(out: Path) -> Outcome:
    with zipfile.ZipFile(out / "dataset.zip") as archive:
        pictures = [entry for entry in archive.infolist() if entry.filename.endswith(".png")]
    return Outcome(len(pictures), sum(entry.file_size for entry in pictures))
