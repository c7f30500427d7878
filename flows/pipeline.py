"""The flow, from pictures to a report."""

from __future__ import annotations

import dataclasses
from typing import Any

from prefect import flow
from prefect.states import Completed

from flows import announcements, run_names, tasks
from flows.janitor import look_in_background
from flows.next_steps import command, told
from flows.parameters import DEFAULT_PRESET, DataRoot, Preset, Settings, Source, order_of
from flows.stages import Order, StageResult, source_of
from flows.supersede import newer_waiting, reason
from flows.ui import publish_summary


@flow(name="faceloom", flow_run_name=run_names.of_pipeline, persist_result=False, validate_parameters=True)
def pipeline(
    preset: Preset = DEFAULT_PRESET,
    source: Source = "",
    settings: Settings = (),
    data_root: DataRoot = "",
) -> Any:
    """Make a preset's data set and model, samples, scores and report; what is already done is not done again.

    Args:
        preset: What to make, one of `faceloom presets`; or the path of a TOML file of the same form.
        source: Folder or archive of your pictures, empty is the preset's own. It must lie below the data root, or below
            a folder of FACELOOM_ALLOWED_PATHS on the machine that runs it.
        settings: Changes to the preset, as --set has them, such as train.total_kimg=100.
        data_root: Where raw/, datasets/, runs/ and registry/ lie; empty is FACELOOM_DATA_ROOT of the machine that runs
            it, or ./data.
    """
    look_in_background()
    with told():
        order = order_of(preset, source, settings, data_root)
    if newer := newer_waiting():
        return Completed(message=reason(newer), data=[])
    with told(command("run", order)):
        results = make(order)
    publish_summary(order.config, results)
    announcements.run_finished(order, results)
    return results


def make(order: Order) -> list[StageResult]:
    """Run the six stages as tasks."""
    order, pictures, dataset = prepared(order)
    return [pictures, dataset, *finished(order, [dataset])]


def prepared(order: Order) -> tuple[Order, StageResult, StageResult]:
    """Bring and prepare the pictures; return the order on these pictures, and both results."""
    pictures = tasks.ingest(order)
    order = dataclasses.replace(order, source=source_of(pictures))
    return order, pictures, tasks.prepare(order, wait_for=[pictures])


def measured(order: Order, before: list[StageResult]) -> list[StageResult]:
    """Train, sample and evaluate."""
    training = tasks.train(order, wait_for=before)
    return [
        training,
        tasks.sample(order, wait_for=[training]),
        tasks.evaluate(order, wait_for=[training]),
    ]


def finished(order: Order, before: list[StageResult]) -> list[StageResult]:
    """Train, sample, evaluate and report."""
    results = measured(order, before)
    return [*results, tasks.report(order, wait_for=results)]
