from __future__ import annotations

import dataclasses
import json
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

import pytest

from gan_core import handoff
from gan_core.artifacts import MANIFEST, digest_of
from gan_core.config import SECTIONS, DataConfig, ModelConfig, RunConfig, TrainConfig, content
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest, Shard
from tests.datasets import make_dataset

FINGERPRINT = "f" * 64
DATASET = "a" * 64


def another(spec: Field[Any]) -> Any:
    """Return an allowed value of the field that is not its default, or None where there is only one."""
    if isinstance(spec.default, tuple) and spec.metadata["choices"] is not None:
        return (*spec.default, spec.metadata["choices"][0])
    if spec.metadata["choices"] is not None:
        return next((choice for choice in spec.metadata["choices"] if choice != spec.default), None)
    if isinstance(spec.default, bool):
        return not spec.default
    if isinstance(spec.default, str):
        return "elsewhere"
    if isinstance(spec.default, tuple):
        return (*spec.default, "elsewhere")
    high = spec.metadata["high"]
    step = type(spec.default)(1 if isinstance(spec.default, int) else 0.0625)
    return spec.default + step if high is None or spec.default + step <= high else spec.default - step


OPTIONS = [(section, spec) for section, kind in SECTIONS.items() for spec in fields(kind) if another(spec) is not None]


@pytest.mark.parametrize(("section", "spec"), OPTIONS, ids=lambda value: getattr(value, "name", value))
def test_digests_change_with_content_and_with_nothing_else(section: str, spec: Field[Any]) -> None:
    """Where they are content, [data] moves a data set's digest, [model] and [train] a run's; [eval] none."""
    before = RunConfig(preset="custom")
    changed = dataclasses.replace(getattr(before, section), **{spec.name: another(spec)})
    after = dataclasses.replace(before, **{section: changed})

    dataset_moved = handoff.dataset_digest(after.data, FINGERPRINT) != handoff.dataset_digest(before.data, FINGERPRINT)
    run_moved = handoff.run_digest(after, DATASET) != handoff.run_digest(before, DATASET)
    is_content = spec.metadata["content"]
    assert dataset_moved == (is_content and section == "data")
    assert run_moved == (is_content and section in ("model", "train"))


def test_dataset_digest_covers_format_config_and_source() -> None:
    """The digest is that of format version, content fields and fingerprint."""
    config = DataConfig(resolution=32)
    expected = {"format": 2, "config": content(config), "source": FINGERPRINT}
    assert handoff.dataset_digest(config, FINGERPRINT) == digest_of(expected)
    assert handoff.dataset_digest(config, "e" * 64) != digest_of(expected)


def test_run_digest_covers_format_networks_training_and_data_set() -> None:
    """The digest is that of format version, data set digest, and the content of [model] and [train]."""
    config = RunConfig(preset="custom", model=ModelConfig(dropout=0.5), train=TrainConfig(seed=3))
    expected = {
        "format": 1,
        "dataset": DATASET,
        "model": content(config.model),
        "train": content(config.train),
    }
    assert handoff.run_digest(config, DATASET) == digest_of(expected)
    assert handoff.run_digest(config, "b" * 64) != digest_of(expected)


def test_weights_that_are_transferred_are_part_of_the_digest() -> None:
    """It is the checkpoint's digest that counts, whatever its path; without a transfer nothing is added."""
    config = RunConfig(preset="custom", train=TrainConfig(transfer="here"))
    moved = dataclasses.replace(config, train=TrainConfig(transfer="there"))
    first, second = (handoff.run_digest(config, DATASET, digest * 64) for digest in "cd")
    assert len({first, second, handoff.run_digest(config, DATASET)}) == 3
    assert handoff.run_digest(moved, DATASET, "c" * 64) == first
    assert handoff.run_folder(Path("data"), config, DATASET, "c" * 64).name == f"custom-{first[:12]}"


def test_later_defaults_leave_digests_as_they_were() -> None:
    """An option whose default is what was done before there was it is in the digest where it says something else."""
    assert "condition" not in content(ModelConfig())
    assert "freeze_d" not in content(TrainConfig())
    assert content(ModelConfig(condition=("label",)))["condition"] == ["label"]
    assert content(TrainConfig(freeze_d=1))["freeze_d"] == 1


