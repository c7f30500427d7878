import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gan_core import artifacts, distances
from gan_core.config import EvalConfig, RunConfig
from gan_core.distances import Images
from gan_core.errors import ArtifactError, DataError
from gan_core.guards import spread
from gan_core.handoff import Checkpoint, DatasetManifest, Scores, Shard
from gan_core.metrics import METRICS, SnapshotScorer, evaluate
from gan_core.progress import Progress


def pictures(count: int, seed: int = 0) -> Images:
    """Return 28x28 pictures of 7x7 random colours."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 7, 7, 3), dtype=np.uint8)
    return coarse.repeat(4, 1).repeat(4, 2)


@pytest.mark.parametrize("name", METRICS)
def test_every_measure_has_its_parts(name: str) -> None:
    """A measure gives finite numbers, a unit, a direction and its parameters, all of them JSON."""
    found = METRICS[name](pictures(4, 1), pictures(4, 2), pictures(4, 3))
    assert set(found) >= {"value", "floor", "unit", "better", "parameters"}
    assert type(found["value"]) is type(found["floor"]) is float
    assert found["better"] in {"lower", "higher"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize("name", METRICS)
def test_every_measure_is_repeatable_and_leaves_its_input(name: str) -> None:
    """The same pictures give the same numbers, and are not written to."""
    sets = [pictures(4, seed) for seed in range(3)]
    before = [images.copy() for images in sets]
    assert METRICS[name](*sets) == METRICS[name](*sets)
    assert all(np.array_equal(a, b) for a, b in zip(sets, before, strict=True))


@pytest.mark.parametrize("name", METRICS)
def test_every_measure_notices_collapse(name: str) -> None:
    """One picture shown 32 times is worse than real pictures are, in the measure's direction."""
    found = METRICS[name](pictures(32, 1), pictures(32, 2), np.repeat(pictures(1, 3), 32, 0))
    worse = found["value"] - found["floor"]
    assert (worse if found["better"] == "lower" else -worse) > 0


def test_swd_of_the_other_half_is_its_floor() -> None:
    """Generated pictures as good as real ones score the floor, at every level and in the mean."""
    a, b = pictures(8, 1), pictures(8, 2)
    found = METRICS["swd"](a, b, b)
    levels = distances.sliced_wasserstein(a, b)
    assert found["value"] == found["floor"] == sum(levels.values()) / 2
    assert found["parts"] == {str(side): {"value": far, "floor": far} for side, far in levels.items()}


def test_ms_ssim_floor_is_the_mean_of_the_real_halves() -> None:
    """The parts of MS-SSIM are the values of each half."""
    a, b = pictures(8, 1), pictures(8, 2)
    found = METRICS["ms_ssim"](a, b, b)
    assert found["value"] == found["parts"]["real_b"]
    assert found["floor"] == (found["parts"]["real_a"] + found["parts"]["real_b"]) / 2
    assert found["parameters"]["pairs"] == 28


def test_snapshot_scorer() -> None:
    """The first half of the real pictures is the reference, the second the floor; an odd one is left out."""
    real = pictures(17)
    scorer = SnapshotScorer(real)
    levels = distances.sliced_wasserstein(real[:8], real[8:16])
    floor = sum(levels.values()) / len(levels)
    diversity = spread(real[8:16]) / spread(real[:8])
    assert scorer.score(real[8:16]) == {"swd": floor, "swd_floor": floor, "diversity": diversity, "n": 8}
    copies = SnapshotScorer(np.repeat(real[:1], 4, axis=0))
    assert "diversity" not in copies.score(real[:2])
    assert scorer.score(real[:8]) == {"swd": 0.0, "swd_floor": floor, "diversity": 1.0, "n": 8}
    assert scorer.score(real[8:]) == scorer.score(real[8:16])


def test_snapshot_scorer_refuses_too_few() -> None:
    """One real picture or too few generated ones are named in the message."""
    with pytest.raises(DataError) as caught:
        SnapshotScorer(pictures(1))
    assert str(caught.value) == "scores during training need at least 2 real pictures, got 1"
    with pytest.raises(DataError, match=r"one shape, got \(4, 28, 28, 3\) and \(3, 28, 28, 3\)"):
        SnapshotScorer(pictures(8)).score(pictures(3))


