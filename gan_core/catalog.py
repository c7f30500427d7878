"""What is known of a run from its manifests and logs alone: for listings and for the index page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_core import artifacts, checkpoints, lineage
from gan_core.config import RunConfig
from gan_core.errors import ArtifactError, ConfigError


def run_folders(data_root: Path) -> list[Path]:
    """Return the folders of all runs below the data root; hidden ones are drafts."""
    folder = data_root / "runs"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def describe(run_dir: Path) -> dict[str, Any]:
    """Return what is known of one run; `problem` says what is damaged, else it is empty."""
    run: dict[str, Any] = {"name": run_dir.name, "path": str(run_dir), "problem": "", "date": ""}
    run |= {"preset": "", "images_seen": 0, "images_total": 0, "scores": {}, "report": "", "state": "damaged"}
    run["stopped_early"] = ""
    saved = lineage.read_run(run_dir)
    if saved is None:
        return run | {"problem": "config.json is missing or damaged"}
    run["preset"] = saved["config"].get("preset", "")
    try:
        train = RunConfig.from_json(saved["config"]).train
        run["images_total"] = train.total_steps * train.batch_size
    except (ConfigError, AttributeError, TypeError, ValueError) as error:
        run["problem"] = f"config.json is not one of this version: {error}"
    try:
        run |= _progress(run_dir)
    except (ArtifactError, AttributeError, KeyError, TypeError, ValueError) as error:
        run["problem"] = str(error)
    stages = [line for line in lineage.read_stages(run_dir) if isinstance(line, dict)]
    run["date"] = str(stages[-1].get("started", "")) if stages else ""
    return run | {"state": _state(run, stages)}


def _progress(run_dir: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    folders = sorted((run_dir / "checkpoints").glob("[0-9]*"))
    if folders:
        newest = artifacts.read_manifest(folders[-1], "checkpoint")
        found |= {"images_seen": int(newest.fields["images_seen"]), "stopped_early": checkpoints.stopped_early(newest)}
    if (run_dir / "scores").is_dir():
        values = artifacts.read_manifest(run_dir / "scores", "scores").fields["values"]
        found["scores"] = {name: facts["value"] for name, facts in values.items()}
    if (run_dir / "report").is_dir():
        found["report"] = str(artifacts.read_manifest(run_dir / "report", "report").path / "index.html")
    return found


def _state(run: Mapping[str, Any], stages: list[dict[str, Any]]) -> str:
    if run["problem"]:
        return "damaged"
    if stages and stages[-1].get("outcome") in (lineage.FAILED, lineage.INTERRUPTED):
        return f"{stages[-1].get('stage')} {stages[-1]['outcome']}"
    if run["images_seen"] < run["images_total"] and not run["stopped_early"]:
        return "training" if run["images_seen"] else "prepared"
    return "reported" if run["report"] else "trained"
