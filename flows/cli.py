"""`faceloom`: every stage and the whole flow from the command line.

Nothing heavy is imported before what was asked for is known to make sense: a mistake costs a quarter of a
second.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from flows import terminal
from flows.data_command import data
from flows.fetch_command import fetch
from flows.models_command import models_group
from flows.runs_command import runs
from flows.serve_command import deploy, serve
from flows.terminal import EXIT_CODES, Group, Terminal, data_root_option, shared_options
from gan_core.config import RunConfig, load_config
from gan_core.paths import path_of

F = TypeVar("F", bound=Callable[..., Any])
_SHORTCUTS = {
    "count": "eval.sample_count",
    "seed": "eval.seed",
    "format": "eval.sample_format",
    "class_name": "eval.sample_class",
    "attributes": "eval.sample_attributes",
    "extractor": "eval.extractor",
    "weights": "eval.weights",
}


def what_to_make(command: F) -> F:
    """Add PRESET, --source, --data-root and --set, and pass them on as `config` and `data_root`."""

    @functools.wraps(command)
    def wrapped(
        own: Terminal,
        preset: str,
        source: Path | None,
        data_root: Path,
        settings: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        own.data_root = data_root
        short = [f"{key}={value}" for word, key in _SHORTCUTS.items() if (value := rest.pop(word, None)) is not None]
        config = load_config(preset, [*settings, *short], source=source)
        return command(own, config=config, data_root=data_root, **rest)

    for decorate in (
        click.option(
            "--set",
            "settings",
            metavar="SECTION.KEY=VALUE",
            multiple=True,
            help="Change an option; see faceloom presets NAME.",
        ),
        data_root_option("Where raw/, datasets/ and runs/ lie. Data sets also at s3:// and gs://."),
        click.option(
            "--source",
            metavar="PATH",
            type=path_of,
            help="Folder or archive of your pictures, also at s3:// and gs://.",
        ),
        click.argument("preset", default="quickstart"),
    ):
        wrapped = decorate(wrapped)
    return wrapped  # type: ignore[return-value]  # functools.wraps keeps the name, not the type


def examples(*lines: str) -> str:
    """Return a help epilog that click does not wrap."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from gan_core.lineage import versions

        click.echo(f"faceloom {versions().get('faceloom', '(not installed)')}")
        context.exit()


