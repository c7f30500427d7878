"""The flow `retrain`: what it runs, what it says, and what its UI shows."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import httpx
import pytest
from PIL import Image
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.sorting import FlowRunSort
from prefect.flow_engine import run_flow
from prefect.states import Scheduled

from flows import retrain
from flows.parameters import ASKED
from flows.run_names import with_reason
from flows.stages import Order, StageResult
from flows.triggers import Trigger
from flows.ui import GRID_SIDE, decision_markdown, grid_markdown
from gan_core.config import load_config
from gan_core.errors import StageFailed
from tests.flows import fake_stages
from tests.flows.fake_stages import behave, calls

pytestmark = [pytest.mark.usefixtures("prefect_url", "fakes"), pytest.mark.timeout(method="thread")]

ORDER = ("ingest", "prepare", "train", "sample", "evaluate", "judge", "promote", "report")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake stages under the real tasks, whose retries do not wait."""
    fake_stages.use(monkeypatch)


def run(root: Path, monkeypatch: pytest.MonkeyPatch, due: bool, reason: str) -> object:
    """Run the flow where the triggers say this."""
    order = Order(config=load_config("smoke"), data_root=root)
    monkeypatch.setattr(retrain, "look_for", lambda asked, force: Trigger(due, reason, asked))
    token = ASKED.set(order)
    try:
        return retrain.retrain("smoke")
    finally:
        ASKED.reset(token)


