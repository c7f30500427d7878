"""What a portable runner (Flink, Spark) needs around a pipeline: its job server, and workers that can be started."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from beam_jobs.quiet_beam import beam  # noqa: F401  # first, so that the imports below are quiet
from beam_jobs.runner import check_beam_args
from gan_core.errors import ConfigError, StageFailed

# isort: split
import grpc
from apache_beam.options.pipeline_options import JobServerOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.job_server import StopOnExitJobServer, SubprocessJobServer
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import create_runner
from apache_beam.utils.subprocess_server import pick_port

WORKER = "faceloom-worker"
_POLL_SECONDS = 0.2
# Runs a server that ends with the launcher, however that ends: the pipe on standard input is closed then.
_TETHERED = """
exec 3<&0
"$@" 3<&- </dev/null & server=$!
{ read -r end <&3; for second in 1 2 3 4 5 6 7 8; do kill $server || exit; sleep 1; done; kill -9 $server; } 2>&- &
exec 3<&-
wait $server
"""


@contextlib.contextmanager
def job_server(args: Sequence[str]) -> Iterator[list[str]]:
    """Start the job server that the runner in `args` wants, and stop it at the end.

    Beam would start it by itself, but only in the main thread (it installs a handler of Ctrl-C), and would leave it
    running. Other runners, and one whose server the user names with `--job_endpoint`, need nothing.

    Args:
        args: Beam's options, as after `--` on the command line.

    Yields:
        the options with which the runner finds its server, and the server finds the program of the workers.

    Raises:
        ConfigError: the options do not fit, or there is no Java. StageFailed: the server does not start.
    """
    options = check_beam_args(args)
    name = options.view_as(StandardOptions).runner
    runner = create_runner(name) if name else None
    if not isinstance(runner, PortableRunner):
        yield list(args)
        return
    args = [*args, *worker_options(runner, args)]
    if options.view_as(PortableOptions).job_endpoint:
        yield args
        return
    with tempfile.TemporaryDirectory(prefix="faceloom-job-server-") as folder:
        given = options.view_as(JobServerOptions)
        given.job_port = pick_port(given.job_port)[0]
        given.artifacts_dir = given.artifacts_dir or folder
        # Flink unpacks jars there, and does not remove them.
        given.job_server_jvm_properties = [f"-Djava.io.tmpdir={folder}", *given.job_server_jvm_properties]
        server = runner.default_job_server(options)
        server = server._job_server if isinstance(server, StopOnExitJobServer) else server
        if not isinstance(server, SubprocessJobServer):  # the one that submits a jar by HTTP runs in this process
            yield args
            return
        address = f"localhost:{given.job_port}"
        with _running(_command(server, name, given.job_server_java_launcher), Path(folder) / "log", address, name):
            yield [*args, f"--job_endpoint={address}"]


def worker_options(runner: PortableRunner, args: Sequence[str]) -> list[str]:
    """Return the options that let workers start as faceloom's own program, where the user's say nothing.

    Beam's default is a container image without faceloom. A runner in this process's own machine (`[local]`) chooses
    for itself.

    Raises:
        ConfigError: the program is not installed.
    """
    chosen = PipelineOptions(list(args))
    runner.default_environment(chosen)
    if chosen.view_as(PortableOptions).environment_type:
        return []
    command = Path(sys.executable).with_name(WORKER)
    if not command.is_file():
        raise ConfigError(f"{command} is missing; install faceloom again, or say with --environment_type what to start")
    return ["--environment_type=PROCESS", f"--environment_config={json.dumps({'command': str(command)})}"]


def _command(server: SubprocessJobServer, name: str, java: str) -> list[str]:
    """Return the command line of a job server. The first time Beam fetches its jar, a few hundred MB."""
    if shutil.which(java) is None:
        raise ConfigError(
            f"{name} starts a job server in Java, and there is no '{java}' here; install Java 17, or name a server "
            "that runs with --job_endpoint=HOST:PORT"
        )
    try:
        return list(map(str, server.subprocess_cmd_and_endpoint()[0]))
    except (ValueError, RuntimeError, OSError) as error:
        raise ConfigError(f"{name} has no job server: {' '.join(str(error).split())}") from None


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path, address: str, name: str) -> Iterator[None]:
    """Run a server until the block ends, or this process is killed; enter it when the server answers."""
    tethered = ["/bin/sh", "-c", _TETHERED, name, *command]
    with (
        log.open("wb") as stream,
        subprocess.Popen(tethered, stdin=subprocess.PIPE, stdout=stream, stderr=subprocess.STDOUT) as process,
        grpc.insecure_channel(address) as channel,
    ):
        ready = grpc.channel_ready_future(channel)
        while process.poll() is None and not _is_ready(ready):
            time.sleep(_POLL_SECONDS)
        if process.returncode is not None:
            said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
            raise StageFailed(f"the job server of {name} ended with status {process.returncode}: {said[0]}")
        yield


def _is_ready(ready: grpc.Future) -> bool:
    with contextlib.suppress(grpc.FutureTimeoutError):
        ready.result(timeout=_POLL_SECONDS)
    return bool(ready.done())
