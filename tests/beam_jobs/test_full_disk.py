"""A disk that is really full: a small tmpfs under the data root, which only the job and its shell see."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from gan_core.artifacts import read_manifest, sha256_file
from tests.prepared import write_scenes

PICTURES = 150
OPTIONS = ("data.crop=center", "data.resolution=64", "data.shard_mib=0.12")  # 1.9 MB in 17 shards
PATIENCE_SECONDS = 120.0
ROOT = Path(__file__).parents[2]

# A namespace of mounts, as anybody where that is allowed, else as root: nothing of it is seen outside, or lasts.
WAYS = (("unshare", "--user", "--map-root-user", "--mount"), ("unshare", "--mount"))

# Arguments: disk, its size, bytes of it that something else takes, folder for what is found, the command.
# The second attempt has what the first one lacked.
SCRIPT = """
set -eu
disk=$1 size=$2 taken=$3 found=$4
shift 4
attempt() {
    code=0
    "$@" >"$found/stdout$number" 2>"$found/stderr$number" || code=$?
    echo $code >"$found/code$number"
    cp -a "$disk" "$found/disk$number"
}
mount -t tmpfs -o "size=$size" tmpfs "$disk"
head -c "$taken" /dev/zero >"$disk/taken"
number=1
attempt "$@"
rm "$disk/taken"
mount -o remount,size=64m "$disk"
number=2
attempt "$@"
"""


def command(pictures: Path, data_root: Path, processes: int) -> list[str]:
    """Return the command line of a job."""
    words = ["smoke", "--source", str(pictures), "--data-root", str(data_root)]
    words += [word for option in OPTIONS for word in ("--set", option)]
    return [sys.executable, "-m", "beam_jobs.preprocess", *words, "--", f"--direct_num_workers={processes}"]


@dataclass(frozen=True)
class Attempt:
    """What one run of the command came to: its exit code, what it said, and a copy of the disk as it left it."""

    code: int
    stdout: str
    stderr: str
    disk: Path

    @property
    def datasets(self) -> list[Path]:
        """The data sets that a reader would find."""
        return sorted(path for path in (self.disk / "datasets").iterdir() if not path.name.startswith("."))

    @property
    def draft(self) -> Path:
        """The hidden folder of the unfinished data set."""
        (path,) = (self.disk / "datasets").glob(".*.partial")
        return path


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """What goes before a command that may mount a tmpfs."""
    folder = tmp_path_factory.mktemp("mount")
    reasons = []
    for way in WAYS:
        mount = [*way, "sh", "-c", 'mount -t tmpfs -o size=1m tmpfs "$0" && mount -o remount,size=2m "$0"', str(folder)]
        if shutil.which(way[0]) is None:
            pytest.skip(f"there is no {way[0]} here, to mount a small disk")
        tried = subprocess.run(mount, capture_output=True, text=True, check=False)
        if tried.returncode == 0:
            return way
        reasons.append(tried.stderr.strip())
    pytest.skip(f"nobody may mount a tmpfs here, neither in a user namespace nor as root: {'; '.join(reasons)}")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures."""
    return write_scenes(tmp_path_factory.mktemp("full") / "in", PICTURES)


@pytest.fixture(scope="module")
def clean(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set that the command makes where there is room."""
    data_root = tmp_path_factory.mktemp("clean")
    subprocess.run(command(pictures, data_root, 1), cwd=ROOT, check=True, capture_output=True)
    (folder,) = (data_root / "datasets").glob("[!.]*")
    return folder


def attempts(
    apart: tuple[str, ...], pictures: Path, folder: Path, size: int, taken: int = 0, processes: int = 1
) -> tuple[Path, Attempt, Attempt]:
    """Run the command on a disk of `size` bytes, and again when there is room; return the data root, and both."""
    disk, found = folder / "disk", folder / "found"
    disk.mkdir()
    found.mkdir()
    words = ["sh", "-c", SCRIPT, "sh", str(disk), str(size), str(taken), str(found)]
    subprocess.run(
        [*apart, *words, *command(pictures, disk, processes)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    said = {path.name: path.read_text() for path in found.iterdir() if path.is_file()}
    first, second = (
        Attempt(int(said[f"code{n}"]), said[f"stdout{n}"], said[f"stderr{n}"], found / f"disk{n}") for n in (1, 2)
    )
    return disk, first, second


def hashes(folder: Path) -> dict[str, str]:
    """Return name -> SHA-256 of every file of a folder, but for the manifest and what is hidden."""
    names = [path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return {name: sha256_file(folder / name) for name in names if name != "manifest.json"}


def assert_done(attempt: Attempt, data_root: Path, clean: Path) -> None:
    """The data set is there, every file with the bytes of the undisturbed run, and nothing of the draft."""
    assert (attempt.code, attempt.stdout, attempt.stderr) == (0, f"{data_root}/datasets/{clean.name}\n", "")
    (folder,) = attempt.datasets
    assert hashes(folder) == hashes(clean)
    assert read_manifest(folder, "dataset").files == read_manifest(clean, "dataset").files
    assert list((attempt.disk / "datasets").glob(".*.partial")) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_a_disk_that_fills_up(
    apart: tuple[str, ...], pictures: Path, clean: Path, tmp_path: Path, processes: int
) -> None:
    """In the middle of the shards: one line that says where and what to do, and whole shards alone are left."""
    disk, first, second = attempts(apart, pictures, tmp_path, 1 << 20, processes=processes)
    draft = disk / "datasets" / f".{clean.name}.partial"
    pattern = rf"cannot write {re.escape(str(draft))}/(train-\d{{5}}-of-00017\.tfrecord): No space left on device; "
    said = re.fullmatch(pattern + r"make room and run again, it continues there\n", first.stderr)
    assert said is not None, first.stderr
    assert (first.code, first.stdout, first.datasets) == (5, "", [])
    complete, left = hashes(clean), hashes(first.draft)
    receipts = {path.stem for path in (first.draft / ".work/receipts").glob("*.json")}
    assert left == {name: complete[name] for name in receipts}
    assert said[1] not in left
    assert 0 < len(left) < 17
    kept = {name: (first.draft / name).stat().st_mtime_ns for name in left}
    assert_done(second, disk, clean)
    assert {name: (second.datasets[0] / name).stat().st_mtime_ns for name in left} == kept


@pytest.mark.parametrize("free", [0, 8 * os.sysconf("SC_PAGE_SIZE")], ids=["nothing", "a few files"])
def test_a_disk_that_was_full(apart: tuple[str, ...], pictures: Path, clean: Path, tmp_path: Path, free: int) -> None:
    """Where not even the names of the pictures fit, no worker begins: one line, and room is all that is needed."""
    disk, first, second = attempts(apart, pictures, tmp_path, 4 << 20, taken=(4 << 20) - free)
    assert (first.code, first.stdout, first.stderr) == (
        5,
        "",
        f"cannot write {disk}/datasets: No space left on device; make room and run again, it continues there\n",
    )
    assert first.datasets == []
    assert hashes(first.draft) == {}
    assert list((first.draft / ".work/receipts").iterdir()) == []
    assert (first.draft / ".work/owner").is_file() == (free > 0)
    assert_done(second, disk, clean)
