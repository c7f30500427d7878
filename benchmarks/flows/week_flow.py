"""A flow as faceloom's own, with stages of a moment: the real tasks, children, GPU slot and heart-beats."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.runtime import flow_run
from prefect.states import Completed

from flows import stages, tasks
from flows.janitor import look_in_background
from flows.stages import Order, StageResult
from flows.supersede import newer_waiting, reason
from gan_core.config import load_config
from gan_core.progress import Progress, ReportProgress


def stage_of_a_moment(name: str, key: str, order: Order, report_progress: ReportProgress) -> StageResult:
    """Write one file of its own for the run `key`, once; note every execution."""
    done = order.data_root / f"{key}.{name}.done"
    outcome = "already done" if done.exists() else "done"
    report_progress(Progress(name, 1, 2))
    if outcome == "done":
        time.sleep(0.1)
        with (order.data_root / f"{key}.{name}.executions").open("a") as notes:
            notes.write("executed\n")
        done.touch()
    report_progress(Progress(name, 2, 2))
    return StageResult(stage=name, outcome=outcome, path=str(done), run_dir=str(order.data_root), summary={})


@flow(name="faceloom", flow_run_name="{preset}", persist_result=False)
def week(preset: str, data_root: str) -> Any:
    """Run `train`, which holds the GPU, and `report`; nothing where a newer run of the deployment waits."""
    look_in_background()
    if newer := newer_waiting():
        return Completed(message=reason(newer))
    key = flow_run.id or preset
    for name in ("train", "report"):
        stages.STAGES[name] = partial(stage_of_a_moment, name, key)
    order = Order(config=load_config("smoke"), data_root=Path(data_root))
    training = tasks.train(order)
    page = tasks.report(order, wait_for=[training])
    return [training.outcome, page.outcome]
