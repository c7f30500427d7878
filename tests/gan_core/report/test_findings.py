from gan_core.report import findings
from gan_core.report.logs import Log


def test_findings_name_what_spoils_a_run() -> None:
    """An interrupted stage, an unfinished training, a dominant discriminator and a rising score are named."""
    metrics = Log(({"kimg": 1.0, "loss_g": 1, "loss_d": 1, "accuracy_real": 1.0, "accuracy_fake": 0.98},))
    start = {"kimg": 0.0, "swd": 9.0}  # of networks that have not learned anything
    scores = Log((start, {"kimg": 1.0, "swd": 10.0}, {"kimg": 2.0, "swd": 12.5}))
    stages = [{"name": "train", "outcome": "interrupted"}]
    assert findings.findings(1.0, 4.0, metrics, scores, stages) == [
        "The stage “train” was interrupted.",
        "Training is at 1 of 4 kimg: this page shows an unfinished run.",
        "In the last fifth the discriminator was right 99% of the time: too strong to teach.",
        "On the way the SWD was best at 1 kimg (10); it has risen to 12.5 since.",
    ]


def test_damaged_and_diverged_logs_are_found() -> None:
    """Losses that are no numbers are counted with their first place; unreadable lines of all logs add up."""
    lines = ({"kimg": 1.0, "loss_g": 1.0, "loss_d": float("nan")}, {"kimg": 2.0, "loss_g": None, "loss_d": 1})
    metrics = Log(lines, damaged=1)
    assert findings.findings(2.0, 2.0, metrics, Log(damaged=1), []) == [
        "A loss is not a finite number in 2 lines of the log, first at 1 kimg.",
        "Left out of the logs: 2 unreadable lines.",
    ]


def test_a_good_run_has_no_findings() -> None:
    """Nothing is found in empty logs, nor in scores that wander a little."""
    wandering = Log(({"kimg": 1.0, "swd": 10.0}, {"kimg": 2.0, "swd": 10.5}))
    assert findings.findings(4.0, 4.0, Log(), wandering, [{"name": "train", "outcome": "done"}]) == []


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
    found = findings.findings(30.0, 90.0, metrics, scores, [], progress)
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
