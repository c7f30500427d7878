from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Timer
from typing import Any

import grpc
from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

from beam_jobs.harness import environment, parse, provision

INFO = beam_provision_api_pb2.ProvisionInfo(
    runner_capabilities=["beam:protocol:control_response_elements_embedding:v1"]
)
INFO.pipeline_options["beam:option:s3_region_name:v1"] = "eu-1"
INFO.logging_endpoint.url = "runner:3"


class Runner(beam_provision_api_pb2_grpc.ProvisionServiceServicer):  # type: ignore[misc]  # generated, without types
    """Tells the worker w1, and nobody else, what to run."""

    def GetProvisionInfo(self, request: object, context: Any) -> beam_provision_api_pb2.GetProvisionInfoResponse:  # noqa: N802
        """Answer."""
        if ("worker_id", "w1") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "who is it?")
        return beam_provision_api_pb2.GetProvisionInfoResponse(info=INFO)


@contextlib.contextmanager
def runner() -> Iterator[str]:
    """Yield the address of a runner."""
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("localhost:0")
    beam_provision_api_pb2_grpc.add_ProvisionServiceServicer_to_server(Runner(), server)
    server.start()
    try:
        yield f"localhost:{port}"
    finally:
        server.stop(0)


def test_a_worker_learns_its_options_from_the_runner() -> None:
    """Addresses of the command line go before those of the runner; options arrive as Beam's worker reads them."""
    with runner() as address:
        given = parse(
            [f"--provision_endpoint={address}", "--id=w1", "--control_endpoint=runner:1", "--artifact_endpoint=a"]
        )
        found = environment(given, provision(given.provision_endpoint, given.id))
    assert found == {
        "WORKER_ID": "w1",
        "PIPELINE_OPTIONS": '{\n  "beam:option:s3_region_name:v1": "eu-1"\n}',
        "RUNNER_CAPABILITIES": "beam:protocol:control_response_elements_embedding:v1",
        "CONTROL_API_SERVICE_DESCRIPTOR": 'url: "runner:1"\n',
        "LOGGING_API_SERVICE_DESCRIPTOR": 'url: "runner:3"\n',
    }


def test_a_worker_ends_with_the_process_that_started_it() -> None:
    """A worker whose task manager is killed does not go on writing shards."""
    with socket.create_server(("localhost", 0)) as silent:
        silent.settimeout(60)
        words = [sys.executable, "-m", "beam_jobs.harness", "--id=w"]
        words.append(f"--provision_endpoint=localhost:{silent.getsockname()[1]}")
        start = f"import subprocess; worker = subprocess.Popen({words!r}); print(worker.pid, flush=True); worker.wait()"
        with subprocess.Popen([sys.executable, "-c", start], stdout=subprocess.PIPE, text=True) as manager:
            assert manager.stdout is not None
            pid = int(manager.stdout.readline())
            silent.accept()[0].close()  # the worker asks what to do
            manager.kill()
            fallback = Timer(20, os.kill, (pid, signal.SIGKILL))
            fallback.start()
            assert manager.stdout.read() == ""  # the pipe ends when the worker does
            in_time = fallback.is_alive()
            fallback.cancel()
    assert in_time
