"""Versions of one model: registered once, promoted and rolled back under a lock, collected when nothing needs them."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core import artifacts, lineage
from gan_core.artifacts import digest_of
from gan_core.checkpoints import load_manifest
from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import Checkpoint, DatasetManifest, slug
from gan_core.paths import is_remote
from gan_core.registry import pointer
from gan_core.registry.card import CARD, card
from gan_core.registry.version import CHECKPOINT, KIND, PICTURES, Version

_FORMAT = 1
GRID = "grid.png"


def models(data_root: Path) -> list[str]:
    """Return the names of the models that have versions below the data root, sorted."""
    folder = data_root / "registry"
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def blessed_images(data_root: Path, run: str) -> int | None:
    """Return after how many images the blessed checkpoint of a run was; None where none of it is blessed."""
    for model in models(data_root):
        try:
            saved = pointer.read_pointer(data_root / "registry" / model)
        except ArtifactError:
            continue
        if saved is not None and saved.get("run") == run:
            images = saved.get("images_seen")
            return images if type(images) is int else None
    return None


class Registry:
    """The versions of one model, in `<data root>/registry/<model>/`."""

    def __init__(self, data_root: Path, model: str) -> None:
        """Look at a model's registry; nothing is created.

        Raises:
            ConfigError: the data root is on an object store, which has no lock for two promoters.
        """
        if is_remote(data_root):
            raise ConfigError(f"the registry needs a folder of this machine, and the data root is {data_root}")
        self.model = slug(model)
        self.folder = data_root / "registry" / self.model

    def versions(self) -> list[Version]:
        """Return all versions whose manifest can be read, the first registered first."""
        found = []
        for number in self.numbers():
            with contextlib.suppress(ArtifactError):
                found.append(Version.load(self._of(number)))
        return found

    def numbers(self) -> list[int]:
        """Return the numbers of all published folders, damaged ones too, in order."""
        if not self.folder.is_dir():
            return []
        folders = [path for path in self.folder.iterdir() if path.name.isdigit()]
        return sorted(int(path.name) for path in folders if (path / artifacts.MANIFEST).exists())

    def get(self, number: int) -> Version:
        """Return a version. Raises ConfigError, naming those that there are; ArtifactError where it is damaged."""
        if number not in (known := self.numbers()):
            has = ", ".join(map(str, known)) or "none"
            raise ConfigError(f"{self.model} has no version {number}; it has {has}: see faceloom models list")
        return Version.load(self._of(number))

    def blessed(self) -> Version | None:
        """Return the blessed version, None where there is none. Raises ArtifactError where it is gone or damaged."""
        saved = pointer.read_pointer(self.folder)
        return None if saved is None else Version.load(self._of(saved["version"]))

    def last_candidate(self) -> Version | None:
        """Return the version that was registered last, None where there is none."""
        found = self.versions()
        return found[-1] if found else None

    def history(self) -> list[dict[str, Any]]:
        """Return every event, the first one first."""
        if self.folder.is_dir():
            with self._locked():
                pass  # entering reconciles
        return pointer.read_book(self.folder)

    def register(
        self,
        run_dir: Path,
        checkpoint: Checkpoint,
        dataset: DatasetManifest,
        decision: Mapping[str, Any] | None = None,
        pictures: npt.NDArray[np.uint64] | None = None,
    ) -> Version:
        """Publish a checkpoint as the next version, or return the version that it is already.

        Its files are hard links where the file system allows them, so a version costs no space while its run is there,
        and stays when the run is deleted.

        Args:
            run_dir: the run.
            checkpoint: one of its checkpoints.
            dataset: what it was trained on.
            decision: of the gate.
            pictures: one number for each picture of the source, by which the next retraining counts new ones.

        Raises:
            ArtifactError: the checkpoint is damaged, or the disk is full.
        """
        manifest = load_manifest(checkpoint)
        artifacts.verify(manifest)
        digest = digest_of({"format": _FORMAT, "checkpoint": manifest.digest, "dataset": dataset.digest})
        artifacts.make_folder(self.folder)
        with self._locked():
            for version in self.versions():
                if version.digest == digest:
                    return version
            number = self._next()
            blessed = pointer.read_pointer(self.folder)
            fields = {
                "number": number,
                "model": self.model,
                "run": run_dir.name,
                "images_seen": checkpoint.images_seen,
                "checkpoint_digest": manifest.digest,
                "dataset": {"digest": dataset.digest, "path": str(dataset.path), "name": dataset.name},
                "source": dict(dataset.source),
                "statistics": dict(dataset.statistics),
                "config": manifest.fields["config"],
                **_scores(run_dir, manifest.digest),
                "licences": dict(dataset.licences),
                "decision": None if decision is None else dict(decision),
                "parent": None if blessed is None else blessed["version"],
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "created_by": lineage.versions(),
            }
            final = self._of(number)
            try:
                with artifacts.publishing(final) as draft:
                    _bring(checkpoint.path, draft / CHECKPOINT)
                    if (grid := run_dir / "samples" / GRID).is_file():
                        _link(grid, draft / GRID)
                    if pictures is not None:
                        np.save(draft / PICTURES, pictures, allow_pickle=False)
                    (draft / CARD).write_text(card(Version(final, digest, **fields)), encoding="utf-8")
                    artifacts.write_manifest(draft, KIND, digest, fields)
            except OSError as error:
                raise ArtifactError(
                    f"{final} cannot be written ({error.strerror or error}); make room, and run again"
                ) from None
            self._note_registrations()
        return self.get(number)

    def promote(self, number: int, who: str, why: str) -> Version:
        """Bless a version whose every file verifies; nothing happens where it is blessed already.

        Raises:
            ConfigError: there is no such version, or `who` or `why` is empty. ArtifactError: it is damaged.
        """
        return self._bless(pointer.PROMOTED, number, who, why)

    def reject(self, number: int, who: str, why: str) -> None:
        """Note that a version was not promoted, once."""
        with self._locked():
            rejected = {line["version"] for line in pointer.read_book(self.folder) if line["event"] == pointer.REJECTED}
            if number not in rejected:
                pointer.note(self.folder, pointer.event(pointer.REJECTED, number, self._blessed_number(), who, why))

    def before(self) -> int | None:
        """Return the version that a rollback goes to: the one blessed before the blessed one; None where none was."""
        current = self._blessed_number()
        stack: list[int] = []
        for line in pointer.read_book(self.folder):
            if line["event"] == pointer.PROMOTED:
                stack.append(line["version"])
            elif line["event"] == pointer.ROLLED_BACK:
                while stack and stack[-1] != line["version"]:
                    stack.pop()
                stack = stack or [line["version"]]
        while stack and stack[-1] == current:
            stack.pop()
        return stack[-1] if stack else None

    def rollback(self, number: int | None, who: str, why: str) -> Version:
        """Bless an earlier version: `number`, or the one that was blessed before.

        Raises:
            ConfigError: there was none before, or as `promote`. ArtifactError: it is damaged.
        """
        target = self.before() if number is None else number
        if target is None:
            raise ConfigError(f"nothing of {self.model} was blessed before; name a version with --to, see models list")
        return self._bless(pointer.ROLLED_BACK, target, who, why)

    def referenced(self, keep: int = 0) -> dict[int, str]:
        """Return number -> why it is kept: blessed, blessed before, its parents, the newest, and `keep` more.

        The newest stays because the next retraining asks it what it was made of.
        """
        found: dict[int, str] = {}
        blessed, versions = self._blessed_number(), {version.number: version for version in self.versions()}
        if blessed is not None:
            found[blessed] = "blessed"
        if (before := self.before()) is not None:
            found.setdefault(before, "blessed before; a rollback goes there")
        for number in sorted(versions, reverse=True)[: max(1, keep)]:
            found.setdefault(number, "one of the newest")
        for number in list(found):
            while (version := versions.get(number)) is not None and version.parent is not None:
                found.setdefault(version.parent, f"parent of {number}")
                number = version.parent
        return found

    def collect(self, keep: int = 0, *, dry_run: bool = False) -> list[int]:
        """Delete the versions that nothing refers to; return their numbers.

        Args:
            keep: how many of the newest stay besides what is referenced.
            dry_run: only say which.
        """
        if not self.folder.is_dir():
            return []
        with self._locked():
            referenced = self.referenced(keep)
            gone = [number for number in self.numbers() if number not in referenced]
            for number in [] if dry_run else gone:
                artifacts.discard(self._of(number))
                artifacts.lock_of(self._of(number)).unlink(missing_ok=True)
        return gone

    def _bless(self, kind: str, number: int, who: str, why: str) -> Version:
        if not who.strip() or not why.strip():
            raise ConfigError("a promotion or rollback is recorded with who and why; give --who and --why")
        version = self.get(number)
        version.verify()
        with self._locked():
            if (previous := self._blessed_number()) != number:
                facts = {
                    "run": version.run,
                    "images_seen": version.images_seen,
                    "checkpoint_digest": version.checkpoint_digest,
                }
                pointer.point(self.folder, pointer.event(kind, number, previous, who, why), facts)
        return version

    def _blessed_number(self) -> int | None:
        saved = pointer.read_pointer(self.folder)
        return None if saved is None else int(saved["version"])

    def numbers_ever(self) -> set[int]:
        """Return all numbers that were given, those of deleted versions too."""
        used = [line["version"] for line in pointer.read_book(self.folder) if type(line.get("version")) is int]
        return {*self.numbers(), *used}

    def _next(self) -> int:
        return max(self.numbers_ever(), default=0) + 1

    def _of(self, number: int) -> Path:
        return self.folder / f"{number:04d}"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with artifacts.locked(self.folder / ".lock"):
            pointer.reconcile(self.folder)
            self._note_registrations()
            yield

    def _note_registrations(self) -> None:
        """Write a line for each version that the book does not know: new ones, and what a kill kept out."""
        book = pointer.read_book(self.folder)
        known = {line["version"] for line in book if line["event"] == pointer.REGISTERED}
        for version in self.versions():
            if version.number not in known:
                why = f"run {version.run}"
                line = pointer.event(pointer.REGISTERED, version.number, version.parent, "faceloom", why)
                pointer.note(self.folder, line)


def _scores(run_dir: Path, checkpoint_digest: str) -> dict[str, Any]:
    """Return scores and protocol of the run where they are of this checkpoint."""
    found = artifacts.find(run_dir / "scores", "scores")
    if found is None or found.fields["protocol"].get("checkpoint_digest") != checkpoint_digest:
        return {"scores": {}, "protocol": {}}
    told = ("title", "value", "error", "floor", "floor_error", "unit", "better", "fingerprint", "warnings")
    scores = {name: {key: facts[key] for key in told if key in facts} for name, facts in found.fields["values"].items()}
    return {"scores": scores, "protocol": dict(found.fields["protocol"])}


def _bring(folder: Path, to: Path) -> None:
    to.mkdir()
    for path in sorted(folder.iterdir()):
        if path.is_file() and not path.name.startswith("."):
            _link(path, to / path.name)


def _link(path: Path, to: Path) -> None:
    """Hard link, or copy where that is impossible: another file system, or one without links."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)
