from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_core import artifacts, distances
from gan_core.conditions import Condition
from gan_core.config import EvalConfig, RunConfig
from gan_core.dataset import load_images
from gan_core.distances import Images
from gan_core.errors import ArtifactError, DataError
from gan_core.evaluation.collection import Counts
from gan_core.evaluation.evaluate import evaluate
from gan_core.evaluation.metrics import METRICS, applicable
from gan_core.extractors import registry
from gan_core.extractors.base import Choice
from gan_core.handoff import Checkpoint, Scores
from gan_core.progress import Progress
from gan_core.protocol import fingerprint
from tests.datasets import make_dataset
from tests.gan_core.evaluation.blocks import BLOCKS, Blocks, pictures

CLASSES = Condition("label", ("cat", "dog", "frog"), ((0,), (1,), (2,)), (34, 33, 33))


class House:
    """A run folder with a checkpoint, a data set, and stand-ins for generator and extractor that note what is asked."""

    def __init__(self, root: Path) -> None:
        self.config = RunConfig(preset="test", eval=EvalConfig(score_count=16, seed=5))
        self.checkpoint = Checkpoint(root / "runs/run", 4000, root / "runs/run/checkpoints/4000")
        self.publish_checkpoint()
        self.dataset = make_dataset(root / "datasets/tiny", count=100, mirrored=True)
        self.extractor = Blocks()
        self.choices: list[Choice] = []
        self.seeds: list[range] = []
        self.progress: list[Progress] = []

    def publish_checkpoint(self, condition: Condition | None = None) -> None:
        """Publish the checkpoint, perhaps a conditional one."""
        fields: dict[str, Any] = {"images_seen": 4000}
        if condition:
            fields["condition"] = condition.to_json()
        with artifacts.publishing(self.checkpoint.path) as draft:
            artifacts.write_manifest(draft, "checkpoint", "c" * 64, fields)

    def open_extractor(self, choice: Choice) -> Blocks:
        """Stand in for `registry.open_extractor`."""
        self.choices.append(choice)
        return self.extractor

    def batches(self, checkpoint: Checkpoint, seeds: range, condition: Condition | None) -> Iterator[Images]:
        """Stand in for `sampling.batches`."""
        self.seeds.append(seeds)
        images = pictures(len(seeds), seed=seeds.start)
        yield from (images[start : start + 10] for start in range(0, len(seeds), 10))

    def evaluate(self, **options: Any) -> Scores:
        """Call `evaluate`, with changes to its config."""
        config = replace(self.config, eval=replace(self.config.eval, **options))
        return evaluate(config, self.checkpoint, self.dataset, self.progress.append)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house with 100 original pictures."""
    house = House(tmp_path)
    monkeypatch.setattr(registry, "open_extractor", house.open_extractor)
    monkeypatch.setitem(sys.modules, "gan_core.sampling", SimpleNamespace(batches=house.batches))
    monkeypatch.setattr("gan_core.sampling", sys.modules["gan_core.sampling"], raising=False)
    return house


def test_evaluate_measures_and_publishes(house: House) -> None:
    """Two disjoint sets of originals and as many samples are measured by all METRICS; the manifest has the scores."""
    scores = house.evaluate()
    assert house.seeds == [range(5, 21)]
    assert list(scores.values) == list(METRICS)
    real, fake = load_images(house.dataset, "train", 32), pictures(16, seed=5)
    floor, value = distances.sliced_wasserstein_to_each(real[:16], [real[16:], fake])
    swd = scores.values["swd"]
    assert (swd["value"], swd["error"]) == (value.mean, value.error)
    assert (swd["floor"], swd["floor_error"]) == (floor.mean, floor.error)
    manifest = artifacts.read_manifest(house.checkpoint.run_dir / "scores", "scores")
    assert scores == Scores(manifest.path, manifest.fields["values"], manifest.fields["protocol"])


def test_every_score_is_whole(house: House) -> None:
    """Each has title, finite value, error, floor and its error, unit, direction, protocol and its fingerprint."""
    for name, score in house.evaluate().values.items():
        numbers = [score[key] for key in ("value", "error", "floor", "floor_error")]
        assert all(type(number) is float and np.isfinite(number) for number in numbers), (name, numbers)
        assert min(score["error"], score["floor_error"]) >= 0
        assert score["better"] in {"lower", "higher", "near floor"}
        assert score["title"] and isinstance(score["unit"], str)
        assert score["fingerprint"] == fingerprint(score["protocol"])
        assert json.loads(json.dumps(score, allow_nan=False)) == score


def test_protocol_of_a_score(house: House) -> None:
    """What a number depends on stands beside it: data, counts, the extractor, and the measure's parameters."""
    values = house.evaluate().values
    common = {
        "dataset_digest": house.dataset.digest,
        "split": "train",
        "mirrored": False,
        "resolution": 32,
        "channels": 3,
        "crop": "none",
        "filter": "lanczos",
        "storage": "uint8",
        "real_count": 16,
        "generated_count": 16,
        "floor_count": 16,
    }
    by_features = {"extractor": "blocks", "extractor_digest": BLOCKS.digest, "resizing": "none"}
    assert values["frechet_distance"]["protocol"] == {
        **common,
        **by_features,
        "measure": "frechet_distance",
        "version": 1,
    }
    swd = values["swd"]["protocol"]
    assert {key: swd[key] for key in common} == common
    assert not by_features.keys() & swd.keys()
    assert len({score["fingerprint"] for score in values.values()}) == len(values)


