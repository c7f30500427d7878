from gan_core.report import facts
from gan_core.report.logs import Log
from tests.report_runs import stage


def test_attempts_of_a_stage_are_summed() -> None:
    """Failed attempts count; a later look at finished work does not; the report does not judge itself."""
    lines = [
        stage("train", 10.0, "failed", images=20, peak_memory_mib=990.0),
        stage("train", 5.0, "done", images=10, peak_memory_mib=900.0, device_peak_memory_mib=64.0),
        stage("train", 1.0, "already done"),
    ]
    log = Log((*lines, stage("report", 1.0, "failed")))
    expected = {"name": "train", "seconds": 15.0, "runs": 2, "outcome": "done"}
    expected |= {"images_per_second": 2.0, "memory_mib": 990.0, "device_memory_mib": 64.0}
    assert facts.stage_times(log) == [{**expected, "started": "2026-11-22T02:10:00+00:00"}]


def test_options_of_other_versions_have_no_default() -> None:
    """A known option is compared with its default; an unknown one counts as changed, without help."""
    saved = {"preset": "smoke", "train": {"seed": 0, "future": 7}, "later": {"x": 1}}
    sections = facts.config_sections(saved)
    assert list(sections) == ["train", "later"]
    assert [(row["key"], row["default"], row["changed"]) for row in sections["train"]] == [
        ("seed", 0, False),
        ("future", None, True),
    ]
    assert sections["later"] == [{"key": "x", "value": 1, "default": None, "help": "", "changed": True}]


def test_lists_of_the_config_are_equal_to_tuples() -> None:
    """A config that was read from JSON has lists where the defaults are tuples: an empty one is no change."""
    (row,) = facts.config_sections({"model": {"condition": []}})["model"]
    assert row["changed"] is False
