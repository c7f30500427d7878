from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from prefect import Task, flow
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.sorting import FlowRunSort

from flows import gate_stages, stages, tasks
from flows.next_steps import STEPS, plain
from flows.parameters import ASKED
from flows.pipeline import pipeline
from flows.policy import DAY, HOUR, worth_a_retry
from flows.reports_server import ADDRESS
from flows.stages import Order, StageResult, source_of
from gan_core import errors
from gan_core.config import load_config
from gan_core.errors import FaceloomError, StageFailed
from tests.flows.fake_stages import FAKES, GATE_FAKES, GATE_NAMES, NAMES, behave, calls
from tests.flows.test_children import alive, pid_in, until

# Prefect's timeouts use SIGALRM, which is pytest-timeout's as well.
pytestmark = [pytest.mark.usefixtures("prefect_url", "fakes"), pytest.mark.timeout(method="thread")]


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake stages under the real tasks, whose retries do not wait."""
    for name in NAMES:
        monkeypatch.setitem(stages.STAGES, name, FAKES[name])
        monkeypatch.setattr(tasks, name, getattr(tasks, name).with_options(retry_delay_seconds=0))
    for name in GATE_NAMES:
        monkeypatch.setitem(gate_stages.GATE_STAGES, name, GATE_FAKES[name])


def run(root: Path) -> list[StageResult]:
    """Run the whole flow."""
    token = ASKED.set(Order(config=load_config("smoke"), data_root=root))
    try:
        return pipeline("smoke")
    finally:
        ASKED.reset(token)


@flow
def training_alone(order: Order) -> StageResult:
    """A flow of one task."""
    return tasks.train(order)


def train(root: Path) -> StageResult:
    """Run the flow of one task."""
    return training_alone(Order(config=load_config("smoke"), data_root=root))


def test_each_stage_runs_once_and_a_second_run_does_nothing(
    prefect_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All six stages run once, in order, and leave artifacts in the UI; the same again executes nothing.

    Where reports are served, they are linked.
    """
    first = run(tmp_path)
    assert [(result.stage, result.outcome) for result in first] == [(name, "done") for name in NAMES]
    assert calls(tmp_path) == [f"{name} 1 {what}" for name in NAMES for what in ("starts", "done")]
    assert_artifacts(prefect_url, tmp_path)
    monkeypatch.setenv(ADDRESS, "http://127.0.0.1:4201")
    second = run(tmp_path)
    assert [(result.stage, result.outcome) for result in second] == [(name, "already done") for name in NAMES]
    query = {"artifacts": {"key": {"any_": ["faceloom-report"]}}}
    (link,) = httpx.post(f"{prefect_url}/artifacts/latest/filter", json=query).json()
    assert link["data"] == "[report of smoke-fake](http://127.0.0.1:4201/smoke-fake/report/report.done)"


def test_a_run_has_the_name_of_its_preset(tmp_path: Path) -> None:
    """Of a preset's file the name without its folders; a parameter that is left out is the default."""
    token = ASKED.set(Order(config=load_config("smoke"), data_root=tmp_path))
    try:
        pipeline("/srv/presets/mine.toml")
        pipeline()
    finally:
        ASKED.reset(token)
    with get_client(sync_client=True) as client:
        names = [found.name for found in client.read_flow_runs(limit=2, sort=FlowRunSort.START_TIME_DESC)]
    assert names == ["quickstart", "mine"]


def assert_artifacts(url: str, root: Path) -> None:
    """Check summary, scores, the report's path and no dead link, and full progress bars, under fixed keys."""
    query = {"artifacts": {"key": {"like_": "faceloom-"}}}
    found = {
        artifact["key"]: artifact["data"]
        for artifact in httpx.post(f"{url}/artifacts/latest/filter", json=query).json()
    }
    assert "| train | done |" in found["faceloom-summary"]
    (scores,) = json.loads(found["faceloom-scores"])
    assert scores == {
        "measure": "swd",
        "value": 2.5,
        "error": 0.25,
        "floor": 0.5,
        "floor_error": 0.125,
        "unit": "SWD x1000",
        "better": "lower",
        "fingerprint": "0123456789ab",
    }
    assert found["faceloom-report"] == f"`{root / 'report.done'}`"
    assert [found[f"faceloom-progress-{name}"] for name in NAMES] == [100.0] * 6


def test_a_failed_stage_repeats_alone(tmp_path: Path) -> None:
    """After `evaluate` has used up its retries, the same command repeats it and what follows, no more."""
    behave(tmp_path, "evaluate", "bug", "bug", "bug")
    with pytest.raises(StageFailed, match="evaluate failed: ValueError: no such thing"):
        run(tmp_path)
    assert [line for line in calls(tmp_path) if line.startswith("evaluate")] == [
        "evaluate 1 starts",
        "evaluate 2 resumes",
        "evaluate 3 resumes",
    ]
    assert not [line for line in calls(tmp_path) if line.startswith("report")]
    outcomes = {result.stage: result.outcome for result in run(tmp_path)}
    assert [stage for stage, outcome in outcomes.items() if outcome == "done"] == ["evaluate", "report"]


