"""Do measures put real faces in the right order? Writes RANKS.md, and a picture of the sets.

    faceloom prepare celeba64 --source ~/celeba --data-root ~/ranks
    faceloom prepare folder64 --source ~/portraits.zip --data-root ~/ranks
    python -m benchmarks.evaluation.ranks --faces ~/ranks/datasets/celeba-64-* --others ~/ranks/datasets/portraits-64-*

Some minutes on two CPU cores. `--extractors` takes what `eval.extractor` takes; `--run` also scores the checkpoints of
a training on the same faces.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from beam_jobs.sources.portraits import draw_portrait
from benchmarks.evaluation.degradations import change, degraded
from benchmarks.evaluation.ranks_page import OTHER, REAL, page
from gan_core.dataset import MemoryPictures, load_images
from gan_core.distances import Images, SlicedWasserstein
from gan_core.extractors.base import Choice, Extractor
from gan_core.extractors.registry import open_extractor
from gan_core.grids import grid
from gan_core.handoff import DatasetManifest
from gan_core.measures.frechet import FrechetReference
from gan_core.measures.kernel import kernel_distance
from gan_core.measures.moments import moments_of
from gan_core.measures.neighbours import Manifold, compare

HERE = Path(__file__).parent
SHOWN = 4


class Sets(NamedTuple):
    """The reference, what is compared with it in the order of the page, and how much each was changed."""

    reference: Images
    compared: dict[str, Images]
    changes: dict[str, float]


def main() -> None:
    """Measure all sets by all extractors, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=Path, required=True, help="a prepared data set of CelebA")
    parser.add_argument(
        "--others", type=Path, required=True, help="a prepared data set of other faces, as large a side"
    )
    parser.add_argument("--run", type=Path, help="a run on the same faces, whose checkpoints are scored")
    parser.add_argument("--extractors", nargs="+", default=["embedded"])
    parser.add_argument("--count", type=int, default=2000, help="pictures of each set (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="where RANKS.md and ranks.png go")
    given = parser.parse_args()
    sets = gathered(given.faces, given.others, given.count)
    _picture(sets.reference.shape[1]).save(given.out / "ranks.png", optimize=True)
    if given.run:
        sets.compared.update(_checkpoints(given.run, given.count))
    tables = {"pictures": _by_pixels(sets)}
    for name in given.extractors:
        extractor = open_extractor(Choice(name=name))
        tables[f"{name} ({extractor.facts.dimensions} dimensions)"] = _by_features(sets, extractor)
    (given.out / "RANKS.md").write_text(page(tables, sets.changes, len(sets.reference)), encoding="utf-8")


def gathered(faces: Path, others: Path, count: int) -> Sets:
    """Return the sets: reference and real are disjoint halves, men are neither, other faces as many as there are."""
    dataset = DatasetManifest.load(faces)
    pictures = MemoryPictures(dataset, "train", ["Male"])
    order = np.random.default_rng(0).permutation(len(pictures))
    reference, real = (pictures.images[order[start : start + count]] for start in (0, count))
    rest = order[2 * count :]
    men = pictures.images[rest[pictures.values[rest, 0] > 0]][:count]
    strangers = load_images(DatasetManifest.load(others), "train", count)
    small = len(strangers)
    compared = {REAL: real, OTHER: men, **{name: worse(real) for name, worse in degraded().items()}}
    changes = {name: change(real, images) for name, images in compared.items() if name not in (REAL, OTHER)}
    compared |= {f"{REAL} (n = {small})": real[:small], f"{others.name.split('-')[0]} (n = {small})": strangers}
    return Sets(reference, compared, changes)


def _by_pixels(sets: Sets) -> dict[str, dict[str, Any]]:
    """Return set -> {"swd": x1000}, where it is as large as the reference."""
    measure = SlicedWasserstein(sets.reference)
    rows = {}
    for name, images in sets.compared.items():
        if len(images) == len(sets.reference):
            found = measure.distance(images)
            rows[name] = {"swd": (found.mean, found.error)}
            _say(name, rows[name])
    return rows


def _by_features(sets: Sets, extractor: Extractor) -> dict[str, dict[str, Any]]:
    """Return set -> measure -> (value, standard error)."""
    real = extractor.extract(sets.reference).features
    frechet, manifold = FrechetReference(moments_of(real)), Manifold(real)
    rows = {}
    for name, images in sets.compared.items():
        features = extractor.extract(images).features
        kernel, near = kernel_distance(real, features), compare(manifold, features)
        rows[name] = {
            "Frechet distance": tuple(frechet.estimate(features)),
            "kernel distance": (kernel.value, kernel.error),
            **{measure: tuple(getattr(near, measure)) for measure in ("precision", "recall", "density", "coverage")},
        }
        _say(name, rows[name])
    return rows


def _checkpoints(run: Path, count: int) -> dict[str, Images]:
    """Return what the checkpoints of a run draw, oldest first."""
    from gan_core import sampling
    from gan_core.handoff import Checkpoint

    folders = sorted(path for path in (run / "checkpoints").iterdir() if (path / "manifest.json").exists())
    return {
        f"{int(folder.name) / 1000:.0f} kimg": sampling.generate(
            Checkpoint(run, int(folder.name), folder), range(count)
        )
        for folder in folders
    }


def _picture(side: int) -> Image.Image:
    """Return drawn portraits, and below them what each damage makes of them."""
    drawn = [Image.fromarray(draw_portrait(0, index).pixels) for index in range(SHOWN)]
    portraits = np.stack([np.asarray(each.resize((side, side), Image.Resampling.LANCZOS)) for each in drawn])
    return grid(np.concatenate([portraits, *(worse(portraits) for worse in degraded().values())]), SHOWN)


def _say(name: str, row: Mapping[str, Sequence[float | None]]) -> None:
    sys.stderr.write(f"{name}: {', '.join(f'{measure} {value[0]:.4g}' for measure, value in row.items())}\n")


if __name__ == "__main__":
    main()
