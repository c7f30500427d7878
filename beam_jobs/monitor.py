"""A running job and its progress, read from what its workers note in the draft: no runner has a way back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from beam_jobs.books import WORK, stop_work
from gan_core.progress import Progress, ReportProgress

_POLL_SECONDS = 0.5
_WINDOW_POLLS = 20  # the rate is that of the last ten seconds: a resumed job, or a slow start, does not distort it


def run_watched(job: Callable[[], None], draft: Path, total: int, report_progress: ReportProgress) -> None:
    """Run `job` in a thread, and call `report_progress` from here twice a second and at the end.

    Ctrl-C, or an exception from `report_progress`, stops the workers; what they have finished is kept. With a
    remote runner whose workers do not share the disk, the numbers stay as they are.
    """
    folder = draft / WORK / "progress"
    recent = deque([(time.monotonic(), read_progress(folder)[0])], maxlen=_WINDOW_POLLS)

    def report() -> None:
        done, rejects = read_progress(folder)
        recent.append((time.monotonic(), done))
        (start, before), (end, _) = recent[0], recent[-1]
        figures = {
            "rejects": float(rejects),
            "images_per_second": round((done - before) / max(end - start, 1e-3), 1),
        }
        report_progress(Progress("prepare", min(done, total), total, figures=figures))

    with ThreadPoolExecutor(1, thread_name_prefix="beam-job") as pool:
        running = pool.submit(job)
        try:
            while not wait([running], timeout=_POLL_SECONDS).done:
                report()
        except BaseException:
            stop_work(draft)
            raise
        running.result()
        report()


def read_progress(folder: Path) -> tuple[int, int]:
    """Return (pictures done, rejects) over all shards."""
    done = rejects = 0
    for path in folder.glob("[!.]*"):
        pictures, rejected = path.read_text().split()
        done, rejects = done + int(pictures), rejects + int(rejected)
    return done, rejects
