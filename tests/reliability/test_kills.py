"""Kill -9 of the child of a stage, and of the command itself, at each stage."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest

from tests.reliability.night import Night, kill
from tests.reliability.outcome import outcome_of, times_done

pytestmark = [pytest.mark.usefixtures("long_nights"), pytest.mark.timeout(1500, method="thread")]

STAGES = ("ingest", "prepare", "train", "sample", "evaluate", "report")
# What each takes at least on two idle cores; a kill comes at any time within.
_SECONDS = {"ingest": 0.9, "prepare": 0.5, "train": 6.0, "sample": 2.0, "evaluate": 2.0, "report": 0.3}


def wait_into(stage: str, numbers: random.Random) -> None:
    """Wait for a random part of what a stage takes."""
    time.sleep(numbers.uniform(0.0, _SECONDS[stage]))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_child_is_killed_at_each_stage(seed: int, night: Night, undisturbed: dict[str, Any]) -> None:
    """One command, each of whose stages loses a child at a random moment, ends with the same files, to the byte."""
    numbers = random.Random(seed)
    command = night.command("run", "smoke")
    for stage in STAGES:
        pid = night.child(stage)
        wait_into(stage, numbers)
        kill(pid)
    assert command.wait(600) == 0, night.said()
    assert outcome_of(night.data_root) == undisturbed
    assert times_done(night.data_root) == dict.fromkeys(STAGES, 1)
    night.nothing_left()


def test_the_command_is_killed_at_each_stage(night: Night, undisturbed: dict[str, Any]) -> None:
    """Each following command goes on; finished stages are not done again, and no flow run is left in Running."""
    numbers = random.Random(2)
    night.server()
    server = night.started[0]
    for stage in STAGES:
        command = night.command("run", "smoke")
        night.child(stage)
        wait_into(stage, numbers)
        kill(command.pid)
        command.wait()
        night.nothing_left(server)  # the stage's child ends by itself
    night.succeeds("run", "smoke")
    assert outcome_of(night.data_root) == undisturbed
    assert times_done(night.data_root) == dict.fromkeys(STAGES, 1)
    states = sorted(night.run_states().values())
    assert states == ["COMPLETED"] + ["CRASHED"] * len(STAGES)
    night.until("the slot of the GPU is free", lambda: night.slots_taken() == 0, 90)
