"""What a run leaves in the UI when the server is away."""

from __future__ import annotations

import logging

import httpx
import pytest

from flows import ui
from flows.ui import ProgressArtifact, patient
from gan_core.progress import Progress


def test_publishing_waits_for_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried until it succeeds."""
    monkeypatch.setattr(ui, "ASK_EVERY_SECONDS", 0.0)
    answers = iter([httpx.ConnectError("away"), httpx.ReadTimeout("slow"), None])
    calls: list[str] = []

    @patient
    def publish(text: str) -> None:
        calls.append(text)
        if error := next(answers):
            raise error

    publish("page")
    assert calls == ["page"] * 3


def test_a_run_does_not_fail_for_want_of_a_page(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When patience is at its end, a warning is all that comes of it."""
    monkeypatch.setattr(ui, "PATIENCE_SECONDS", -1.0)
    monkeypatch.setattr(logging.getLogger("prefect"), "propagate", True)

    @patient
    def publish() -> None:
        raise httpx.ConnectError("away")

    publish()
    assert [record.getMessage() for record in caplog.records] == ["artifacts of this run are missing in the UI: away"]


def test_a_bar_goes_on_after_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    """It pauses for a minute, and the log has every line."""
    now = 1000.0
    monkeypatch.setattr(ui.time, "monotonic", lambda: now)
    shown: list[float] = []
    answers = iter([None, httpx.ConnectError("away"), None])

    def update(_id: object = None, *, progress: float) -> None:
        if error := next(answers):
            raise error
        shown.append(progress)

    monkeypatch.setattr(ui, "create_progress_artifact", lambda percent, **_: update(progress=percent) or "id")
    monkeypatch.setattr(ui, "update_progress_artifact", update)
    bar = ProgressArtifact("train", logging.getLogger("quiet"))
    for seconds, done in ((0, 10), (10, 20), (20, 30), (75, 40), (81, 50)):
        now = 1000.0 + seconds
        bar.show(Progress("train", done, 100))
    assert shown == [10.0, 50.0]
