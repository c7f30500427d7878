"""A server and workers that lose processes, machines and each other."""

from __future__ import annotations

import os
import signal
import time
from subprocess import Popen
from typing import Any

import pytest

from tests.reliability.night import Night, kill
from tests.reliability.outcome import outcome_of, times_done

pytestmark = [pytest.mark.usefixtures("long_nights"), pytest.mark.timeout(1800, method="thread")]

STAGES = ("ingest", "prepare", "train", "sample", "evaluate", "report")
ONCE = dict.fromkeys(STAGES, 1)
# A run is started again three times, no more.
HALVES = pytest.mark.parametrize("stages", [STAGES[0::2], STAGES[1::2]], ids="-".join)


@pytest.fixture
def team(night: Night) -> Night:
    """A server, and a deployment of the flow `pipeline` in a pool that has no worker yet."""
    night.server()
    night.succeeds("deploy", "smoke", "--flow", "pipeline", "--pool", "night")
    return night


def run_of(team: Night) -> str:
    """Start a run of the deployment."""
    return team.start_run("faceloom/smoke")


def ended_well(team: Night, run: str, undisturbed: dict[str, Any], seconds: float = 900) -> None:
    """The run ends Completed with the same files; nothing was done twice, is still said to run, or is held."""
    assert team.ends(run, seconds) == "COMPLETED", team.run(run)["state"]
    assert outcome_of(team.data_root) == undisturbed
    assert times_done(team.data_root) == ONCE
    assert set(team.run_states().values()) == {"COMPLETED"}
    # A server that was killed may have forgotten how a task ended: the janitor ends it.
    team.until("no task is said to run", lambda: not {"RUNNING", "PENDING"} & set(team.task_states(run)), 300)
    team.until("the slot of the GPU is free", lambda: team.slots_taken() == 0, 120)


def no_flow_left(team: Night, *besides: Popen[bytes]) -> None:
    """Only the servers and workers live."""
    team.nothing_left(*besides)


@HALVES
def test_the_process_of_a_flow_run_is_killed(stages: tuple[str, ...], team: Night, undisturbed: dict[str, Any]) -> None:
    """Its worker notices, the janitor starts it again, and it goes on with what is not done, three times."""
    worker = team.worker()
    run = run_of(team)
    for stage in stages:
        child = team.child(stage)
        kill(team.flow_process())
        team.until("the stage's child ends by itself", lambda child=child: child not in team.processes(), 90)
    ended_well(team, run, undisturbed)
    assert team.run(run)["run_count"] == 4
    no_flow_left(team, team.started[0], worker)


def test_the_worker_is_killed_at_each_stage(team: Night, undisturbed: dict[str, Any]) -> None:
    """The flow run goes on without its worker, and ends as if nothing had been; the next workers do not repeat it."""
    worker = team.worker("worker")
    run = run_of(team)
    for stage in STAGES:
        team.child(stage)
        worker.kill()
        worker.wait()
        worker = team.worker(f"worker after {stage}")
    ended_well(team, run, undisturbed)
    assert team.run(run)["run_count"] == 1
    no_flow_left(team, team.started[0], worker)


def test_a_machine_is_lost(team: Night, undisturbed: dict[str, Any]) -> None:
    """Worker, flow process and child are killed in one moment, in the middle of training: another worker goes on."""
    worker = team.worker()
    run = run_of(team)
    victims = [worker.pid, team.child("train"), team.flow_process()]
    for pid in victims:
        kill(pid)
    worker.wait()
    second = team.worker("second")
    ended_well(team, run, undisturbed)
    assert team.run(run)["run_count"] == 2
    no_flow_left(team, team.started[0], second)


