"""Events: their exact names, resources and payloads, as a real server has them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect.events import Event
from prefect.events.worker import EventsWorker

from flows import announcements, retrain
from flows.announcements import (
    DATASET_PUBLISHED,
    MODEL_PROMOTED,
    MODEL_REGISTERED,
    MODEL_REJECTED,
    RETRAIN_SKIPPED,
    RUN_FINISHED,
)
from flows.parameters import ASKED
from flows.pipeline import pipeline
from flows.stages import Order, StageResult
from flows.triggers import Trigger
from gan_core.config import load_config
from gan_core.errors import DataError
from tests.flows import fake_stages
from tests.flows.fake_stages import NAMES, behave
from tests.flows.test_children import until

pytestmark = pytest.mark.timeout(300, method="thread")

Found = dict[str, Any]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake stages under the real tasks, whose retries do not wait."""
    fake_stages.use(monkeypatch)


@contextlib.contextmanager
def asked(root: Path) -> Iterator[None]:
    """Let flows take the preset smoke and this data root."""
    token = ASKED.set(Order(config=load_config("smoke"), data_root=root))
    try:
        yield
    finally:
        ASKED.reset(token)


def told(url: str, root: Path) -> list[Found]:
    """Return faceloom's events so far that name this data root, the oldest first."""
    query = {"filter": {"event": {"prefix": ["faceloom."]}, "order": "ASC"}, "limit": 50}
    found = httpx.post(f"{url}/events/filter", json=query, timeout=60).json()["events"]
    return [event for event in found if str(root) in str(event["payload"])]


def all_told(url: str, root: Path, last: str) -> list[Found]:
    """Return the events of a data root once the last of them has arrived; others of it came before."""
    EventsWorker.instance().wait_until_empty()
    until(lambda: any(event["event"] == last for event in told(url, root)))
    return told(url, root)


def related_roles(event: Found) -> set[str]:
    """Return the roles of what an event is about besides."""
    return {one["prefect.resource.role"] for one in event["related"]}


@pytest.mark.usefixtures("fakes")
def test_a_run_tells_of_its_data_set_and_its_end(prefect_url: str, tmp_path: Path) -> None:
    """Both events have the digest or the folder as resource, small payloads, and the flow run beside them."""
    with asked(tmp_path):
        pipeline("smoke")
    data_set, finished = all_told(prefect_url, tmp_path, RUN_FINISHED)
    assert (data_set["event"], data_set["resource"]) == (
        DATASET_PUBLISHED,
        {"prefect.resource.id": f"faceloom.dataset.{'d' * 64}", "prefect.resource.name": "prepare.done"},
    )
    assert data_set["payload"] == {
        "preset": "smoke",
        "digest": "d" * 64,
        "path": str(tmp_path / "prepare.done"),
        "images": {"train": 9},
        "rejects": {"undecodable": 1},
    }
    assert (finished["event"], finished["resource"]) == (
        RUN_FINISHED,
        {"prefect.resource.id": "faceloom.run.smoke-fake", "prefect.resource.name": "smoke-fake"},
    )
    assert finished["payload"] == {
        "preset": "smoke",
        "run_dir": str(tmp_path / "runs" / "smoke-fake"),
        "report": str(tmp_path / "report.done"),
        "done": list(NAMES),
        "scores": {"swd": {"value": 2.5, "error": 0.25, "unit": "SWD x1000", "better": "lower"}},
    }
    assert related_roles(data_set) >= {"flow", "flow-run", "task-run"}
    assert related_roles(finished) >= {"flow", "flow-run"}


@pytest.mark.usefixtures("fakes")
def test_what_was_done_before_is_not_told_again(prefect_url: str, tmp_path: Path) -> None:
    """A second run that finds all done tells nothing; one that repeats the report tells of the run alone."""
    with asked(tmp_path):
        pipeline("smoke")
        pipeline("smoke")
        (tmp_path / "report.done").unlink()
        pipeline("smoke")
    until(lambda: sum(event["event"] == RUN_FINISHED for event in told(prefect_url, tmp_path)) == 2)
    names = [(event["event"], event["payload"].get("done")) for event in told(prefect_url, tmp_path)]
    assert names == [(DATASET_PUBLISHED, None), (RUN_FINISHED, list(NAMES)), (RUN_FINISHED, ["report"])]


