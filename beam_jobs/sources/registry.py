"""The kinds of sources, and what a flow asks of one: what would it be, and bring it here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from beam_jobs.names import Names
from beam_jobs.places.place import open_place
from beam_jobs.sources.base import Source, check_options, source_path, survey
from beam_jobs.sources.celeba import CelebaSource
from beam_jobs.sources.cifar import Cifar10Source
from beam_jobs.sources.drawn import SyntheticSource
from beam_jobs.sources.ffhq import FfhqSource
from beam_jobs.sources.folder import FolderSource
from beam_jobs.sources.mnist import FashionMnistSource, MnistSource
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


def check_path(config: DataConfig) -> None:
    """Raise ConfigError when `data.path` is not there, or cannot be read. Takes no time, and lists nothing."""
    if config.path:
        open_place(source_path(config))


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


@dataclass(frozen=True)
class Listed:
    """A source that was looked at, and its pictures; None while they are still to be drawn or downloaded."""

    source: Source
    summary: SourceSummary
    names: Names | None


def look(config: DataConfig, data_root: Path) -> Listed:
    """Open and list a source, without drawing or downloading: `--dry-run` and the data set's digest need no more.

    Raises:
        ConfigError, DataError: as `open_source`, or there is no picture.
    """
    source = open_source(config, data_root)
    if (planned := source.planned()) is not None:
        return Listed(source, planned, None)
    return Listed(source, *survey(source, config))


def fetch(listed: Listed, config: DataConfig, report_progress: ReportProgress = silent) -> Listed:
    """Make sure that the pictures are there, drawing or downloading them where that is the source's way.

    Raises:
        ConfigError, DataError: as `look`. ArtifactError: a download failed, or the disk is full.
    """
    if listed.names is not None:
        return listed
    listed.source.fetch(report_progress)
    return Listed(listed.source, *survey(listed.source, config))
