"""A folder in CelebA's layout with pictures of any size and two attributes."""

from __future__ import annotations

import zipfile
from pathlib import Path

from beam_jobs.sources.synthetic import LANDMARK_COLUMNS
from tests.pictures import encode, scene

LANDMARKS = (69, 109, 106, 113, 77, 142, 73, 152, 108, 154)
"""Of the first picture of CelebA, pixels."""


def write_celeba(
    root: Path, count: int, *, zipped: bool = False, landmarks: bool = False, width: int = 178, height: int = 218
) -> Path:
    """Write `count` JPEGs and the three lists (with `landmarks` the fourth) into `root`, and return it.

    The last two pictures are validation and test, all others train. Picture i (from 1) has the attributes
    ("Odd", "Face") = (i is odd, true) and shows the person 100 + i; its left eye is at (60 + i, 109), all else at
    LANDMARKS.
    """
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{index:06d}.jpg" for index in range(1, count + 1)]
    pictures = {name: encode(scene(width, height, seed), "JPEG") for seed, name in enumerate(names)}
    if zipped:
        with zipfile.ZipFile(root / "img_align_celeba.zip", "w") as archive:
            for name, data in pictures.items():
                archive.writestr(f"img_align_celeba/{name}", data)
    else:
        (root / "img_align_celeba").mkdir()
        for name, data in pictures.items():
            (root / "img_align_celeba" / name).write_bytes(data)
    partition = [0] * (count - 2) + [1, 2]
    attributes = [f"{name}  {1 if index % 2 else -1:2d}  1" for index, name in enumerate(names, start=1)]
    texts = {
        "list_attr_celeba.txt": [str(count), "Odd Face ", *attributes],
        "list_eval_partition.txt": [f"{name} {split}" for name, split in zip(names, partition, strict=True)],
        "identity_CelebA.txt": [f"{name} {100 + index}" for index, name in enumerate(names, start=1)],
    }
    if landmarks:
        points = [
            f"{name} {60 + index:3d}  109  106  113   77  142   73  152  108  154"
            for index, name in enumerate(names, start=1)
        ]
        texts["list_landmarks_align_celeba.txt"] = [str(count), LANDMARK_COLUMNS, *points]
    for name, lines in texts.items():
        (root / name).write_text("\n".join(lines) + "\n")
    return root
