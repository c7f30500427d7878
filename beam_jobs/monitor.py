"""A running job and its progress, read from what its workers note in the draft: no runner has a way back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

from beam_jobs.books import WORK, stop_work
from gan_core.object_store import objects as stores
from gan_core.paths import is_remote
from gan_core.progress import Progress, ReportProgress

_POLL_SECONDS = 0.5
_REMOTE_POLL_SECONDS = 5.0  # as often as workers say something there
_WINDOW_POLLS = 20  # the rate is that of the last ten seconds: a resumed job, or a slow start, does not distort it


def run_watched(job: Callable[[], None], draft: Path, total: int, report_progress: ReportProgress) -> None:
    """Run `job` in a thread, and call `report_progress` from here twice a second and at the end.

    On an object store, every five seconds.

    Ctrl-C, or an exception from `report_progress`, stops the workers; what they have finished is kept. With a
    remote runner whose workers do not share the disk, the numbers stay as they are.
    """
    folder = draft / WORK / "progress"
    poll_s = _REMOTE_POLL_SECONDS if is_remote(draft) else _POLL_SECONDS
    known: dict[str, tuple[int, str]] = {}
    recent = deque([(time.monotonic(), read_progress(folder, known)[0])], maxlen=_WINDOW_POLLS)

    def report() -> None:
        done, rejects = read_progress(folder, known)
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
            while not wait([running], timeout=poll_s).done:
                report()
        except BaseException:
            stop_work(draft)
            raise
        running.result()
        report()


def read_progress(folder: Path, known: dict[str, tuple[int, str]] | None = None) -> tuple[int, int]:
    """Return (pictures done, rejects) over all shards.

    Args:
        folder: `.work/progress`.
        known: what the last call found on an object store; it is brought up to date, so that only news are fetched.
    """
    texts = _remote_texts(folder, {} if known is None else known) if is_remote(folder) else _local_texts(folder)
    done = rejects = 0
    for text in texts:
        pictures, rejected = text.split()
        done, rejects = done + int(pictures), rejects + int(rejected)
    return done, rejects


def _local_texts(folder: Path) -> list[str]:
    return [path.read_text() for path in folder.glob("[!.]*")]


def _remote_texts(folder: Path, known: dict[str, tuple[int, str]]) -> list[str]:
    there = stores.listing(folder)
    news = {folder / name: name for name, facts in there.items() if known.get(name, (None, ""))[0] != facts.st_ino}
    for path, data in stores.read_all(news).items():
        known[news[path]] = there[news[path]].st_ino, data.decode()
    for name in known.keys() - there.keys():
        del known[name]
    return [text for _, text in known.values()]
