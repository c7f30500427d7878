"""Copying a published data set to this machine: every byte checked, file by file, visible when it is complete."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from gan_core import artifacts
from gan_core.artifacts import MANIFEST, Manifest
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.object_store import objects as stores
from gan_core.paths import is_remote
from gan_core.progress import Progress, ReportProgress, silent


def fetch_dataset(address: Path, data_root: Path, report_progress: ReportProgress = silent) -> DatasetManifest:
    """Copy the data set at `address` into data_root/datasets, under the same name; return the copy.

    Files that an interrupted call has left and that verify are kept.

    Args:
        address: the data set's folder on an object store.
        data_root: a folder of this machine.
        report_progress: called after each file, with bytes.

    Raises:
        ConfigError: the address is none, or `data_root` is one. ArtifactError: there is no data set, or one of its
        files is not what its manifest says; nothing is published then.
    """
    check_ends(address, data_root)
    manifest = artifacts.read_manifest(address, "dataset")
    _check_names(manifest)
    final = data_root / "datasets" / address.name
    done = artifacts.find(final, "dataset", manifest.digest)
    if done is None:
        with artifacts.publishing(final, resume=True) as draft:
            if artifacts.find(final, "dataset", manifest.digest) is None:  # else another process has fetched it
                _copy(manifest, draft, report_progress)
                artifacts.replace_file(draft / MANIFEST, (address / MANIFEST).read_bytes())
        done = artifacts.read_manifest(final, "dataset")
    return DatasetManifest.from_manifest(done)


def check_ends(address: Path, data_root: Path) -> None:
    """Raise ConfigError unless there is a bucket at the one end, and a folder of this machine at the other."""
    if not is_remote(address):
        raise ConfigError(f"'{address}' is on this machine already; name a data set at s3:// or gs://")
    if is_remote(data_root):
        raise ConfigError(f"--data-root {data_root} is not on this machine; data sets are fetched to a folder here")
    stores.check_bucket(address, "the data set")


def _copy(manifest: Manifest, draft: Path, report_progress: ReportProgress) -> None:
    total = sum(facts["bytes"] for facts in manifest.files.values())
    received = 0
    for stray in [path for path in draft.iterdir() if path.name not in manifest.files]:
        artifacts.remove_tree(stray) if stray.is_dir() else stray.unlink()
    for name, facts in manifest.files.items():
        target = draft / name
        if not target.is_file() or artifacts.sha256_file(target) != facts["sha256"]:
            target.parent.mkdir(parents=True, exist_ok=True)
            stores.bring(manifest.path / name, target)
            if artifacts.sha256_file(target) != facts["sha256"]:
                target.unlink()
                raise ArtifactError(
                    f"{manifest.path / name} is not what its manifest says (SHA-256); fetch it again, or make the data "
                    "set again if that does not help"
                )
        received += facts["bytes"]
        report_progress(Progress("fetch", received, total, unit="bytes"))


def _check_names(manifest: Manifest) -> None:
    for name in manifest.files:
        parts = PurePosixPath(name).parts
        if not parts or name.startswith("/") or ".." in parts or "\\" in name:
            raise ArtifactError(f"{manifest.path / MANIFEST} lists the file '{name}', which leaves its folder")
