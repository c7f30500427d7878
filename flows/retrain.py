"""The flow that people leave alone: train again when that is due, and take the new model only if it is better."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prefect import flow, get_run_logger
from prefect.states import Completed

from flows import announcements, begun, run_names, supersede, tasks
from flows.janitor import look_in_background
from flows.next_steps import command, told
from flows.parameters import DEFAULT_PRESET, DataRoot, Preset, Settings, Source, order_of
from flows.pipeline import measured, prepared
from flows.stages import Order, StageResult
from flows.supersede import newer_waiting
from flows.triggers import Trigger, after_preparing, look_for
from flows.ui import publish_decision, publish_summary
from gan_core.handoff import DatasetManifest


@flow(name="retrain", flow_run_name=run_names.of_retraining, persist_result=False, validate_parameters=True)
def retrain(
    preset: Preset = DEFAULT_PRESET,
    source: Source = "",
    settings: Settings = (),
    data_root: DataRoot = "",
    force: bool = False,
) -> Any:
    """Train a preset's model again where that is due, judge it, and promote it if it is better by more than noise.

    Args:
        preset: What to make, one of `faceloom presets`; or the path of a TOML file of the same form.
        source: Folder or archive of your pictures, empty is the preset's own. It must lie below the data root, or below
            a folder of FACELOOM_ALLOWED_PATHS on the machine that runs it.
        settings: Changes to the preset, as --set has them, such as train.total_kimg=100.
        data_root: Where raw/, datasets/, runs/ and registry/ lie; empty is FACELOOM_DATA_ROOT of the machine that runs
            it, or ./data.
        force: Train in any case, also where nothing is new.
    """
    look_in_background()
    with told():
        order = order_of(preset, source, settings, data_root)
    with told(command("retrain", order)):
        trigger, results = perform(order, force)
    if results:
        return results
    announcements.retrain_skipped(trigger.order, trigger.reason)
    return Completed(message=trigger.reason, data=results)


def perform(order: Order, force: bool) -> tuple[Trigger, list[StageResult]]:
    """Run what is due; no results where nothing was."""
    if newer := newer_waiting():
        return _said(Trigger(False, supersede.reason(newer), order)), []
    trigger = _said(begun.kept(order) or look_for(order, force=force))
    if not trigger.due and not trigger.unsure:
        return trigger, []
    if trigger.due:
        begun.keep(trigger)
    order, pictures, dataset = prepared(trigger.order)
    if trigger.unsure:
        trigger = _said(after_preparing(trigger, DatasetManifest.load(Path(dataset.path))))
        if not trigger.due:
            return trigger, []
        begun.keep(trigger)
    results = [pictures, dataset, *measured(order, [dataset])]
    verdict = tasks.judge(order, wait_for=results)
    version = tasks.promote(order, wait_for=[verdict])
    page = tasks.report(order, wait_for=[version])
    results += [verdict, version, page]
    publish_summary(order.config, results)
    publish_decision(order.config, version)
    announcements.run_finished(order, results)
    return trigger, results


def _said(trigger: Trigger) -> Trigger:
    """Return a trigger after its reason went into the log and the name of the flow run."""
    get_run_logger().info(trigger.reason)
    run_names.rename_with(trigger.reason)
    return trigger
