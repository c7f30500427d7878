"""What a run leaves in Prefect's UI: a progress bar a stage, a summary, the scores, a link to the report."""

from __future__ import annotations

import base64
import functools
import io
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, cast
from uuid import UUID

import httpx
from PIL import Image
from prefect.artifacts import (
    create_link_artifact,
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException
from prefect.logging.loggers import get_logger

from flows.figures import figures_text
from flows.reports_server import report_address
from flows.stages import StageResult
from gan_core.config import RunConfig
from gan_core.progress import Progress

UPDATE_EVERY_SECONDS = 10.0
AWAY_SECONDS = 60.0
PATIENCE_SECONDS = 600.0
ASK_EVERY_SECONDS = 5.0
GRID_SIDE = 768  # pixels; about 100 KB
P = ParamSpec("P")
Logger = logging.Logger | logging.LoggerAdapter[Any]


class ProgressArtifact:
    """One stage's bar in the UI and its lines in Prefect's log, both at most every UPDATE_EVERY_SECONDS."""

    def __init__(self, stage: str, logger: Logger) -> None:
        self._stage = stage
        self._logger = logger
        self._id: UUID | None = None
        self._shown = -UPDATE_EVERY_SECONDS

    def show(self, progress: Progress) -> None:
        """Bring bar and log up to date. A server that is away costs the bar, not the stage."""
        ended = progress.done >= progress.total
        if time.monotonic() - self._shown < UPDATE_EVERY_SECONDS and not ended:
            return
        self._shown = time.monotonic()
        figures = figures_text(progress.figures)
        self._logger.info("%s: %d of %d %s  %s", self._stage, progress.done, progress.total, progress.unit, figures)
        percent = 100.0 * min(1.0, progress.done / max(1, progress.total))
        try:
            if self._id is None:
                # The report has an artifact of its own, and what shares a key replaces each other in the UI.
                key, description = f"faceloom-progress-{self._stage}", f"{self._stage}: {progress.unit}"
                self._id = cast(UUID, create_progress_artifact(percent, key=key, description=description))
            else:
                update_progress_artifact(self._id, progress=percent)
        except (httpx.HTTPError, PrefectException) as error:
            self._shown += AWAY_SECONDS
            self._logger.warning("the progress bar of %s pauses: %s", self._stage, error)


def patient(publish: Callable[P, None]) -> Callable[P, None]:
    """Let a function that publishes wait for a server that is away, for PATIENCE_SECONDS; then its page is lost.

    What a run has made lies on disk by then: it shall not fail for want of a page about it.
    """

    @functools.wraps(publish)
    def patiently(*args: P.args, **more: P.kwargs) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                publish(*args, **more)
                return
            except (httpx.HTTPError, PrefectException) as error:
                if time.monotonic() > deadline:
                    get_logger("faceloom.ui").warning("artifacts of this run are missing in the UI: %s", error)
                    return
            time.sleep(ASK_EVERY_SECONDS)

    return patiently


@patient
def publish_summary(config: RunConfig, results: Sequence[StageResult]) -> None:
    """Create the summary, the table of scores and the link to the report of one finished run."""
    by_stage = {result.stage: result for result in results}
    create_markdown_artifact(summary_markdown(config, results), key="faceloom-summary", description="what was done")
    if grid := grid_markdown(Path(by_stage["sample"].path) / "grid.png"):
        create_markdown_artifact(grid, key="faceloom-samples", description="samples, nothing picked")
    create_table_artifact(
        score_rows(by_stage["evaluate"].summary.get("scores", {})),
        key="faceloom-scores",
        description="measured scores",
    )
    publish_report(by_stage["report"])


def publish_report(report: StageResult) -> None:
    """Create a link to the report where an address leads to it, else its path as text."""
    run, page = Path(report.run_dir).name, Path(report.path).absolute()
    if address := report_address(run, page.name):
        create_link_artifact(address, link_text=f"report of {run}", key="faceloom-report", description="the report")
    else:
        create_markdown_artifact(f"`{page}`", key="faceloom-report", description="the report")


def grid_markdown(path: Path) -> str:
    """Return Markdown that holds a picture itself, shrunk to GRID_SIDE and compressed; empty where it cannot be read.

    Prefect's image artifacts need an address that the browser reaches, and a machine that trains serves no pages. Its
    Markdown lets data addresses through, so the picture lies in the server's database and shows wherever its UI does.
    """
    try:
        with Image.open(path) as picture:
            shown = picture.convert("RGB")
    except OSError:
        return ""
    shown.thumbnail((GRID_SIDE, GRID_SIDE))
    stream = io.BytesIO()
    shown.save(stream, "WEBP", quality=80)
    return f"![samples](data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()})\n"


@patient
def publish_decision(config: RunConfig, promoted: StageResult) -> None:
    """Create the gate's decision, with its reasons, as an artifact."""
    create_markdown_artifact(
        decision_markdown(config, promoted.summary), key="faceloom-decision", description="what the gate said, and why"
    )


def decision_markdown(config: RunConfig, summary: Mapping[str, Any]) -> str:
    """Return the decision as Markdown: the verdict, and a row for each check."""
    decision = summary["decision"]
    outcome = {True: "passed", False: "FAILED"}
    rows = [f"| {one['check']} | {outcome[one['passed']]} | {one['text']} |" for one in decision["reasons"]]
    verdict = "promoted" if decision["promote"] else "not promoted"
    head = [f"# {config.preset} v{summary['version']}: {verdict}", "", str(decision["summary"]), ""]
    after = ["", f"By hand: `faceloom models promote {summary['model']} {summary['version']} --why ...`"]
    return "\n".join([*head, "| check | | |", "|---|---|---|", *rows, *after])


def summary_markdown(config: RunConfig, results: Sequence[StageResult]) -> str:
    """Return a small Markdown page: preset, run folder, and a table of the stages."""
    rows = [f"| {result.stage} | {result.outcome} | `{result.path}` |" for result in results]
    head = [
        f"# {config.preset}",
        "",
        f"`{results[-1].run_dir}`",
        "",
        "| stage | outcome | where |",
        "|---|---|---|",
    ]
    return "\n".join([*head, *rows])


def score_rows(scores: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row a measure: value and floor (real against real) with standard errors, unit, what is better."""
    return [
        {
            "measure": name,
            "value": facts.get("value"),
            "error": facts.get("error"),
            "floor": facts.get("floor"),
            "floor_error": facts.get("floor_error"),
            "unit": facts.get("unit"),
            "better": facts.get("better"),
            "fingerprint": facts.get("fingerprint"),
        }
        for name, facts in scores.items()
    ]
