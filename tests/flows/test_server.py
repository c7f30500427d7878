from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from flows import server
from flows.server import temporary_server
from flows.server_process import run_server, server_environment
from gan_core.errors import ConfigError, StageFailed
from tests.flows.test_children import alive, until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A Prefect home without a server of the user's; servers linger for a second."""
    home = tmp_path / "home"
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(home))
    monkeypatch.setenv("FACELOOM_SERVER_LINGER_SECONDS", "1")
    yield home
    pids = [pid_of(path) for path in home.glob("shared-server/*/server.json")]
    until(lambda: not any(map(alive, pids)))


def pid_of(facts: Path) -> int:
    """Return the process of a server that is shared."""
    return int(json.loads(facts.read_text())["pid"])


def shared_pid(home: Path) -> int:
    """Return the process of the only one."""
    (facts,) = home.glob("shared-server/*/server.json")
    return pid_of(facts)


@pytest.mark.timeout(300)
def test_commands_share_a_server_that_ends_itself(home: Path, tmp_path: Path) -> None:
    """Two at once and one right after them have the same; a second after the last it is gone."""
    with temporary_server(tmp_path) as first:
        first.until_ready()
        pid = shared_pid(home)
        del os.environ["PREFECT_API_URL"]  # as in another process
        with temporary_server(tmp_path) as second:
            assert second.url == first.url
        os.environ["PREFECT_API_URL"] = first.url
    with temporary_server(tmp_path) as third:
        assert (third.url, shared_pid(home)) == (first.url, pid)
        third.until_ready()
    until(lambda: not alive(pid))


@pytest.mark.timeout(300)
def test_after_a_kill_the_next_command_starts_another(home: Path, tmp_path: Path) -> None:
    """The file of a killed server deceives nobody: the lock of a process ends with it."""
    with temporary_server(tmp_path) as first:
        pid = shared_pid(home)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not (first.alive and first.alive()))
        with pytest.raises(StageFailed, match="Prefect's server ended at its start"):
            first.until_ready()
    with temporary_server(tmp_path):
        assert shared_pid(home) != pid


@pytest.mark.timeout(300)
def test_other_settings_have_another_server(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the user says to Prefect's server by variables is not answered by one that was told otherwise."""
    with temporary_server(tmp_path) as first:
        monkeypatch.setenv("PREFECT_SERVER_LOGGING_LEVEL", "CRITICAL")
        monkeypatch.delenv("PREFECT_API_URL")
        with temporary_server(tmp_path) as second:
            assert second.url != first.url
        monkeypatch.setenv("PREFECT_API_URL", first.url)


def test_a_free_port_is_none_of_outgoing_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a server starts, whoever asks it cannot be given its port; one that is taken is passed over."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", server.free_port()))
        port = taken.getsockname()[1]
        assert port in range(20_000, 32_768)
        monkeypatch.setattr(server, "PORTS", range(port, port + 100))
        assert server.free_port() in range(port + 1, port + 100)


def test_the_users_own_server_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is started beside it; where it is away, the message says what to do."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api/")
    monkeypatch.setattr(server, "_OTHERS_ANSWER_SECONDS", 0.0)
    with temporary_server(tmp_path) as users:
        assert (users.url, users.alive, users.log) == ("http://127.0.0.1:9/api", None, None)
        with pytest.raises(StageFailed) as caught:
            users.until_ready()
    assert str(caught.value) == (
        "the Prefect server at http://127.0.0.1:9/api did not answer for 0 s; "
        "start it (faceloom serve), or unset PREFECT_API_URL to let faceloom start one"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["soon", "-1", "86401", "nan"])
def test_lingering_must_be_a_number(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable and what it holds."""
    monkeypatch.setenv("FACELOOM_SERVER_LINGER_SECONDS", text)
    with pytest.raises(ConfigError) as caught:
        server.linger_seconds()
    assert str(caught.value) == f"FACELOOM_SERVER_LINGER_SECONDS must be a number in [0, 86400], got '{text}'"


def test_the_users_settings_of_a_server_stay() -> None:
    """Only what is not there is added; a server for commands has no UI and no schedules."""
    mine = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "mine"}
    added = server_environment(mine, full=False)
    assert "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE" not in added
    assert added["PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED"] == "false"
    assert "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED" not in server_environment(mine, full=True)


def test_the_janitor_of_a_server_with_a_login_logs_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the server would refuse it at every look."""
    import flows.janitor  # before the environment below is what Prefect reads

    ours = (
        "PREFECT__SERVER_FINAL",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS",
        "PREFECT_API_URL",
        "PREFECT_API_AUTH_STRING",
    )
    for name in ours:
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setenv("PREFECT_SERVER_API_AUTH_STRING", "somebody:something")
    began: list[tuple[str, str]] = []

    @contextlib.contextmanager
    def noted() -> Iterator[None]:
        began.append((os.environ["PREFECT_API_URL"], os.environ["PREFECT_API_AUTH_STRING"]))
        yield

    monkeypatch.setattr(flows.janitor, "janitor_thread", noted)
    monkeypatch.setattr("uvicorn.run", lambda *_, **__: None)
    run_server("127.0.0.1", 4200, full=True)
    assert began == [("http://127.0.0.1:4200/api", "somebody:something")]


def test_pages_of_others_get_no_answer_to_show(own_prefect: tuple[str, Path]) -> None:
    """A page that a browser shows may not ask the server for itself; the server's own pages may."""
    url = own_prefect[0]
    own = url.removesuffix("/api")
    headers = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "content-type"}
    answers = {}
    for origin in ("http://another.example", own):
        answer = httpx.options(f"{url}/deployments/{uuid4()}", headers={**headers, "Origin": origin})
        answers[origin] = answer.status_code, answer.headers.get("access-control-allow-origin")
    assert answers == {"http://another.example": (400, None), own: (200, own)}
