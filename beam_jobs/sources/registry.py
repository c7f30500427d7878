"""The kinds of sources, and the two questions a flow asks of one: what would it be, and bring it here."""

from __future__ import annotations

from pathlib import Path

from beam_jobs.sources.base import Source, check_options, source_path, survey
from beam_jobs.sources.celeba import CelebaSource
from beam_jobs.sources.cifar import Cifar10Source
from beam_jobs.sources.drawn import SyntheticSource
from beam_jobs.sources.ffhq import FfhqSource
from beam_jobs.sources.folder import FolderSource
from beam_jobs.sources.mnist import FashionMnistSource, MnistSource
from beam_jobs.sources.places import open_place
from gan_core.config import DataConfig
from gan_core.handoff import SourceSummary
from gan_core.progress import ReportProgress, silent

# `auto` takes the first that recognizes the path, so the one that takes everything comes last.
SOURCES: dict[str, type[Source]] = {
    "synthetic": SyntheticSource,
    "celeba": CelebaSource,
    "ffhq": FfhqSource,
    "cifar10": Cifar10Source,
    "mnist": MnistSource,
    "fashion-mnist": FashionMnistSource,
    "folder": FolderSource,
}


def open_source(config: DataConfig, data_root: Path) -> Source:
    """Return the source that `config` describes, its layout checked. Lists nothing long and draws nothing.

    Raises:
        ConfigError: the path is missing or unreadable, or the kind does not fit what is there.
        DataError: the archive is damaged.
    """
    kind = config.kind
    if kind == "auto":
        path = source_path(config)
        open_place(path)  # a missing path is reported as such, not as an unknown layout
        kind = next(name for name, source in SOURCES.items() if source.recognizes(path))
    check_options(kind, config)
    return SOURCES[kind].open(config, data_root)


def plan(config: DataConfig, data_root: Path) -> SourceSummary:
    """Return what `ingest` would find, without drawing: `--dry-run` and the data set's digest need no more.

    Raises:
        ConfigError, DataError: as `open_source`, or there is no picture.
    """
    source = open_source(config, data_root)
    return source.planned() or survey(source, config)[0]


def ingest(config: DataConfig, data_root: Path, report_progress: ReportProgress = silent) -> SourceSummary:
    """Make sure that the pictures are there (drawing them for `synthetic`), list them and sum them up.

    Raises:
        ConfigError, DataError: as `open_source`, or there is no picture.
    """
    source = open_source(config, data_root)
    source.fetch(report_progress)
    return survey(source, config)[0]