def test_a_killed_child_is_tried_again_where_it_was(tmp_path: Path) -> None:
    """A SIGKILL costs one attempt; the next one resumes what the first one left."""
    behave(tmp_path, "train", "kill")
    assert train(tmp_path).outcome == "done"
    assert calls(tmp_path) == ["train 1 starts", "train 2 resumes", "train 2 done"]


@pytest.mark.parametrize("kind", ["ConfigError", "DataError", "Diverged", "Interrupted"])
def test_mistakes_are_final(kind: str, tmp_path: Path) -> None:
    """What would fail the same way again is not tried again, and comes out of the flow with what to do at its end."""
    behave(tmp_path, "train", kind)
    with pytest.raises(FaceloomError) as caught:
        train(tmp_path)
    said = f"train says {kind}. {STEPS[getattr(errors, kind)]}"
    assert (type(caught.value), str(caught.value)) == (getattr(errors, kind), said)
    assert str(plain(caught.value)) == f"train says {kind}"
    assert calls(tmp_path) == ["train 1 starts"]


def test_a_hanging_stage_is_stopped_at_its_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Prefect's timeout ends the child and what the child started; nothing is left behind."""
    monkeypatch.setattr(tasks, "train", tasks.train.with_options(timeout_seconds=5, retries=0))
    behave(tmp_path, "train", "hang")
    with pytest.raises(TimeoutError):
        train(tmp_path)
    assert not alive(pid_in(tmp_path / "train.pid"))
    until(lambda: not alive(pid_in(tmp_path / "train.grandchild")))


def test_who_holds_the_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only stages that compute on it; the others do not wait for it. Their time begins once they have it."""
    held: list[str] = []
    limits: dict[str, float | None] = {}

    @contextlib.contextmanager
    def holding(stage: str) -> Iterator[None]:
        held.append(stage)
        yield

    def run(name: str, *_: object, limit_seconds: float | None, **__: object) -> StageResult:
        limits[name] = limit_seconds
        return real(name, *_, limit_seconds=limit_seconds, **__)  # type: ignore[arg-type]

    real = tasks.run_in_child
    monkeypatch.setattr(tasks, "run_in_child", run)
    monkeypatch.setattr(tasks, "holding_gpu", holding)
    order = Order(config=load_config("smoke"), data_root=tmp_path)

    @flow
    def all_stages() -> None:
        for name in (*NAMES, *GATE_NAMES):
            getattr(tasks, name)(order)

    all_stages()
    assert held == ["train", "sample", "evaluate", "judge", "promote"]
    gpu = {"train": 7 * DAY, "sample": 6 * HOUR, "evaluate": 6 * HOUR, "judge": 6 * HOUR, "promote": HOUR}
    assert limits == {**dict.fromkeys(["ingest", "prepare", "report"]), **gpu}


@pytest.mark.parametrize(
    ("name", "retries", "timeout_seconds"),
    [
        ("ingest", 2, 6 * HOUR),
        ("prepare", 2, DAY),
        ("train", 5, 28 * DAY),  # with waiting for the GPU
        ("sample", 2, 28 * DAY),
        ("evaluate", 2, 28 * DAY),
        ("report", 1, HOUR),
        ("judge", 2, 28 * DAY),
        ("promote", 2, 28 * DAY),
    ],
)
def test_the_policy_of_each_task(name: str, retries: int, timeout_seconds: int) -> None:
    """Retries and timeout of each task; none is cached or persisted by Prefect, or has a tag that it asks about."""
    task: Task[Any, Any] = getattr(tasks, name)
    assert (task.retries, task.timeout_seconds, task.tags) == (retries, timeout_seconds, set())
    assert (task.cache_policy, task.persist_result, task.retry_condition_fn) == (
        NO_CACHE,
        False,
        worth_a_retry,
    )
    assert task.retry_jitter_factor == 0.5


def test_what_ingest_found_survives_json() -> None:
    """The summary of `ingest` turns back into the SourceSummary that the later stages get."""
    summary = {
        "kind": "folder",
        "name": "a",
        "location": "b",
        "fingerprint": "c",
        "counts": {"train": 1},
        "notes": ["n"],
    }
    source = source_of(StageResult(stage="ingest", outcome="done", path="b", run_dir="r", summary=summary))
    assert (source.name, source.counts, source.notes) == ("a", {"train": 1}, ("n",))