class House:
    """A run folder with a checkpoint, and stand-ins for data set and generator that note what is asked."""

    def __init__(self, folder: Path, originals: int) -> None:
        self.config = RunConfig(preset="test", eval=EvalConfig(score_count=16, seed=5))
        self.checkpoint = Checkpoint(folder / "run", 4000, folder / "run/checkpoints/4000")
        with artifacts.publishing(self.checkpoint.path) as draft:
            artifacts.write_manifest(draft, "checkpoint", "c" * 64, {"images_seen": 4000})
        self.dataset = DatasetManifest(
            path=folder / "faces",
            digest="d" * 64,
            name="faces",
            resolution=28,
            channels=3,
            splits={"train": (Shard("train-0", 2 * originals, "0" * 64),)},
            rejects={},
            statistics={},
            protocol={"crop": "center", "filter": "lanczos", "flip": "store", "storage": "png"},
            normalization={},
            source={},
            created_by={},
        )
        self.originals = pictures(originals)
        self.loads: list[tuple[str, int | None]] = []
        self.seeds: list[range] = []
        self.progress: list[Progress] = []

    def load_images(self, dataset: DatasetManifest, split: str, count: int | None = None) -> Images:
        """Stand in for `dataset.load_images`."""
        self.loads.append((split, count))
        return self.originals[:count]

    def generate(self, checkpoint: Checkpoint, seeds: range) -> Images:
        """Stand in for `sampling.generate`."""
        self.seeds.append(seeds)
        return pictures(len(seeds), seed=seeds.start)

    def evaluate(self, **options: Any) -> Scores:
        """Call `evaluate`, with changes to its config."""
        config = replace(self.config, eval=replace(self.config.eval, **options))
        return evaluate(config, self.checkpoint, self.dataset, self.progress.append)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    """A house with 40 original pictures."""
    house = House(tmp_path, 40)
    monkeypatch.setattr("gan_core.dataset.load_images", house.load_images)
    monkeypatch.setitem(sys.modules, "gan_core.sampling", SimpleNamespace(generate=house.generate))
    return house


def test_evaluate_measures_and_publishes(house: House) -> None:
    """Two disjoint sets of originals and as many samples are measured; the manifest holds what came out."""
    scores = house.evaluate()
    assert house.loads == [("train", 32)]
    assert house.seeds == [range(5, 21)]
    expected = METRICS["swd"](house.originals[:16], house.originals[16:32], pictures(16, seed=5))
    parameters = expected.pop("parameters")
    assert scores.values["swd"] == expected
    assert list(scores.values) == list(METRICS)
    assert scores.protocol["parameters"]["swd"] == parameters
    assert {key: value for key, value in scores.protocol.items() if key != "parameters"} == {
        "requested_count": 16,
        "real_count": 16,
        "floor_count": 16,
        "generated_count": 16,
        "split": "train",
        "mirrored": False,
        "resolution": 28,
        "channels": 3,
        "crop": "center",
        "filter": "lanczos",
        "storage": "png",
        "dataset_digest": "d" * 64,
        "checkpoint_digest": "c" * 64,
        "images_seen": 4000,
        "ema": True,
        "seed": 5,
    }
    manifest = artifacts.read_manifest(house.checkpoint.run_dir / "scores", "scores")
    assert scores == Scores(manifest.path, manifest.fields["values"], manifest.fields["protocol"])


def test_evaluate_reports_its_progress(house: House) -> None:
    """Loading, generating and each measure are one step, and a measure's value is shown as it comes."""
    values = house.evaluate().values
    steps = [(p.stage, p.done, p.total, dict(p.figures)) for p in house.progress]
    assert steps == [
        ("evaluate", 1, 4, {}),
        ("evaluate", 2, 4, {}),
        ("evaluate", 3, 4, {"swd": values["swd"]["value"]}),
        ("evaluate", 4, 4, {"ms_ssim": values["ms_ssim"]["value"]}),
    ]


def test_evaluate_does_not_repeat_itself(house: House) -> None:
    """What does not change the scores finds the published ones; what does, measures again."""
    first = house.evaluate()
    assert house.evaluate(sample_count=1, snapshot_score_count=0) == first
    assert len(house.seeds) == 1
    assert house.evaluate(seed=6) != first
    house.dataset = replace(house.dataset, digest="e" * 64)
    house.evaluate(seed=6)
    assert house.seeds == [range(5, 21), range(6, 22), range(6, 22)]


def test_evaluate_takes_what_another_process_published(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scores that appear while this process waits for its turn are kept, not measured again."""
    first, find = house.evaluate(), artifacts.find
    answers = iter([None])
    monkeypatch.setattr(artifacts, "find", lambda *place: next(answers, find(*place)))
    assert house.evaluate() == first
    assert len(house.seeds) == 1


def test_evaluate_shrinks_all_sets_together(house: House) -> None:
    """Of 17 originals, 8 are compared with 8 generated ones and with 8 others, and the protocol says why."""
    house.originals = pictures(17)
    protocol = house.evaluate().protocol
    assert [protocol[f"{kind}_count"] for kind in ("requested", "real", "floor", "generated")] == [
        16,
        8,
        8,
        8,
    ]
    assert protocol["note"] == "8 pictures a set: of 32 real ones asked for there are 17"
    assert house.seeds == [range(5, 13)]


def test_evaluate_refuses_three_pictures(house: House) -> None:
    """Below two pictures a half there are no scores: the message has the counts; nothing is published."""
    house.originals = pictures(3)
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


def test_module_starts_without_tensorflow() -> None:
    """Neither measures nor metrics import TensorFlow before something is generated."""
    code = "import sys, gan_core.metrics; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
