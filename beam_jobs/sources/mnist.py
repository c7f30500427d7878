"""MNIST (LeCun et al. 1998) and Fashion-MNIST (Xiao et al. 2017, arXiv:1708.07747): the four official IDX files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from beam_jobs.sources import idx
from beam_jobs.sources.packed import Batch, Contents
from beam_jobs.sources.packed_source import PackedSource
from gan_core.errors import ConfigError

_SPLITS = {"train": "train", "t10k": "test"}
_PARTS = (("images", "idx3"), ("labels", "idx1"))
_ENDINGS = ("-ubyte", "-ubyte.gz")  # plain first: it needs no decompression
# What torchvision makes of a folder that it downloads to.
_FOLDERS = ("", "raw", "MNIST/raw", "FashionMNIST/raw")


@dataclass(frozen=True)
class IdxPair:
    """The pictures and the labels of one split."""

    split: str
    images: Path
    labels: Path


@dataclass(frozen=True)
class IdxLayout:
    """One or two pairs of IDX files."""

    pairs: tuple[IdxPair, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """See `Layout.files`."""
        return tuple(path for pair in self.pairs for path in (pair.images, pair.labels))

    def load(self) -> Contents:
        """See `Layout.load`."""
        absent = sorted(set(_SPLITS.values()) - {pair.split for pair in self.pairs})
        return Contents(
            tuple(
                Batch(
                    pair.images.name,
                    pair.split,
                    idx.read(pair.images, 3)[:, :, :, np.newaxis],
                    idx.read(pair.labels, 1),
                )
                for pair in self.pairs
            ),
            notes=tuple(f"there is no file of the split {split}" for split in absent),
        )


class MnistSource(PackedSource):
    """Handwritten digits, uint8 [28, 28, 1]: `train-*` is the split train, `t10k-*` the split test."""

    kind: ClassVar[str] = "mnist"
    official_label_names: ClassVar[tuple[str, ...]] = tuple(str(digit) for digit in range(10))

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: by the names of the files, and without `fashion` in the path."""
        found = _find(path)
        return found is not None and not _is_fashion(found)

    @classmethod
    def layout_at(cls, location: Path) -> IdxLayout:
        """Find the files in a folder. Raises ConfigError when one is missing."""
        layout = _find(location)
        if layout is None:
            raise ConfigError(
                f"data.kind={cls.kind} does not fit '{location}': it is no folder with train-images-idx3-ubyte or "
                "t10k-images-idx3-ubyte, plain or .gz; name the folder of the four IDX files"
            )
        for path in layout.files:
            if not path.is_file():
                raise ConfigError(f"data.kind={cls.kind}: {path} is missing; put it there, plain or .gz")
        return layout


class FashionMnistSource(MnistSource):
    """Ten kinds of clothes in MNIST's form; only the folder's name tells one from the other."""

    kind: ClassVar[str] = "fashion-mnist"
    official_label_names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )

    @classmethod
    def recognizes(cls, path: Path) -> bool:
        """See `Source.recognizes`: by the names of the files, and `fashion` in the path."""
        found = _find(path)
        return found is not None and _is_fashion(found)


def _find(folder: Path) -> IdxLayout | None:
    """Return the first place at or below `folder` with pictures of a split, None where there is none."""
    for below in _FOLDERS:
        pairs = [pair for name, split in _SPLITS.items() if (pair := _pair(folder / below, name, split))]
        if pairs:
            return IdxLayout(tuple(pairs))
    return None


def _pair(folder: Path, name: str, split: str) -> IdxPair | None:
    paths = []
    for part, form in _PARTS:
        candidates = [folder / f"{name}-{part}{dot}{form}{ending}" for ending in _ENDINGS for dot in "-."]
        paths.append(next((path for path in candidates if path.is_file()), candidates[0]))
    return IdxPair(split, *paths) if any(path.is_file() for path in paths) else None


def _is_fashion(layout: IdxLayout) -> bool:
    return "fashion" in str(layout.files[0]).lower()
