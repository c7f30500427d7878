"""What the states of failed runs say, as the server has them, and what the terminal says of the same error."""

from __future__ import annotations

from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
from prefect.client.schemas.sorting import FlowRunSort

from flows import tasks
from flows.next_steps import STEPS, command, plain, told
from flows.parameters import ASKED
from flows.pipeline import pipeline
from flows.policy import FINAL
from flows.retrain import retrain
from flows.stages import Order
from flows.triggers import Trigger
from gan_core.config import load_config
from gan_core.errors import ConfigError, DataError, StageFailed
from tests.flows import fake_stages
from tests.flows.fake_stages import behave
from tests.flows.test_children import until

pytestmark = pytest.mark.timeout(300, method="thread")


@pytest.fixture
def fakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fake stages under the real tasks, whose retries do not wait."""
    fake_stages.use(monkeypatch)


@pytest.fixture
def order(tmp_path: Path) -> Order:
    """An order of the command line, with a setting."""
    return Order(config=load_config("smoke", ["train.seed=3"]), data_root=tmp_path)


def messages(*, of_tasks: bool = True) -> tuple[str, str, dict[str, str]]:
    """Return state and message of the last flow run, and the messages of its tasks that failed, by name."""
    with get_client(sync_client=True) as client:
        (run,) = client.read_flow_runs(limit=1, sort=FlowRunSort.START_TIME_DESC)
        asked = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        found: dict[str, str] = {}

        def arrived() -> bool:
            for task in client.read_task_runs(flow_run_filter=asked, limit=200, offset=0):
                if task.state and task.state.is_failed():
                    found[task.name] = task.state.message or ""
            return bool(found)

        assert run.state is not None
        if of_tasks:
            until(arrived)  # states of tasks come as events, later than those of flows
    return run.state.name, run.state.message or "", found


@pytest.mark.usefixtures("prefect_url", "fakes")
def test_a_killed_stage_says_how_to_go_on(order: Order) -> None:
    """Task and flow name the error, that finished stages are kept, and both ways to go on."""
    behave(order.data_root, "report", "exit", "exit")
    token = ASKED.set(order)
    with pytest.raises(StageFailed) as caught:
        pipeline("smoke")
    ASKED.reset(token)
    way = f"faceloom run smoke --data-root {order.data_root} --set train.seed=3"
    error = str(plain(caught.value))
    said = f"{error}. Finished stages are kept: Retry here goes on where it stopped, or: {way}"
    assert error.startswith("report ended with exit code 3 and no answer; its output is in ")
    assert messages() == (
        "Failed",
        f"Flow run encountered an exception: StageFailed: {said}",
        {"report smoke": f"Task run encountered an exception StageFailed: {said}"},
    )


@pytest.mark.usefixtures("prefect_url", "fakes")
def test_a_mistake_in_the_pictures_says_what_to_change(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retraining names its own command, with what was asked for, not with the seed that it begins with."""
    begun = Order(config=load_config("smoke", ["train.seed=99"]), data_root=order.data_root)
    monkeypatch.setattr("flows.retrain.look_for", lambda asked, force: Trigger(True, "due", begun))
    behave(order.data_root, "prepare", "DataError")
    token = ASKED.set(order)
    with pytest.raises(DataError):
        retrain("smoke")
    ASKED.reset(token)
    said = (
        "prepare says DataError. Not tried again: change the pictures or the options that it names, then Retry here, "
        f"or: faceloom retrain smoke --data-root {order.data_root} --set train.seed=3"
    )
    assert messages() == (
        "Failed",
        f"Flow run encountered an exception: DataError: {said}",
        {"prepare smoke": f"Task run encountered an exception DataError: {said}"},
    )


@pytest.mark.usefixtures("prefect_url", "fakes")
def test_a_stage_out_of_time_says_how_to_go_on(order: Order, monkeypatch: pytest.MonkeyPatch) -> None:
    """The task's message is Prefect's; the flow's has the next step, and both are TimedOut."""
    slow = tasks.report.with_options(timeout_seconds=5, retries=0)
    monkeypatch.setattr(tasks, "report", slow)
    behave(order.data_root, "report", "hang")
    token = ASKED.set(order)
    with pytest.raises(TimeoutError) as caught:
        pipeline("smoke")
    ASKED.reset(token)
    assert str(plain(caught.value)) == "Scope timed out after 5.0 second(s)."
    name, message, failed = messages()
    assert (name, failed) == ("TimedOut", {"report smoke": "Task run exceeded timeout of 5.0 second(s)"})
    assert "Scope timed out after 5.0 second(s). Finished stages are kept: Retry here goes on" in message


@pytest.mark.usefixtures("prefect_url")
def test_parameters_that_are_refused_say_what_to_change() -> None:
    """Before any task, and without a command: there is none that would work."""
    with pytest.raises(ConfigError):
        pipeline("smoke", "/elsewhere/faces")
    name, message, failed = messages(of_tasks=False)
    assert (name, failed) == ("Failed", {})
    assert message.startswith("Flow run encountered an exception: ConfigError: source: /elsewhere/faces lies neither ")
    assert message.endswith(". Not tried again: change what it names, then Run with that")


def test_what_is_not_tried_again_says_so() -> None:
    """The steps know every error that is final, and no other."""
    assert set(STEPS) == set(FINAL)
    assert all(step.startswith("Not tried again") for step in STEPS.values())


def test_a_step_is_told_once() -> None:
    """A flow around a task adds nothing to what the task has said."""
    with pytest.raises(StageFailed) as caught, told(), told("faceloom run smoke"), told():
        raise StageFailed("killed.")
    step = "Finished stages are kept: Retry here goes on where it stopped, or: faceloom run smoke"
    assert str(caught.value) == f"killed. {step}"
    assert str(plain(caught.value)) == "killed."


def test_a_password_of_the_command_stays_in_its_process(tmp_path: Path) -> None:
    """Prefect keeps messages and shows them."""
    config = load_config("smoke", ["eval.weights=https://me:word@host/w.pth"])
    assert command("run", Order(config=config, data_root=tmp_path)) == "faceloom run smoke ..."
    beam = Order(config=load_config("smoke"), data_root=Path("data"), beam_args=("--runner=X", "--name=a b"))
    assert command("run", beam) == "faceloom run smoke -- --runner=X '--name=a b'"
