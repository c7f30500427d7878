"""Several machines, as two processes on this one: same results, one writer, and one end for both."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.checks import check_root
from flows.stages import Order
from gan_core.checkpoints import latest_checkpoint
from gan_core.config import RunConfig
from gan_core.errors import ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.workers import Worker, this_worker
from tests.datasets import make_dataset
from tests.gan_core.test_distribution import ROOT, assert_same_run, python

PROCESS = "tests.gan_core.worker_process"
LOST = "lost another one (UnavailableError); see what that one says itself"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> DatasetManifest:
    """Publish 36 small pictures."""
    return make_dataset(tmp_path_factory.mktemp("data") / "tiny", count=36)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, dataset: DatasetManifest) -> Path:
    """Train on one device."""
    run_dir = tmp_path_factory.mktemp("alone") / "run"
    assert python(PROCESS, "1", str(run_dir), str(dataset.path)).returncode == 0
    return run_dir


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def config_of(index: int, places: list[str]) -> str:
    """Return the TF_CONFIG of a worker."""
    return json.dumps({"cluster": {"worker": places}, "task": {"type": "worker", "index": index}})


def two_workers(run_dir: Path, dataset: DatasetManifest, *moments: list[str]) -> list[tuple[int, str]]:
    """Train with two workers; return exit code and output of each. Neither may hang."""
    places = [f"127.0.0.1:{port}" for port in free_ports(2)]
    processes = []
    for index, moment in enumerate(moments):
        command = [sys.executable, "-m", PROCESS, "1", str(run_dir), str(dataset.path), *moment]
        environment = {
            **os.environ,
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "PYTHONPATH": str(ROOT),
            "TF_CONFIG": config_of(index, places),
        }
        processes.append(
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
        )
    try:
        outputs = [process.communicate(timeout=150)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [(process.returncode, output) for process, output in zip(processes, outputs, strict=True)]


def test_two_workers_train_what_one_does(tmp_path: Path, dataset: DatasetManifest, alone: Path) -> None:
    """Both end well, and what is on the disk is a run of one device: no line, checkpoint or snapshot is there twice."""
    run_dir = tmp_path / "run"
    assert two_workers(run_dir, dataset, [], []) == [(0, ""), (0, "")]
    assert_same_run(alone, run_dir)
    files = [
        sorted(
            path.relative_to(run).as_posix()
            for path in run.rglob("*")
            if path.is_file() and not path.name.startswith("events.")
        )
        for run in (alone, run_dir)
    ]
    assert files[0] == files[1]
    assert len(list((run_dir / "tensorboard").iterdir())) == len(list((alone / "tensorboard").iterdir()))


def test_a_signal_at_one_stops_all_and_one_device_goes_on(
    tmp_path: Path, dataset: DatasetManifest, alone: Path
) -> None:
    """SIGTERM at the worker that writes nothing saves once, ends both, and the run ends like an undisturbed one."""
    run_dir = tmp_path / "run"
    codes, texts = zip(*two_workers(run_dir, dataset, [], ["terminate 3"]), strict=True)
    checkpoint = latest_checkpoint(run_dir)
    assert checkpoint is not None
    assert [path.name for path in (run_dir / "checkpoints").glob("[0-9]*")] == [checkpoint.path.name]
    message = (
        f"SIGTERM at {checkpoint.images_seen / 1000:g} kimg; the state is saved in {checkpoint.path} and the same "
        "command continues there\n"
    )
    assert (codes, texts) == ((130, 130), (message, message))
    assert python(PROCESS, "1", str(run_dir), str(dataset.path)).returncode == 0
    assert_same_run(alone, run_dir)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_worker_ends_the_other(tmp_path: Path, dataset: DatasetManifest, dead: int) -> None:
    """The one that is left says so with exit code 6, whoever dies, and nothing hangs."""
    moments = [["kill 3"] if index == dead else [] for index in range(2)]
    results = two_workers(tmp_path / "run", dataset, *moments)
    assert results[dead] == (-9, "")
    code, text = results[1 - dead]
    assert code == 6
    assert text.startswith(f"worker {1 - dead} of 2") and LOST in text


def test_workers_with_other_options_are_refused(tmp_path: Path, dataset: DatasetManifest) -> None:
    """All say so before the first step, with the exit code of a mistake."""
    results = two_workers(tmp_path / "run", dataset, [], ["train.log_every_kimg=0.024"])
    assert [code for code, _ in results] == [2, 2]
    for index, (_, text) in enumerate(results):
        assert text.startswith(f"the workers of TF_CONFIG train different things, seen by worker {index} of 2")


def test_all_workers_go_back_together(tmp_path: Path, dataset: DatasetManifest) -> None:
    """What is not finite at one is so at all: both go back with half the learning rates, and end well."""
    run_dir = tmp_path / "run"
    codes = [code for code, _ in two_workers(run_dir, dataset, [], ["spoil 3"])]
    assert codes == [0, 0]
    recovery = json.loads((run_dir / "recovery.json").read_text())
    assert len(recovery["divergences"]) == 1
    images = [json.loads(line)["images"] for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    assert images == [16, 32, 48, 64, 80]


def test_workers_are_counted_from_the_chief() -> None:
    """`TF_CONFIG` names workers; a task "chief" is number 0, without one worker 0 is."""
    assert this_worker({}) == Worker(0, 1)
    assert this_worker({"TF_CONFIG": "{}"}) == Worker(0, 1)
    assert this_worker({"TF_CONFIG": config_of(1, ["a:1", "b:1"])}) == Worker(1, 2)
    cluster = {"chief": ["a:1"], "worker": ["b:1", "c:1"]}
    tasks = [("chief", 0, 0), ("worker", 0, 1), ("worker", 1, 2)]
    for kind, index, number in tasks:
        text = json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})
        assert this_worker({"TF_CONFIG": text}) == Worker(number, 3)
    assert (Worker(0, 2).is_chief, Worker(1, 2).is_chief, str(Worker(0, 2))) == (
        True,
        False,
        "worker 0 of 2, the chief",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("worker 1", "JSONDecodeError: Expecting value: line 1 column 1 (char 0)"),
        ('{"cluster": {"worker": ["a:1"]}}', "KeyError: 'task'"),
        (
            '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 1}}',
            "ValueError: the cluster has no worker 1",
        ),
        (
            '{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}',
            "ValueError: the cluster has ps, worker, and only chief and worker train here",
        ),
    ],
)
def test_an_odd_cluster_is_refused(text: str, reason: str) -> None:
    """What is wrong with `TF_CONFIG` is said, with an example of a right one."""
    with pytest.raises(ConfigError) as error:
        this_worker({"TF_CONFIG": text})
    assert str(error.value).startswith(f"TF_CONFIG in the environment cannot be used ({reason}); it is to be like {{")


def test_of_several_workers_each_may_only_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Other commands are for one process, and say so."""
    order = Order(config=RunConfig(preset="test"), data_root=tmp_path)
    monkeypatch.setenv("TF_CONFIG", config_of(0, ["a:1", "b:1"]))
    check_root("train", order)
    for name in ("run", "prepare", "sample", "evaluate", "report", "ingest"):
        with pytest.raises(ConfigError, match=f"faceloom {name} is for one process, and TF_CONFIG names 2"):
            check_root(name, order)
