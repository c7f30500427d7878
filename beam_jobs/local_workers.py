"""Local worker processes for Beam's FnApiRunner whose death ends the job with an error.

Beam 2.77 starts them with an unquoted shell command, and when one is killed (out of memory, say) its runner
waits for an answer for ever. Here the command is quoted, and a dead worker answers all that it was asked with
its exit status.
"""

from __future__ import annotations

import contextlib
import shlex
import sys
import threading
from collections.abc import Iterator

from beam_jobs.quiet_beam import beam  # noqa: F401  # first, so that the imports below are quiet

# isort: split
from apache_beam.portability import python_urns
from apache_beam.portability.api import beam_fn_api_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import (
    SubprocessSdkWorkerHandler,
    WorkerHandler,
)
from apache_beam.runners.portability.local_job_service import SubprocessSdkWorker
from apache_beam.transforms.environments import SubprocessSDKEnvironment

_ANSWER_EVERY_SECONDS = 0.2
_BEAM_THREADS = frozenset({"beam_control_read", "read_grpc_client_inputs"})


def worker_processes() -> SubprocessSDKEnvironment:
    """Return the environment that runs each worker in a process of this interpreter."""
    # `exec`: no shell stays between the runner and the worker, which watches its parent.
    command = f"exec {shlex.quote(sys.executable)} -m beam_jobs.worker"
    return SubprocessSDKEnvironment.from_command_string(command)


@WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
class WatchedWorkerHandler(SubprocessSdkWorkerHandler):  # type: ignore[misc]  # apache_beam has no types
    """Starts one worker process, and fails its open requests when it ends before its time."""

    def start_worker(self) -> None:
        """Start the process and the thread that waits for its end."""
        self._closed = threading.Event()
        self._worker = SubprocessSdkWorker(
            self._worker_command_line, self.control_address, self.provision_info, self.worker_id
        )
        self.worker_thread = threading.Thread(name="run_worker", target=self._run)
        self.worker_thread.start()

    def close(self) -> None:
        """End the worker and all waiting for it."""
        self._closed.set()
        super().close()

    def _run(self) -> None:
        try:
            self._worker.run()
        except RuntimeError as error:
            # Again and again: the runner may be just about to ask.
            while not self._closed.wait(_ANSWER_EVERY_SECONDS):
                for name, future in list(self.control_conn._futures_by_id.items()):
                    future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=name, error=str(error)))


@contextlib.contextmanager
def quiet_threads() -> Iterator[None]:
    """Keep tracebacks of Beam's connection threads off stderr: the job itself reports a dead worker."""
    report = threading.excepthook

    def report_others(args: threading.ExceptHookArgs) -> None:
        if args.thread is None or args.thread.name not in _BEAM_THREADS:
            report(args)

    threading.excepthook = report_others
    try:
        yield
    finally:
        threading.excepthook = report
