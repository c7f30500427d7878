"""The measurements: which contender gets which input, how often, in which order.

Runs that are compared follow each other directly, and each round begins with another contender, so that a machine
that gets slower or faster on the way hits all of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contenders import Contender, Task
from benchmarks.measure import ROOT, Run, run
from benchmarks.pictures import Input, celeba, large, natural, warm
from gan_core.storage import STORAGES


@dataclass(frozen=True)
class Plan:
    """Sizes and repetitions. TINY only shows that everything works.

    Attributes:
        compare: (pictures of 178x218, rounds, contenders) of the comparison; `dataset_tool` is left out where missing.
        large: the same for 1024x1024 pictures, by the suffix of their files.
        growth: (pictures, repetitions) of faceloom alone, with its memory.
        small: (pictures, repetitions) of the small job.
        storage_pictures: for the sizes of records, at `storage_sides`.
        names: pictures whose names are listed, assigned and written, without preparing them.
    """

    compare: Sequence[tuple[int, int, Sequence[str]]]
    large: Mapping[str, Sequence[tuple[int, int, Sequence[str]]]]
    growth: Sequence[tuple[int, int]]
    small: tuple[int, int]
    storage_pictures: int
    names: Sequence[int]
    storage_sides: Sequence[int] = (64, 128, 256)


_ALL = ("loop", "limit", "dataset_tool", "faceloom")
_SCALED = ("loop", "limit", "limit-scaled", "dataset_tool", "faceloom")  # libjpeg alone can decode at a fraction

FULL = Plan(
    compare=((5_000, 3, _ALL), (20_000, 5, _ALL), (50_000, 4, ("limit", "faceloom"))),
    # More JPEGs than PNGs: they take a fraction of the time, which must stand out from that of the start.
    large={".jpg": ((200, 2, _SCALED), (800, 2, _SCALED)), ".png": ((100, 2, _ALL), (400, 2, _ALL))},
    growth=((2_000, 5), (5_000, 3), (20_000, 2), (50_000, 1), (200_000, 1)),
    small=(500, 5),
    storage_pictures=400,
    names=(20_000, 200_000),
)
TINY = Plan(
    compare=((200, 1, _ALL), (500, 2, _ALL)),
    large={".jpg": ((10, 1, _SCALED), (20, 1, _SCALED)), ".png": ((10, 1, _ALL), (20, 1, _ALL))},
    growth=((200, 2), (300, 1), (500, 1)),
    small=(100, 2),
    storage_pictures=40,
    names=(200, 500),
    storage_sides=(64, 128),
)


@dataclass
class Bench:
    """What all experiments share, and the runs of the one that is going on."""

    plan: Plan
    scratch: Path
    celeba: Path
    portraits: Path
    contenders: dict[str, Contender]
    runs: list[Run] = field(default_factory=list)
    _inputs: dict[tuple[int, str], Input] = field(default_factory=dict)

    def make_inputs(self) -> None:
        """Make all pictures of the plan, so that the experiments find them."""
        counts = {*(step[0] for step in self.plan.compare), *(step[0] for step in self.plan.growth)}
        for count in sorted({*counts, *self.plan.names, self.plan.small[0]}):
            self.faces(count)
        for suffix, steps in self.plan.large.items():
            for count, *_ in steps:
                self.squares(count, suffix)

    def faces(self, count: int) -> Input:
        """Return pictures of 178x218, read once."""
        return self._warm((count, ".celeba"), lambda: celeba(self.scratch / "inputs", self.celeba, count))

    def squares(self, count: int, suffix: str) -> Input:
        """Return pictures of 1024x1024, read once."""
        return self._warm((count, suffix), lambda: large(self.scratch / "inputs", self.portraits, count, suffix))

    def measure(self, name: str, task: Task, number: int, *, watch_memory: bool = False) -> None:
        """Run one contender, and say on stderr how long it took."""
        done = run(name, self.contenders[name], task, self.scratch, number, watch_memory=watch_memory)
        self.runs.append(done)
        what = f"{done.pictures:>7} x {done.input:<15} {' '.join(done.options)}"
        sys.stderr.write(f"{name:<13}{what} {done.seconds:8.2f} s  {done.pictures / done.seconds:7.0f} pictures/s\n")

    def compare(self, names: Sequence[str], task: Task, rounds: int) -> None:
        """Run all of them, `rounds` times, each time beginning with the next one."""
        known = [name for name in names if name in self.contenders]
        for number in range(rounds):
            first = number % len(known)
            for name in known[first:] + known[:first]:
                self.measure(name, task, number + 1)

    def _warm(self, what: tuple[int, str], make: Callable[[], Input]) -> Input:
        if what not in self._inputs:
            self._inputs[what] = make()
            warm(self._inputs[what].folder)
        return self._inputs[what]


def compare(bench: Bench) -> dict[str, object]:
    """Compare everybody on 178x218 JPEGs; return facts about the input."""
    facts: dict[str, object] = {}
    for count, rounds, contenders in bench.plan.compare:
        faces = bench.faces(count)
        facts[faces.name] = {"mean_bytes": round(faces.mean_bytes)}
        bench.compare(contenders, Task(faces), rounds)
    return facts


def compare_large(bench: Bench) -> dict[str, object]:
    """Compare everybody on 1024x1024 JPEGs and PNGs."""
    facts: dict[str, object] = {}
    for suffix, steps in bench.plan.large.items():
        for count, rounds, contenders in steps:
            squares = bench.squares(count, suffix)
            facts[squares.name] = {"mean_bytes": round(squares.mean_bytes)}
            bench.compare(contenders, Task(squares, "folder64", "center"), rounds)
    return facts


def growth(bench: Bench) -> dict[str, object]:
    """Run faceloom on more and more pictures, and watch its memory."""
    # All sizes once, then the small ones again: not one after the other while the machine has the same mood.
    for number in range(max(repetitions for _, repetitions in bench.plan.growth)):
        for count, repetitions in bench.plan.growth:
            if number < repetitions:
                bench.measure("faceloom", Task(bench.faces(count)), number + 1, watch_memory=True)
    return {}


def small(bench: Bench) -> dict[str, object]:
    """Run a small job from a cold command."""
    count, repetitions = bench.plan.small
    for number in range(repetitions):
        bench.measure("faceloom", Task(bench.faces(count)), number + 1)
    return {}


def storage(bench: Bench) -> dict[str, object]:
    """Write portraits, whose pixels nobody enlarged, in every storage and size."""
    portraits = natural(bench.scratch / "inputs", bench.portraits, bench.plan.storage_pictures)
    for side in bench.plan.storage_sides:
        for form in STORAGES:
            options = (f"data.storage={form}",)
            bench.measure("faceloom", Task(portraits, "folder64", "center", side, options), 1)
    return {}


def launcher(bench: Bench) -> dict[str, object]:
    """Do what the launcher does with names: seconds, bytes and memory a picture."""
    found: dict[str, object] = {}
    for count in bench.plan.names:
        # A process of its own for each: memory that was used once is not given back.
        command = [sys.executable, "-m", "benchmarks.names", str(bench.faces(count).source)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        found[str(count)] = json.loads(done.stdout)
    return found


EXPERIMENTS: dict[str, Callable[[Bench], dict[str, object]]] = {
    "small": small,
    "compare": compare,
    "large": compare_large,
    "storage": storage,
    "names": launcher,
    "growth": growth,
}
