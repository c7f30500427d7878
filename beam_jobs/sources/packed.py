"""Sources that hold many pictures in few files: what they list, and the reader that keeps them in memory."""

from __future__ import annotations

import threading
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from beam_jobs.pixels.decoding import Pixels, Reject
from beam_jobs.places.archives import Facts, facts_of
from gan_core.errors import DataError
from gan_core.handoff import ImageRef

_MIN_DIGITS = 5


@dataclass(frozen=True)
class Batch:
    """One file of pictures, or a pair of files with pictures and labels.

    Attributes:
        name: what messages call it.
        split: train or test.
        pixels: uint8 [N, H, W, C]; any strides.
        labels: integers [N], indices into the label names.
    """

    name: str
    split: str
    pixels: Pixels
    labels: npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Contents:
    """What the files of a layout hold.

    Attributes:
        batches: in the order that numbers the pictures.
        label_names: of the classes, as the files say it; empty where they do not.
        notes: remarks for the user.
    """

    batches: tuple[Batch, ...]
    label_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Layout(Protocol):
    """Files in one form. A small frozen value that can be hashed and pickled."""

    @property
    def files(self) -> tuple[Path, ...]:
        """What is read."""
        ...

    def load(self) -> Contents:
        """Read everything. Raises DataError."""
        ...


def list_batches(batches: Sequence[Batch], label_names: Sequence[str]) -> list[ImageRef]:
    """Return every picture: its key is split and number, its stamp the CRC-32 of its pixels, its span batch and index.

    Equal pixels and labels in the same order therefore give equal listings, whatever files hold them.

    Raises:
        DataError: a label without a name.
    """
    totals: Counter[str] = Counter()
    for batch in batches:
        totals[batch.split] += len(batch.pixels)
    keys = {split: iter(numbered_keys(split, count)) for split, count in totals.items()}
    refs = []
    for position, batch in enumerate(batches):
        _check_labels(batch, label_names)
        labels = batch.labels.tolist()
        for index, picture in enumerate(batch.pixels):
            key = next(keys[batch.split])
            refs.append(ImageRef(key, batch.split, _stamp(picture), label=labels[index], span=(position, index)))
    return refs


def numbered_keys(split: str, count: int) -> list[str]:
    """Return the keys of a split of `count` pictures: train/00000, train/00001, ..."""
    digits = max(_MIN_DIGITS, len(str(count - 1)))
    return [f"{split}/{index:0{digits}d}" for index in range(count)]


class PackedReader:
    """Hands out single pictures of a layout; the files are read once in each process."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._batches: Sequence[Batch] | None = None

    def read(self, ref: ImageRef) -> Pixels:
        """Return uint8 [H, W, 1 or 3]; see `Reader.read`."""
        if self._batches is None:
            self._batches = loaded(self._layout).batches
        position, index = ref.span
        if position >= len(self._batches) or index >= len(self._batches[position].pixels):
            raise Reject("missing", f"there are fewer pictures than when {ref.key} was listed")
        batch = self._batches[position]
        picture = np.ascontiguousarray(batch.pixels[index])
        if _stamp(picture) != ref.stamp or int(batch.labels[index]) != ref.label:
            raise Reject("changed", f"{batch.name}: CRC-32 or label of picture {index} differ from the listing")
        return picture

    def __getstate__(self) -> dict[str, Any]:
        return {"_layout": self._layout, "_batches": None}


# The layout that was read last, in this process: readers are pickled and unpickled many times in a job.
_latest: list[tuple[Layout, tuple[Facts, ...], Contents]] = []
_latest_lock = threading.Lock()


def loaded(layout: Layout) -> Contents:
    """Return `layout.load()`, kept in this process until the files change or another layout is asked for.

    Raises:
        DataError: a file is gone or damaged.
    """
    with _latest_lock:
        now = tuple(_facts(path) for path in layout.files)
        for known, then, contents in _latest:
            if known == layout and then == now:
                return contents
        _latest.clear()
        contents = layout.load()
        _latest.append((layout, now, contents))
        return contents


def _facts(path: Path) -> Facts:
    try:
        return facts_of(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); run again when it is back") from None


def _stamp(picture: Pixels) -> str:
    return f"{zlib.crc32(np.ascontiguousarray(picture).data):08x}"


def _check_labels(batch: Batch, label_names: Sequence[str]) -> None:
    if len(batch.labels) != len(batch.pixels):
        raise DataError(
            f"{batch.name} has {len(batch.pixels)} pictures and {len(batch.labels)} labels; get the official file again"
        )
    low, high = int(batch.labels.min()), int(batch.labels.max())
    if low < 0 or high >= len(label_names):
        wrong = low if low < 0 else high
        raise DataError(
            f"{batch.name} has the label {wrong}, and there are {len(label_names)} classes; get the official file again"
        )
