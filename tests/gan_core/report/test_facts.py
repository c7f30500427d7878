from typing import Any

import pytest

from gan_core import report_facts
from gan_core.charts import Log


def _stage(stage: str, seconds: float, outcome: str) -> dict[str, Any]:
    return {"stage": stage, "seconds": seconds, "started": "2026-11-22T02:10:00+00:00", "outcome": outcome}


def test_findings_name_what_spoils_a_run() -> None:
    """An interrupted stage, an unfinished training, a dominant discriminator and a rising score are named."""
    metrics = Log(({"kimg": 1.0, "loss_g": 1, "loss_d": 1, "accuracy_real": 1.0, "accuracy_fake": 0.98},))
    start = {"kimg": 0.0, "swd": 9.0}  # of networks that have not learned anything
    scores = Log((start, {"kimg": 1.0, "swd": 10.0}, {"kimg": 2.0, "swd": 12.5}))
    stages = [{"name": "train", "outcome": "interrupted"}]
    assert report_facts.findings(1.0, 4.0, metrics, scores, stages) == [
        "The stage “train” was interrupted.",
        "Training is at 1 of 4 kimg: this page shows an unfinished run.",
        "In the last fifth the discriminator was right 99% of the time: too strong to teach.",
        "On the way the SWD was best at 1 kimg (10); it has risen to 12.5 since.",
    ]


def test_damaged_and_diverged_logs_are_found() -> None:
    """Losses that are no numbers are counted with their first place; unreadable lines of all logs add up."""
    lines = ({"kimg": 1.0, "loss_g": 1.0, "loss_d": float("nan")}, {"kimg": 2.0, "loss_g": None, "loss_d": 1})
    metrics = Log(lines, damaged=1)
    assert report_facts.findings(2.0, 2.0, metrics, Log(damaged=1), []) == [
        "A loss is not a finite number in 2 lines of the log, first at 1 kimg.",
        "Left out of the logs: 2 unreadable lines.",
    ]


def test_a_good_run_has_no_findings() -> None:
    """Nothing is found in empty logs, nor in scores that wander a little."""
    wandering = Log(({"kimg": 1.0, "swd": 10.0}, {"kimg": 2.0, "swd": 10.5}))
    assert report_facts.findings(4.0, 4.0, Log(), wandering, [{"name": "train", "outcome": "done"}]) == []


def test_attempts_of_a_stage_are_summed() -> None:
    """Failed attempts count; a later look at finished work does not; the report does not judge itself."""
    lines = [
        _stage("train", 10.0, "failed"),
        _stage("train", 5.0, "done"),
        _stage("train", 1.0, "already done"),
    ]
    log = Log((*lines, _stage("report", 1.0, "failed")))
    expected = {"name": "train", "seconds": 15.0, "runs": 2, "outcome": "done"}
    assert report_facts.stage_times(log) == [{**expected, "started": "2026-11-22T02:10:00+00:00"}]


def test_options_of_other_versions_have_no_default() -> None:
    """A known option is compared with its default; an unknown one counts as changed, without help."""
    saved = {"preset": "smoke", "train": {"seed": 0, "future": 7}, "later": {"x": 1}}
    sections = report_facts.config_sections(saved)
    assert list(sections) == ["train", "later"]
    assert [(row["key"], row["default"], row["changed"]) for row in sections["train"]] == [
        ("seed", 0, False),
        ("future", None, True),
    ]
    assert sections["later"] == [{"key": "x", "value": 1, "default": None, "help": "", "changed": True}]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2048, "2,048"),
        (True, "yes"),
        (0.28, "0.28"),
        (36.0, "36"),
        (12345.6, "12,346"),
        (float("nan"), "not finite"),
        (None, "none"),
        ({"train": 300, "test": 2}, "train 300, test 2"),
        ([64, 32], "64, 32"),
        ("ab" * 32, "abababababab"),
        ("celeba-148", "celeba-148"),
    ],
)
def test_values_are_shown_for_reading(value: Any, shown: str) -> None:
    """Numbers have separators, collections commas, digests twelve digits."""
    assert report_facts.show(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(9.0, "9.00"), (168.77, "169"), (1234.5, "1,234"), (0.0, "0"), (None, "none")]
)
def test_scores_have_three_digits(value: Any, shown: str) -> None:
    """A score shows three digits, also where they are zeros."""
    assert report_facts.show_score(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(8.12, "8.1 s"), (59.99, "1 min 00 s"), (750, "12 min 30 s"), (11100, "3 h 05 min")],
)
def test_durations(seconds: float, shown: str) -> None:
    """A duration has the two units that matter."""
    assert report_facts.duration(seconds) == shown


def test_times_are_utc() -> None:
    """A time with an offset is shown in UTC; a text that is no time stays as it is."""
    assert report_facts.when("2026-11-22T02:10:00+02:00") == "22 November 2026, 00:10 UTC"
    assert report_facts.when("yesterday") == "yesterday"


def test_course_of_the_training_is_told_with_remedies() -> None:
    """Early stop, going back, small parts, collapse and a winning discriminator each have their paragraph."""
    metrics = Log(
        (
            {"kimg": 20.0, "loss_g": 9.0, "loss_d": 0.0, "accuracy_real": 1.0, "discriminator_wins": 1},
            {"kimg": 30.0, "loss_g": 9.0, "loss_d": 0.0, "accuracy_real": 1.0, "discriminator_wins": 1},
        )
    )
    scores = Log(({"kimg": 30.0, "swd": 9.0, "diversity": 0.125, "collapsed": 1},))
    seen = {"images": 7000, "what": "loss_g", "learning_rate_g": 0.2, "learning_rate_d": 0.1}
    progress = {
        "stopped_early": "stopped early at 30 of 90 kimg: no better",
        "recovery": {"divergences": [seen], "micro_batch": 16},
    }
    found = report_facts.findings(30.0, 90.0, metrics, scores, [], progress)
    assert found[:3] == [
        "Training stopped early at 30 of 90 kimg: no better.",
        "loss_g was not finite at 7 kimg (learning rates 0.2 and 0.1); training went back to the checkpoint before, "
        "with half the learning rates.",
        "The device's memory did not suffice for a batch; since then it was worked through in parts of 16 pictures "
        "(train.micro_batch).",
    ]
    assert [text.partition(". Usual remedies: ")[0] for text in found[3:]] == [
        "At 30 kimg mode collapse: generated pictures are 0.12 times as far apart as real ones, so the generator "
        "repeats itself",
        "In 2 lines of the log from 20 to 30 kimg the discriminator wins: its loss has been near that of a perfect one "
        "for 20 kimg or more, and a generator learns little from it",
    ]
    assert all("train.penalty=r1" in text and text.endswith(".") for text in found[3:])
