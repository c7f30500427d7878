"""A local Beam worker process, started by `beam_jobs.runner` as `python -m beam_jobs.worker`.

It is Beam's own `sdk_worker_main`, quiet on stderr. It ends when its launcher has died, where Beam's waits
for ever, and leaves Ctrl-C to the launcher, which lets it end in order.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

from beam_jobs.quiet_beam import beam  # noqa: F401  # first, so that the import below is quiet

from apache_beam.runners.worker import sdk_worker_main  # isort: skip

_CHECK_SECONDS = 1.0


def _end_with(launcher: int) -> None:
    while os.getppid() == launcher:
        time.sleep(_CHECK_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), name="launcher-watch", daemon=True).start()
    sdk_worker_main.main(sys.argv)
