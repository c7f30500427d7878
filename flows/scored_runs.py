"""A run and its scores as read from disk, and the command that measures it as another was."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core import artifacts, citations, lineage, protocol
from gan_core.artifacts import Manifest
from gan_core.citations import Citation
from gan_core.config import EvalConfig, RunConfig
from gan_core.errors import ArtifactError, ConfigError
from gan_core.paths import path_of

# Of the section `eval`, what no score depends on, or what belongs to the run.
_OF_THE_RUN = ("checkpoint", "sample_count", "sample_format", "sample_class", "sample_attributes")


@dataclass(frozen=True)
class ScoredRun:
    """A run with scores that have a protocol each.

    Attributes:
        path: the run's folder.
        config: as its config.json has it.
        data_root: of the command line, for commands.
        values: measure -> what its manifest of scores says of it.
        requested_count: pictures that the evaluation was asked for; 0 where it is not known.
        images_seen: images that were shown to the checkpoint that was scored.
        dataset_kind: layout of the data set's source, as in `data.kind`; "auto" where its manifest is gone.
    """

    path: Path
    config: RunConfig
    data_root: Path
    values: Mapping[str, Mapping[str, Any]]
    requested_count: int
    images_seen: int
    dataset_kind: str

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.path.name

    def made_like(self, first: ScoredRun, fields: Set[str]) -> str:
        """Return what makes this run's scores like those of `first`, from which these fields of the protocol differ."""
        data = [name for name in protocol.DATA_FIELDS if name in fields]
        if data:
            return (
                f"train both on one data set ({self.name} has another than {first.name}: {', '.join(data)}): "
                "no evaluation makes these alike"
            )
        like = self._evaluated_as(first)
        if like != self.config:
            return f"evaluate {self.name} again with: {lineage.command('evaluate', like, self.data_root)}"
        both = [lineage.command("evaluate", run.config, run.data_root) for run in (first, self)]
        return f"evaluate both again, they were measured by different versions or files: {both[0]}, and {both[1]}"

    def _evaluated_as(self, first: ScoredRun) -> RunConfig:
        names = [spec.name for spec in dataclasses.fields(EvalConfig) if spec.name not in _OF_THE_RUN]
        options = {name: getattr(first.config.eval, name) for name in names}
        options["snapshot_score_count"] = self.config.eval.snapshot_score_count
        if first.requested_count:
            options["score_count"] = first.requested_count
        return dataclasses.replace(self.config, eval=dataclasses.replace(self.config.eval, **options))


def read_scores(run_dir: Path, data_root: Path) -> ScoredRun:
    """Read the scores of a run.

    Raises:
        ConfigError: it has none, or an earlier version made them; the message has the command that makes them.
        ArtifactError: config.json or the scores are damaged.
    """
    saved = lineage.read_run(run_dir)
    if saved is None:
        raise ArtifactError(f"{run_dir / 'config.json'} is missing or damaged: run the run's own command again")
    try:
        config = RunConfig.from_json(saved["config"])
    except (ConfigError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{run_dir / 'config.json'} is not one of this version: {error}") from None
    make = lineage.command("evaluate", config, data_root)
    folder = run_dir / "scores"
    if not (folder / artifacts.MANIFEST).is_file():
        raise ConfigError(f"{run_dir.name} has no scores; make them with: {make}")
    manifest = artifacts.read_manifest(folder, "scores")
    values = _checked(manifest, f"evaluate again with: {make}")
    facts = manifest.fields.get("protocol")
    counts = {name: _count(facts, name) for name in ("requested_count", "images_seen")}
    return ScoredRun(run_dir, config, data_root, values, **counts, dataset_kind=_dataset_kind(saved, config))


def published_on(runs: Sequence[ScoredRun]) -> list[Citation]:
    """Return what was published on the runs' data sets at their resolutions, each once."""
    found = (citations.published(run.dataset_kind, run.config.data.resolution) for run in runs)
    return list(dict.fromkeys(itertools.chain.from_iterable(found)))


def _dataset_kind(saved: Mapping[str, Any], config: RunConfig) -> str:
    if config.data.kind == "auto":
        with contextlib.suppress(ArtifactError, KeyError, TypeError):
            return str(artifacts.read_manifest(path_of(saved["dataset"]["path"]), "dataset").fields["source"]["kind"])
    return config.data.kind


def _count(facts: Any, name: str) -> int:
    value = facts.get(name) if isinstance(facts, Mapping) else None
    return value if isinstance(value, int) else 0


def _checked(manifest: Manifest, fix: str) -> Mapping[str, Mapping[str, Any]]:
    values = manifest.fields.get("values")
    if not isinstance(values, Mapping) or not all(isinstance(facts, Mapping) for facts in values.values()):
        raise ArtifactError(f"{manifest.path} is damaged: it has no values; {fix}")
    for key, facts in values.items():
        if not (isinstance(facts.get("protocol"), Mapping) and isinstance(facts.get("fingerprint"), str)):
            raise ConfigError(f"{manifest.path}: {key} was scored by an earlier version; {fix}")
        if protocol.fingerprint(facts["protocol"]) != facts["fingerprint"]:
            raise ArtifactError(f"{manifest.path}: the fingerprint of {key} is not that of its protocol; {fix}")
    return values
