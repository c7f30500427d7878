"""`faceloom data`: look at prepared data sets, check, compare and export them. Nothing here needs TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from flows.terminal import Group, Terminal, shared_options
from gan_core.errors import ArtifactError, ConfigError, DataError
from gan_core.options import suggestion
from gan_core.paths import path_of

if TYPE_CHECKING:
    from gan_core.progress import ReportProgress

F = TypeVar("F", bound=Callable[..., Any])
DIFFERENT = 1  # as with `cmp` and `diff`: the two are not the same


def _examples(*lines: str) -> str:
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def _path(name: str, **options: Any) -> Callable[[F], F]:
    return click.argument(name, type=path_of, **options)


@click.group(
    "data",
    cls=Group,
    invoke_without_command=True,
    epilog=_examples(
        "faceloom data inspect data/datasets/celeba-64-0123456789ab",
        "faceloom data verify data/datasets/*",
        "faceloom data compare data/datasets/faces-64-0123456789ab data/datasets/faces-64-ba9876543210",
        "faceloom data export data/datasets/celeba-64-0123456789ab --to celeba64.zip",
    ),
)
@shared_options
def data(own: Terminal) -> None:
    """Look at prepared data sets, check, compare, export.

    A data set is a folder below datasets/ that faceloom prepare has made.
    """
    context = click.get_current_context()
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@data.command(
    epilog=_examples(
        "faceloom data inspect data/datasets/celeba-64-0123456789ab",
        "faceloom data inspect SET --images sheet.png --image-count 100 --annotate",
        "faceloom data inspect SET --records 3 --json",
    )
)
@shared_options
@_path("path")
@click.option("--records", metavar="N", type=click.IntRange(min=1), help="Print what the first N records say.")
@click.option("--images", metavar="FILE.png", type=click.Path(path_type=Path), help="Write a sheet of random pictures.")
@click.option(
    "--image-count", metavar="N", type=click.IntRange(min=1), default=64, show_default=True, help="Of --images."
)
@click.option("--seed", metavar="S", type=click.IntRange(min=0), default=0, show_default=True, help="Of --images.")
@click.option("--split", metavar="NAME", default="all", show_default=True, help="Of --images: train, validation, ...")
@click.option("--annotate", is_flag=True, help="Draw keys, classes and landmarks into --images.")
@click.option("--quick", is_flag=True, help="Read the manifest alone: no counts of classes and attributes.")
def inspect(
    own: Terminal,
    path: Path,
    records: int | None,
    images: Path | None,
    image_count: int,
    seed: int,
    split: str,
    annotate: bool,
    quick: bool,
) -> None:
    """Say what a data set holds.

    Counts, shards, statistics, rejects, classes, attributes, licences, source and versions.
    """
    from flows import data_texts
    from gan_core.data import contact_sheet, inspection
    from gan_core.data.entries import chosen_splits, open_dataset

    dataset = open_dataset(path)
    splits = chosen_splits(dataset, split)
    if images is not None and images.suffix.lower() != ".png":
        raise ConfigError(f"--images {images} must end in .png")
    document = inspection.describe(dataset)
    if not quick:
        with _progress(own, "inspect", path) as report_progress:
            document["contents"] = inspection.count_contents(dataset, report_progress)
    if records is not None:
        document["records"] = inspection.first_records(dataset, records)
    if images is not None:
        chosen = list(contact_sheet.choose(dataset, splits, image_count, seed))
        contact_sheet.write_sheet(images, dataset, chosen, annotated=annotate)
        document["images"] = str(images)
    own.emit(document, data_texts.inspected(document))


@data.command(
    epilog=_examples(
        "faceloom data verify data/datasets/celeba-64-0123456789ab",
        "faceloom data verify data/datasets/* --json",
        "faceloom data verify --source downloads/celeba --kind celeba",
    )
)
@shared_options
@_path("paths", nargs=-1)
@click.option("--source", metavar="PATH", type=path_of, help="Check downloaded files instead.")
@click.option("--kind", metavar="NAME", default="auto", show_default=True, help="Of --source: celeba, ffhq, mnist, ...")
def verify(own: Terminal, paths: tuple[Path, ...], source: Path | None, kind: str) -> int:
    """Hold data sets against their manifests.

    Every file's size and SHA-256, every record's checksums, features, pixels and key, all counts and statistics. The
    first bad byte of each file is named. With --source: downloaded files against the checksums of their owner.
    """
    if source is not None:
        if paths:
            raise ConfigError(f"give data sets or --source, not both: got {paths[0]} and --source {source}")
        return _verify_source(own, source, kind)
    if kind != "auto":
        raise ConfigError(f"--kind {kind} says what --source is, and there is no --source")
    if not paths:
        raise ConfigError("name the folder of a data set, or files that you have downloaded with --source PATH")
    return _verify_datasets(own, paths)


@data.command(
    epilog=_examples("faceloom data compare data/datasets/one data/datasets/other", "faceloom data compare A B --json")
)
@shared_options
@_path("a")
@_path("b")
def compare(own: Terminal, a: Path, b: Path) -> int:
    """Say in what two data sets differ.

    Manifests, keys, pixels, labels. Exit code 0: identical; 1: they differ.
    """
    from flows import data_texts
    from flows.console import shown
    from gan_core.data import comparison
    from gan_core.data.entries import open_dataset

    first, second = open_dataset(a), open_dataset(b)
    with _progress(own, "compare", a, b) as report_progress:
        found = comparison.compare(first, second, report_progress)
    own.emit({"a": str(a), "b": str(b), **found.to_json()}, data_texts.compared(found, shown(a), shown(b)))
    return 0 if found.identical else DIFFERENT


@data.command(
    epilog=_examples(
        "faceloom data export SET --to faces                     PNG files in faces/train",
        "faceloom data export SET --to celeba64.zip              for StyleGAN's --data",
        "faceloom data export SET --to test.npz --split test --count 1000",
    )
)
@shared_options
@_path("path")
@click.option("--to", "target", metavar="OUT", required=True, type=click.Path(path_type=Path), help="What to write.")
@click.option("--format", "form", metavar="folder|zip|npz", help="Form of OUT; left out, its extension says it.")
@click.option("--split", metavar="NAME", default="train", show_default=True, help="train, validation, test or all.")
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="At most so many pictures, the first ones.")
@click.option("--mirrored", is_flag=True, help="Stored mirrored copies too.")
def export(
    own: Terminal, path: Path, target: Path, form: str | None, split: str, count: int | None, mirrored: bool
) -> None:
    """Write the pictures for other programs.

    A folder of PNG files, a zip in the layout of StyleGAN's dataset_tool.py, or arrays for numpy.load.
    """
    from flows import data_texts
    from flows.console import shown
    from gan_core.data import export as exporting
    from gan_core.data.entries import open_dataset

    dataset = open_dataset(path)
    form = form or {".zip": "zip", ".npz": "npz"}.get(target.suffix.lower(), "folder")
    with _progress(own, "export", path) as report_progress:
        written = exporting.export(
            dataset,
            target,
            form,
            split=split,
            count=count,
            mirrored=mirrored,
            report_progress=report_progress,
        )
    own.emit(written.to_json(), data_texts.exported(written, shown(target)))


@contextlib.contextmanager
def _progress(own: Terminal, what: str, *paths: Path) -> Iterator[ReportProgress]:
    from flows.console import shown

    with own.display() as display:
        display.started(what, " ".join(map(shown, paths)), 1)
        yield display.progress


def _verify_datasets(own: Terminal, paths: tuple[Path, ...]) -> int:
    from flows import data_texts
    from flows.console import shown
    from gan_core.data.entries import open_dataset
    from gan_core.data.verification import unreadable, verify_dataset

    for path in paths:  # a wrong path is a mistake in the command: found before an hour of work
        with contextlib.suppress(ArtifactError):
            open_dataset(path)
    found = []
    for path in paths:
        try:
            with _progress(own, "verify", path) as report_progress:
                found.append(verify_dataset(path, report_progress))
        except ArtifactError as error:
            found.append(unreadable(path, error))
    own.emit([one.to_json() for one in found], "\n".join(data_texts.verified(one, shown(one.path)) for one in found))
    return 0 if all(one.good for one in found) else ArtifactError.exit_code


def _verify_source(own: Terminal, source: Path, kind: str) -> int:
    from beam_jobs.sources.official import DIFFERS, OFFICIAL, check_official
    from beam_jobs.sources.registry import SOURCES
    from flows import data_texts

    if kind != "auto" and kind not in SOURCES:
        raise ConfigError(
            f"--kind must be auto or one of {', '.join(SOURCES)}, got '{kind}'{suggestion(kind, SOURCES)}"
        )
    with _progress(own, "verify", source) as report_progress:
        checks = check_official(source, kind, report_progress)
    document = [{"name": check.name, "state": check.state, "detail": check.detail} for check in checks]
    own.emit(document, data_texts.checked(document))
    # Files that nobody has checksums for prove nothing.
    states = {check.state for check in checks}
    return 0 if OFFICIAL in states and DIFFERS not in states else DataError.exit_code
