"""What a training remembers of its course, and the pace of its calls."""

from __future__ import annotations

import logging
import math

import pytest

from gan_core import pace
from gan_core.config import EvalConfig, RunConfig, TrainConfig, load_config
from gan_core.errors import ConfigError
from gan_core.pace import Pace
from gan_core.watch import Best, Watch, better, out_of_patience

PATIENT = TrainConfig(total_kimg=100.0, batch_size=100, patience_kimg=20.0, loss="hinge")


def test_lower_score_is_better_and_others_do_not_compare() -> None:
    """Equal scores keep the earlier; a score over another number of pictures starts anew."""
    first = Best(1000, 10.0, 64)
    assert better(None, first) == first
    assert better(first, Best(2000, 10.0, 64)) == first
    assert better(first, Best(2000, 9.9, 64)) == Best(2000, 9.9, 64)
    assert better(first, Best(2000, 11.0, 128)) == Best(2000, 11.0, 128)


def test_patience_ends_a_training_between_best_and_total() -> None:
    """It ends when `patience_kimg` have passed since the best, not before, not at the end anyway, and not when off."""
    best = Best(10_000, 12.345, 64)
    assert out_of_patience(best, 29_900, PATIENT) == ""
    assert out_of_patience(best, 30_000, PATIENT) == (
        "stopped early at 30 of 100 kimg: the score was best at 10 kimg (SWD 12.35), and train.patience_kimg=20 have "
        "passed since"
    )
    assert out_of_patience(best, 100_000, PATIENT) == ""
    assert out_of_patience(best, 90_000, TrainConfig(total_kimg=100.0, batch_size=100)) == ""


def test_watch_survives_as_json() -> None:
    """What is saved and read again judges the same; nothing saved is a new training."""
    watch = Watch(PATIENT)
    watch.logged(0.0, 0, 1000)
    watch.scored(20_000, {"swd": 5.0, "n": 64, "diversity": 0.1})
    saved = watch.to_json()
    assert saved == {
        "best": {"images": 20_000, "swd": 5.0, "n": 64},
        "stopped_early": "",
        "winning_since": 0,
        "has_collapsed": True,
    }
    assert Watch.from_json(PATIENT, saved) == watch
    assert Watch.from_json(PATIENT, {}) == Watch(PATIENT)


def test_start_is_not_scored() -> None:
    """The untrained generator is never the best, and no snapshot after it has to beat it by chance."""
    watch = Watch(PATIENT)
    assert watch.scored(0, {"swd": 1.0, "n": 64, "diversity": 0.0}) == {}
    assert watch.best is None
    assert watch.scored(1000, {"swd": 9.0, "n": 64}) == {}
    assert (watch.is_best(1000), watch.is_best(0)) == (True, False)


def test_one_warning_an_episode(caplog: pytest.LogCaptureFixture) -> None:
    """Every line of an episode has its field; the log speaks at its beginning, and again at that of the next."""
    watch = Watch(PATIENT)
    losses = [0.0] * 3 + [1.0] + [0.0] * 2
    with caplog.at_level(logging.WARNING):
        fields = [watch.logged(loss, i * 10_000, (i + 1) * 10_000) for i, loss in enumerate(losses)]
    assert fields == [{}, {"discriminator_wins": 1}, {"discriminator_wins": 1}, {}, {}, {"discriminator_wins": 1}]
    assert [text[:80] for text in caplog.messages] == [
        "at 20 kimg the discriminator wins: its loss has been near that of a perfect one ",
        "at 60 kimg the discriminator wins: its loss has been near that of a perfect one ",
    ]
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        scores = [
            watch.scored(20_000 + i, {"swd": 1.0, "n": 64, "diversity": d}) for i, d in enumerate((0.2, 0.1, 0.5, 0.2))
        ]
    assert scores == [{"collapsed": 1}, {"collapsed": 1}, {}, {"collapsed": 1}]
    assert [text[:85] for text in caplog.messages] == [
        "at 20 kimg mode collapse: generated pictures are 0.2 times as far apart as real ones,",
        "at 20.003 kimg mode collapse: generated pictures are 0.2 times as far apart as real o",
    ]


@pytest.mark.parametrize("asked", ["train.patience_kimg=10", "eval.checkpoint=best"])
def test_what_needs_scores_is_refused_without(asked: str) -> None:
    """A config that asks for scores and turns them off is named with the way out."""
    with pytest.raises(ConfigError) as caught:
        load_config("smoke", [asked, "eval.snapshot_score_count=0"])
    name = asked if asked.startswith("eval") else "train.patience_kimg"
    assert str(caught.value) == (
        f"{name} needs scores on the way, and eval.snapshot_score_count is 0; set it to 512, for example"
    )
    assert RunConfig(preset="custom", eval=EvalConfig(snapshot_score_count=0)).train.patience_kimg == 0


def test_pace_grows_from_one_and_yields_to_slow_calls() -> None:
    """Steps a call double while calls are short, stay for middling ones, and shrink to what two seconds hold."""
    steady = Pace(10)
    seen = []
    for seconds in (0.1, 0.2, 0.4, 0.8, 1.0):
        seen.append(steady.steps)
        steady.took(steady.steps, seconds)
    assert [*seen, steady.steps] == [1, 2, 4, 8, 10, 10]
    steady.took(10, 1.5)
    assert steady.steps == 10
    steady.took(10, 5.0)
    assert steady.steps == 4
    steady.took(1, 60.0)
    assert steady.steps == 1


def test_short_call_before_an_interval_does_not_slow_the_pace() -> None:
    """A call that stops early because something is due says nothing against longer ones."""
    steady = Pace(8)
    for _ in range(3):
        steady.took(steady.steps, 0.0)
    steady.took(1, 0.9)
    assert (steady.steps, math.isfinite(pace.CALL_SECONDS)) == (8, True)
