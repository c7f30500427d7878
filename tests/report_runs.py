"""A run as its stages leave it, with everything that its report shows, in a second and without TensorFlow."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_core import artifacts, grids
from gan_core.artifacts import digest_of
from gan_core.config import load_config
from gan_core.handoff import DatasetManifest, run_digest, run_folder
from tests import datasets
from tests.datasets import Images

EVIL = "a/<script>alert(1)</script>é日.jpg"
CLASSES = ("cat", "<b>dog</b>")
FINGERPRINT = "0123456789ab"


def data_set(root: Path, *, resolution: int = 32, count: int = 40) -> DatasetManifest:
    """Publish a data set with rejects, one with a thumbnail, whose names are no HTML."""
    made = datasets.make_dataset(root / "datasets" / f"tiny-{resolution}", resolution=resolution, count=count)
    thumbnail = Image.fromarray(datasets.smooth_pictures(1, 32, 3, seed=9)[0])
    grids.grid(np.stack([np.asarray(thumbnail), np.asarray(thumbnail.rotate(90))]), 8).save(made.path / "rejects.png")
    tiles = [{"key": "b.jpg", "reason": "too-small", "detail": "20 x 20"}]
    sheet = {"file": "rejects.png", "columns": 8, "tile_pixels": 32, "tiles": tiles}
    artifacts.write_json(made.path / "rejects_sheet.json", sheet)
    lines = [
        {"key": EVIL, "reason": "undecodable", "detail": "truncated"},
        {"key": "a.jpg", "reason": "too-small", "detail": ""},
        {"key": "b.jpg", "reason": "too-small", "detail": "20 x 20"},
    ]
    _lines(made.path / "rejects.jsonl", lines)
    grids.grid(datasets.split_pictures("train", count, resolution)[:32], 8).save(made.path / "preview.png")
    manifest = json.loads((made.path / "manifest.json").read_text())
    manifest |= {"manifest_sha256": None, "rejects": {"undecodable": 7, "too-small": 2}}
    artifacts.write_json(made.path / "manifest.json", manifest)
    return DatasetManifest.load(made.path)


def bare_run(root: Path, dataset: DatasetManifest, *settings: str, seed: int = 3) -> Path:
    """Leave what the first stage leaves: config.json."""
    config = load_config("smoke", [f"train.seed={seed}", *settings], source=Path("/pictures of/faces"))
    run_dir = run_folder(root, config, dataset.digest)
    run_dir.mkdir(parents=True)
    facts = {
        "config": config.to_json(),
        "digest": run_digest(config, dataset.digest),
        "dataset": {"digest": dataset.digest, "path": str(dataset.path)},
        "created_by": {"faceloom": "0.1.0", "python": "3.11.2"},
        "machine": {"cpus": 2},
    }
    artifacts.write_json(run_dir / "config.json", facts)
    return run_dir


def full_run(
    root: Path,
    dataset: DatasetManifest,
    generated: Images,
    real: Images,
    *,
    seed: int = 3,
    values: Mapping[str, Any] | None = None,
    steps: int = 24,
) -> Path:
    """Leave everything: logs, snapshots, checkpoints, samples with their sheets, scores, networks.

    Args:
        root: the data root.
        dataset: what the run was trained on.
        generated: at least 64 pictures, uint8 [N, S, S, C].
        real: at least 64 pictures of the same shape.
        seed: `train.seed`, which tells runs apart.
        values: the scores; left out, `scored_values()`.
        steps: lines of the training log, and kimg.
    """
    run_dir = bare_run(root, dataset, f"train.total_kimg={steps}", seed=seed)
    _lines(run_dir / "metrics.jsonl", [_metrics(step / steps, float(step)) for step in range(1, steps + 1)])
    every = max(1, steps // 8)
    scored = [_snapshot_score(step / steps, step) for step in range(0, steps + 1, every)]
    _lines(run_dir / "snapshot_scores.jsonl", scored)
    _lines(
        run_dir / "stages.jsonl",
        [
            stage("prepare", 12.0, "done", images=39_606, peak_memory_mib=412.0),
            stage("train", 750.0, "failed"),
            stage("train", 30.0, "done", images=24_000, peak_memory_mib=900.0, device_peak_memory_mib=1024.0),
        ],
    )
    (run_dir / "snapshots").mkdir()
    noise = np.random.default_rng(0).integers(0, 256, generated[:64].shape)
    for step in range(0, steps + 1, every):
        share = step / steps
        mixed = (generated[:64] * share + noise * (1 - share)).astype(np.uint8)
        grids.grid(mixed, 8).save(run_dir / "snapshots" / f"{step * 1000:012d}.png")
    best = {"images": (steps - every) * 1000, "swd": 21.5, "n": 512}
    checkpoint = {
        "images_seen": steps * 1000,
        "progress": {"seconds": 30.0, "device": "NVIDIA H200", "best": best},
        "condition": {"names": list(CLASSES)},
    }
    publish(run_dir / "checkpoints" / f"{steps * 1000:012d}", "checkpoint", checkpoint)
    sheets = {
        "grid.png": grids.grid(generated[:64], 8),
        "interpolations.png": grids.grid(_between(generated, 3, 8), 8),
        "classes.png": grids.grid(generated[8:24], 8),
    }
    samples = {
        "seed": 0,
        "images_seen": steps * 1000,
        "interpolations": {"file": "interpolations.png", "rows": 3, "columns": 8, "seeds": [[0, 1], [2, 3], [4, 5]]},
        "classes": {"file": "classes.png", "names": list(CLASSES), "columns": 8},
    }
    publish(run_dir / "samples", "samples", samples, sheets)
    rows = [image for row in range(4) for image in (generated[row], *real[5 * row : 5 * row + 5])]
    sheets = {
        "neighbours.png": grids.grid(np.stack(rows), 6),
        "best.png": grids.grid(generated[:16], 8),
        "worst.png": grids.grid(generated[-16:], 8),
    }
    distances = [[0.5 + row / 10 + place / 20 for place in range(5)] for row in range(4)]
    scores = {
        "values": scored_values() if values is None else values,
        "protocol": PROTOCOL,
        "per_class": {
            CLASSES[0]: {"swd": {"value": 30.5, "error": 0.5, "floor": 12.0}},
            CLASSES[1]: {"swd": {"value": 28.25, "error": 0.5}, "precision": {"value": 0.5}},
        },
        "neighbours": {"file": "neighbours.png", "rows": 4, "columns": 6, "distances": distances},
        "extremes": {"best": {"file": "best.png"}, "worst": {"file": "worst.png"}, "by": "realism"},
    }
    publish(run_dir / "scores", "scores", scores, sheets)
    artifacts.write_json(run_dir / "networks.json", NETWORKS)
    return run_dir


def scored_values(fingerprint: str = FINGERPRINT, shift: float = 0.0) -> dict[str, Any]:
    """Return scores of several measures, one of them unknown to the page and one without a value."""
    protocol = {"dataset_digest": "d" * 64, "split": "train", "generated_count": 2048, "real_count": 2048}

    def measure(value: float | None, better: str = "lower", unit: str = "", **more: Any) -> dict[str, Any]:
        return {
            "value": value,
            "better": better,
            "unit": unit,
            "fingerprint": fingerprint,
            "protocol": protocol,
            **more,
        }

    return {
        "kernel_distance": measure(0.0125 + shift, error=0.0015, floor=0.0, floor_error=0.0005),
        "frechet_distance": measure(
            38.25 + shift, error=0.75, floor=6.5, floor_error=0.25, warnings=["few <pictures>"]
        ),
        "swd": measure(
            20.125,
            unit="SWD x1000",
            error=0.25,
            floor=9.0,
            parts={"32": {"value": 22.0, "floor": 9.5}, "16": {"value": 18.25, "floor": 8.5}},
        ),
        "ms_ssim": measure(
            0.5,
            "near floor",
            floor=0.25,
            parts={"real_a": 0.24, "real_b": 0.26},
            note="above the floor: less diverse",
        ),
        "precision": measure(0.75, "higher", error=0.01, floor=0.875),
        "authenticity": measure(0.4, "near floor", error=0.01, floor=0.625),
        "recall": measure(None, "higher", warnings=["too few pictures"]),
        "novel": {"value": 0.5, "parts": {"7": {"value": 0.25}}},
    }


PROTOCOL: dict[str, Any] = {
    "requested_count": 4096,
    "real_count": 2048,
    "floor_count": 2048,
    "generated_count": 2048,
    "split": "train",
    "mirrored": False,
    "parameters": {"novel": {"levels": [32, 16], "window": 7}},
    "extractor": {"name": "random-patches", "digest": "e" * 64},
    "note": "2048 pictures a set: of 8192 real ones asked for there are 4096",
}


def _layer(name: str, kind: str, output: list[int], parameters: int, before: list[str], sees: int | None) -> Any:
    return {
        "name": name,
        "kind": kind,
        "output": output,
        "parameters": parameters,
        "receptive_field": sees,
        "from": before,
    }


NETWORKS: dict[str, Any] = {
    "generator": {
        "parameters": 3_576_704,
        "trainable": 3_573_760,
        "inputs": [[100], [2]],
        "layers": [
            _layer("latent", "InputLayer", [100], 0, [], None),
            _layer("class", "InputLayer", [2], 0, [], None),
            _layer("embed", "Dense", [16], 48, ["class"], None),
            _layer("join", "Concatenate", [116], 0, ["latent", "embed"], None),
            _layer("project", "Conv2DTranspose", [4, 4, 512], 950_272, ["join"], None),
            _layer("norm", "BatchNormalization", [4, 4, 512], 2_048, ["project"], None),
            _layer("relu", "ReLU", [4, 4, 512], 0, ["norm"], None),
            _layer("up8", "Conv2DTranspose", [8, 8, 256], 2_097_152, ["relu"], None),
            _layer("a8", "Conv2D", [8, 8, 256], 589_824, ["up8"], None),
            _layer("act8", "LeakyReLU", [8, 8, 256], 0, ["a8"], None),
            _layer("add8", "Add", [8, 8, 256], 0, ["up8", "act8"], None),
            _layer("up16", "Conv2DTranspose", [16, 16, 128], 524_288, ["add8"], None),
            _layer("up32", "Conv2DTranspose", [32, 32, 3], 6_144, ["up16"], None),
            _layer("tanh", "Activation", [32, 32, 3], 0, ["up32"], None),
        ],
    },
    "discriminator": {
        "parameters": 663_296,
        "trainable": 663_296,
        "inputs": [[32, 32, 3]],
        "layers": [
            _layer("picture", "InputLayer", [32, 32, 3], 0, [], 1),
            _layer("down16", "Conv2D", [16, 16, 64], 3_072, ["picture"], 4),
            _layer("lrelu", "LeakyReLU", [16, 16, 64], 0, ["down16"], 4),
            _layer("down8", "Conv2D", [8, 8, 128], 131_072, ["lrelu"], 10),
            _layer("down4", "Conv2D", [4, 4, 256], 524_288, ["down8"], 22),
            _layer("flat", "Flatten", [4096], 0, ["down4"], None),
            _layer("score", "Dense", [1], 4_097, ["flat"], 32),
        ],
    },
}


def _metrics(share: float, kimg: float) -> dict[str, float]:
    return {
        "kimg": kimg,
        "images": 1000 * kimg,
        "loss_g": 1.5 + math.sin(12 * share) / 4,
        "loss_d": 1.2 - share / 2,
        "accuracy_real": 0.6 + share / 4,
        "accuracy_fake": 0.55 + share / 4,
        "images_per_second": 2400 + 90 * math.sin(40 * share),
        "memory_mib": 900 + 50 * share,
        "memory_peak_mib": 1024.0,
    }


def _snapshot_score(share: float, kimg: int) -> dict[str, float]:
    swd = 18 + 60 * math.exp(-4 * share)
    score = {"kimg": float(kimg), "images": 1000 * kimg, "swd": swd, "swd_error": swd / 18, "swd_floor": 9.0}
    return {**score, "diversity": 0.2 + 0.7 * share, "n": 512}


def stage(name: str, seconds: float, outcome: str, **more: float) -> dict[str, Any]:
    """Return a line of stages.jsonl."""
    return {"stage": name, "seconds": seconds, "started": "2026-11-22T02:10:00+00:00", "outcome": outcome, **more}


def publish(
    folder: Path, kind: str, fields: Mapping[str, Any], pictures: Mapping[str, Image.Image] | None = None
) -> None:
    """Publish a folder with these facts and pictures."""
    with artifacts.publishing(folder) as draft:
        for name, picture in (pictures or {}).items():
            picture.save(draft / name)
        artifacts.write_manifest(draft, kind, digest_of([kind, fields]), fields)


def bless(root: Path, run_dir: Path, images_seen: int) -> None:
    """Promote a checkpoint."""
    (root / "registry" / "model").mkdir(parents=True, exist_ok=True)
    pointer = {"version": 1, "run": run_dir.name, "images_seen": images_seen}
    artifacts.write_json(root / "registry" / "model" / "blessed.json", pointer)


def _between(images: Images, rows: int, columns: int) -> Images:
    """Return rows that fade from one picture to the next: uint8 [rows * columns, S, S, C]."""
    shares = np.linspace(0, 1, columns)[:, None, None, None]
    faded = [(1 - shares) * images[2 * row] + shares * images[2 * row + 1] for row in range(rows)]
    return np.concatenate(faded).astype(np.uint8)


def _lines(path: Path, lines: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
