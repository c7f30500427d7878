"""How `faceloom runs watch` shows a run: a table that renews itself, a line per log line, or JSON lines."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Protocol, TextIO

from flows.console import duration, shown
from flows.figures import figures_text
from flows.watching import ENDED, FINISHED, State

Line = Mapping[str, Any]
_BAR_COLUMNS = 30


class View(Protocol):
    """Hears of everything that is seen of a run, in order."""

    def began(self, state: State) -> None:
        """The run was found."""

    def metrics(self, line: Line, state: State) -> None:
        """A line of metrics.jsonl."""

    def score(self, line: Line) -> None:
        """A line of snapshot_scores.jsonl."""

    def cut(self, images: int) -> None:
        """The logs were cut: the training goes on from so many images."""

    def now(self, state: State, is_news: bool) -> None:
        """How the run stands, at every look; whether that is another state than the last."""

    def close(self) -> None:
        """Nothing more will come."""


class JsonLines:
    """One JSON object a line, each with an `event`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def began(self, state: State) -> None:
        """See View."""
        keys = ("name", "path", "preset", "device", "images_total")
        self._write("run", {key: getattr(state, key) for key in keys})

    def metrics(self, line: Line, state: State) -> None:
        """See View."""
        self._write("metrics", line)

    def score(self, line: Line) -> None:
        """See View."""
        self._write("score", line)

    def cut(self, images: int) -> None:
        """See View."""
        self._write("resumed", {"images": images})

    def now(self, state: State, is_news: bool) -> None:
        """See View."""
        if is_news:
            self._write("state", dataclasses.asdict(state))

    def close(self) -> None:
        """See View."""

    def _write(self, event: str, facts: Line) -> None:
        print(json.dumps({"event": event, **facts}, ensure_ascii=False), file=self._stream, flush=True)


class PlainLines:
    """A line per log line, for pipes and logs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._device = ""

    def began(self, state: State) -> None:
        """See View."""
        self._device = state.device
        for label, text in _head(state):
            self._say(f"{label:<9}{text}")

    def metrics(self, line: Line, state: State) -> None:
        """See View."""
        rate = line.get("images_per_second")
        left = (state.images_total - line.get("images", 0)) / (state.images_per_second or math.inf)
        words = [_position(line.get("images", 0), state.images_total)]
        words += [f"{rate:,.{0 if rate >= 10 else 1}f} images/s"] if rate else []
        words += [f"{duration(left)} left"] if left > 0 else []
        self._tell_device(state)
        self._say("  ".join([*words, figures_text(line)]))

    def score(self, line: Line) -> None:
        """See View."""
        words = [f"{name} {value:.4g}" for name, value in line.items() if name not in ("kimg", "images")]
        self._say(f"score at {line.get('kimg', 0):g} kimg: {'  '.join(words)}")

    def cut(self, images: int) -> None:
        """See View."""
        self._say(f"resumed: the training goes on from {images / 1000:g} kimg; lines past it are void")

    def now(self, state: State, is_news: bool) -> None:
        """See View."""
        if is_news and state.detail:
            self._say(f"{state.state}: {state.detail}")
        if is_news and state.state in ENDED and state.snapshot:
            self._say(f"newest snapshot: {shown(state.snapshot)}")

    def close(self) -> None:
        """See View."""

    def _tell_device(self, state: State) -> None:
        """Say it when it becomes known, or is another one after a resume."""
        if state.device != self._device:
            self._device = state.device
            self._say(f"{'device':<9}{self._device}")

    def _say(self, text: str) -> None:
        print(text, file=self._stream, flush=True)


class Table:
    """The state as a table that renews itself on a terminal; the last one stays."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(file=stream, highlight=False), auto_refresh=False)
        self._live.start()

    def began(self, state: State) -> None:
        """See View."""
        self.now(state, True)

    def metrics(self, line: Line, state: State) -> None:
        """See View."""

    def score(self, line: Line) -> None:
        """See View."""

    def cut(self, images: int) -> None:
        """See View."""

    def now(self, state: State, is_news: bool) -> None:
        """See View."""
        from rich.table import Table as Grid
        from rich.text import Text

        grid = Grid.grid(padding=(0, 2))
        colours = {"silent": "yellow", "failed": "red", "stopped": "red", FINISHED: "green"}
        for label, text in rows(state):
            style = colours.get(state.state, "") if label == "state" else ""
            grid.add_row(Text(label, style="dim"), Text(text, style=style, overflow="fold"))
        self._live.update(grid, refresh=True)

    def close(self) -> None:
        """See View."""
        self._live.stop()


def rows(state: State) -> list[tuple[str, str]]:
    """Return what is known of a run as labels and texts, in the order of a reader's questions."""
    table = _head(state)
    share = min(1.0, state.images / state.images_total) if state.images_total else 0.0
    bar = "█" * round(share * _BAR_COLUMNS)
    table.append(("progress", f"{bar:░<{_BAR_COLUMNS}}  {_position(state.images, state.images_total)}"))
    if state.images_per_second:
        left = f", {duration(state.seconds_left)} left" if state.seconds_left else ""
        table.append(
            ("speed", f"{state.images_per_second:,.{0 if state.images_per_second >= 10 else 1}f} images/s{left}")
        )
    text = figures_text(state.figures)
    names = {"loss": "losses", "real": "D right on", "grad": "gradients", "lr": "rates", "scale": "loss scales"}
    for words in filter(None, text.split("  ")):
        key, _, rest = words.partition(" ")
        if words.endswith(" GiB"):
            table.append(("memory", words))
        else:
            table.append((names.get(key, key), words if key == "real" else rest))
    for name, facts in state.scores.items():
        words = f"{facts['last']:.4g} at {facts['last_kimg']:g} kimg"
        if "best" in facts:
            words += f", best {facts['best']:.4g} at {facts['best_kimg']:g} kimg, floor {facts['floor']:.4g}"
        table.append((name, words))
    if state.snapshot:
        table.append(("snapshot", shown(state.snapshot)))
    table.append(("state", f"{state.state}: {state.detail}" if state.detail else _alive(state)))
    return table


def _head(state: State) -> list[tuple[str, str]]:
    return [
        ("run", shown(state.path)),
        ("preset", state.preset or "unknown: config.json is missing or damaged"),
        ("device", state.device or "not known before the training begins"),
    ]


def _alive(state: State) -> str:
    ago = "" if state.seconds_since_line is None else f", last line {duration(state.seconds_since_line)} ago"
    return f"{state.state}{ago}"


def _position(images: float, total: int) -> str:
    if not total:
        return f"{images / 1000:,g} kimg"
    return f"{images / 1000:,g} of {total / 1000:,g} kimg ({images / total:.0%})"
