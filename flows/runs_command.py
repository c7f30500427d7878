"""`faceloom runs`: list the runs, watch one while it trains, compare scores. Nothing here needs TensorFlow."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from flows.runs_page import page
from flows.terminal import Group, Terminal, data_root_option, shared_options
from gan_core.errors import StageFailed

if TYPE_CHECKING:
    from flows.watch_display import View
    from flows.watching import Watch

_EVERY_SECONDS = 1.0
_LEFT = 130


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(
    "runs",
    cls=Group,
    invoke_without_command=True,
    epilog=_examples(
        "faceloom runs",
        "faceloom runs --data-root /mnt/gans --json",
        "faceloom runs watch",
        "faceloom runs watch celeba64",
        "faceloom runs compare celeba64 r3gan64",
    ),
)
@shared_options
@data_root_option("Where raw/, datasets/ and runs/ lie.")
def runs(own: Terminal, data_root: Path) -> None:
    """List the runs: state, progress, scores.

    With a command: look at one.
    """
    from flows import runs

    own.data_root = data_root
    if click.get_current_context().invoked_subcommand is None:
        own.emit(*runs.listing(data_root))


runs.add_command(page)


@runs.command(
    epilog=_examples(
        "faceloom runs watch                              the run that was worked on last",
        "faceloom runs watch celeba64                     the newest whose name begins so",
        "faceloom runs watch --once                       say how it stands, and leave",
        "faceloom runs watch celeba64 --json | jq .loss_g",
        "faceloom runs watch > training.log               a line for each line of the log",
    )
)
@shared_options
@data_root_option("Where raw/, datasets/ and runs/ lie.")
@click.argument("run", required=False)
@click.option("--once", is_flag=True, help="Print the state and leave.")
def watch(own: Terminal, run: str | None, data_root: Path, once: bool) -> int:
    """Follow a training from another terminal.

    RUN is a run's name, the beginning of one, or its folder; left out, it is the newest. Ctrl-C leaves; the training
    goes on. --json prints one JSON object a line. Exit code 6: the training failed or was stopped.
    """
    from flows import watch_display
    from flows.watching import Watch, find_run

    if click.get_current_context().get_parameter_source("data_root") is ParameterSource.COMMANDLINE:
        own.data_root = data_root
    watched = Watch(find_run(own.data_root, run))
    if once:
        watched.read()
        state = watched.state()
        lines = [f"{label:<13}{text}" for label, text in watch_display.rows(state)]
        own.emit(dataclasses.asdict(state), "\n".join(lines))
        return 0
    if own.as_json:
        view: View = watch_display.JsonLines(sys.stdout)
    elif sys.stdout.isatty():
        view = watch_display.Table(sys.stdout)
    else:
        view = watch_display.PlainLines(sys.stdout)
    try:
        return follow(watched, view)
    except KeyboardInterrupt:
        return _LEFT
    finally:
        view.close()


def follow(watched: Watch, view: View, sleep: Callable[[float], None] = time.sleep) -> int:
    """Show a run until its training has ended; return 0 where it is finished, else 6."""
    from flows.watching import ENDED, FINISHED

    last = ""
    while True:
        metrics, scores, kept_images = watched.read()
        state = watched.state()
        if not last:
            view.began(state)
        if kept_images is not None:
            view.cut(kept_images)
        lines = [(line, True) for line in metrics] + [(line, False) for line in scores]
        for line, is_metrics in sorted(lines, key=lambda one: one[0].get("images", 0)):
            view.metrics(line, state) if is_metrics else view.score(line)
        view.now(state, state.state != last)
        last = state.state
        if last in ENDED:
            return 0 if last == FINISHED else StageFailed.exit_code
        sleep(_EVERY_SECONDS)


@runs.command(
    epilog=_examples(
        "faceloom runs compare celeba64 r3gan64           the second against the first",
        "faceloom runs compare celeba64-0123 celeba64-4567 data/runs/mine",
        "faceloom runs compare celeba64 r3gan64 --measure fid --measure kid",
        "faceloom runs compare celeba64 r3gan64 --show-unlike",
        "faceloom runs compare celeba64 r3gan64 --published",
        "faceloom runs compare celeba64 r3gan64 --json | jq '.measures[].best'",
    )
)
@shared_options
@data_root_option("Where raw/, datasets/ and runs/ lie.")
@click.argument("names", nargs=-1, metavar="BASELINE RUN...")
@click.option("--measure", "measures", multiple=True, metavar="NAME", help="Only this one, such as swd; repeatable.")
@click.option("--show-unlike", is_flag=True, help="Show scores of unlike protocols too; nothing is judged then.")
@click.option("--published", is_flag=True, help="List published results on the same data set below, with protocols.")
def compare(
    own: Terminal,
    names: tuple[str, ...],
    data_root: Path,
    measures: tuple[str, ...],
    show_unlike: bool,
    published: bool,
) -> None:
    """Compare the scores of runs with those of the first one.

    Each is a run's name, the beginning of one, or its folder. Scores compare only where their whole protocol is the
    same: data set, split, crop, filter, counts, extractor, resizing, the measure's own parameters. Otherwise it ends
    with exit code 2, names each difference, and what to do.

    A verdict is given where the difference is more than noise: over its standard error, two-sided, 95 %, with Holm's
    correction over all tests of the table. Standard errors are over the sampling of pictures, not over training seeds.
    """
    from flows import comparison, comparison_text
    from flows.scored_runs import published_on, read_scores
    from flows.watching import find_run

    if click.get_current_context().get_parameter_source("data_root") is ParameterSource.COMMANDLINE:
        own.data_root = data_root
    scored = [read_scores(find_run(own.data_root, name), own.data_root) for name in names]
    found = comparison.compare(scored, measures, show_unlike)
    document, text = comparison.document(found), comparison_text.table(found)
    if published:
        citations = published_on(scored)
        document["published"] = [{**dataclasses.asdict(one), "protocol": one.protocol} for one in citations]
        text += "\n\n" + comparison_text.cited(citations)
    own.emit(document, text)
