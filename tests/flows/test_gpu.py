from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows import gpu
from gan_core.errors import ConfigError, StageFailed
from tests.flows.test_children import until

_HOLDER = """
import pathlib, sys, time
from flows.gpu import holding_gpu
with holding_gpu("train"):
    pathlib.Path(sys.argv[1]).touch()
    while not pathlib.Path(sys.argv[1] + ".end").exists():
        time.sleep(0.1)
"""


@pytest.fixture
def url(
    own_prefect: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[str]:
    """The server, asked by this process and by those it starts, for a limit of the test's own."""
    monkeypatch.setenv("PREFECT_API_URL", own_prefect[0])
    monkeypatch.setenv("FACELOOM_GPU_LIMIT", request.node.name.replace("_", "-"))
    with temporary_settings({PREFECT_API_URL: own_prefect[0]}):
        yield own_prefect[0]


@pytest.fixture
def holders() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Processes that are gone at the end."""
    started: list[subprocess.Popen[bytes]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def hold(flag: Path) -> subprocess.Popen[bytes]:
    """Start a process that holds the GPU from when `flag` exists until `flag.end` does."""
    return subprocess.Popen([sys.executable, "-c", _HOLDER, str(flag)])


def limit(url: str) -> dict[str, Any]:
    """Return what the server says of the limit."""
    answer: dict[str, Any] = httpx.get(f"{url}/v2/concurrency_limits/{gpu.limit_name()}").json()
    return answer


def let_leases_run_out(home: Path) -> None:
    """Date all leases back, instead of waiting for five minutes."""
    past = "2000-01-01T00:00:00+00:00"
    folder = home / "concurrency_leases"
    leases = [path for path in folder.glob("*.json") if path.name != "expirations.json"]
    for path in leases:
        path.write_text(json.dumps({**json.loads(path.read_text()), "expiration": past}))
    (folder / "expirations.json").write_text(json.dumps({path.stem: past for path in leases}))


@pytest.mark.timeout(300)
def test_the_slot_of_a_killed_process_goes_to_the_next(
    own_prefect: tuple[str, Path], url: str, holders: list[subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    """The second waits while the first lives; after kill -9 the server takes the slot back, and the second has it."""
    first, second = tmp_path / "first", tmp_path / "second"
    holders.append(hold(first))
    until(first.exists)
    holders.append(hold(second))
    assert (limit(url)["limit"], limit(url)["active_slots"]) == (1, 1)
    os.kill(holders[0].pid, signal.SIGKILL)
    holders[0].wait()
    assert not second.exists()
    let_leases_run_out(own_prefect[1])
    until(second.exists)
    assert limit(url)["active_slots"] == 1
    Path(f"{second}.end").touch()
    assert holders[1].wait(60) == 0
    assert limit(url)["active_slots"] == 0


def test_a_limit_that_exists_keeps_its_size(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """FACELOOM_GPU_SLOTS counts when the limit is made; somebody may have changed it in the UI since."""
    monkeypatch.setenv("FACELOOM_GPU_SLOTS", "3")
    with gpu.holding_gpu("train"):
        assert (limit(url)["limit"], limit(url)["active_slots"]) == (3, 1)
    monkeypatch.setenv("FACELOOM_GPU_SLOTS", "1")
    with gpu.holding_gpu("train"):
        assert (limit(url)["limit"], limit(url)["active_slots"]) == (3, 1)
    assert limit(url)["active_slots"] == 0


def test_an_error_gives_the_slot_back(url: str) -> None:
    """The error of the stage comes out as it is."""
    with pytest.raises(ZeroDivisionError), gpu.holding_gpu("train"):
        raise ZeroDivisionError
    assert limit(url)["active_slots"] == 0


def test_a_lease_that_is_lost_does_not_fail_what_was_trained(own_prefect: tuple[str, Path], url: str) -> None:
    """The server took the slot back while the stage went on: the stage ends well, and no slot is freed twice."""
    with gpu.holding_gpu("train"):

        def taken_back() -> bool:
            let_leases_run_out(own_prefect[1])  # again, should its holder have renewed it
            return bool(limit(url)["active_slots"] == 0)

        until(taken_back)
    assert limit(url)["active_slots"] == 0


class Flaky:
    """Stands in for a client whose server misbehaves: `answers` are statuses, or 0 for none at all."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def read_global_concurrency_limit_by_name(self, name: str) -> None:
        """There is one."""

    def increment_concurrency_slots_with_lease(self, *_: object) -> httpx.Response:
        """Give a lease."""
        return self._answer("take", {"lease_id": str(uuid4()), "limits": [{}]})

    def renew_concurrency_lease(self, *_: object) -> httpx.Response:
        """Renew it."""
        return self._answer("renew", None)

    def release_concurrency_slots_with_lease(self, *_: object) -> httpx.Response:
        """Take it back."""
        return self._answer("give back", None)

    def _answer(self, what: str, body: object) -> httpx.Response:
        self.asked.append(what)
        status = self.answers.pop(0) if self.answers else 200
        request = httpx.Request("POST", "http://server")
        if status == 0:
            raise httpx.ConnectError("away", request=request)
        response = httpx.Response(status, json=body, request=request)
        return response.raise_for_status()


def slot_of(client: Flaky, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a slot that does not wait."""
    monkeypatch.setattr(gpu, "_ASK_EVERY_SECONDS", 0.0)
    return gpu._Slot(client, 0.01)  # type: ignore[arg-type]


def test_a_server_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for the slot outlives a server that does not answer and one that starts; then it is taken."""
    client = Flaky(0, 503, 423, 0, 200)
    slot_of(client, monkeypatch).take("train")
    assert client.asked == ["take"] * 5


def test_the_first_waits_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is busy for a moment costs a moment: the client's own waits of seconds are off meanwhile."""
    waits: list[float] = []
    patience: list[int] = []

    class Busy(Flaky):
        def read_global_concurrency_limit_by_name(self, name: str) -> None:
            patience.append(PREFECT_CLIENT_MAX_RETRIES.value())

    client = Busy(503, 503, 423, 423, 423, 423, 423, 200)
    monkeypatch.setattr("flows.gpu.time.sleep", waits.append)
    before = PREFECT_CLIENT_MAX_RETRIES.value()
    gpu._Slot(client, 60).take("train")  # type: ignore[arg-type]
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    assert patience == [0] * 8
    assert PREFECT_CLIENT_MAX_RETRIES.value() == before != 0


def test_renewing_never_gives_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls that fail are made again; a lease that ran out is taken anew once the slot is free."""
    client = Flaky(200, 200, 0, 0, 500, 200, 410, 423, 423, 200, 200)
    slot, ended = slot_of(client, monkeypatch), threading.Event()
    slot.take("train")
    thread = threading.Thread(target=slot.keep, args=(ended,))
    thread.start()
    until(lambda: len(client.asked) >= 11)
    ended.set()
    thread.join()
    slot.give_back("train")
    assert client.asked[:11] == ["take", *["renew"] * 6, "take", "take", "take", "renew"]
    assert client.asked[-1] == "give back"


def test_what_a_server_refuses_is_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A login that is wrong stays wrong."""
    client = Flaky(401)
    with pytest.raises(StageFailed, match="401 Unauthorized"):
        slot_of(client, monkeypatch).take("train")


@pytest.mark.parametrize("text", ["0", "many", "-1", "1001", "1.5"])
def test_slots_must_be_a_number(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and what it holds."""
    monkeypatch.setenv("FACELOOM_GPU_SLOTS", text)
    with pytest.raises(ConfigError) as caught:
        gpu.slots()
    assert str(caught.value) == f"FACELOOM_GPU_SLOTS must be a whole number in [1, 1000], got '{text}'"


def test_a_server_that_is_away_is_worth_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a server nobody can say whether the GPU is free; it is asked for ten minutes."""
    monkeypatch.setattr(gpu, "_WITHOUT_SERVER_SECONDS", 0.0)
    with (
        temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(StageFailed, match="train could not ask Prefect's server for the GPU"),
        gpu.holding_gpu("train"),
    ):
        pytest.fail("the stage must not start")
