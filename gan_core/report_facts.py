"""What a run's report says in words and numbers: findings, times, config, and how values are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from gan_core import charts, lineage
from gan_core.charts import Log
from gan_core.config import SECTIONS
from gan_core.guards import REMEDIES, WINNING_KIMG
from gan_core.handoff import DatasetManifest
from gan_core.recovery import Recovery

_REJECT_EXAMPLES = 3
_DOMINANT_ACCURACY = 0.98
_WORSENED = 1.1


def findings(
    reached_kimg: float,
    total_kimg: float,
    metrics: Log,
    scores: Log,
    stages: Sequence[Mapping[str, Any]],
    progress: Mapping[str, Any] | None = None,
) -> list[str]:
    """Return what a reader should know before trusting the page, most serious first; may be empty.

    Args:
        reached_kimg: how far the training is, thousand real images shown.
        total_kimg: how far it shall go.
        metrics: the training log.
        scores: the log of scores during training.
        stages: rows of `stage_times`.
        progress: what the newest checkpoint says of the training's course, see `watch.Watch` and `recovery.Recovery`.
    """
    course = progress or {}
    ended = {lineage.FAILED: "failed", lineage.INTERRUPTED: "was interrupted"}
    found = [f"The stage “{row['name']}” {ended[row['outcome']]}." for row in stages if row["outcome"] in ended]
    if course.get("stopped_early"):
        found.append(f"Training {course['stopped_early']}.")
    elif 0 < reached_kimg < total_kimg:
        found.append(f"Training is at {reached_kimg:g} of {total_kimg:g} kimg: this page shows an unfinished run.")
    found += _recoveries(course.get("recovery") or {})
    found += _broken_losses(metrics) + _collapse(scores) + _winning(metrics) + _rising_distance(scores)
    if damaged := metrics.damaged + scores.damaged:
        found.append(f"Left out of the logs: {_lines(damaged, 'unreadable ')}.")
    return found


def _broken_losses(metrics: Log) -> list[str]:
    keys = ("loss_g", "loss_d")
    broken = [line for line in metrics.lines if any(math.isnan(charts.number(line, key)) for key in keys)]
    if not broken:
        return []
    first = charts.number(broken[0], "kimg")
    return [f"A loss is not a finite number in {_lines(len(broken))} of the log, first at {first:g} kimg."]


def _recoveries(saved: Mapping[str, Any]) -> list[str]:
    recovery = Recovery.from_json(saved)
    found = [
        f"{one}; training went back to the checkpoint before, with half the learning rates."
        for one in recovery.divergences
    ]
    if recovery.micro_batch:
        parts = f"in parts of {recovery.micro_batch} pictures (train.micro_batch)"
        found.append(f"The device's memory did not suffice for a batch; since then it was worked through {parts}.")
    return found


def _episodes(log: Log, field: str) -> tuple[list[Mapping[str, Any]], str]:
    """Return the lines that have a field, and where they lie: "at 3 kimg" or "in 4 lines from 3 to 9 kimg"."""
    lines = [line for line in log.lines if line.get(field)]
    kimg = [charts.number(line, "kimg") for line in lines]
    if len(lines) < 2:
        return lines, f"at {kimg[0]:g} kimg" if kimg else ""
    return lines, f"in {len(lines)} lines of the log from {kimg[0]:g} to {kimg[-1]:g} kimg"


def _collapse(scores: Log) -> list[str]:
    lines, where = _episodes(scores, "collapsed")
    if not lines:
        return []
    lowest = min(charts.number(line, "diversity") for line in lines)
    return [_sentence(REMEDIES["collapsed"].format(diversity=lowest), where)]


def _winning(metrics: Log) -> list[str]:
    lines, where = _episodes(metrics, "discriminator_wins")
    if not lines:
        return _dominance(metrics)
    return [_sentence(REMEDIES["discriminator_wins"].format(kimg=WINNING_KIMG), where)]


def _sentence(remedy: str, where: str) -> str:
    """Return "At 3 kimg mode collapse: ... ." of a remedy."""
    return f"{where[0].upper()}{where[1:]} {remedy}."


def _dominance(metrics: Log) -> list[str]:
    late = metrics.lines[-max(1, len(metrics.lines) // 5) :]
    accuracies = [charts.number(line, key) for line in late for key in ("accuracy_real", "accuracy_fake")]
    share = sum(accuracies) / len(accuracies) if accuracies else 0.0
    if not share >= _DOMINANT_ACCURACY:
        return []
    return [f"In the last fifth the discriminator was right {share:.0%} of the time: too strong to teach."]


def _rising_distance(scores: Log) -> list[str]:
    values = [(charts.number(line, "swd"), charts.number(line, "kimg")) for line in scores.lines]
    # Before the start nothing is trained, and noise may be nearer than the first faces.
    values = [pair for pair in values if math.isfinite(pair[0]) and pair[1] > 0]
    if not values or values[-1][0] <= _WORSENED * min(values)[0]:
        return []
    (best, when_best), (last, _) = min(values), values[-1]
    return [f"On the way the SWD was best at {when_best:g} kimg ({best:.3g}); it has risen to {last:.3g} since."]


def _lines(count: int, kind: str = "") -> str:
    return f"1 {kind}line" if count == 1 else f"{count} {kind}lines"


def stage_times(log: Log) -> list[dict[str, Any]]:
    """Return one row a stage, in order of appearance: name, started, runs, their seconds, last outcome."""
    rows: dict[str, dict[str, Any]] = {}
    for line in log.lines:
        name = str(line.get("stage", "?"))
        if name == "report":  # the page cannot tell how its own writing ends
            continue
        row = rows.setdefault(name, {"name": name, "seconds": 0.0, "runs": 0, "outcome": "", "started": ""})
        outcome = str(line.get("outcome", ""))
        if outcome == lineage.ALREADY_DONE and row["outcome"] == lineage.DONE:
            continue
        seconds = charts.number(line, "seconds")
        row["seconds"] += 0.0 if math.isnan(seconds) else seconds
        row["runs"] += 1
        row.update(outcome=outcome, started=str(line.get("started", "")))
    return list(rows.values())


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
                    "changed": key not in known or value != known[key].default,
                }
                for key, value in values.items()
            ]
    return sections


def reject_examples(dataset: DatasetManifest) -> dict[str, list[Mapping[str, Any]]]:
    """Return reason -> its first few reject lines, the most frequent reason first."""
    lines = charts.read_log(dataset.path / "rejects.jsonl").lines
    reasons = sorted(dataset.rejects, key=lambda reason: (-dataset.rejects[reason], reason))
    return {reason: [line for line in lines if line.get("reason") == reason][:_REJECT_EXAMPLES] for reason in reasons}


def show(value: Any) -> str:
    """Return a value as a reader wants it: 2048 -> 2,048, lists with commas, a digest's first twelve."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    if isinstance(value, int) or (isinstance(value, float) and abs(value) >= 1000):
        return f"{value:,.0f}"
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {show(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(show, value))
    text = "none" if value is None or value == "" else str(value)
    return text[:12] if len(text) == 64 and set(text) <= set("0123456789abcdef") else text


def show_option(value: Any) -> str:
    """Return a value of the config as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value) or "(empty)"


def show_score(value: Any) -> str:
    """Return a measured number with three digits, also where they are zeros."""
    is_small = isinstance(value, float) and 0.001 < abs(value) < 1000
    return f"{value:#.3g}".removesuffix(".") if is_small else show(value)


def duration(seconds: float) -> str:
    """Return 8.1 -> "8.1 s", 750 -> "12 min 30 s", 11100 -> "3 h 05 min"."""
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"


def when(stamp: str) -> str:
    """Return an ISO 8601 time as "22 November 2026, 02:10 UTC"; other texts as they are."""
    try:
        time = datetime.fromisoformat(stamp).astimezone(UTC)
    except ValueError:
        return stamp
    return f"{time.day} {time:%B %Y, %H:%M} UTC"
