"""`faceloom runs page`: one page over all runs."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from flows.console import shown
from flows.terminal import Terminal, data_root_option, shared_options


@click.command(
    epilog="\b\nExamples:\n  faceloom runs page\n  faceloom runs page --data-root /mnt/gans --json",
)
@shared_options
@data_root_option("Where runs/ lies.")
def page(own: Terminal, data_root: Path) -> None:
    """Write runs/index.html: all runs with thumbnails and scores.

    Every report renews it; this does the same for runs that were deleted or brought from elsewhere since.
    """
    from gan_core.report import write_index

    if click.get_current_context().get_parameter_source("data_root") is ParameterSource.COMMANDLINE:
        own.data_root = data_root
    path = write_index(own.data_root)
    own.emit({"path": str(path)}, shown(path))
