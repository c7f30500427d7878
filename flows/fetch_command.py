"""`faceloom data fetch`: bring a data set from an object store to this machine."""

from __future__ import annotations

from pathlib import Path

import click

from flows.terminal import Terminal, data_root_option, shared_options
from gan_core.paths import path_of


@click.command(
    epilog="\b\nExamples:\n"
    "  faceloom data fetch s3://bucket/gans/datasets/celeba-64-0123456789ab\n"
    "  faceloom data fetch gs://bucket/gans/datasets/faces-64-ba9876543210 --data-root /mnt/gans"
)
@shared_options
@click.argument("address", type=path_of)
@data_root_option("Where to put it, below datasets/.")
def fetch(own: Terminal, address: Path, data_root: Path) -> None:
    """Bring a data set to this machine.

    Every file's SHA-256 is checked against the manifest. Files that are here already are kept, so the same command goes
    on where another one was interrupted. faceloom train with the same source and options then finds it.
    """
    from flows.console import shown
    from gan_core.data.fetching import check_ends, fetch_dataset

    check_ends(address, data_root)
    with own.display() as display:
        display.started("fetch", shown(address), 1)
        dataset = fetch_dataset(address, data_root, display.progress)
    own.emit({"path": str(dataset.path), "digest": dataset.digest}, f"fetched: {shown(dataset.path)}")
