"""The scores of a run as the page shows them: with error, floor, protocol, and where they lie on a scale."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_core.artifacts import Manifest
from gan_core.report.explanations import Explanation, explanation
from gan_core.report.logs import number

_HEADLINES = 4
_COUNTS = {"generated_count": "generated", "real_count": "real", "floor_count": "other real for the floor"}
_SHOWN_ELSEWHERE = {"parameters", "note", *_COUNTS}


@dataclass(frozen=True)
class Score:
    """One measure. Numbers are NaN where the scores have none.

    Attributes:
        error, floor_error: standard errors.
        protocol: what the number depends on, name -> JSON value; `counts` apart: "512 generated" and so on.
    """

    key: str
    words: Explanation
    value: float
    error: float
    floor: float
    floor_error: float
    unit: str
    better: str
    note: str
    warnings: tuple[str, ...]
    parts: Mapping[str, Mapping[str, float]]
    counts: Mapping[str, Any]
    protocol: Mapping[str, Any]
    fingerprint: str

    @property
    def own_unit(self) -> str:
        """Return the unit where it says more than the measure's name: "x1000" of "SWD x1000"."""
        return self.unit.removeprefix(self.words.short).strip()

    @property
    def scale(self) -> dict[str, float] | None:
        """Return where value, its error and the floor lie, in percent of a scale from 0; None without both."""
        if not (math.isfinite(self.value) and math.isfinite(self.floor)):
            return None
        error = self.error if math.isfinite(self.error) else 0.0
        ends = [0.0, self.value - error, self.value + error, self.floor]
        low, high = min(ends), max(ends)
        if high <= low:
            return None

        def at(value: float) -> float:
            return round(96 * (value - low) / (high - low) + 2, 2)

        return {
            "value": at(self.value),
            "low": at(self.value - error),
            "high": at(self.value + error),
            "floor": at(self.floor),
        }


def read_scores(scores: Manifest | None) -> list[Score]:
    """Return the measures in their order of importance; what is no measure is left out."""
    values = scores.fields.get("values") if scores else None
    common = scores.fields.get("protocol") if scores else None
    if not isinstance(values, Mapping):
        return []
    shared = common if isinstance(common, Mapping) else {}
    return [_score(str(key), facts, shared) for key, facts in values.items() if isinstance(facts, Mapping)]


def headlines(found: list[Score]) -> list[Score]:
    """Return the first measures that have a value: what the top of the page shows."""
    return [score for score in found if math.isfinite(score.value)][:_HEADLINES]


def memorised_share(found: list[Score]) -> tuple[float, float]:
    """Return which share of samples is closer to a training picture than that one's own neighbour, and of real ones.

    From the measure "authenticity", which is a share or a percentage; NaN where there is none.
    """
    for score in found:
        if score.key == "authenticity":
            whole = 100.0 if "%" in score.unit else 1.0
            return 1 - score.value / whole, 1 - score.floor / whole
    return math.nan, math.nan


def per_class(scores: Manifest | None) -> tuple[list[str], dict[str, dict[str, dict[str, float]]]]:
    """Return the measures that any class has, and class -> measure -> {"value", "error", "floor"}."""
    saved = scores.fields.get("per_class") if scores else None
    if not isinstance(saved, Mapping):
        return [], {}
    classes = {
        str(name): {str(key): _numbers(facts) for key, facts in measures.items() if isinstance(facts, Mapping)}
        for name, measures in saved.items()
        if isinstance(measures, Mapping)
    }
    keys = dict.fromkeys(key for measures in classes.values() for key in measures)
    return list(keys), classes


def _score(key: str, facts: Mapping[str, Any], common: Mapping[str, Any]) -> Score:
    own = facts.get("protocol")
    protocol: Mapping[str, Any] = own if isinstance(own, Mapping) else _of_this_measure(key, common)
    parts = facts.get("parts")
    warnings = facts.get("warnings")
    return Score(
        key=key,
        words=explanation(key, str(facts.get("title") or "")),
        value=number(facts, "value"),
        error=number(facts, "error"),
        floor=number(facts, "floor"),
        floor_error=number(facts, "floor_error"),
        unit=str(facts.get("unit") or ""),
        better=str(facts.get("better") or ""),
        note=str(facts.get("note") or ""),
        warnings=tuple(map(str, warnings)) if isinstance(warnings, list | tuple) else (),
        parts={str(name): _numbers(part) for name, part in parts.items()} if isinstance(parts, Mapping) else {},
        counts={word: protocol[name] for name, word in _COUNTS.items() if name in protocol},
        protocol={name: value for name, value in protocol.items() if name not in _SHOWN_ELSEWHERE},
        fingerprint=str(facts.get("fingerprint") or ""),
    )


def _of_this_measure(key: str, common: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the protocol of a measure from that of all, as scores without protocols of their own have it."""
    parameters = common.get("parameters")
    own = parameters.get(key) if isinstance(parameters, Mapping) else None
    return {**common, **(own if isinstance(own, Mapping) else {})}


def _numbers(part: Any) -> dict[str, float]:
    facts = part if isinstance(part, Mapping) else {"value": part}
    return {key: number(facts, key) for key in ("value", "error", "floor")}
