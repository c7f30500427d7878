"""What is tried with a team. Each trial raises `Wrong` at the first thing that is not as it must be."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from tests.postgres import processes
from tests.postgres.data_root import DataRoot
from tests.postgres.team import DEPLOYMENTS, TOTAL_IMAGES, Team
from tests.postgres.waiting import wait_for

ARTIFACTS = {"faceloom-summary", "faceloom-samples", "faceloom-scores", "faceloom-report"}
ONCE = {"train": 1, "sample": 1, "evaluate": 1, "report": 1}
JUDGED = {"judge": 1, "promote": 1}
DATABASE_AWAY_SECONDS = 10.0


class Wrong(Exception):
    """Something is not as it must be."""


def require(what: str, found: object, wanted: object) -> None:
    """Raise Wrong where `found` is not `wanted`."""
    if found != wanted:
        raise Wrong(f"{what}: {found}, wanted {wanted}")


def undisturbed(team: Team) -> tuple[str, DataRoot]:
    """Two runs on two workers at once."""
    data, runs = team.begin("undisturbed")
    wait_for("both runs on workers", lambda: all(map(team.worker_of, runs.values())))
    require("workers of the runs", sorted(map(team.worker_of, runs.values())), sorted(team.workers))
    wait_for("the first training", lambda: first_training(data))
    require("slots of the GPU that are held, and all", team.api.gpu_slots(), (1, 1))
    require("readable passwords", team.leaks(), [])
    completed(team, data, runs)
    (start, end), (other_start, other_end) = (team.api.times(run) for run in runs.values())
    together = (min(end, other_end) - max(start, other_start)).total_seconds()
    require("runs overlap", together > 0, True)
    return f"two runs, {together:.0f} s of them at once on two workers, no two GPU stages at once", data


def worker_killed(team: Team, wanted: DataRoot) -> str:
    """Kill -9 of a worker and its flow process in the middle of a training; the other worker goes on with it."""
    data, runs = team.begin("worker-killed")
    seed = wait_for("the second training", lambda: second_training(data))[0]
    images, victim = data.checkpoints(seed), team.worker_of(runs[seed])
    begun = time.monotonic()
    team.workers[victim].kill()
    processes.kill(processes.flow_processes_of(runs[seed]))
    in_its_middle(data, seed)
    wait_for("the end of the training whose flow is gone", lambda: not processes.processes_of(runs[seed]))
    wait_for("the janitor", lambda: team.api.state(runs[seed]) != "RUNNING")
    marked = time.monotonic() - begun
    wait_for("the other worker", lambda: team.worker_of(runs[seed]))
    require("worker that goes on", team.worker_of(runs[seed]) not in ("", victim), True)
    wait_for("completion", lambda: team.api.state(runs[seed]) == "COMPLETED")
    names = Counter(name for name, message in team.api.states(runs[seed]) if "janitor" in message)
    require("states by the janitor", names, {"Crashed": 1, "AwaitingRetry": 1})
    team.workers[victim].start()
    completed(team, data, runs)
    shown = data.trained_images(seed)
    require("executions of the training", len(shown), 2)
    require("images of both together", sum(shown), TOTAL_IMAGES)
    same(data, wanted)
    return (
        f"{victim} and its flow killed after {images:,} images, marked as Crashed {marked:.0f} s later, "
        "finished by the other worker: the same bytes"
    )


def server_killed(team: Team, wanted: DataRoot) -> str:
    """Kill -9 of the server in the middle of a training, and another start."""
    data, runs = team.begin("server-killed")
    seed = wait_for("the first training", lambda: first_training(data))[0]
    images, begun = data.checkpoints(seed), time.monotonic()
    team.server.kill()
    in_its_middle(data, seed)
    team.start_server()
    away = time.monotonic() - begun
    completed(team, data, runs)
    same(data, wanted)
    return f"server killed after {images:,} images, {away:.0f} s away: both runs Completed, the same bytes"


def database_away(team: Team, wanted: DataRoot) -> str:
    """PostgreSQL stopped and started again, twice: in the middle of a training, and at the last words of a flow."""
    data, runs = team.begin("database-away")
    seed = wait_for("the first training", lambda: first_training(data))[0]
    images = data.checkpoints(seed)
    team.database.stop()
    in_its_middle(data, seed)
    time.sleep(DATABASE_AWAY_SECONDS)
    team.database.start()
    wait_for("the end of its last stage", lambda: data.stages(seed)["report"])
    stopped = datetime.now(UTC)
    team.database.stop()
    time.sleep(DATABASE_AWAY_SECONDS)
    team.database.start()
    completed(team, data, runs)
    require("the run ended later than that", team.api.times(runs[seed])[1] > stopped, True)
    same(data, wanted)
    return (
        f"PostgreSQL away for {DATABASE_AWAY_SECONDS:g} s after {images:,} images, and again at the end of the run: "
        "both runs Completed, the same bytes"
    )


def in_its_middle(data: DataRoot, seed: int) -> None:
    """Require that a training that was disturbed just now had not ended."""
    require("trainings that had ended before", data.stages(seed)["train"], 0)


def nothing_left(team: Team) -> str:
    """No run is open, no slot held, no process of a run there."""
    wait_for("no open flow run", lambda: not team.api.open_runs())
    require("open task runs", team.api.open_runs("task_runs"), [])
    wait_for("a free GPU", lambda: team.api.gpu_slots()[0] == 0)
    # The process of a run outlives its last state by a moment.
    wait_for("the end of the runs' processes", lambda: not team.children())
    require("readable passwords", team.leaks(), [])
    return "no run Running or Pending, the GPU free, no process left, no password in logs and command lines"


def completed(team: Team, data: DataRoot, runs: Mapping[int, str]) -> None:
    """Require that runs end Completed, with everything made once, never two GPU stages at a time."""
    for seed, run in runs.items():
        flow, deployment = DEPLOYMENTS[seed]
        ended = team.end(run)
        require(f"{deployment}, whose states are {team.api.states(run)}", ended, "COMPLETED")
        judged = flow == "retrain"
        require(f"artifacts of {deployment}", ARTIFACTS - team.api.artifacts(run), set())
        done = data.stages(seed)
        once = ONCE | JUDGED if judged else ONCE
        require(f"times that stages of {deployment} were done", {name: done[name] for name in once}, once)
        require(f"stages of {deployment} that were done twice", {n: c for n, c in done.items() if c > 1}, {})
    require("GPU stages at once", data.overlaps(), [])


def same(data: DataRoot, wanted: DataRoot) -> None:
    """Require the same bytes and scores as in another data root."""
    found, expected = data.digests(), wanted.digests()
    require("different files", sorted(p for p in {*found, *expected} if found.get(p) != expected.get(p)), [])
    for seed in DEPLOYMENTS:
        require("scores", data.scores(seed), wanted.scores(seed))


def first_training(data: DataRoot) -> tuple[int] | None:
    """Return the seed of a run that is in the middle of its training, in a tuple, as 0 is false; else None."""
    return next(((seed,) for seed in DEPLOYMENTS if data.is_training(seed)), None)


def second_training(data: DataRoot) -> tuple[int] | None:
    """Return the same once the other run has been trained: then the one that is killed holds up nobody's training."""
    found = first_training(data)
    others = [seed for seed in DEPLOYMENTS if found and seed not in found]
    return found if all(data.stages(seed)["train"] for seed in others) else None
