"""What `faceloom retrain` does: a look without Prefect, and the flow `retrain` where something is due."""

from __future__ import annotations

import time
from typing import Any

from flows.checks import check_extractor, check_root
from flows.commands import through_prefect
from flows.console import duration, shown
from flows.plan import make_plan
from flows.stages import Order, StageResult
from flows.terminal import Terminal
from flows.triggers import Trigger, look_for
from gan_core import artifacts
from gan_core.config import RunConfig


def retrain(own: Terminal, config: RunConfig, *, force: bool, dry_run: bool) -> None:
    """Train again where that is due, judge, and promote what is better."""
    start = time.monotonic()
    order = Order(config=config, data_root=own.data_root, beam_args=own.beam_args)
    check_root("retrain", order)
    check_extractor(order)
    trigger = look_for(order, force=force)
    if dry_run or not (trigger.due or trigger.unsure):
        own.emit(_document(trigger, start), _text(trigger) if dry_run else trigger.reason)
        return
    artifacts.make_folder(order.data_root)
    with own.display() as display:
        display.note(f"retrain  {trigger.reason}")

        def run(parameters: dict[str, Any]) -> list[StageResult]:
            from flows.retrain import retrain as flow

            found = flow(**parameters, force=force)
            return found if isinstance(found, list) else []

        results = through_prefect(own, display, order, run)
    if not results:
        own.emit(_document(trigger, start), look_for(order).reason)
        return
    promoted = next(result for result in results if result.stage == "promote")
    document = _document(trigger, start) | {
        "stages": [result.to_json() for result in results],
        "version": promoted.summary["version"],
        "decision": promoted.summary["decision"],
    }
    lines = [
        f"version   {promoted.summary['model']} v{promoted.summary['version']}: {shown(promoted.path)}",
        f"gate      {promoted.summary['decision']['summary']}",
        f"report    {shown(results[-1].path)}",
        f"time      {duration(time.monotonic() - start)}",
    ]
    own.emit(document, "\n".join(lines))


def _document(trigger: Trigger, start: float) -> dict[str, Any]:
    return {"due": trigger.due, "unsure": trigger.unsure, "reason": trigger.reason, "seconds": time.monotonic() - start}


def _text(trigger: Trigger) -> str:
    if not (trigger.due or trigger.unsure):
        return trigger.reason
    train = trigger.order.config.train
    begun = f"the blessed model, {shown(train.transfer)}" if train.transfer else "random weights"
    plan = make_plan(trigger.order)
    lines = [f"due       {trigger.reason}", f"begins    from {begun}, seed {train.seed}"]
    lines += [f"{stage.stage:<10}{stage.state:<14}{shown(stage.path)}" for stage in plan.stages[:-1]]
    lines += [f"{stage:<10}would run" for stage in ("judge", "promote", "report")]
    return "\n".join(lines)