def test_protocol_of_all_scores(house: House) -> None:
    """Said once for all: which pictures of which checkpoint were looked at, and what the extractor is."""
    protocol = house.evaluate().protocol
    assert protocol["extractor"] == {**vars(BLOCKS), "digest": BLOCKS.digest}
    expected = {
        "requested_count": 16,
        "checkpoint_digest": "c" * 64,
        "images_seen": 4000,
        "ema": True,
        "seed": 5,
        "dataset_digest": house.dataset.digest,
    }
    assert {key: protocol[key] for key in expected} == expected


def test_samples_of_the_data_set_itself_score_the_floor(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A generator that draws the other real half has exactly the floor in every distance."""
    other = load_images(house.dataset, "train", 32)[16:]
    monkeypatch.setattr(sys.modules["gan_core.sampling"], "batches", lambda *_: iter([other]))
    values = house.evaluate().values
    for name in ("frechet_distance", "frechet_distance_infinity", "kernel_distance", "swd", "precision", "recall"):
        assert values[name]["value"] == pytest.approx(values[name]["floor"], rel=1e-9), name


def test_a_generator_that_copies_is_told(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Samples that are training pictures have authenticity 0, and lie beside themselves at distance 0."""
    copies = load_images(house.dataset, "train", 100)[60:76]
    monkeypatch.setattr(sys.modules["gan_core.sampling"], "batches", lambda *_: iter([copies]))
    scores = house.evaluate()
    assert scores.values["authenticity"]["value"] == 0.0
    fields = artifacts.read_manifest(scores.path, "scores").fields
    assert [row[0] for row in fields["neighbours"]["distances"]] == [0.0] * 8
    assert (fields["neighbours"]["among"], fields["neighbours"]["available"]) == (100, 100)
    with Image.open(scores.path / "neighbours.png") as sheet:
        assert sheet.size == (6 * 34 - 2, 8 * 34 - 2)
        pixels = np.asarray(sheet)
    np.testing.assert_array_equal(pixels[:32, :32], pixels[:32, 34:66])


def test_best_and_worst_samples(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sheets of the samples by realism: real pictures among white ones come first, and white ones last."""
    white = np.arange(208, 256, dtype=np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)
    mixed = np.concatenate([white[:16], load_images(house.dataset, "train", 100)[40:56], white[16:32]])
    monkeypatch.setattr(sys.modules["gan_core.sampling"], "batches", lambda *_: iter([mixed]))
    scores = house.evaluate(score_count=48)
    extremes = artifacts.read_manifest(scores.path, "scores").fields["extremes"]
    assert extremes["by"] == "realism"
    assert {seed - 5 for seed in extremes["best"]["seeds"]} == set(range(16, 32))
    assert not {seed - 5 for seed in extremes["worst"]["seeds"]} & set(range(16, 32))
    assert (scores.path / "best.png").is_file() and (scores.path / "worst.png").is_file()


def test_a_conditional_run_is_measured_class_by_class(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each class' samples are compared with its own real pictures."""
    house.publish_checkpoint(CLASSES)
    monkeypatch.setattr("gan_core.evaluation.by_class.MINIMUM", 4)
    scores = house.evaluate(score_count=48)
    per_class = artifacts.read_manifest(scores.path, "scores").fields["per_class"]
    assert list(per_class) == ["cat", "dog", "frog"]
    for found in per_class.values():
        assert set(found) == set(METRICS)
        assert all(np.isfinite(score["value"]) for score in found.values())


def test_evaluate_reports_its_progress(house: House) -> None:
    """Batches and measures are steps that never go back; the last one is the end; a measure's value is shown."""
    values = house.evaluate().values
    done = [progress.done for progress in house.progress]
    assert done == sorted(done)
    assert (done[-1], {progress.total for progress in house.progress}) == (house.progress[-1].total, {done[-1]})
    shown = {name: value for progress in house.progress for name, value in progress.figures.items()}
    assert shown == {name: score["value"] for name, score in values.items()}


def test_evaluate_does_not_repeat_itself(house: House) -> None:
    """What does not change the scores finds the published ones; what does, measures again."""
    first = house.evaluate()
    assert house.evaluate(sample_count=1, snapshot_score_count=0) == first
    assert len(house.seeds) == 1
    assert house.evaluate(seed=6) != first
    house.dataset = replace(house.dataset, digest="e" * 64)
    house.evaluate(seed=6)
    house.evaluate(seed=6, resizing="clean")
    assert house.seeds == [range(5, 21), *[range(6, 22)] * 3]


def test_evaluate_takes_what_another_process_published(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that appear while this process waits for its turn are kept, not measured again."""
    first, find = house.evaluate(), artifacts.find
    answers = iter([None])
    monkeypatch.setattr(artifacts, "find", lambda *place: next(answers, find(*place)))
    assert house.evaluate() == first
    assert len(house.seeds) == 1


@pytest.mark.parametrize(
    ("options", "available", "expected"),
    [
        ({}, 100_000, Counts(2048, 2048, 2048, 10_000, 100_000)),
        ({}, 3000, Counts(1500, 1500, 1500, 3000, 3000)),
        ({"score_count": 50_000, "real_count": 50_000}, 50_000, Counts(50_000, 50_000, 25_000, 50_000, 50_000)),
        ({"real_count": 100, "neighbour_count": 0}, 3000, Counts(2048, 100, 1500, 100, 3000)),
        ({"real_count": 9000}, 3000, Counts(2048, 3000, 1500, 3000, 3000)),
    ],
)
def test_how_many_pictures_are_looked_at(options: dict[str, Any], available: int, expected: Counts) -> None:
    """All sets shrink together to half of what there is, unless the size of the reference is asked for."""
    assert Counts.of(EvalConfig(**options), available) == expected


def test_evaluate_shrinks_all_sets_together(house: House) -> None:
    """Of 100 originals, 50 are compared with 50 generated ones and with 50 others, and the protocol says why."""
    scores = house.evaluate(score_count=64)
    counts = [scores.values["swd"]["protocol"][f"{kind}_count"] for kind in ("real", "floor", "generated")]
    assert counts == [50, 50, 50]
    assert scores.protocol["note"] == "50 pictures a set: of 128 real ones asked for there are 100"
    assert house.seeds == [range(5, 55)]


@pytest.mark.parametrize(("real", "used"), [(100, 100), (500, 100)])
def test_a_reference_of_its_own_size(house: House, real: int, used: int) -> None:
    """With `eval.real_count`, as many samples as asked for meet all real pictures; only the floor has smaller sets."""
    scores = house.evaluate(score_count=64, real_count=real)
    protocol = scores.values["frechet_distance"]["protocol"]
    assert [protocol[f"{kind}_count"] for kind in ("real", "floor", "generated")] == [used, 50, 64]
    assert scores.protocol["note"] == "100 real pictures, and halves of 50 for the floor: there are 100"
    assert house.seeds == [range(5, 69)]


def test_evaluate_refuses_three_pictures(house: House, tmp_path: Path) -> None:
    """Below two pictures a half there are no scores: the message has the counts; nothing is published."""
    house.dataset = make_dataset(tmp_path / "datasets/three", count=3)
    with pytest.raises(DataError) as caught:
        house.evaluate()
    assert str(caught.value) == (
        "scores need at least 4 pictures in split 'train', mirrored copies aside; "
        f"{house.dataset.path} has 3: add pictures to its source"
    )
    assert not (house.checkpoint.run_dir / "scores").exists()


def test_evaluate_needs_its_checkpoint(house: House) -> None:
    """A checkpoint that is gone is named."""
    artifacts.discard(house.checkpoint.path)
    with pytest.raises(ArtifactError, match="there is no checkpoint at"):
        house.evaluate()


def test_the_extractor_is_the_one_asked_for(house: House, tmp_path: Path) -> None:
    """Name, weights and resizing go to the registry; downloads lie in the data root."""
    house.evaluate(extractor="inception-2015", weights="pt.pth", resizing="clean")
    (choice,) = house.choices
    assert choice == Choice(name="inception-2015", weights="pt.pth", resizing="clean", downloads=tmp_path / "weights")


def test_only_the_published_network_has_the_plain_names() -> None:
    """FID, KID and Inception Score are said of published weights alone; without classes there is no class score."""
    published = replace(BLOCKS, is_published=True)
    names = {key: metric.named(key, published)[0] for key, metric in applicable(published, 16).items()}
    plain = {
        "frechet_distance": "fid",
        "frechet_distance_infinity": "fid_infinity",
        "kernel_distance": "kid",
        "class_score": "inception_score",
    }
    assert {key: name for key, name in names.items() if key != name} == plain
    own = [metric.named(key, BLOCKS) for key, metric in applicable(BLOCKS, 16).items()]
    assert all(name in METRICS for name, _ in own)
    assert not [title for _, title in own if "FID" in title or "KID" in title or "Inception" in title]
    assert "class_score" not in applicable(replace(BLOCKS, classes=0), 16)


@pytest.mark.parametrize(("generated", "first"), [(9999, "kernel_distance"), (10_000, "frechet_distance")])
def test_kernel_distance_comes_first_below_ten_thousand(generated: int, first: str) -> None:
    """A Fréchet distance of few pictures is mostly bias: it does not make the headline."""
    assert next(iter(applicable(BLOCKS, generated))) == first


def test_module_starts_without_tensorflow() -> None:
    """Neither measures nor metrics import TensorFlow before something is generated or extracted."""
    code = "import sys, gan_core.evaluation.evaluate; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
