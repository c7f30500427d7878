"""From what one small machine does to jobs of any size: cores, hours, bytes, money. Arithmetic, not measurements."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.markdown import number, table
from benchmarks.summary import Results, marginal, of, sizes

NEEDED = frozenset({"compare", "large", "names"})
NAME_STEPS = ("list", "assign", "write")

# An assumption: what the large clouds ask on demand for a general-purpose virtual core, 0.03 to 0.05 USD in the list
# prices of 2025.
VCPU_HOUR_USD = 0.05
CORES = (2, 16, 64, 1000)
SHARD_BYTES = 64 * 2**20
SHARD_NAME_BYTES = len("train-00000-of-00001.tfrecord")

JOBS = (
    ("CelebA, all", 202_599, "178x218 JPEG"),
    ("FFHQ, all", 70_000, "1024x1024 PNG"),
    ("as many as JPEG", 70_000, "1024x1024 JPEG"),
    ("a crawl", 100_000_000, "178x218 JPEG"),
    ("a crawl of large ones", 100_000_000, "1024x1024 JPEG"),
)


@dataclass(frozen=True)
class Rates:
    """What a picture costs.

    Attributes:
        core_seconds: of all cores together, from the wall time of one more picture; idle cores count.
        record_bytes: in the shards.
        input_bytes: of the picture's file.
    """

    core_seconds: float
    record_bytes: float
    input_bytes: float


@dataclass(frozen=True)
class NameRates:
    """What a name costs the launcher: seconds in one process, bytes of its line for the workers and of its memory."""

    seconds: float
    line_bytes: float
    memory_bytes: float


@dataclass(frozen=True)
class Job:
    """What a number of pictures costs."""

    core_hours: float
    launcher_hours: float
    input_bytes: float
    output_bytes: float
    shards: int
    line_bytes: float
    shuffle_bytes: int
    launcher_bytes: float

    def hours(self, cores: int) -> float:
        """Return the hours on so many cores: the names in one process, then the pictures on all of them."""
        return self.launcher_hours + self.core_hours / cores

    def usd(self, vcpu_hour_usd: float = VCPU_HOUR_USD) -> float:
        """Return the price of the cores that prepare pictures; storage, requests and idle cores are not in it."""
        return self.core_hours * vcpu_hour_usd


def rates(results: Mapping[str, Results]) -> dict[str, Rates]:
    """Return input -> what a picture of it costs, as 64x64 `uint8`; inputs whose runs do not tell are left out."""
    found = {}
    for experiment in ("compare", "large"):
        one = results[experiment]
        for name in dict.fromkeys(run.input for run in one.runs):
            runs = of([run for run in one.runs if run.input == name], "faceloom")
            counts = sizes(runs)
            each = marginal(runs, "faceloom", counts[0], counts[-1])
            if each is None or each <= 0:  # one size, or so few pictures that the start's noise is larger
                continue
            cores = one.machine["cores"]
            record_bytes = runs[-1].result_bytes / runs[-1].made
            found[name] = Rates(each * cores, record_bytes, one.found[name]["mean_bytes"])
    return found


def name_rates(results: Mapping[str, Results]) -> NameRates:
    """Return what a name costs, from the largest number of them that was measured."""
    found = max(results["names"].found.values(), key=lambda one: one["names"])
    seconds = sum(found[f"{step}_seconds"] for step in NAME_STEPS)
    count = found["names"]
    return NameRates(seconds / count, found["line_bytes"] / count, found["memory_mib"] * 2**20 / count)


def job(pictures: int, one: Rates, name: NameRates) -> Job:
    """Return what so many pictures cost."""
    output_bytes = pictures * one.record_bytes
    shards = -int(-output_bytes // SHARD_BYTES)
    return Job(
        core_hours=pictures * one.core_seconds / 3600,
        launcher_hours=pictures * name.seconds / 3600,
        input_bytes=pictures * one.input_bytes,
        output_bytes=output_bytes,
        shards=shards,
        line_bytes=pictures * name.line_bytes,
        shuffle_bytes=shards * SHARD_NAME_BYTES,
        launcher_bytes=pictures * name.memory_bytes,
    )


def rates_table(results: Mapping[str, Results]) -> str:
    """Return pictures a second and core, and bytes, by input."""
    rows = [
        [
            name,
            f"{one.core_seconds * 1000:.2f} ms",
            f"{1 / one.core_seconds:,.0f}/s",
            _bytes(one.input_bytes),
            f"{_bytes(one.input_bytes / one.core_seconds)}/s",
        ]
        for name, one in rates(results).items()
    ]
    return table(["input", "a picture on one core", "pictures", "a file", "a core reads"], rows)


def costs(results: Mapping[str, Results]) -> str:
    """Return hours, bytes and money of JOBS."""
    known, name = rates(results), name_rates(results)
    times, sizes_ = [], []
    for label, pictures, kind in JOBS:
        if kind in known:
            one = job(pictures, known[kind], name)
            first = f"{label}: {pictures:,} x {kind}"
            hours = [_time(one.hours(cores)) for cores in CORES]
            times.append([first, number(one.core_hours, 2), _time(one.launcher_hours), *hours, f"{one.usd():,.2f}"])
            row = [_bytes(one.input_bytes), _bytes(one.output_bytes), f"{one.shards:,}"]
            sizes_.append([first, *row, _bytes(one.line_bytes), _bytes(one.shuffle_bytes), _bytes(one.launcher_bytes)])
    on_cores = [f"on {cores:,} cores" for cores in CORES]
    return "\n\n".join(
        [
            table(["", "core hours", "names, in the launcher", *on_cores, "USD"], times),
            table(["", "read", "written", "shards of 64 MiB", "names' files", "shuffled", "launcher's names"], sizes_),
        ]
    )


def _time(hours: float) -> str:
    if hours >= 48:
        return f"{hours / 24:,.1f} days"
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{hours * 60:.1f} min" if hours * 60 >= 1 else f"{hours * 3600:.0f} s"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{number(count, 1)} {unit}"
        count /= 1000
    return f"{number(count, 1)} TB"
