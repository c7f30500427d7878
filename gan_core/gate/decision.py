"""The decision: a pure function of measured numbers, with a reason for each check."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_core.sections import RetrainConfig


@dataclass(frozen=True)
class Check:
    """One question to a candidate.

    Attributes:
        check: files, comparable, better, memorisation or collapse.
        passed: whether it stands in the way of a promotion.
        text: the numbers and the limit, in words.
    """

    check: str
    passed: bool
    text: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"check": self.check, "passed": self.passed, "text": self.text}


def better(name: str, candidate: Mapping[str, Any], blessed: Mapping[str, Any], errors: float) -> Check:
    """Say whether the candidate's score is better by more than the noise.

    The two sets of generated pictures are independent, so the standard error of the difference is sqrt(e1^2 + e2^2).

    Models that have much in common draw alike from the same seeds: the difference is less noisy then than assumed, and
    the gate stricter.

    Args:
        name: of the measure.
        candidate: value, error, floor, unit, better, measured under the same protocol as that of `blessed`.
        blessed: likewise.
        errors: standard errors that the gain must exceed.
    """
    mine, its = candidate.get("value"), blessed.get("value")
    if mine is None or its is None or not (math.isfinite(mine) and math.isfinite(its)):
        return Check("better", False, f"{name} could not be measured")
    match candidate.get("better"):
        case "lower":
            gain = its - mine
        case "higher":
            gain = mine - its
        case _:  # near floor
            floor = candidate.get("floor") or 0.0
            gain = abs(its - floor) - abs(mine - floor)
    error = math.hypot(candidate.get("error") or 0.0, blessed.get("error") or 0.0)
    passed = gain > errors * error
    said = f"{name} {_number(candidate)} against {_number(blessed)} of the blessed one"
    verdict = "better by" if gain > 0 else "worse by"
    need = f"needed: more than {errors:g} standard errors, {errors * error:.3g}"
    return Check("better", passed, f"{said}: {verdict} {abs(gain):.3g}, {need}")


def memorisation(scores: Mapping[str, Mapping[str, Any]], limit: float) -> Check:
    """Say whether more generated pictures than real ones lie closer to a training picture than its neighbours do.

    `authenticity` is the share that does not; what it lacks to that of real pictures is the share that was memorised.
    """
    facts = scores.get("authenticity", {})
    value, floor = facts.get("value"), facts.get("floor")
    if value is None or floor is None:
        return Check("memorisation", False, "authenticity was not measured, so copies cannot be excluded")
    share = max(0.0, floor - value)
    return Check("memorisation", share <= limit, f"{share:.1%} of the samples look memorised, {limit:.1%} is the limit")


def collapse(scores: Mapping[str, Mapping[str, Any]], limit: float) -> Check:
    """Say whether samples look alike: how far MS-SSIM between them went from that of real pictures towards 1."""
    facts = scores.get("ms_ssim", {})
    value, floor = facts.get("value"), facts.get("floor")
    if value is None or floor is None:
        return Check("collapse", False, "the likeness among samples was not measured, so a collapse cannot be excluded")
    share = max(0.0, (value - floor) / max(1e-9, 1.0 - floor))
    text = f"samples are {share:.1%} of the way from real variety to one single picture, {limit:.1%} is the limit"
    return Check("collapse", share <= limit, text)


def decide(
    config: RetrainConfig,
    scores: Mapping[str, Mapping[str, Any]],
    files: Check,
    compared: Check | None,
) -> dict[str, Any]:
    """Return {"promote", "summary", "reasons"}: promoted only if every check passes.

    Args:
        config: the limits.
        scores: of the candidate, by the stage `evaluate`.
        files: whether all its files verify.
        compared: `better`, or why that cannot be said; None where no model is blessed yet.
    """
    checks = [files, memorisation(scores, config.max_memorised), collapse(scores, config.max_collapse)]
    if compared is not None:
        checks.append(compared)
    failed = [check for check in checks if not check.passed]
    if failed:
        summary = "not promoted: " + "; ".join(check.text for check in failed)
    elif compared is None:
        summary = "promoted: the first one, and every check that needs no other passed"
    else:
        summary = f"promoted: {compared.text}"
    return {"promote": not failed, "summary": summary, "reasons": [check.to_json() for check in checks]}


def _number(facts: Mapping[str, Any]) -> str:
    error = facts.get("error")
    return f"{facts['value']:.4g}" if error is None else f"{facts['value']:.4g} ± {error:.2g}"
