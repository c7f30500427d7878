"""Scores of a trained generator: each measure beside its floor, the same measure between real pictures.

A measure is a function and one line in METRICS. It takes three sets of one shape, uint8 [N, S, S, C] in
[0, 255]: two disjoint halves of the real pictures, and the generated ones. It returns JSON types: `value`,
`floor`, `unit`, `better` ("lower" or "higher"), `parameters` (what the numbers depend on), and perhaps
`parts` and `note`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gan_core import artifacts, distances, guards, similarity
from gan_core.artifacts import Manifest, digest_of
from gan_core.checkpoints import load_manifest
from gan_core.config import EvalConfig, RunConfig
from gan_core.distances import Images
from gan_core.errors import DataError
from gan_core.handoff import Checkpoint, DatasetManifest, Scores
from gan_core.progress import Progress, ReportProgress, silent

SCORES_FORMAT = 1  # bump when the same checkpoint, data set and config would give other numbers
SPLIT = "train"  # what the generator is asked to imitate
MINIMUM_REAL = 4  # two halves, and a pair in each

Metric = Callable[[Images, Images, Images], dict[str, Any]]


def swd(real_a: Images, real_b: Images, fake: Images) -> dict[str, Any]:
    """Return the sliced Wasserstein distance x1000, mean over the levels; see `distances.sliced_wasserstein`.

    `value` is real_a to fake, `floor` real_a to real_b, and `parts` has both for each level.
    """
    floors, values = distances.sliced_wasserstein_to_each(real_a, [real_b, fake])
    return {
        "value": _mean(values),
        "floor": _mean(floors),
        "unit": "SWD x1000",
        "better": "lower",
        "parts": {str(level): {"value": values[level], "floor": floors[level]} for level in values},
        "parameters": {
            "levels": list(values),
            "window": distances.WINDOW,
            "windows_per_image": distances.WINDOWS_PER_IMAGE,
            "directions": distances.DIRECTIONS,
            "seed": 0,
        },
    }


def ms_ssim(real_a: Images, real_b: Images, fake: Images) -> dict[str, Any]:
    """Return the mean MS-SSIM of pairs within a set, how alike its pictures are; see `similarity`.

    `value` is that of `fake`, `floor` the mean of the two real halves, and `parts` has each half's own.
    """
    halves = [similarity.ms_ssim_diversity(half) for half in (real_a, real_b)]
    return {
        "value": similarity.ms_ssim_diversity(fake),
        "floor": sum(halves) / 2,
        "unit": "MS-SSIM",
        "better": "lower",
        "parts": {"real_a": halves[0], "real_b": halves[1]},
        "note": "above the floor: less diverse than real pictures; far below it: disorder, not diversity",
        "parameters": {
            "pairs": min(similarity.MAX_PAIRS, len(fake) * (len(fake) - 1) // 2),
            "weights": similarity.scale_weights(fake.shape[1]),
            "colour": "mean over the channels",
            "seed": 0,
        },
    }


METRICS: dict[str, Metric] = {"swd": swd, "ms_ssim": ms_ssim}


class SnapshotScorer:
    """Scores generated pictures during training, against real pictures that are worked through once.

    Memory: see `distances.SlicedWasserstein`, 400 MB for 512 pictures at 64x64.

    Attributes:
        count: how many generated pictures are compared: half as many as there are real ones.
        floor: the distance between the two real halves, SWD x1000, mean over the levels.
        spread: of the real pictures, see `guards.spread`; 0 for one.
    """

    def __init__(self, real: Images) -> None:
        """Work through `real`: uint8 [2 * count, S, S, C], not mirrored. DataError for fewer than two."""
        if len(real) < 2:
            raise DataError(f"scores during training need at least 2 real pictures, got {len(real)}")
        self.count = len(real) // 2
        self._reference = distances.SlicedWasserstein(real[: self.count])
        self.floor = _mean(self._reference.distance(real[self.count : 2 * self.count]))
        self.spread = guards.spread(real[: self.count]) if self.count > 1 else 0.0

    def score(self, fake: Images) -> dict[str, float]:
        """Return `swd` and `swd_floor`, x1000 and the mean over the levels, `diversity`, and `n`, which is `count`.

        `diversity` is the spread of generated pictures over that of real ones, 1 where they vary as much; left out
        where the real ones have none.

        Args:
            fake: uint8 [at least `count`, S, S, C]; the first `count` are compared.

        Raises:
            DataError: they are fewer, or of another size than the real ones.
        """
        swd = _mean(self._reference.distance(fake[: self.count]))
        diversity = {"diversity": guards.spread(fake[: self.count]) / self.spread} if self.spread else {}
        return {"swd": swd, "swd_floor": self.floor, **diversity, "n": self.count}


def evaluate(
    config: RunConfig,
    checkpoint: Checkpoint,
    dataset: DatasetManifest,
    report_progress: ReportProgress = silent,
) -> Scores:
    """Measure the averaged generator of a checkpoint by all METRICS and publish `run_dir/scores`.

    Returns at once when the same scores of the same checkpoint are there. `eval.score_count` generated
    pictures are compared with as many real ones, and those with as many others for the floor; where there are
    too few real pictures, all three counts become half of what there is, and the protocol says so.

    Args:
        config: `eval.score_count` and `eval.seed` are read; picture i is generated from seed + i.
        checkpoint: a published checkpoint.
        dataset: the pictures that it was trained on; mirrored copies are left out.
        report_progress: called after loading, after generating, and after each measure.

    Raises:
        DataError: there are fewer than four real pictures.
        ArtifactError: the checkpoint or the data set is missing or damaged.
    """
    trained = load_manifest(checkpoint)
    digest = _digest(config.eval, trained, dataset)
    folder = checkpoint.run_dir / "scores"
    found = artifacts.find(folder, "scores", digest)
    if found is None:
        with artifacts.publishing(folder) as draft:
            found = artifacts.find(folder, "scores", digest)  # from a process that this one had to wait for
            if found is None:
                fields = _score(config.eval, checkpoint, trained, dataset, report_progress)
            else:
                fields = dict(found.fields)
            artifacts.write_manifest(draft, "scores", digest, fields)
        found = artifacts.read_manifest(folder, "scores")
    return Scores(folder, found.fields["values"], found.fields["protocol"])


def _digest(config: EvalConfig, trained: Manifest, dataset: DatasetManifest) -> str:
    return digest_of(
        {
            "format": SCORES_FORMAT,
            "metrics": sorted(METRICS),
            "checkpoint": trained.digest,
            "dataset": dataset.digest,
            "eval": {"score_count": config.score_count, "seed": config.seed},
        }
    )


def _score(
    config: EvalConfig,
    checkpoint: Checkpoint,
    trained: Manifest,
    dataset: DatasetManifest,
    report_progress: ReportProgress,
) -> dict[str, Any]:
    """Return the fields of the manifest of scores: values and protocol."""
    from gan_core.dataset import load_images
    from gan_core.sampling import generate

    total = 2 + len(METRICS)
    real = load_images(dataset, SPLIT, 2 * config.score_count)
    if len(real) < MINIMUM_REAL:
        raise DataError(
            f"scores need at least {MINIMUM_REAL} pictures in split '{SPLIT}', mirrored copies aside; "
            f"{dataset.path} has {len(real)}: add pictures to its source"
        )
    count = min(config.score_count, len(real) // 2)
    report_progress(Progress("evaluate", 1, total, "steps"))
    fake = generate(checkpoint, range(config.seed, config.seed + count))
    report_progress(Progress("evaluate", 2, total, "steps"))
    values, parameters = {}, {}
    for done, (name, metric) in enumerate(METRICS.items(), start=3):
        values[name] = metric(real[:count], real[count : 2 * count], fake)
        parameters[name] = values[name].pop("parameters")
        report_progress(Progress("evaluate", done, total, "steps", {name: values[name]["value"]}))
    protocol = {
        "requested_count": config.score_count,
        "real_count": count,
        "floor_count": count,
        "generated_count": count,
        "split": SPLIT,
        "mirrored": False,
        "resolution": dataset.resolution,
        "channels": dataset.channels,
        "crop": dataset.protocol.get("crop"),
        "filter": dataset.protocol.get("filter"),
        "storage": dataset.protocol.get("storage"),
        "dataset_digest": dataset.digest,
        "checkpoint_digest": trained.digest,
        "images_seen": checkpoint.images_seen,
        "ema": True,
        "seed": config.seed,
        "parameters": parameters,
    }
    if count < config.score_count:
        wanted = 2 * config.score_count
        protocol["note"] = f"{count} pictures a set: of {wanted} real ones asked for there are {len(real)}"
    return {"values": values, "protocol": protocol}


def _mean(by_level: dict[int, float]) -> float:
    return sum(by_level.values()) / len(by_level)
