"""What `faceloom run` and the commands for single stages do."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from flows import presets
from flows.checks import check_extractor, check_inputs, check_root
from flows.console import Display, duration, shown
from flows.next_steps import plain
from flows.output import new_log, quiet_libraries, redirected
from flows.plan import Plan, make_plan
from flows.stages import STAGES, Order, StageResult, folder_of
from flows.terminal import Terminal
from gan_core import artifacts
from gan_core.config import SECTIONS, RunConfig
from gan_core.errors import FaceloomError, StageFailed
from gan_core.lineage import ALREADY_DONE
from gan_core.paths import local_root

_SILENT_SECONDS = 3.0  # a hundred thousand files of a folder
NOTHING_TO_DO = "nothing to do: every stage is already done"


def dry_run(own: Terminal, config: RunConfig) -> None:
    """Print what a run would do, where, and at what cost."""
    order = _order(own, config)
    check_root("run", order)
    plan = make_plan(order)
    place = plan.place
    stages = [{"stage": stage.stage, "state": stage.state, "path": str(stage.path)} for stage in plan.stages]
    document = {
        "config": config.to_json(),
        "source": dataclasses.asdict(place.source),
        "dataset": {"digest": place.dataset_digest, "path": str(place.dataset)},
        "run": {"digest": place.run_digest, "path": str(place.run_dir)},
        "stages": stages,
        "cost": presets.cost(config),
    }
    own.emit(document, _dry_run_text(config, plan))


def run_alone(own: Terminal, config: RunConfig, names: Sequence[str]) -> None:
    """Run stages in this process, without Prefect."""
    order = _order(own, config)
    check_root(names[0], order)
    check_inputs(names[0], order)
    artifacts.make_folder(order.data_root)
    quiet_libraries()
    with own.display() as display:
        results = [_stage(own, display, name, order) for name in names]
    own.emit({"stages": [result.to_json() for result in results]}, _text(results))


def run_flow(own: Terminal, config: RunConfig) -> None:
    """Run the whole flow through Prefect, unless every stage is already done."""
    start = time.monotonic()
    order = _order(own, config)
    check_root("run", order)
    check_extractor(order)
    plan = make_plan(order)
    artifacts.make_folder(order.data_root)
    if plan.done:
        outcome = _outcome(plan, artifacts.read_manifest(plan.place.of("evaluate"), "scores").fields["values"])
        document = {"nothing_to_do": True, "stages": [], **outcome, "seconds": time.monotonic() - start}
        own.emit(document, f"{NOTHING_TO_DO}\n{_outcome_text(outcome)}")
        return
    with own.display() as display:
        results = through_prefect(own, display, order, _pipeline)
    seconds = time.monotonic() - start
    idle = all(result.outcome == ALREADY_DONE for result in results)
    (scores,) = (result.summary["scores"] for result in results if result.stage == "evaluate")
    outcome = _outcome(plan, scores)
    stages = [result.to_json() for result in results]
    head = f"{NOTHING_TO_DO}\n" if idle else ""
    text = f"{head}{_outcome_text(outcome)}\ntime      {duration(seconds)}"
    own.emit({"nothing_to_do": idle, "stages": stages, **outcome, "seconds": seconds}, text)


def _pipeline(parameters: dict[str, Any]) -> list[StageResult]:
    from flows.pipeline import pipeline

    results: list[StageResult] = pipeline(**parameters)
    return results


def _order(own: Terminal, config: RunConfig) -> Order:
    return Order(config=config, data_root=own.data_root, beam_args=own.beam_args)


def _stage(own: Terminal, display: Display, name: str, order: Order) -> StageResult:
    start = time.monotonic()
    with _listed(order, display) if name == "prepare" else contextlib.nullcontext(order) as ready:
        display.started(name, shown(folder_of(ready, name)), 1)
        with redirected(None if own.verbose else new_log(local_root(order.data_root), name)):
            result = STAGES[name](ready, display.progress)
    display.finished(result, time.monotonic() - start)
    return result


@contextlib.contextmanager
def _said_if_long(display: Display, note: str) -> Iterator[None]:
    """Give a note once the block has taken `_SILENT_SECONDS`."""
    timer = threading.Timer(_SILENT_SECONDS, display.note, [note])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _listed(order: Order, display: Display) -> Iterator[Order]:
    """Yield the order with its source listed: once, as it may take seconds. Processes start meanwhile."""
    from beam_jobs import early

    with early.processes(order.config.data, order.beam_args):
        from beam_jobs.sources.registry import look

        note = (
            f"prepare  listing {order.config.data.path}: as long as it takes to read every name, and all of a .tar.gz"
        )
        with _said_if_long(display, note):
            listed = look(order.config.data, local_root(order.data_root))
        yield dataclasses.replace(order, source=listed.summary, listed=listed)


def through_prefect(
    own: Terminal, display: Display, order: Order, run: Callable[[dict[str, Any]], list[StageResult]]
) -> list[StageResult]:
    """Import Prefect and call `run` with the flow's parameters, on the user's server or one for this command alone."""
    from flows import server, settings

    settings.set_up_prefect(order.data_root)
    with server.temporary_server(order.data_root) as prefect:
        display.note(f"prefect  {prefect.url}")
        import httpx

        from flows.parameters import ASKED, texts_of
        from flows.tasks import VIEW, View

        if not own.verbose:
            settings.quiet_run_logs()
        prefect.until_ready()
        VIEW.set(View(display, own.verbose))
        ASKED.set(order)
        try:
            return run(texts_of(order))
        except FaceloomError as error:
            raise plain(error) from None
        except TimeoutError as error:
            raise StageFailed(
                f"a stage ran out of time and was stopped ({plain(error)}); the same command continues"
            ) from error
        except httpx.HTTPError as error:
            raise StageFailed(
                f"the Prefect server at {prefect.url} is gone ({error}); the same command continues"
            ) from error
        finally:
            server.drain()


def _outcome(plan: Plan, scores: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the results of a finished run lie, and its scores."""
    samples = plan.place.of("sample")
    files = {
        "report": plan.place.of("report") / "index.html",
        "grid": samples / "grid.png",
        "animation": plan.place.run_dir / "training.gif",
    }
    existing = {name: str(path) for name, path in files.items() if path.is_file()}
    return {"run_dir": str(plan.place.run_dir), **existing, "scores": dict(scores)}