def test_preset_name_is_not_part_of_a_digest() -> None:
    """The same values under another preset's name are the same run, in a folder of that name."""
    digests = {handoff.run_digest(RunConfig(preset=name), DATASET) for name in ("custom", "mine")}
    assert len(digests) == 1


def test_folders_are_named_after_what_they_hold(tmp_path: Path) -> None:
    """Data sets: name, resolution, twelve digits. Runs: preset, twelve digits."""
    config = RunConfig(preset="My Faces", data=DataConfig(resolution=32))
    digest = handoff.run_digest(config, DATASET)
    assert handoff.dataset_folder(tmp_path, config.data, "CelebA", DATASET) == (
        tmp_path / "datasets" / "celeba-32-aaaaaaaaaaaa"
    )
    assert handoff.run_folder(tmp_path, config, DATASET) == tmp_path / "runs" / f"my-faces-{digest[:12]}"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CelebA", "celeba"),
        ("my  faces_2024", "my-faces-2024"),
        ("v1.5.zip", "v1.5.zip"),
        ("-.hidden.-", "hidden"),
        ("../../etc", "etc"),
        ("..", "pictures"),
        ("Gesichter für alle", "gesichter-f-r-alle"),
        ("人脸", "pictures"),
        ("", "pictures"),
    ],
)
def test_slug_is_safe_as_a_folder_name(name: str, expected: str) -> None:
    """Whatever a source is called, its name becomes one plain, visible path component."""
    assert handoff.slug(name) == expected


def test_dataset_manifest_has_its_typed_form(tmp_path: Path) -> None:
    """Loading a published data set gives shards, counts and facts as values."""
    dataset = make_dataset(tmp_path / "set", count=20, splits=("train", "test"))
    assert DatasetManifest.load(tmp_path / "set") == dataset
    assert dataset.path == tmp_path / "set"
    assert (dataset.name, dataset.resolution, dataset.channels) == ("tiny", 32, 3)
    assert [(shard.name, shard.count) for shard in dataset.splits["train"]] == [
        ("train-00000-of-00002.tfrecord", 16),
        ("train-00001-of-00002.tfrecord", 4),
    ]
    assert all(type(shard) is Shard for shards in dataset.splits.values() for shard in shards)
    assert [dataset.count(split) for split in handoff.SPLITS] == [20, 0, 20]
    assert dataset.attribute_names == ("Smiling", "Eyeglasses")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda saved: saved.pop("splits"), "'splits'"),
        (lambda saved: saved.update(splits=3), "'int' object has no attribute 'items'"),
        (
            lambda saved: saved["splits"]["train"][0].pop("count"),
            "Shard.__init__() missing 1 required positional argument: 'count'",
        ),
        (
            lambda saved: saved.pop("statistics"),
            "DatasetManifest.__init__() missing 1 required positional argument: 'statistics'",
        ),
        (
            lambda saved: saved.update(colour=1),
            "DatasetManifest.__init__() got an unexpected keyword argument 'colour'",
        ),
    ],
)
def test_incomplete_dataset_manifest_is_refused(tmp_path: Path, damage: Any, reason: str) -> None:
    """A manifest without its fields is named, with the reason and the way out."""
    make_dataset(tmp_path / "set", count=1)
    path = tmp_path / "set" / MANIFEST
    saved = json.loads(path.read_text()) | {"manifest_sha256": None}
    damage(saved)
    path.write_text(json.dumps(saved))
    with pytest.raises(ArtifactError) as caught:
        DatasetManifest.load(tmp_path / "set")
    assert str(caught.value) == f"{tmp_path}/set has an incomplete manifest ({reason}); delete it and run again"


def test_what_passes_between_stages_is_frozen() -> None:
    """No stage can change what another one published."""
    passed = [kind for kind in vars(handoff).values() if dataclasses.is_dataclass(kind) and isinstance(kind, type)]
    ours = [kind for kind in passed if kind.__module__ == handoff.__name__]
    assert {kind.__name__ for kind in ours} >= {
        "Shard",
        "DatasetManifest",
        "Checkpoint",
        "SampleSet",
    }
    assert [kind.__name__ for kind in ours if not kind.__dataclass_params__.frozen] == []
    assert issubclass(handoff.ImageRef, tuple)