def test_what_is_due_is_judged_and_promoted(prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight stages in order, and the decision with its reasons as an artifact."""
    results = run(tmp_path, monkeypatch, True, "3 new pictures")
    assert isinstance(results, list)
    assert [(result.stage, result.outcome) for result in results] == [(name, "done") for name in ORDER]
    assert calls(tmp_path) == [f"{name} 1 {what}" for name in ORDER for what in ("starts", "done")]
    query = {"artifacts": {"key": {"any_": ["faceloom-decision"]}}}
    (found,) = httpx.post(f"{prefect_url}/artifacts/latest/filter", json=query).json()
    assert "# smoke v2: promoted" in found["data"]
    assert "| better | passed | 2.5 against 3.5 |" in found["data"]


def test_nothing_to_do_is_completed_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No stage runs, and the reason is the message of the state."""
    assert run(tmp_path, monkeypatch, False, "nothing to do, because of the test") == []
    assert calls(tmp_path) == []
    with get_client(sync_client=True) as client:
        runs = client.read_flow_runs(limit=200, offset=0)
    messages = [found.state.message for found in runs if found.state and found.state.is_completed()]
    assert "nothing to do, because of the test" in messages


def test_after_a_failure_only_what_failed_runs_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A judge that is killed three times fails the run; the next run finds the stages before it done."""
    behave(tmp_path, "judge", "kill", "kill", "kill")
    with pytest.raises(StageFailed):
        run(tmp_path, monkeypatch, True, "due")
    results = run(tmp_path, monkeypatch, True, "due")
    assert isinstance(results, list)
    assert [result.outcome for result in results] == ["already done"] * 5 + ["done"] * 3


def test_a_second_try_goes_on_with_what_the_first_began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after the decision, a run still writes its page, though nothing would be due any more."""
    behave(tmp_path, "report", "kill", "kill")
    order = Order(config=load_config("smoke", ["train.seed=7"]), data_root=tmp_path)
    looks = iter([Trigger(True, "3 new pictures", order)])
    monkeypatch.setattr(retrain, "look_for", lambda asked, force: next(looks))
    token = ASKED.set(Order(config=load_config("smoke"), data_root=tmp_path))
    try:
        with pytest.raises(StageFailed):
            retrain.retrain("smoke", force=True)
        with get_client(sync_client=True) as client:
            (found,) = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
            assert found.state is not None and found.state.is_failed()
            client.set_flow_run_state(found.id, Scheduled(), force=True)
            results = run_flow(retrain.retrain, flow_run=client.read_flow_run(found.id), parameters=found.parameters)
            ended = client.read_flow_run(found.id)
    finally:
        ASKED.reset(token)
    assert isinstance(results, list)
    assert [result.outcome for result in results] == ["already done"] * 7 + ["done"]
    assert (ended.run_count, ended.name) == (2, "retrain smoke: 3 new pictures")


def test_the_grid_lies_in_the_markdown_itself(tmp_path: Path) -> None:
    """It is shrunk, and needs no address; a file that is no picture shows nothing."""
    Image.new("RGB", (2 * GRID_SIDE, GRID_SIDE), (10, 200, 30)).save(tmp_path / "grid.png")
    text = grid_markdown(tmp_path / "grid.png")
    head = "![samples](data:image/webp;base64,"
    assert text.startswith(head) and text.endswith(")\n")
    with Image.open(io.BytesIO(base64.b64decode(text[len(head) : -2]))) as picture:
        assert (picture.format, picture.size) == ("WEBP", (GRID_SIDE, GRID_SIDE // 2))
    (tmp_path / "grid.png").write_text("no picture")
    assert grid_markdown(tmp_path / "grid.png") == ""


def test_a_failed_check_stands_out(tmp_path: Path) -> None:
    """What was not promoted says so, and how to do it by hand."""
    decision = {
        "promote": False,
        "summary": "not promoted: worse",
        "reasons": [{"check": "better", "passed": False, "text": "worse"}],
    }
    text = decision_markdown(load_config("smoke"), {"model": "smoke", "version": 3, "decision": decision})
    assert text.splitlines() == [
        "# smoke v3: not promoted",
        "",
        "not promoted: worse",
        "",
        "| check | | |",
        "|---|---|---|",
        "| better | FAILED | worse |",
        "",
        "By hand: `faceloom models promote smoke 3 --why ...`",
    ]


def test_runs_say_what_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The UI lists "retrain smoke: 512 new pictures" and "train smoke", not two words by chance or a number."""
    results: list[StageResult] | object = run(tmp_path, monkeypatch, True, "512 new pictures")
    assert isinstance(results, list)
    assert run(tmp_path, monkeypatch, False, "nothing to do, because smoke v1 has seen all pictures") == []
    with get_client(sync_client=True) as client:
        names = {found.name for found in client.read_task_runs(limit=200, offset=0)}
        runs = [found.name for found in client.read_flow_runs(limit=2, sort=FlowRunSort.START_TIME_DESC)]
    assert {f"{name} smoke" for name in ORDER} <= names
    assert runs == ["retrain smoke: nothing to do", "retrain smoke: 512 new pictures"]


def test_a_flow_run_that_cannot_be_renamed_goes_on(
    prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away in that moment costs the reason in the name, no more."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise httpx.ConnectError("away")

    monkeypatch.setattr(SyncPrefectClient, "update_flow_run", refuse)
    assert run(tmp_path, monkeypatch, False, f"nothing to do, because of {tmp_path}") == []
    with get_client(sync_client=True) as client:
        (found,) = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
    assert (found.name, found.state and found.state.message) == (
        "retrain smoke",
        f"nothing to do, because of {tmp_path}",
    )


@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("no model yet", "retrain smoke: no model yet"),
        ("1,024 new pictures", "retrain smoke: 1,024 new pictures"),
        ("smoke v3 is 8.0 days old, 7 is the limit", "retrain smoke: smoke v3 is 8.0 days old"),
        ("nothing to do, because smoke v3 has seen all pictures", "retrain smoke: nothing to do"),
        ("word " * 30, "retrain smoke:" + " word" * 12 + " ..."),
    ],
)
def test_reasons_are_shortened(reason: str, name: str) -> None:
    """A name has a reason's first part, and 80 characters at most."""
    assert with_reason("retrain smoke", reason) == name
    assert len(name) <= 80
