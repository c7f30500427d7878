"""Where a run comes from: its config.json, the log of its stages, and the command that makes it again."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shlex
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from gan_core import artifacts
from gan_core.config import SECTIONS, RunConfig, load_config
from gan_core.errors import ConfigError, Interrupted
from gan_core.paths import path_of
from gan_core.peak_memory import peak_memory

DONE, ALREADY_DONE, FAILED, INTERRUPTED = "done", "already done", "failed", "interrupted"
_LIBRARIES = ("faceloom", "tensorflow", "keras", "apache-beam", "prefect", "numpy", "pillow")


@dataclass
class StageEntry:
    """One line of stages.jsonl in the making: the stage sets `outcome`, and `run_dir` where it comes late.

    `images` counts the pictures that it worked on, None where it counts none or had nothing to do.
    `note` is what a reader should know of it besides, such as why a training ended early.
    """

    stage: str
    attempt: int
    run_dir: Path | None = None
    outcome: str = DONE
    images: int | None = None
    note: str = ""


def versions() -> dict[str, str]:
    """Return the installed versions of what a run depends on, without importing any of it."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def machine() -> dict[str, Any]:
    """Return what the machine is, as far as the standard library knows."""
    return {"host": platform.node(), "system": platform.platform(), "cpus": os.cpu_count()}


def start_run(
    run_dir: Path,
    config: RunConfig,
    run_digest: str,
    dataset_digest: str,
    dataset_path: Path,
    transferred: str = "",
) -> None:
    """Create the run's folder and its config.json, or bring the config in it up to date.

    `transferred` is the digest of the checkpoint that the run begins with, where `train.transfer` names one.
    The file stays as it is, to the byte, while config and data set do: the report's digest covers it.

    Raises:
        ConfigError: the folder cannot be created or written to.
    """
    artifacts.make_folder(run_dir)
    facts: dict[str, Any] = {
        "config": config.to_json(),
        "digest": run_digest,
        "dataset": {"digest": dataset_digest, "path": str(dataset_path)},
    }
    if transferred:
        facts["transfer"] = {"digest": transferred, "path": config.train.transfer}
    saved = read_run(run_dir)
    if saved is None or any(saved.get(key) != value for key, value in facts.items()):
        artifacts.write_json(run_dir / "config.json", {**facts, "created_by": versions(), "machine": machine()})


def read_run(run_dir: Path) -> dict[str, Any] | None:
    """Return the run's config.json, None where it is missing or damaged."""
    try:
        saved = json.loads((run_dir / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return saved if isinstance(saved, dict) and isinstance(saved.get("config"), dict) else None


@contextlib.contextmanager
def recorded(stage: str, attempt: int, run_dir: Path | None = None) -> Iterator[StageEntry]:
    """Time the block and append a line to `run_dir/stages.jsonl`: stage, seconds, start, outcome, attempt, memory."""
    entry = StageEntry(stage, attempt, run_dir)
    started, start = datetime.now(UTC), time.monotonic()
    try:
        yield entry
    except (Interrupted, KeyboardInterrupt):
        entry.outcome = INTERRUPTED
        raise
    except BaseException:
        entry.outcome = FAILED
        raise
    finally:
        if entry.run_dir is not None and entry.run_dir.is_dir():
            line: dict[str, Any] = {
                "stage": stage,
                "seconds": round(time.monotonic() - start, 3),
                "started": started.isoformat(timespec="seconds"),
                "outcome": entry.outcome,
                "attempt": attempt,
                **peak_memory(),
            }
            if entry.images is not None:
                line["images"] = entry.images
            if entry.note:
                line["note"] = entry.note
            with (entry.run_dir / "stages.jsonl").open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")


def read_stages(run_dir: Path) -> list[dict[str, Any]]:
    """Return the lines of stages.jsonl; those that a kill cut short are left out."""
    lines = []
    with contextlib.suppress(OSError):
        for text in (run_dir / "stages.jsonl").read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(text))
    return lines


def command(verb: str, config: RunConfig, data_root: Path | None = None) -> str:
    """Return the shell command that asks for `config`, such as `faceloom train smoke --set train.seed=3`.

    Where the preset was a file of the user's, the command names a file `<preset>.toml`, and sets every value
    that is not faceloom's default.
    """
    source = path_of(config.data.path) if config.data.path else None
    try:
        preset, base = config.preset, load_config(config.preset, source=source)
    except ConfigError:
        preset, base = f"{config.preset}.toml", RunConfig(preset=config.preset)
    words = ["faceloom", verb, preset]
    if source:
        words += ["--source", str(source)]
    if data_root is not None and data_root != Path("data"):
        words += ["--data-root", str(data_root)]
    for section in SECTIONS:
        words += _overrides(section, getattr(base, section), getattr(config, section))
    return shlex.join(words)


def _overrides(section: str, base: Any, config: Any) -> list[str]:
    words = []
    before: Mapping[str, Any] = dataclasses.asdict(base)
    for key, value in dataclasses.asdict(config).items():
        if value != before[key] and (section, key) != ("data", "path"):
            words += ["--set", f"{section}.{key}={_text(value)}"]
    return words


def _text(value: Any) -> str:
    """Return a value as `options.parse` reads it."""
    if isinstance(value, tuple):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)
