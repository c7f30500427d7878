"""The preprocessing job, from a source of pictures to a published data set.

    source.list() -> names of each shard -> a worker prepares a shard -> receipts -> manifest

The same input gives the same bytes on every runner and with any number of workers. A job that was interrupted
goes on with the shards that are not finished yet, and one whose source has grown takes the unchanged shards
from the data set before.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from beam_jobs.assembly import check_rejects, finish, manifest_fields
from beam_jobs.launcher import Launcher
from beam_jobs.reject_sheet import write_reject_sheet
from beam_jobs.sources import registry
from beam_jobs.sources.registry import Listed
from gan_core import artifacts
from gan_core.config import DataConfig, load_config
from gan_core.errors import ArtifactError, FaceloomError
from gan_core.handoff import DatasetManifest, dataset_digest, dataset_folder
from gan_core.paths import local_root, path_of
from gan_core.progress import ReportProgress, silent


def prepare(
    config: DataConfig,
    data_root: Path,
    *,
    listed: Listed | None = None,
    beam_args: Sequence[str] = (),
    report_progress: ReportProgress = silent,
) -> DatasetManifest:
    """Make the data set that `config` describes, below data_root/datasets; return at once where it is there.

    Args:
        config: source, crop, resolution, ... (see docs/data.md).
        data_root: the folder of raw/, datasets/, runs/; on an object store, raw/ stays below ./data.
        listed: the source, where the caller has looked at it already (`registry.look`): a large one takes seconds.
        beam_args: options for Beam, as on a command line: `--runner=FlinkRunner`, `--direct_num_workers=4`.
        report_progress: called about twice a second, from the calling thread.

    Raises:
        ConfigError: the source or a Beam option does not fit. DataError: no pictures, no training pictures,
        or too large a share of rejects; nothing is published then. ArtifactError: the disk is full.
        StageFailed: the runner failed; the same command continues.
    """
    _check(beam_args)
    data_root = data_root.absolute()
    if listed is None:
        listed = registry.look(config, local_root(data_root).absolute())
    digest = dataset_digest(config, listed.summary.fingerprint)
    final = dataset_folder(data_root, config, listed.summary.name, digest)
    if (done := artifacts.find(final, "dataset", digest)) is not None:
        return DatasetManifest.from_manifest(done)
    listed = registry.fetch(listed, config, report_progress)
    summary, names = listed.summary, listed.names
    assert names is not None, "they were fetched"
    with _refusals_explained(final), artifacts.publishing(final, resume=True) as draft:
        if artifacts.find(final, "dataset", digest) is None:  # else the process that held the lock has made it
            launcher = Launcher(config, listed.source, names, draft, beam_args, report_progress)
            receipts = launcher.make_shards(_earlier(final))
            check_rejects(config, summary, receipts, draft)
            fields = manifest_fields(config, summary, listed.source, names, receipts)
            write_reject_sheet(draft, config, listed.source.reader(), names, receipts)
            finish(draft, receipts, fields, digest)
    return DatasetManifest.load(final)


@contextlib.contextmanager
def _refusals_explained(final: Path) -> Iterator[None]:
    """Turn what the system says when the launcher itself cannot write (a full disk, a quota) into an ArtifactError."""
    try:
        yield
    except FaceloomError:
        raise  # those of an object store are OSErrors too, and say what is wrong themselves
    except OSError as error:
        where = error.filename or final.parent
        reason = error.strerror or str(error)
        raise ArtifactError(f"cannot write {where}: {reason}; make room and run again, it continues there") from error


def _check(beam_args: Sequence[str]) -> None:
    if beam_args:  # without any, a finished data set is found before Beam is imported
        from beam_jobs.runner import check_beam_args

        check_beam_args(beam_args)


def _earlier(final: Path) -> list[Path]:
    """Return the data sets of the same name and resolution, which may have the same shards."""
    stem = final.name.rpartition("-")[0]
    return sorted(folder for folder in final.parent.glob(f"{stem}-*") if folder != final)


def run(argv: Sequence[str] | None = None) -> int:
    """Prepare a data set from the command line; everything after `--` is Beam's.

    Returns:
        the exit code: 0, or that of the error (gan_core/errors.py).
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(prog="python -m beam_jobs.preprocess", description=run.__doc__, allow_abbrev=False)
    parser.add_argument("preset", help="a preset's name, or the path of a TOML file")
    parser.add_argument("--source", help="folder or archive of the pictures, also s3:// and gs://")
    parser.add_argument("--data-root", default="data")
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", dest="overrides")
    given = parser.parse_args(arguments[:split])
    try:
        source = path_of(given.source) if given.source else None
        config = load_config(given.preset, given.overrides, source=source)
        manifest = prepare(config.data, path_of(given.data_root), beam_args=arguments[split + 1 :])
    except FaceloomError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(f"{manifest.path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(run())