@pytest.mark.usefixtures("fakes")
def test_a_run_that_failed_is_not_finished(prefect_url: str, tmp_path: Path) -> None:
    """The data set was published, and that is all that there is to tell."""
    behave(tmp_path, "evaluate", "DataError")
    with asked(tmp_path), pytest.raises(DataError):
        pipeline("smoke")
    events = all_told(prefect_url, tmp_path, DATASET_PUBLISHED)
    assert [event["event"] for event in events] == [DATASET_PUBLISHED]


@pytest.mark.usefixtures("fakes")
def test_a_retraining_tells_of_its_version(prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered, then promoted: the model as resource, version and decision as payload, and the run beside them."""
    monkeypatch.setattr(retrain, "look_for", lambda order, force: Trigger(True, "3 new pictures", order))
    with asked(tmp_path):
        retrain.retrain("smoke")
    events = all_told(prefect_url, tmp_path, RUN_FINISHED)
    assert [event["event"] for event in events] == [
        DATASET_PUBLISHED,
        MODEL_REGISTERED,
        MODEL_PROMOTED,
        RUN_FINISHED,
    ]
    registered, promoted = events[1:3]
    resource = {"prefect.resource.id": "faceloom.model.smoke", "prefect.resource.name": "smoke v2"}
    payload = {
        "model": "smoke",
        "version": 2,
        "path": str(tmp_path / "promote.done"),
        "run": "smoke-fake",
        "decision": {"promote": True, "summary": "promoted: better"},
    }
    assert [(event["resource"], event["payload"]) for event in (registered, promoted)] == [(resource, payload)] * 2
    run = {"prefect.resource.id": "faceloom.run.smoke-fake", "prefect.resource.role": "run"}
    assert run in promoted["related"]
    assert related_roles(promoted) >= {"flow", "flow-run", "task-run"}


def test_a_version_that_was_not_better_is_rejected(prefect_url: str, tmp_path: Path) -> None:
    """The gate's reason is in the payload; a version that had been decided on tells nothing."""
    order = Order(config=load_config("smoke"), data_root=tmp_path)
    decision = {"promote": False, "summary": "not promoted: worse", "reasons": []}
    summary = {"model": "smoke", "version": 3, "decision": decision}
    said = StageResult(stage="promote", outcome="done", path=str(tmp_path / "3"), run_dir="runs/r", summary=summary)
    announcements.model_decided(order, StageResult(**{**said.to_json(), "outcome": "already done"}))
    announcements.model_decided(order, said)
    events = all_told(prefect_url, tmp_path, MODEL_REJECTED)
    assert [event["event"] for event in events] == [MODEL_REGISTERED, MODEL_REJECTED]
    assert events[1]["payload"]["decision"] == {"promote": False, "summary": "not promoted: worse"}


def test_a_retraining_that_is_not_due_says_why(
    prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is the whole payload, besides the preset."""
    reason = f"nothing to do, because of {tmp_path}"
    monkeypatch.setattr(retrain, "look_for", lambda order, force: Trigger(False, reason, order))
    with asked(tmp_path):
        retrain.retrain("smoke")
    (event,) = all_told(prefect_url, tmp_path, RETRAIN_SKIPPED)
    assert event["resource"] == {"prefect.resource.id": "faceloom.model.smoke", "prefect.resource.name": "smoke"}
    assert event["payload"] == {"preset": "smoke", "reason": reason}


def test_an_event_that_cannot_be_sent_fails_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A worker of Prefect's that has stopped, as it does when the server is away, costs the event alone."""

    def refuse(self: EventsWorker, event: Event) -> None:
        raise RuntimeError("Cannot put items in a stopped service instance.")

    monkeypatch.setattr(EventsWorker, "send", refuse)
    announcements.retrain_skipped(Order(config=load_config("smoke"), data_root=tmp_path), "nothing to do")
