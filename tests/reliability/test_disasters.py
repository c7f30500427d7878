"""Full disks, damaged files, clocks that jump, pictures that change, and two flows that want the same."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.prepared import write_scenes
from tests.reliability.night import Night
from tests.reliability.outcome import book_of, outcome_of, times_done

pytestmark = [pytest.mark.usefixtures("long_nights"), pytest.mark.timeout(1200, method="thread")]

STAGES = ("ingest", "prepare", "train", "sample", "evaluate", "report")
ONCE = dict.fromkeys(STAGES, 1)

# Arguments: the disk, its size in KiB, a folder for exit codes, the command. A tmpfs that only this shell sees.
_SMALL_DISK = """
set -eu
disk=$1 size=$2 found=$3
shift 3
mkdir -p "$disk" "$found"
mount -t tmpfs -o "size=${size}k" tmpfs "$disk"
code=0; "$@" || code=$?
echo $code >"$found/first"
mount -o remount,size=200m "$disk"
code=0; "$@" || code=$?
echo $code >"$found/second"
cp -a "$disk" "$found/disk"
"""


@pytest.mark.parametrize("kibibytes", [600, 1500, 3000, 6000, 9000])
def test_the_disk_is_full(kibibytes: int, night: Night, undisturbed: dict[str, Any]) -> None:
    """The command ends with a line that says so, whatever stage or server it hits; with room, the same one goes on."""
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk here")
    found = night.folder / "found"
    words = [sys.executable, "-m", "flows.cli", "run", "smoke"]
    script = ["unshare", "--mount", "sh", "-c", _SMALL_DISK, "sh", str(night.data_root), str(kibibytes), str(found)]
    night.folder.mkdir()
    environment = {**night.environment, "PREFECT_HOME": str(night.data_root / ".prefect")}
    ended = subprocess.run([*script, *words], env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout + ended.stderr
    assert int((found / "first").read_text()) not in (0, 1), said
    assert "Traceback" not in said
    assert int((found / "second").read_text()) == 0, said
    assert outcome_of(found / "disk") == undisturbed
    night.nothing_left()


def damage(path: Path) -> None:
    """Turn one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("upto", "pattern"),
    [
        ("prepare", "datasets/*/train-00003-of-*.tfrecord"),
        ("prepare", "datasets/*/manifest.json"),
        ("train", "runs/*/checkpoints/000000002016/state.npz"),
        ("train", "runs/*/checkpoints/000000002016/manifest.json"),
        ("sample", "runs/*/samples/pictures/seed00000007.png"),
        ("evaluate", "runs/*/scores/manifest.json"),
    ],
)
def test_what_lies_between_stages_is_damaged(
    upto: str, pattern: str, night: Night, undisturbed: dict[str, Any]
) -> None:
    """One bit of a file turns between two stages: the run notices, makes it again, and ends with the same files."""
    for stage in STAGES[1 : STAGES.index(upto) + 1]:
        night.succeeds(stage, "smoke")
    (victim,) = night.data_root.glob(pattern)
    damage(victim)
    night.succeeds("run", "smoke")
    assert outcome_of(night.data_root) == undisturbed
    assert {**times_done(night.data_root), "ingest": 1} == ONCE | {upto: 2}  # `prepare` has no book of drawing


@pytest.mark.parametrize("shared", [True, False], ids=["one server", "two servers"])
def test_two_commands_want_the_same(shared: bool, night: Night, undisturbed: dict[str, Any]) -> None:
    """Both end well, and each stage was done by one of them; also where neither knows of the other's server."""
    homes = [{} if shared else {"PREFECT_HOME": str(night.folder / f"prefect {number}")} for number in (1, 2)]
    both = [night.command("run", "smoke", FACELOOM_SERVER_LINGER_SECONDS="5", **home) for home in homes]
    for command in both:
        assert command.wait(900) == 0, night.said()
    assert outcome_of(night.data_root) == undisturbed
    assert times_done(night.data_root) == ONCE
    night.nothing_left()


def test_the_clock_jumps(night: Night, undisturbed: dict[str, Any]) -> None:
    """A day ahead in the middle of training, two days back in the middle of sampling, for server, flow and child."""
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler, for a clock that is off")
    night.folder.mkdir()
    library, clock = night.folder / "clock.so", night.folder / "clock"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O2", "-o", library, Path(__file__).with_name("clock.c")], check=True
    )
    clock.write_bytes(struct.pack("q", 0))
    night.more = {"LD_PRELOAD": str(library), "NIGHT_CLOCK": str(clock)}
    command = night.command("run", "smoke")
    for stage, seconds in (("train", 86_400), ("sample", -86_400)):
        night.child(stage)
        with clock.open("r+b") as stream:
            stream.write(struct.pack("q", seconds))
    assert command.wait(600) == 0, night.said()
    assert outcome_of(night.data_root) == undisturbed
    assert times_done(night.data_root) == ONCE
    days = {str(entry["started"])[:10] for entry in book_of(night.data_root)}
    assert len(days) == 3  # yesterday, today and tomorrow: it did jump
    night.nothing_left()


def test_the_pictures_change_while_they_are_read(night: Night, tmp_path: Path) -> None:
    """New, changed and deleted pictures while preparing: no crash, and the next run is that of the folder as it is."""
    faces = write_scenes(tmp_path / "faces", 1500)
    settings = [
        "data.crop=center",
        "data.resolution=32",
        "data.min_side=16",
        "train.total_kimg=1",
        "data.shard_mib=0.2",
    ]
    words = ["run", "smoke", "--source", str(faces), *(word for one in settings for word in ("--set", one))]
    command = night.command(*words)
    night.child("prepare")
    write_scenes(tmp_path / "more", 1600)
    for number in (1500, 1501):
        shutil.copy(tmp_path / "more" / f"{number}.png", faces)
    shutil.copy(tmp_path / "more" / "1510.png", faces / "1490.png")
    (faces / "1480.png").unlink()
    assert command.wait(600) in (0, 3), night.said()
    assert "Traceback" not in night.said()
    night.succeeds(*words)
    after = newest(night.data_root)
    again = Night(tmp_path / "again", tmp_path / "fresh")
    try:
        again.succeeds(*words)
    finally:
        again.end()
    assert after == newest(again.data_root)
    night.nothing_left()


def newest(data_root: Path) -> dict[str, Any]:
    """Return the outcome of the newest run, in a data root of its own."""
    runs = sorted((data_root / "runs").glob("*/config.json"), key=os.path.getmtime)
    alone = data_root.with_name(f"{data_root.name} newest")
    shutil.copytree(runs[-1].parent, alone / "runs" / "newest")
    datasets = sorted((data_root / "datasets").glob("[!.]*"), key=os.path.getmtime)
    shutil.copytree(datasets[-1], alone / "datasets" / "newest")
    return outcome_of(alone)
