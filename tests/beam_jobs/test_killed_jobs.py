"""Bad days with real processes: what is left is never half a data set, and the same command ends in the same bytes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from beam_jobs.preprocess import prepare
from gan_core.artifacts import find, read_manifest
from tests.prepared import square_config, write_scenes

PICTURES, PER_SHARD = 1500, 25
PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Enough pictures for sixty shards."""
    return write_scenes(tmp_path_factory.mktemp("killed") / "in", PICTURES)


@pytest.fixture(scope="module")
def clean(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, object]]:
    """The files of a data set that was made without any trouble, with their sizes and SHA-256."""
    made = prepare(square_config(pictures, per_shard=PER_SHARD), tmp_path_factory.mktemp("clean"))
    return dict(read_manifest(made.path, "dataset").files)  # type: ignore[arg-type]


class Job:
    """`python -m beam_jobs.preprocess` with two worker processes."""

    def __init__(self, pictures: Path, data_root: Path, before: str = "") -> None:
        config = square_config(pictures, per_shard=PER_SHARD)
        self.datasets = data_root / "datasets"
        options = ["smoke", "--source", pictures, "--data-root", data_root, "--set", "data.crop=center"]
        options += ["--set", f"data.shard_mib={config.shard_mib}", "--", "--direct_num_workers=2"]
        code = f"{before}\nimport sys\nfrom beam_jobs.preprocess import run\nif __name__ == '__main__': sys.exit(run())"
        script = data_root / f"job{time.monotonic_ns()}.py"
        script.write_text(code)
        root = str(Path(__file__).parents[2])
        self.process = subprocess.Popen(
            [sys.executable, script, *options],
            env={**os.environ, "PYTHONPATH": root},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def end(self) -> tuple[int, str]:
        """Wait for it; return exit code and what it said on stderr."""
        _, said = self.process.communicate(timeout=PATIENCE_SECONDS)
        return self.process.returncode, said

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to happen while it runs, and check that what is visible is whole."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.process.poll() is None, self.end()
            assert time.monotonic() < deadline, "it did not happen in time"
            time.sleep(0.005)

    def works(self) -> bool:
        """Whether the first shards are done."""
        return len(list(self.datasets.glob(".*.partial/.work/receipts/*.json"))) >= 2

    def children(self) -> list[int]:
        """Return the processes that it has started and that are alive, helpers of Python included."""
        tasks = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(number) for task in tasks for number in task.read_text().split()]


def visible(data_root: Path) -> list[Path]:
    """Return the data sets that readers would find; all of them verify."""
    folders = [path for path in (data_root / "datasets").iterdir() if not path.name.startswith(".")]
    assert all(find(folder, "dataset") is not None for folder in folders)
    return folders


def assert_same_bytes_again(pictures: Path, data_root: Path, clean: dict[str, dict[str, object]]) -> None:
    """The same command, once more, ends in the bytes of the untroubled job, and leaves nothing else."""
    assert Job(pictures, data_root).end() == (0, "")
    (folder,) = visible(data_root)
    assert dict(read_manifest(folder, "dataset").files) == clean
    assert {path.name for path in folder.iterdir()} == {*clean, "manifest.json"}
    assert list(folder.parent.glob(".*.partial")) == []


def test_a_killed_worker(pictures: Path, clean: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """The job ends with one line instead of hanging; the finished shards are used."""
    job = Job(pictures, tmp_path)
    job.until(job.works)
    workers = [pid for pid in job.children() if "resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    code, said = job.end()
    assert (code, said) == (
        6,
        "a worker process of the Beam job was killed (out of memory? the kernel's log says: dmesg); "
        "finished shards are kept, run the same command again\n",
    )
    assert visible(tmp_path) == []
    assert_same_bytes_again(pictures, tmp_path, clean)


def test_a_killed_launcher(pictures: Path, clean: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """Its workers end by themselves; the next one takes over the draft."""
    job = Job(pictures, tmp_path)
    job.until(job.works)
    children = job.children()
    job.process.kill()
    assert job.end()[0] == -signal.SIGKILL
    deadline = time.monotonic() + PATIENCE_SECONDS
    while any(Path(f"/proc/{pid}").exists() for pid in children):
        assert time.monotonic() < deadline, "a worker outlived its launcher"
        time.sleep(0.02)
    assert visible(tmp_path) == []
    assert_same_bytes_again(pictures, tmp_path, clean)


def test_a_disk_that_takes_no_more(pictures: Path, clean: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """A write that the system refuses ends the job with one line that says what to do."""
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    code, said = Job(pictures, tmp_path, before=limit).end()
    assert (code, said.endswith(": File too large; make room and run again, it continues there\n")) == (5, True)
    assert said.count("\n") == 1
    assert visible(tmp_path) == []
    assert_same_bytes_again(pictures, tmp_path, clean)


def test_a_source_that_vanishes(pictures: Path, clean: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """A folder that is gone in the middle is one error, not a thousand rejects."""
    job = Job(pictures, tmp_path)
    job.until(job.works)
    elsewhere = pictures.with_name("elsewhere")
    pictures.rename(elsewhere)
    try:
        assert job.end() == (
            3,
            f"{pictures} cannot be read any more (No such file or directory); run again when it is back\n",
        )
    finally:
        elsewhere.rename(pictures)
    assert visible(tmp_path) == []
    assert_same_bytes_again(pictures, tmp_path, clean)


def test_two_jobs_at_once(pictures: Path, clean: dict[str, dict[str, object]], tmp_path: Path) -> None:
    """Two commands for one data set end well, with one data set between them."""
    jobs = [Job(pictures, tmp_path) for _ in range(2)]
    assert [job.end() for job in jobs] == [(0, "")] * 2
    assert_same_bytes_again(pictures, tmp_path, clean)
