"""What a run's report says in tables: times of stages, configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from gan_core import lineage
from gan_core.config import SECTIONS
from gan_core.report.logs import Log, number

_PEAKS = {"memory_mib": "peak_memory_mib", "device_memory_mib": "device_peak_memory_mib"}


def stage_times(log: Log) -> list[dict[str, Any]]:
    """Return one row a stage, in order of appearance: name, started, runs, their seconds, last outcome.

    `images_per_second` is over all attempts that counted pictures, `memory_mib` and `device_memory_mib` the most that
    any attempt took; NaN where none noted it.
    """
    rows: dict[str, dict[str, Any]] = {}
    for line in log.lines:
        name = str(line.get("stage", "?"))
        if name == "report":  # the page cannot tell how its own writing ends
            continue
        row = rows.setdefault(name, {"name": name, "seconds": 0.0, "runs": 0, "outcome": "", "started": ""})
        outcome = str(line.get("outcome", ""))
        if outcome == lineage.ALREADY_DONE and row["outcome"] == lineage.DONE:
            continue
        seconds = number(line, "seconds")
        row["seconds"] += 0.0 if math.isnan(seconds) else seconds
        row["runs"] += 1
        row.update(outcome=outcome, started=str(line.get("started", "")))
        _add_costs(row, line)
    for row in rows.values():
        images, seconds = row.pop("images"), row.pop("counted_seconds")
        row["images_per_second"] = images / seconds if seconds else math.nan
    return list(rows.values())


def _add_costs(row: dict[str, Any], line: Mapping[str, Any]) -> None:
    for name, key in _PEAKS.items():
        found = [x for x in (row.get(name, math.nan), number(line, key)) if math.isfinite(x)]
        row[name] = max(found, default=math.nan)
    images, seconds = number(line, "images"), number(line, "seconds")
    is_counted = math.isfinite(images) and math.isfinite(seconds)
    row["images"] = row.get("images", 0.0) + (images if is_counted else 0.0)
    row["counted_seconds"] = row.get("counted_seconds", 0.0) + (seconds if is_counted else 0.0)


def config_sections(saved: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return section -> rows of key, value, default and help; unknown keys have no default."""
    sections: dict[str, list[dict[str, Any]]] = {}
    for name, values in saved.items():
        if isinstance(values, Mapping):
            known = {field.name: field for field in fields(SECTIONS[name])} if name in SECTIONS else {}
            sections[name] = [
                {
                    "key": key,
                    "value": value,
                    "default": known[key].default if key in known else None,
                    "help": known[key].metadata["help"] if key in known else "",
                    "changed": key not in known or _plain(value) != _plain(known[key].default),
                }
                for key, value in values.items()
            ]
    return sections


def _plain(value: Any) -> Any:
    """Return a value as JSON keeps it: lists for tuples."""
    return list(value) if isinstance(value, tuple) else value
