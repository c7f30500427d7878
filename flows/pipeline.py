"""The flow, from pictures to a report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from prefect import flow

from flows import tasks
from flows.janitor import look_in_background
from flows.stages import Order, StageResult, source_of
from flows.ui import publish_summary
from gan_core.config import RunConfig


@flow(name="faceloom", flow_run_name="{config.preset}", persist_result=False)
def pipeline(config: RunConfig, data_root: Path = Path("data"), beam_args: tuple[str, ...] = ()) -> list[StageResult]:
    """Take one configuration all the way. What is already done is not done again.

    Args:
        config: what to make.
        data_root: the folder of raw/, datasets/ and runs/.
        beam_args: options for Beam's pipeline.
    """
    look_in_background()
    order = Order(config=config, data_root=data_root, beam_args=beam_args)
    pictures = tasks.ingest(order)
    order = dataclasses.replace(order, source=source_of(pictures))
    dataset = tasks.prepare(order, wait_for=[pictures])
    training = tasks.train(order, wait_for=[dataset])
    samples = tasks.sample(order, wait_for=[training])
    scores = tasks.evaluate(order, wait_for=[training, dataset])
    page = tasks.report(order, wait_for=[samples, scores])
    results = [pictures, dataset, training, samples, scores, page]
    publish_summary(config, results)
    return results
