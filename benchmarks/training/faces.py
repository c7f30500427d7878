"""The pictures: CelebA, prepared by `faceloom prepare`, a part of it held out by person.

    python -m benchmarks.training.faces --celeba ~/celeba --out ~/training

writes `OUT/faces`: the prepared data set, and its pictures as `train.npy` and `held_out.npy`, uint8 [N, 64, 64, 3].
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from benchmarks.measure import ROOT
from gan_core.dataset import load_images
from gan_core.handoff import DatasetManifest

_PARTITION = "list_eval_partition.txt"
_TRAIN, _TEST = "0", "2"


def held_out(person_of: Mapping[str, str], count: int) -> set[str]:
    """Return at least `count` pictures: all those of the persons that come first by the SHA-256 of their numbers."""
    pictures: dict[str, list[str]] = {}
    for name, person in person_of.items():
        pictures.setdefault(person, []).append(name)
    chosen: set[str] = set()
    for person in sorted(pictures, key=lambda number: hashlib.sha256(number.encode()).hexdigest()):
        if len(chosen) >= count:
            break
        chosen.update(pictures[person])
    return chosen


def data_set(out: Path) -> DatasetManifest:
    """Return the data set that `main` prepared in `out`. Raises SystemExit where it did not."""
    found = sorted((out / "faces" / "prepared" / "datasets").glob("*/manifest.json"))
    if not found:
        raise SystemExit(f"{out} has no faces; run python -m benchmarks.training.faces --celeba FOLDER --out {out}")
    return DatasetManifest.load(found[0].parent)


def main() -> None:
    """Prepare the pictures once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--celeba", type=Path, required=True, help="a folder with img_align_celeba.zip and the lists")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--held-out", type=int, default=2500, help="pictures, at least (default: %(default)s)")
    given = parser.parse_args()
    folder = given.out.resolve() / "faces"
    source = _source(given.celeba.resolve(), folder / "source", given.held_out)
    faceloom = str(Path(sys.executable).with_name("faceloom"))
    command = [faceloom, "prepare", "celeba64", "--source", str(source), "--data-root", str(folder / "prepared")]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    dataset = data_set(given.out)
    for split, name in (("train", "train"), ("test", "held_out")):
        images = load_images(dataset, split)
        np.save(folder / f"{name}.npy", images)
        sys.stdout.write(f"{name}: {len(images):,} pictures\n")


def _source(celeba: Path, folder: Path, count: int) -> Path:
    """Return a folder of links to CelebA with a list of splits of our own."""
    lines = (celeba / "identity_CelebA.txt").read_text(encoding="utf-8").splitlines()
    person_of = dict(line.split() for line in lines)
    out = held_out(person_of, count)
    folder.mkdir(parents=True, exist_ok=True)
    for path in celeba.iterdir():
        if path.name != _PARTITION and not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)
    rows = [f"{name} {_TEST if name in out else _TRAIN}\n" for name in person_of]
    (folder / _PARTITION).write_text("".join(rows), encoding="utf-8")
    return folder


if __name__ == "__main__":
    main()
