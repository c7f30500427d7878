"""What a reader should know before trusting a run's page, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gan_core import lineage
from gan_core.guards import REMEDIES, WINNING_KIMG
from gan_core.recovery import Recovery
from gan_core.report.logs import Log, number

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
    broken = [line for line in metrics.lines if any(math.isnan(number(line, key)) for key in keys)]
    if not broken:
        return []
    first = number(broken[0], "kimg")
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
    kimg = [number(line, "kimg") for line in lines]
    if len(lines) < 2:
        return lines, f"at {kimg[0]:g} kimg" if kimg else ""
    return lines, f"in {len(lines)} lines of the log from {kimg[0]:g} to {kimg[-1]:g} kimg"


def _collapse(scores: Log) -> list[str]:
    lines, where = _episodes(scores, "collapsed")
    if not lines:
        return []
    lowest = min(number(line, "diversity") for line in lines)
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
    accuracies = [number(line, key) for line in late for key in ("accuracy_real", "accuracy_fake")]
    share = sum(accuracies) / len(accuracies) if accuracies else 0.0
    if not share >= _DOMINANT_ACCURACY:
        return []
    return [f"In the last fifth the discriminator was right {share:.0%} of the time: too strong to teach."]


def _rising_distance(scores: Log) -> list[str]:
    values = [(number(line, "swd"), number(line, "kimg")) for line in scores.lines]
    # Before the start nothing is trained, and noise may be nearer than the first faces.
    values = [pair for pair in values if math.isfinite(pair[0]) and pair[1] > 0]
    if not values or values[-1][0] <= _WORSENED * min(values)[0]:
        return []
    (best, when_best), (last, _) = min(values), values[-1]
    return [f"On the way the SWD was best at {when_best:g} kimg ({best:.3g}); it has risen to {last:.3g} since."]


def _lines(count: int, kind: str = "") -> str:
    return f"1 {kind}line" if count == 1 else f"{count} {kind}lines"
