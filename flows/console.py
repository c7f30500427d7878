"""What the user sees while stages run, on stderr: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, TextIO

from flows.figures import figures_text
from flows.stages import StageResult
from gan_core.lineage import ALREADY_DONE
from gan_core.paths import is_address
from gan_core.progress import Progress

LINE_EVERY_SECONDS = 10.0


class Display(Protocol):
    """Hears of everything that happens in a run, in order."""

    def note(self, text: str) -> None:
        """Say one line."""

    def started(self, stage: str, where: str, attempt: int) -> None:
        """A stage begins, its `attempt`-th try in this run."""

    def progress(self, progress: Progress) -> None:
        """The stage that runs came further."""

    def finished(self, result: StageResult, seconds: float) -> None:
        """The stage ended well."""

    def failed(self, stage: str, error: Exception) -> None:
        """The stage ended with an error; another attempt may follow."""

    def close(self) -> None:
        """Nothing more will come."""


class Silence:
    """Shows nothing: `--quiet`."""

    def note(self, text: str) -> None:
        """See Display."""

    def started(self, stage: str, where: str, attempt: int) -> None:
        """See Display."""

    def progress(self, progress: Progress) -> None:
        """See Display."""

    def finished(self, result: StageResult, seconds: float) -> None:
        """See Display."""

    def failed(self, stage: str, error: Exception) -> None:
        """See Display."""

    def close(self) -> None:
        """See Display."""


class Lines(Silence):
    """Plain lines for logs and pipes: at a stage's begin and end, and each LINE_EVERY_SECONDS between."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._pace = Pace(clock)
        self._shown = 0.0

    def note(self, text: str) -> None:
        """See Display."""
        print(text, file=self._stream, flush=True)

    def started(self, stage: str, where: str, attempt: int) -> None:
        """See Display."""
        self._pace = Pace(self._clock)
        self._shown = self._clock()
        self.note(started_text(stage, where, attempt))

    def progress(self, progress: Progress) -> None:
        """See Display."""
        pace = self._pace.after(progress)
        if self._clock() - self._shown >= LINE_EVERY_SECONDS:
            self._shown = self._clock()
            share = progress.done / max(1, progress.total)
            done, total = (amount(count, progress.unit) for count in (progress.done, progress.total))
            counts = f"{done} of {total} {_named(progress.unit)} ({share:.0%})"
            self.note(f"{progress.stage:<9}{'  '.join(filter(None, (counts, pace, figures_text(progress.figures))))}")

    def finished(self, result: StageResult, seconds: float) -> None:
        """See Display."""
        self.note(finished_text(result, seconds))

    def failed(self, stage: str, error: Exception) -> None:
        """See Display."""
        self.note(f"{stage:<9}failed: {error}")


class Bars(Lines):
    """A bar with rate and the time left, and a line of figures below it, for a terminal."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        from rich.console import Console
        from rich.progress import BarColumn, TaskProgressColumn, TextColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        class WithFigures(RichProgress):
            """Bars with one line of text below."""

            figures = ""

            def get_renderables(self) -> Iterator[Any]:
                """See rich.progress.Progress."""
                yield from super().get_renderables()
                if self.figures:
                    yield Text(self.figures, no_wrap=True, overflow="ellipsis")

        self._console = Console(file=stream, highlight=False)
        columns = (
            TextColumn("{task.description:<8}"),
            BarColumn(24),
            TaskProgressColumn(),
            TextColumn("{task.fields[pace]}"),
        )
        self._bars = WithFigures(*columns, console=self._console, transient=True)
        self._task: Any = None

    def note(self, text: str) -> None:
        """See Display."""
        self._console.print(text, markup=False, soft_wrap=True)

    def started(self, stage: str, where: str, attempt: int) -> None:
        """See Display."""
        super().started(stage, where, attempt)
        self._bars.figures = ""
        self._task = self._bars.add_task(stage, total=None, pace="starting")
        self._bars.start()

    def progress(self, progress: Progress) -> None:
        """See Display."""
        if self._task is not None:
            pace = self._pace.after(progress)
            self._bars.figures = figures_text(progress.figures)
            self._bars.update(self._task, completed=progress.done, total=progress.total, pace=pace)

    def finished(self, result: StageResult, seconds: float) -> None:
        """See Display."""
        self.close()
        super().finished(result, seconds)

    def failed(self, stage: str, error: Exception) -> None:
        """See Display."""
        self.close()
        super().failed(stage, error)

    def close(self) -> None:
        """See Display."""
        if self._task is not None:
            self._bars.stop()
            self._bars.remove_task(self._task)
            self._task = None


class Pace:
    """Turns positions into rate and time left, from the first on: a resumed stage starts in the middle."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first: tuple[float, int] | None = None

    def after(self, progress: Progress) -> str:
        """Return the words for it, such as `412 images/s  1 min 02 s left`."""
        now = self._clock()
        if self._first is None:
            self._first = (now, progress.done)
        began, zero = self._first
        words = []
        if now > began and progress.done > zero:
            rate = (progress.done - zero) / (now - began)
            shown_rate = amount(rate, "bytes") if progress.unit == "bytes" else f"{rate:,.{0 if rate >= 10 else 1}f}"
            words.append(f"{shown_rate} {_named(progress.unit)}/s")
            if progress.done < progress.total:
                words.append(f"{duration((progress.total - progress.done) / rate)} left")
        return "  ".join(words)


def amount(count: float, unit: str) -> str:
    """Return 12345678 bytes -> "12.3", in the megabytes of `_named`; other units -> "12,345,678"."""
    return f"{count / 1e6:,.1f}" if unit == "bytes" else f"{count:,.0f}"


def _named(unit: str) -> str:
    return "MB" if unit == "bytes" else unit


def make_display(quiet: bool, stream: TextIO) -> Display:
    """Return the display that fits: none, bars on a terminal, or lines."""
    if quiet:
        return Silence()
    return Bars(stream) if stream.isatty() else Lines(stream)


def started_text(stage: str, where: str, attempt: int) -> str:
    """Return the line at a stage's begin."""
    again = f" (attempt {attempt})" if attempt > 1 else ""
    return f"{stage:<9}{where}{again}"


def finished_text(result: StageResult, seconds: float) -> str:
    """Return the line at a stage's end."""
    if result.outcome == ALREADY_DONE:
        return f"{result.stage:<9}already done: {shown(result.path)}"
    note = f"; {result.summary['note']}" if result.summary.get("note") else ""
    return f"{result.stage:<9}done in {duration(seconds)}: {shown(result.path)}{note}"


def shown(path: str | Path) -> str:
    """Return a path as the user would write it: relative where it lies below the working directory."""
    if is_address(str(path)):
        return str(path)
    path = Path(path).absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def duration(seconds: float) -> str:
    """Return 8.1 -> "8.1 s", 750 -> "12 min 30 s", 11100 -> "3 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes_left = divmod(minutes, 60)
    return f"{hours} h {minutes_left:02d} min" if hours else f"{minutes} min {rest:02d} s"
