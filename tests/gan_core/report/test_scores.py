import math
from pathlib import Path
from typing import Any

import pytest

from gan_core.artifacts import Manifest
from gan_core.report import scores
from gan_core.report.explanations import EXPLANATIONS, explanation
from tests.report_runs import scored_values


def _manifest(values: Any, **more: Any) -> Manifest:
    return Manifest(Path("scores"), "scores", "0" * 64, {"values": values, **more}, {})


def test_scores_keep_their_order_and_their_own_protocol() -> None:
    """The order is that of importance; the page's first screen has the first four that have a value."""
    found = scores.read_scores(_manifest({"recall": {"value": None}, **scored_values()}))
    assert [score.key for score in scores.headlines(found)] == [
        "kernel_distance",
        "frechet_distance",
        "swd",
        "ms_ssim",
    ]
    swd = found[3]
    assert (swd.value, swd.error, swd.floor, swd.own_unit, swd.fingerprint) == (
        20.125,
        0.25,
        9.0,
        "x1000",
        "0123456789ab",
    )
    assert swd.counts == {"generated": 2048, "real": 2048}
    assert swd.parts["32"]["floor"] == 9.5


def test_scores_without_protocols_of_their_own_take_the_common_one() -> None:
    """What earlier versions wrote is read: shared facts, and the parameters of each measure."""
    common = {"real_count": 64, "split": "train", "parameters": {"swd": {"window": 7}, "ms_ssim": {"pairs": 3}}}
    (swd,) = scores.read_scores(_manifest({"swd": {"value": 2.0, "floor": 1.0}}, protocol=common))
    assert (swd.counts, swd.protocol) == ({"real": 64}, {"split": "train", "window": 7})


@pytest.mark.parametrize("values", [None, 3, [], {"swd": 3}])
def test_what_are_no_scores_is_left_out(values: Any) -> None:
    """Damaged values are no scores."""
    assert scores.read_scores(_manifest(values)) == []
    assert scores.read_scores(None) == []


def test_the_scale_holds_value_error_and_floor() -> None:
    """All positions lie between 0 and 100 %, also for a negative value; without a floor there is no scale."""
    negative, positive, bare = scores.read_scores(
        _manifest(
            {
                "kid": {"value": -0.001, "error": 0.002, "floor": 0.0005},
                "swd": {"value": 30.0, "error": 2.0, "floor": 8.0},
                "novel": {"value": 1.0},
            }
        )
    )
    assert positive.scale == {"value": 92.0, "low": 86.0, "high": 98.0, "floor": 26.0}
    assert negative.scale is not None
    assert all(0 <= place <= 100 for place in negative.scale.values())
    assert bare.scale is None


@pytest.mark.parametrize(("unit", "value", "floor"), [("", 0.4, 0.6), ("%", 40.0, 60.0)])
def test_memorised_is_what_is_not_authentic(unit: str, value: float, floor: float) -> None:
    """A share or a percentage gives the same; without the measure nothing is known."""
    found = scores.read_scores(_manifest({"authenticity": {"value": value, "floor": floor, "unit": unit}}))
    assert scores.memorised_share(found) == pytest.approx((0.6, 0.4))
    assert all(map(math.isnan, scores.memorised_share([])))


def test_measures_of_classes_are_a_table() -> None:
    """The columns are all measures that any class has."""
    keys, classes = scores.per_class(
        _manifest({}, per_class={"a": {"swd": {"value": 1.0}}, "b": {"fid": {"value": 2.0}}})
    )
    assert keys == ["swd", "fid"]
    assert classes["b"]["fid"]["value"] == 2.0
    assert scores.per_class(None) == ([], {})


def test_every_known_measure_is_explained() -> None:
    """Each text says what is seen and what is not; no distance by another network is called FID or KID."""
    assert all(words.sees and words.blind and words.floor and words.compare for words in EXPLANATIONS.values())
    assert {key for key, words in EXPLANATIONS.items() if words.short.startswith(("FID", "KID"))} == {
        "fid",
        "fid_infinity",
        "kid",
    }
    assert explanation("novel", "A title").name == "A title"