def _outcome_text(outcome: Mapping[str, Any]) -> str:
    rows = [(name, shown(outcome[name])) for name in ("report", "grid", "animation") if name in outcome]
    rows += [(name, _score_text(facts)) for name, facts in outcome["scores"].items()]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}} {text}" for name, text in rows)


def _score_text(facts: Mapping[str, Any]) -> str:
    """Return "57.9 ± 1.2 (real against real 9.1 ± 0.8; SWD x1000, lower is better)"."""
    value = _with_error(facts["value"], facts.get("error"))
    floor = f"real against real {_with_error(facts['floor'], facts.get('floor_error'))}"
    better = facts["better"] if facts["better"] not in ("lower", "higher") else f"{facts['better']} is better"
    said = ", ".join(filter(None, (facts["unit"], better)))
    return f"{value} ({floor}; {said})"


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return "none"
    return f"{value:.4g}" if error is None else f"{value:.4g} ± {error:.2g}"


def _text(results: Sequence[StageResult]) -> str:
    return "\n".join(f"{result.stage:<10}{result.outcome}: {shown(result.path)}" for result in results)


def _dry_run_text(config: RunConfig, plan: Plan) -> str:
    place = plan.place
    count = sum(place.source.counts.values())
    lines = [
        f"preset    {config.preset}" + (f", {presets.cost(config)}" if presets.cost(config) else ""),
        f"source    {place.source.kind}: {place.source.location}, {count:,} pictures",
        f"data set  {shown(place.dataset)} ({place.dataset_digest})",
        f"run       {shown(place.run_dir)} ({place.run_digest})",
        "",
    ]
    lines += [f"{stage.stage:<10}{stage.state:<14}{shown(stage.path)}" for stage in plan.stages]
    for section in SECTIONS:
        lines += ["", f"[{section}]"]
        values = dataclasses.asdict(getattr(config, section))
        lines += [f"{key} = {json.dumps(value)}" for key, value in values.items()]  # JSON's scalars are TOML's
    return "\n".join(lines)
