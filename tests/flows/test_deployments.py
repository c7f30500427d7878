"""Deployments: of prefect.yaml, of the command line, and their schedules."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from prefect.client.schemas.schedules import CronSchedule

from flows.cli import main
from flows.deployments import Schedule, deployment
from flows.parameters import order_of
from flows.serve_command import seconds_of
from gan_core.config import preset_names
from gan_core.errors import ConfigError

FILE = Path(__file__).parents[2] / "flows" / "prefect.yaml"
DEPLOYMENTS: list[dict[str, Any]] = yaml.safe_load(FILE.read_text())["deployments"]


@pytest.mark.parametrize("found", DEPLOYMENTS, ids=lambda found: str(found["name"]))
def test_the_file_has_deployments_that_work(found: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets exist, parameters make an order, schedules have a time zone, and one run at a time waits for its turn."""
    monkeypatch.setenv("FACELOOM_ALLOWED_PATHS", "/srv/pictures")
    assert found["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
    for schedule in found["schedules"]:
        if cron := schedule.get("cron"):
            assert CronSchedule(cron=cron, timezone=schedule["timezone"]).cron == cron
            assert ZoneInfo(schedule["timezone"])
    if found["entrypoint"] == "flows.retrain.retrain":
        asked = {"source": "", "settings": [], "data_root": "", **found["parameters"]}
        order = order_of(asked["preset"], asked["source"], tuple(asked["settings"]), asked["data_root"])
        assert order.config.preset == found["name"]
        assert found["name"] in preset_names()
        assert found["tags"] == ["faceloom", found["name"]]


def test_a_deployment_runs_one_at_a_time_from_a_module() -> None:
    """It needs no path of the machine that made it."""
    parameters = {"preset": "smoke", "source": "", "settings": ["train.seed=3"], "data_root": ""}
    made = deployment("retrain", "smoke", parameters, Schedule(cron="0 3 * * *", timezone="Europe/Berlin"))
    assert (made.entrypoint, made.parameters) == ("flows.retrain.retrain", parameters)
    assert made.concurrency_limit is not None
    assert made.concurrency_options is not None
    assert made.concurrency_options.collision_strategy == "ENQUEUE"
    (schedule,) = made.schedules or []
    assert (schedule.schedule.cron, schedule.schedule.timezone) == ("0 3 * * *", "Europe/Berlin")  # type: ignore[union-attr]


def test_schedules_that_are_none_are_refused() -> None:
    """The message has the expression and an example."""
    for cron, timezone in (("0 3 * *", "UTC"), ("0 3 * * *", "Europe/Berln")):
        with pytest.raises(ConfigError, match=r"is no schedule .* for example --cron '0 3 \* \* \*'"):
            Schedule(cron=cron, timezone=timezone).options()
    assert Schedule(every=timedelta(hours=1)).options() == {"interval": timedelta(hours=1)}
    assert Schedule().options() == {}


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("15m", 900.0), ("12h", 43_200.0), ("1d", 86_400.0)])
def test_lengths_of_time_have_units(text: str, seconds: float) -> None:
    """Seconds, minutes, hours, days."""
    assert seconds_of("--every", text) == seconds


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serve", "smoke"], "say when: one of --cron '0 3 * * *', --every 1d, --on-new-data"),
        (["serve", "smoke", "--every", "1d", "--on-new-data"], "say when: one of"),
        (["serve", "smoke", "--every", "soon"], "--every takes a length of time such as 90s"),
        (["serve", "smoke", "--every", "1d", "--host", "0.0.0.0"], "set PREFECT_SERVER_API_AUTH_STRING=user:password"),
        (["serve", "smok", "--every", "1d"], "unknown preset 'smok' (did you mean 'smoke'?)"),
        (["deploy", "smoke"], "missing option '--pool'"),
        (["deploy", "smoke", "--pool", "p"], "PREFECT_API_URL names no server"),
        (["deploy", "smoke", "--pool", "p", "--type", "docker"], "name its image with --image"),
        (["deploy", "folder64", "--pool", "p", "--set", "data.path=https://me:pw@host/"], "looks like a password"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, before any server is asked."""
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(words)
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert message in error and error.count("\n") == 1


def test_runs_may_read_what_serve_was_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whoever serves names places by --source and --set; each run would refuse them otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr("flows.server._OTHERS_ANSWER_SECONDS", 0.0)
    for name in ("FACELOOM_DATA_ROOT", "FACELOOM_ALLOWED_PATHS"):
        monkeypatch.setenv(name, "")  # what the command sets ends with the test
    places = ["--source", "faces", "--set", "train.transfer=/old/run", "--set", "eval.extractor=nets/own.onnx"]
    with pytest.raises(SystemExit):  # by the server, which is asked after the places are noted
        main(["serve", "smoke", "--every", "1d", *places])
    allowed = os.environ["FACELOOM_ALLOWED_PATHS"].split(":")
    assert sorted(allowed) == sorted([f"{tmp_path}/faces", "/old/run", f"{tmp_path}/nets/own.onnx"])


def test_serving_needs_the_server_that_was_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, with what to do, when it does not answer."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    monkeypatch.setattr("flows.server._OTHERS_ANSWER_SECONDS", 0.0)
    for name in ("FACELOOM_DATA_ROOT", "FACELOOM_ALLOWED_PATHS"):
        monkeypatch.setenv(name, "")  # what the command sets ends with the test
    with pytest.raises(SystemExit) as ended:
        main(["serve", "smoke", "--every", "1d"])
    said = capsys.readouterr().err
    message = "faceloom: error: the Prefect server at http://127.0.0.1:9/api did not answer for 0 s; start it"
    assert (ended.value.code, said.count("\n"), said.startswith(message)) == (6, 1, True)