def test_a_machine_is_preempted(team: Night, undisturbed: dict[str, Any]) -> None:
    """SIGTERM to all processes of a machine, and SIGKILL 30 s later: training saves, and another worker goes on."""
    worker = team.worker()
    run = run_of(team)
    team.child("train")
    victims = [pid for pid in team.processes() if pid != team.started[0].pid]
    for pid in victims:
        os.kill(pid, signal.SIGTERM)
    time.sleep(30)
    for pid in set(victims) & team.processes().keys():
        kill(pid)
    worker.wait()
    second = team.worker("second")
    ended_well(team, run, undisturbed)
    no_flow_left(team, team.started[0], second)


def test_the_server_is_killed_at_each_stage(team: Night, undisturbed: dict[str, Any]) -> None:
    """Ten seconds without server, six times in one run: the run does not notice."""
    server, worker = team.started[0], team.worker()
    run = run_of(team)
    for stage in STAGES:
        team.child(stage)
        server.kill()
        server.wait()
        time.sleep(10)
        server = team.server()
    ended_well(team, run, undisturbed)
    assert team.run(run)["run_count"] == 1
    no_flow_left(team, server, worker)


def test_the_server_is_away_while_training_ends(team: Night, undisturbed: dict[str, Any]) -> None:
    """It is away for 75 s, and training ends meanwhile: the run waits for it and goes on."""
    server, worker = team.started[0], team.worker()
    run = run_of(team)
    team.child("train")
    server.kill()
    server.wait()
    time.sleep(75)
    server = team.server()
    ended_well(team, run, undisturbed)
    no_flow_left(team, server, worker)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)], ids=["kill", "terminate"])
@HALVES
def test_serve_is_killed(
    stages: tuple[str, ...], number: int, code: int, night: Night, undisturbed: dict[str, Any]
) -> None:
    """`faceloom serve` takes its server along, and its run saves; the next one finishes what was under way."""
    words = ("serve", "smoke", "--flow", "pipeline", "--every", "1d", "--port", port := free())
    serve = night.command(*words)
    night.url = f"http://127.0.0.1:{port}/api"
    night.until("the server answers", night.server_answers)
    night.until("the deployment is there", lambda: night.post("deployments/filter"))
    run = night.start_run("faceloom/smoke-serve")
    for stage in stages:
        night.child(stage)
        serve.send_signal(number)
        assert serve.wait(120) == code
        assert number == signal.SIGKILL or "Traceback" not in night.said()
        serve = night.command(*words, PREFECT_API_URL="")
        night.until("the server answers", night.server_answers)
    ended_well(night, run, undisturbed)
    # It sends its last logs; without server it would try that for minutes.
    night.until("the flow's process ends", lambda: not any("prefect.engine" in w for w in night.processes().values()))
    serve.terminate()
    assert serve.wait(60) == 130
    night.nothing_left()


@pytest.mark.parametrize("schedule", [("--every", "60s"), ("--cron", "* * * * *")], ids=["every", "cron"])
def test_serve_keeps_its_schedule(schedule: tuple[str, str], night: Night) -> None:
    """The first run trains, registers and judges a model; the next one, a minute later, says that nothing is to do."""
    command = night.command("serve", "smoke", *schedule, "--port", port := free())
    night.url = f"http://127.0.0.1:{port}/api"

    def ended() -> list[dict[str, Any]]:
        runs = night.post("flow_runs/filter", sort="START_TIME_ASC") if night.server_answers() else []
        return [run for run in runs if run["state"]["type"] == "COMPLETED"]

    night.until("two runs have ended", lambda: len(ended()) >= 2, 600)
    first, second = ended()[:2]
    assert not (first["state"]["message"] or "").startswith("nothing to do")
    assert second["state"]["message"].startswith("nothing to do, because ")
    assert (night.data_root / "registry" / "smoke" / "0001" / "manifest.json").exists()
    command.terminate()
    assert command.wait(60) == 130
    assert "Traceback" not in night.said()
    night.nothing_left()


def free() -> str:
    """Return a free port."""
    from flows.server import free_port

    return str(free_port())