@click.group(
    cls=Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version.")
@shared_options
def cli(own: Terminal) -> None:
    """From a folder of faces to a trained, scored and reported GAN.

    Start with: faceloom run
    """
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@cli.command(
    epilog=examples(
        "faceloom run                                     portraits that faceloom draws, the whole path",
        "faceloom run celeba64 --source img_align_celeba.zip",
        "faceloom run quickstart --set train.total_kimg=100 --set train.seed=7",
        "faceloom run quickstart --dry-run                what would be done, where, at what cost",
        "faceloom run celeba64 --source faces -- --direct_num_workers=4",
    )
)
@shared_options
@what_to_make
@click.option("--dry-run", is_flag=True, help="Show configuration, folders and what would run; do nothing.")
def run(own: Terminal, config: RunConfig, data_root: Path, dry_run: bool) -> None:
    """Do everything: ingest, prepare, train, sample, evaluate, report.

    What is already done is not done again.
    """
    from flows import commands

    commands.dry_run(own, config) if dry_run else commands.run_flow(own, config)


@cli.command(
    epilog=examples(
        "faceloom retrain quickstart                      the first time: train, register, promote",
        "faceloom retrain folder64 --source faces         again: only where pictures are new",
        "faceloom retrain folder64 --source faces --set retrain.min_new_pictures=500 --set data.test_share=0.1",
        "faceloom retrain folder64 --source faces --set retrain.max_age_days=7 --dry-run",
        "faceloom retrain celeba64 --source faces --force --set retrain.start=scratch",
    )
)
@shared_options
@what_to_make
@click.option("--force", is_flag=True, help="Train in any case, also where nothing is new.")
@click.option("--dry-run", is_flag=True, help="Say whether it is due, why, and what would run; do nothing.")
def retrain(own: Terminal, config: RunConfig, data_root: Path, force: bool, dry_run: bool) -> None:
    """Train again where that is due, and promote what is better.

    It is due with new pictures, drift, age, or --force: see the options of retrain in faceloom presets NAME. The new
    model takes the blessed one's place only if it is better by more than the noise. faceloom models lists them.
    """
    from flows import retrain_command

    retrain_command.retrain(own, config, force=force, dry_run=dry_run)


def stage_command(name: str, help: str, *lines: str) -> Callable[[F], click.Command]:
    """Define a command with the options of all stages."""
    declare = cli.command(name, help=help, epilog=examples(*lines))
    return lambda command: declare(shared_options(what_to_make(command)))


@stage_command(
    "prepare",
    "Turn the pictures into TFRecord shards, with Beam.\n\nBeam's own options follow after --.",
    "faceloom prepare celeba64 --source img_align_celeba.zip",
    "faceloom prepare celeba64 --source s3://bucket/celeba --data-root s3://bucket/gans",
    "faceloom prepare celeba64 --source faces -- --runner=FlinkRunner --flink_master=localhost:8081",
)
def prepare(own: Terminal, config: RunConfig, data_root: Path) -> None:
    """See help."""
    _alone(own, config, "prepare")


@stage_command(
    "train",
    "Train on the prepared pictures.\n\nGoes on from the newest checkpoint; Ctrl-C saves and stops.",
    "faceloom train quickstart",
    "faceloom train quickstart --set train.total_kimg=100",
)
def train(own: Terminal, config: RunConfig, data_root: Path) -> None:
    """See help."""
    _alone(own, config, "train")


@stage_command(
    "sample",
    "Write pictures from the trained generator.\n\nA grid lies beside them.",
    "faceloom sample quickstart",
    "faceloom sample quickstart --count 1000 --seed 42 --format npz",
    "faceloom sample cifar10-conditional --class frog",
)
@click.option("--count", metavar="N", help="How many pictures; short for --set eval.sample_count=N.")
@click.option("--seed", metavar="S", help="Picture i has seed S + i; short for --set eval.seed=S.")
@click.option("--format", metavar="png|npz", help="Picture files or one array; short for --set eval.sample_format=...")
@click.option("--class", "class_name", metavar="NAME", help="Only this class, by name or number; a conditional run's.")
@click.option("--attributes", metavar="NAME=0|1,...", help="Only with these attributes; a conditional run's.")
def sample(own: Terminal, config: RunConfig, data_root: Path) -> None:
    """See help."""
    _alone(own, config, "sample")


@stage_command(
    "evaluate",
    "Measure the trained generator against the real pictures.\n\nWhat the measures see, and their errors: "
    "docs/evaluation.md. Compare runs with: faceloom runs compare",
    "faceloom evaluate quickstart",
    "faceloom evaluate celeba64 --extractor inception-2015           FID and KID",
    "faceloom evaluate celeba64 --extractor inception-2015 --weights pt_inception-2015-12-05-6726825d.pth",
    "faceloom evaluate quickstart --set eval.score_count=4096 --json",
)
@click.option("--extractor", metavar="NAME|FILE", help="Network to compare by; short for --set eval.extractor=...")
@click.option("--weights", metavar="FILE|URL", help="The extractor's weights; short for --set eval.weights=...")
def evaluate(own: Terminal, config: RunConfig, data_root: Path) -> None:
    """See help."""
    _alone(own, config, "evaluate")


@stage_command(
    "report",
    "Write one HTML page about a run.\n\nIt shows whatever the run has by now.",
    "faceloom report quickstart",
)
def report(own: Terminal, config: RunConfig, data_root: Path) -> None:
    """See help."""
    _alone(own, config, "report")


data.add_command(fetch)
cli.add_command(data)


@cli.command(epilog=examples("faceloom presets", "faceloom presets quickstart", "faceloom presets mine.toml --json"))
@shared_options
@click.argument("name", required=False)
def presets(own: Terminal, name: str | None) -> None:
    """List the presets, or the options of one.

    With NAME: every option with its value, range, default and meaning.
    """
    from flows import presets

    own.emit(*(presets.details(name) if name else presets.listing()))


cli.add_command(runs)
cli.add_command(models_group)
cli.add_command(serve)
cli.add_command(deploy)


@cli.command(epilog=examples("faceloom doctor", "faceloom doctor --json"))
@shared_options
@data_root_option("Where raw/, datasets/ and runs/ lie.")
def doctor(own: Terminal, data_root: Path) -> int:
    """Check this machine.

    What is there, what is missing, what for, and how to get it.
    """
    from flows import doctor

    checks = doctor.examine(data_root)
    own.emit([check.to_json() for check in checks], doctor.text_of(checks))
    return doctor.exit_code(checks)


def _alone(own: Terminal, config: RunConfig, *stages: str) -> None:
    from flows import commands

    commands.run_alone(own, config, stages)


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; what the console script calls."""
    sys.exit(terminal.run(cli, sys.argv[1:] if args is None else args))


if __name__ == "__main__":
    main()
