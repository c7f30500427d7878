"""What a face recognition network makes of faces; for the Python that has dlib.

dlib's ResNet (King 2017, `dlib_face_recognition_resnet_model_v1`), trained on three million faces to tell persons
apart, gives 128 numbers for a face of 150x150. The network wants faces in a fixed place; those of CelebA are aligned,
so that one box does for all: its eyes and mouth come within some pixels of where dlib puts them.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_BOX = (8, 16, 56, 64)  # of 64x64 after celeba-148: left, upper, right, lower
_SIDE = 150
_AT_ONCE = 25


def main() -> None:
    """Write float64 [N, 128] for the pictures of an .npy or .npz, uint8 [N, 64, 64, 3]."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", required=True, help="dlib_face_recognition_resnet_model_v1.dat")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    loaded = np.load(given.pictures)
    images = (loaded if isinstance(loaded, np.ndarray) else loaded["images"])[: given.count]
    parts = [images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE)]
    with multiprocessing.Pool(len(os.sched_getaffinity(0)), _load, (given.model,)) as pool:
        np.save(given.out, np.concatenate(pool.map(_features, parts, chunksize=1)))


def _load(model: str) -> None:
    dlib: Any = importlib.import_module("dlib")
    globals()["_network"] = dlib.face_recognition_model_v1(model)


def _features(images: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    faces = [Image.fromarray(image).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC, _BOX) for image in images]
    return np.array(globals()["_network"].compute_face_descriptor([np.asarray(face) for face in faces]))


if __name__ == "__main__":
    main()
