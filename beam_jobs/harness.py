"""A worker of a remote runner, started by it as `faceloom-worker --id=... --control_endpoint=...`.

It fills the place of `boot`, the program of Beam's container images: it takes the addresses that the runner gives
on the command line (Beam's "SDK harness container contract"), asks the runner for the pipeline's options, and
becomes Beam's own `sdk_worker_main`. Nothing is staged: faceloom must be installed where this runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

_CHECK_SECONDS = 1.0
_PROVISION_SECONDS = 60.0


def main(argv: Sequence[str] | None = None) -> None:
    """Serve the runner until it ends the connection, or until the process that started this one is gone."""
    # Before Beam is imported, which takes seconds: who is the parent cannot be asked when it is gone.
    threading.Thread(target=_end_with, args=(os.getppid(),), name="launcher-watch", daemon=True).start()
    given = parse(sys.argv[1:] if argv is None else argv)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the local pool: there is a worker for each core
    os.environ |= environment(given, provision(given.provision_endpoint, given.id))
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main([])


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Return id, control_endpoint, logging_endpoint, provision_endpoint; what else a runner says is not needed."""
    parser = argparse.ArgumentParser(prog="faceloom-worker", description=__doc__, allow_abbrev=False)
    parser.add_argument("--id", required=True)
    parser.add_argument("--provision_endpoint", required=True)
    parser.add_argument("--control_endpoint", default="")
    parser.add_argument("--logging_endpoint", default="")
    return parser.parse_known_args(argv)[0]


def provision(address: str, worker_id: str) -> Any:
    """Return what the runner tells its workers, a ProvisionInfo: options, addresses that the command line lacks."""
    from beam_jobs.quiet_beam import beam  # noqa: F401  # first, so that the imports below are quiet

    # isort: split
    import grpc
    from apache_beam.portability.api import beam_provision_api_pb2, beam_provision_api_pb2_grpc

    with grpc.insecure_channel(address) as channel:
        service = beam_provision_api_pb2_grpc.ProvisionServiceStub(channel)
        request = beam_provision_api_pb2.GetProvisionInfoRequest()
        metadata = [("worker_id", worker_id)]
        return service.GetProvisionInfo(
            request, metadata=metadata, timeout=_PROVISION_SECONDS, wait_for_ready=True
        ).info


def environment(given: argparse.Namespace, info: Any) -> dict[str, str]:
    """Return the variables that `sdk_worker_main` reads, from `parse` and `provision`."""
    from google.protobuf import json_format

    control = given.control_endpoint or info.control_endpoint.url
    logging = given.logging_endpoint or info.logging_endpoint.url
    return {
        "WORKER_ID": given.id,
        "PIPELINE_OPTIONS": json_format.MessageToJson(info.pipeline_options),
        "RUNNER_CAPABILITIES": " ".join(info.runner_capabilities),
        "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(control),
        "LOGGING_API_SERVICE_DESCRIPTOR": _descriptor(logging),
    }


def _descriptor(address: str) -> str:
    from apache_beam.portability.api import endpoints_pb2
    from google.protobuf import text_format

    return str(text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=address)))


def _end_with(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    main()
