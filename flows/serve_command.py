"""`faceloom serve` and `faceloom deploy`: the flows without anybody at the terminal."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from flows.terminal import Terminal, data_root_option, shared_options
from gan_core.config import RunConfig, load_config
from gan_core.errors import ConfigError
from gan_core.paths import path_of

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def seconds_of(option: str, text: str) -> float:
    """Return the seconds of a text such as 90s, 15m, 12h or 1d. Raises ConfigError for anything else."""
    found = re.fullmatch(r"(\d+)([smhd])", text)
    if not found or not int(found[1]):
        raise ConfigError(f"{option} takes a length of time such as 90s, 15m, 12h or 1d, got '{text}'")
    return float(int(found[1]) * _UNITS[found[2]])


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What both commands are told; fields as their options."""

    preset: str
    flow: str
    settings: tuple[str, ...]
    data_root: Path
    source: Path | None
    cron: str
    timezone: str
    every: str

    @property
    def every_seconds(self) -> float:
        """From one run to the next; 0 without --every."""
        return seconds_of("--every", self.every) if self.every else 0.0

    def config(self) -> RunConfig:
        """Return the config of preset, settings and source."""
        return load_config(self.preset, self.settings, source=self.source)


_OPTIONS = (
    click.argument("preset", default="quickstart"),
    click.option(
        "--flow",
        type=click.Choice(["retrain", "pipeline"]),
        default="retrain",
        show_default=True,
        help="retrain judges and promotes; pipeline ends with the report.",
    ),
    click.option("--set", "settings", metavar="SECTION.KEY=VALUE", multiple=True, help="Change an option."),
    data_root_option("Where raw/, datasets/, runs/ and registry/ lie."),
    click.option("--source", metavar="PATH", type=path_of, help="Folder or archive of your pictures."),
    click.option("--cron", default="", metavar="EXPR", help="When, such as '0 3 * * *'."),
    click.option("--timezone", default="UTC", show_default=True, metavar="NAME", help="By which --cron is read."),
    click.option("--every", default="", metavar="TIME", help="From one run to the next, such as 12h or 1d."),
)


def _asked(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that both have, as one argument."""
    names = [one.name for one in fields(Asked)]

    @functools.wraps(command)
    def wrapped(own: Terminal, **given: Any) -> None:
        command(own, Asked(**{name: given.pop(name) for name in names}), **given)

    for option in reversed(_OPTIONS):
        wrapped = option(wrapped)
    return wrapped


@click.command(
    epilog=_examples(
        "faceloom serve quickstart --every 1d",
        "faceloom serve folder64 --source faces --cron '0 3 * * *' --timezone Europe/Berlin",
        "faceloom serve folder64 --source faces --on-new-data --set retrain.min_new_pictures=500",
    )
)
@shared_options
@_asked
@click.option("--on-new-data", is_flag=True, help="Run when pictures were added, see retrain.min_new_pictures.")
@click.option(
    "--poll", default="5m", show_default=True, metavar="TIME", help="From one look at the source to the next."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="What server and reports listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=4200, show_default=True, help="Of the server.")
@click.option(
    "--reports-port",
    type=click.IntRange(1, 65535),
    show_default="4201 where it is free",
    help="Of the reports, read-only; none where FACELOOM_REPORTS_URL says who serves them.",
)
def serve(
    own: Terminal,
    asked: Asked,
    on_new_data: bool,
    poll: str,
    host: str,
    port: int,
    reports_port: int | None,
) -> None:
    """Retrain on a schedule or when pictures come, on this machine.

    Starts a Prefect server with its UI (unless PREFECT_API_URL names one), and runs what is due in processes of their
    own until Ctrl-C. Anybody who reaches the server may start runs: it listens on this machine only, unless --host says
    otherwise.
    """
    from flows.serve import Wanted
    from flows.serve import serve as run
    from flows.stages import Order

    if sum(map(bool, (asked.cron, asked.every, on_new_data))) != 1:
        raise ConfigError("say when: one of --cron '0 3 * * *', --every 1d, --on-new-data")
    own.data_root = asked.data_root
    wanted = Wanted(
        flow=asked.flow,
        settings=asked.settings,
        cron=asked.cron,
        timezone=asked.timezone,
        every_seconds=asked.every_seconds,
        poll_seconds=seconds_of("--poll", poll) if on_new_data else 0.0,
        host=host,
        port=port,
        reports_port=reports_port,
    )
    run(own, asked.preset, Order(config=asked.config(), data_root=asked.data_root), wanted)


@click.command(
    epilog=_examples(
        "faceloom deploy celeba64 --source /data/celeba --pool gpu --cron '0 3 * * *' --timezone Europe/Berlin",
        "faceloom deploy celeba64 --pool gpu --type docker --image registry/faceloom:1 --every 1d",
        "faceloom deploy quickstart --pool cpu --dry-run",
    )
)
@shared_options
@_asked
@click.option("--pool", required=True, metavar="NAME", help="The work pool; made where there is none.")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["process", "docker", "kubernetes"]),
    default="process",
    show_default=True,
    help="Of the pool.",
)
@click.option("--image", default="", metavar="NAME", help="With faceloom installed; for docker and kubernetes.")
@click.option("--dry-run", is_flag=True, help="Say what would be made; do nothing.")
def deploy(
    own: Terminal,
    asked: Asked,
    pool: str,
    kind: str,
    image: str,
    dry_run: bool,
) -> None:
    """Hand a preset to the workers of a pool.

    PREFECT_API_URL names the server. Workers need faceloom installed, and what parameters may name: see docs/deploy.md.
    """
    from flows.deploy import Wanted
    from flows.deploy import deploy as run

    if asked.cron and asked.every:
        raise ConfigError("--cron or --every, not both")
    if kind != "process" and not image:
        raise ConfigError(f"--type {kind} runs faceloom in a container: name its image with --image")
    wanted = Wanted(
        flow=asked.flow,
        preset=asked.preset,
        name=asked.config().preset,
        source=str(asked.source or ""),
        settings=asked.settings,
        data_root="" if asked.data_root == Path("data") else str(asked.data_root),
        cron=asked.cron,
        timezone=asked.timezone,
        every_seconds=asked.every_seconds,
        pool=pool,
        kind=kind,
        image=image,
    )
    run(own, wanted, dry_run=dry_run)
