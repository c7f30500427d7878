from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from beam_jobs.remote import job_server
from gan_core.errors import ConfigError, FaceloomError, StageFailed

# Stands in for Java and Flink's job server: it listens where it is told to, and says who it is.
SERVER = """
import concurrent.futures, grpc, os, sys, time
server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
server.add_insecure_port("localhost:" + sys.argv[sys.argv.index("--job-port") + 1])
server.start()
open(os.environ["FAKE_SERVER_PID"], "w").write(str(os.getpid()))
time.sleep(60)
"""


def options_within(args: list[str]) -> list[str]:
    """Return the options that the pipeline gets."""
    with job_server(args) as given:
        return given


def java(folder: Path, code: str) -> list[str]:
    """Return options that name a Java of ours, which runs `code`, and a jar."""
    (folder / "server.py").write_text(code)
    (folder / "server.jar").touch()
    launcher = folder / "java"
    launcher.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {shlex.quote(str(folder))}/server.py "$@"\n')
    launcher.chmod(0o755)
    jar = folder / "server.jar"
    return ["--runner=FlinkRunner", f"--job_server_java_launcher={launcher}", f"--flink_job_server_jar={jar}"]


@pytest.mark.parametrize(
    "args", [[], ["--direct_num_workers=2"], ["--runner=FnApiRunner"], ["--runner=DirectRunner"]], ids=" ".join
)
def test_local_runners_need_nothing(args: list[str]) -> None:
    """Options of a local runner pass as they are."""
    assert options_within(args) == args


def test_workers_of_a_cluster_are_our_own_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is said, workers are started as faceloom-worker of this environment, not as Beam's container."""
    command = tmp_path / "faceloom-worker"
    command.touch()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    args = ["--runner=FlinkRunner", "--flink_master=flink:8081", "--job_endpoint=flink:8099"]
    config = f"--environment_config={json.dumps({'command': str(command)})}"
    assert options_within(args) == [*args, "--environment_type=PROCESS", config]


@pytest.mark.parametrize(
    "choice",
    [["--flink_master=[local]"], ["--environment_type=DOCKER"], ["--environment_type=LOOPBACK"]],
    ids=" ".join,
)
def test_a_choice_of_workers_stands(choice: list[str]) -> None:
    """Workers that the user names, and those of an embedded cluster, stay."""
    args = ["--runner=FlinkRunner", "--job_endpoint=flink:8099", *choice]
    assert options_within(args) == args


def test_a_missing_worker_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program there is one line that names it."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(ConfigError) as caught:
        options_within(["--runner=FlinkRunner", "--flink_master=flink:8081"])
    expected = f"{tmp_path}/faceloom-worker is missing; install faceloom again, or say with --environment_type what"
    assert str(caught.value) == f"{expected} to start"


def test_the_server_runs_while_the_pipeline_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job server answers at the address that is handed on, also off the main thread, and is gone afterwards."""
    monkeypatch.setenv("FAKE_SERVER_PID", str(tmp_path / "pid"))
    args = java(tmp_path, SERVER)

    def use() -> tuple[list[str], int]:
        with job_server(args) as given:
            address = given[-1].removeprefix("--job_endpoint=")
            grpc.channel_ready_future(grpc.insecure_channel(address)).result(timeout=10)
            return given, int((tmp_path / "pid").read_text())

    with ThreadPoolExecutor(1) as pool:
        given, pid = pool.submit(use).result()
    assert given[:-1] == args
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_server_ends_with_a_killed_launcher(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing listens any more soon after the launcher was killed."""
    monkeypatch.setenv("FAKE_SERVER_PID", str(tmp_path / "pid"))
    code = (
        "import sys, time\nfrom beam_jobs.remote import job_server\n"
        "with job_server(sys.argv[1:]):\n    print(flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, *java(tmp_path, SERVER)], stdout=subprocess.PIPE) as launcher:
        assert launcher.stdout is not None
        launcher.stdout.readline()
        pid = int((tmp_path / "pid").read_text())
        os.kill(pid, 0)
        launcher.kill()
    deadline = time.monotonic() + 20
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            ["--job_server_java_launcher=no-java"],
            ConfigError,
            "FlinkRunner starts a job server in Java, and there is no 'no-java' here; install Java 17, or name a "
            "server that runs with --job_endpoint=HOST:PORT",
        ),
        (
            ["--flink_job_server_jar=no.jar"],
            ConfigError,
            "FlinkRunner has no job server: Unable to parse jar URL",
        ),
        ([], StageFailed, "the job server of FlinkRunner ended with status 1: no port is free"),
    ],
    ids=["no Java", "no jar", "it ends at once"],
)
def test_a_server_that_does_not_start(
    tmp_path: Path, change: list[str], error: type[FaceloomError], message: str
) -> None:
    """Each reason why there is no job server becomes one line."""
    with pytest.raises(error) as caught:
        options_within([*java(tmp_path, "raise SystemExit('no port is free')"), *change])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
