"""What a portable runner (Flink, Spark) needs around a pipeline: its job server, and workers that can be started."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from beam_jobs.quiet_beam import beam  # noqa: F401  # first, so that the imports below are quiet
from beam_jobs.runner import check_beam_args
from gan_core.errors import ConfigError, StageFailed

# isort: split
import grpc
from apache_beam.options.pipeline_options import JobServerOptions, PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.portability.job_server import JavaJarJobServer, StopOnExitJobServer, SubprocessJobServer
from apache_beam.runners.portability.portable_runner import PortableRunner
from apache_beam.runners.runner import create_runner
from apache_beam.utils.subprocess_server import pick_port

WORKER = "faceloom-worker"


@contextlib.contextmanager
def job_server(args: Sequence[str]) -> Iterator[list[str]]:
    """Start the job server that the runner in `args` wants, and stop it at the end.

    Beam would start it by itself, but only in the main thread (it installs a handler of Ctrl-C), and would leave it
    running. Other runners, and one whose server the user names with `--job_endpoint`, need nothing.

    Args:
        args: Beam's options, as after `--` on the command line.

    Yields:
        the options with which the runner finds its server, and its workers their program.

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
    (port,) = pick_port(options.view_as(JobServerOptions).job_port)
    options.view_as(JobServerOptions).job_port = port
    server = runner.default_job_server(options)
    server = server._job_server if isinstance(server, StopOnExitJobServer) else server
    if not isinstance(server, SubprocessJobServer):
        yield args
        return
    if isinstance(server, JavaJarJobServer):
        _check_java(name, options)
    try:
        _start(server, name)
        yield [*args, f"--job_endpoint=localhost:{port}"]
    finally:
        if server._server is not None:  # what stop() asks for; it is missing where the jar could not be had
            server.stop()


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


def _check_java(name: str, options: PipelineOptions) -> None:
    launcher = options.view_as(JobServerOptions).job_server_java_launcher
    if shutil.which(launcher) is None:
        raise ConfigError(
            f"{name} starts a job server in Java, and there is no '{launcher}' here; install Java 17, or name a "
            "server that runs with --job_endpoint=HOST:PORT"
        )


def _start(server: SubprocessJobServer, name: str) -> None:
    try:
        server.start()
    except ValueError as error:
        raise ConfigError(f"{name} cannot start its job server: {' '.join(str(error).split())}") from None
    except (RuntimeError, OSError, grpc.RpcError) as error:
        raise StageFailed(f"{name} cannot start its job server: {' '.join(str(error).split())}") from None
