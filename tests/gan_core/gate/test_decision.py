"""The gate's answers for all that can be measured, and how often noise alone would pass it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gan_core.gate.decision import Check, better, collapse, decide, memorisation
from gan_core.sections import RetrainConfig

GOOD: dict[str, dict[str, Any]] = {
    "authenticity": {"value": 0.5, "floor": 0.5},
    "ms_ssim": {"value": 0.4, "floor": 0.4},
}
WHOLE = Check("files", True, "all files")


def score(value: float | None, error: float = 1.0, direction: str = "lower", floor: float = 0.0) -> dict[str, Any]:
    """Return a score as `evaluate` gives it."""
    return {"value": value, "error": error, "better": direction, "floor": floor}


@pytest.mark.parametrize(
    ("mine", "its", "passed"),
    [
        (score(10.0), score(13.0), True),  # 3 > 2 * sqrt(2)
        (score(10.0), score(12.8), False),  # 2.8 < 2.83
        (score(13.0), score(10.0), False),
        (score(0.9, 0.01, "higher"), score(0.8, 0.01, "higher"), True),
        (score(0.8, 0.01, "higher"), score(0.9, 0.01, "higher"), False),
        (score(0.5, 0.01, "near floor", 0.4), score(0.2, 0.01, "near floor", 0.4), True),
        (score(0.2, 0.01, "near floor", 0.4), score(0.5, 0.01, "near floor", 0.4), False),
        (score(10.0, 0.0), score(10.0, 0.0), False),  # equal is not better
        (score(None), score(10.0), False),
        (score(float("nan")), score(10.0), False),
    ],
)
def test_better_means_by_more_than_the_noise(mine: dict[str, Any], its: dict[str, Any], passed: bool) -> None:
    """The gain must exceed so many standard errors of the difference, in the measure's own direction."""
    assert better("swd", mine, its, 2.0).passed is passed


def test_the_reason_has_the_numbers() -> None:
    """Both values with errors, the gain, and what was needed."""
    assert better("swd", score(10.0, 3.0), score(30.0, 4.0), 2.0).text == (
        "swd 10 ± 3 against 30 ± 4 of the blessed one: better by 20, needed: more than 2 standard errors, 10"
    )


@pytest.mark.parametrize(
    ("value", "floor", "passed"),
    [(0.5, 0.5, True), (0.41, 0.5, True), (0.39, 0.5, False), (0.95, 0.5, True), (None, 0.5, False)],
)
def test_memorisation_is_what_authenticity_lacks(value: float | None, floor: float, passed: bool) -> None:
    """More authentic than real pictures is no fault; not measured is one."""
    assert memorisation({"authenticity": {"value": value, "floor": floor}}, 0.1).passed is passed
    assert not memorisation({}, 0.1).passed


@pytest.mark.parametrize(("value", "passed"), [(0.4, True), (0.2, True), (0.75, True), (0.8, False), (1.0, False)])
def test_a_collapse_is_likeness_far_above_that_of_real_pictures(value: float, passed: bool) -> None:
    """With a floor of 0.4, 0.76 is six tenths of the way to one picture."""
    assert collapse({"ms_ssim": {"value": value, "floor": 0.4}}, 0.6).passed is passed
    assert not collapse({}, 0.6).passed


def test_the_first_model_needs_the_absolute_checks_only() -> None:
    """There is nothing to be better than, and the summary says so."""
    assert decide(RetrainConfig(), GOOD, WHOLE, None) == {
        "promote": True,
        "summary": "promoted: the first one, and every check that needs no other passed",
        "reasons": [
            {"check": "files", "passed": True, "text": "all files"},
            {"check": "memorisation", "passed": True, "text": "0.0% of the samples look memorised, 10.0% is the limit"},
            {
                "check": "collapse",
                "passed": True,
                "text": "samples are 0.0% of the way from real variety to one single picture, 60.0% is the limit",
            },
        ],
    }


@pytest.mark.parametrize("failing", ["files", "memorisation", "collapse", "better"])
def test_one_failed_check_is_enough(failing: str) -> None:
    """Its text is the summary; the others stay in the reasons."""
    scores = {name: dict(facts) for name, facts in GOOD.items()}
    if failing == "memorisation":
        scores["authenticity"]["value"] = 0.1
    if failing == "collapse":
        scores["ms_ssim"]["value"] = 0.99
    files = Check("files", failing != "files", "files")
    found = decide(RetrainConfig(), scores, files, Check("better", failing != "better", "gain"))
    assert found["promote"] is False
    assert [one["check"] for one in found["reasons"] if not one["passed"]] == [failing]
    assert found["summary"].startswith("not promoted: ")
    assert found["summary"].endswith(next(one["text"] for one in found["reasons"] if not one["passed"]))


def test_noise_alone_rarely_passes_and_real_gains_do() -> None:
    """Of 4,000 pairs of equal models 2 % pass at two standard errors; with a gain of five errors, nearly all do."""
    draws = np.random.default_rng(7)

    def share(gain: float) -> float:
        error, passed = 1.0, 0
        for mine, its in draws.normal(0.0, error, (4000, 2)):
            passed += better("swd", score(mine - gain), score(its), 2.0).passed
        return passed / 4000

    equal, clear = share(0.0), share(5.0 * 2**0.5)
    assert equal == 0.02025  # 0.0228 expected
    assert clear == 0.9985
