"""The forms in which pictures leave a data set: a folder, StyleGAN's zip, NumPy's arrays.

Pictures are decoded and written one after the other, so the memory does not grow with them; what is known of them
besides their pixels is held until the end.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image

from gan_core.data.entries import Entry, Pixels
from gan_core.data.file_names import FileNames
from gan_core.data.selection import Selection
from gan_core.errors import ArtifactError
from gan_core.progress import ReportProgress

# What zip archives need a date for; a fixed one, so that the same pictures give the same bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o644 << 16


def _write_folder(chosen: Selection, draft: Path, report_progress: ReportProgress) -> tuple[int, bool]:
    draft.mkdir()
    names, labels = FileNames(), Labels()
    for entry, pixels in chosen.pictures(report_progress):
        name = f"{entry.split}/{names.of(entry.split, entry.key, entry.mirrored)}"
        (draft / name).parent.mkdir(parents=True, exist_ok=True)
        (draft / name).write_bytes(_png(pixels))
        labels.add(name, entry.label)
    if labels.complete:
        (draft / "dataset.json").write_bytes(labels.document())
    return labels.count, labels.complete


def _write_zip(chosen: Selection, draft: Path, report_progress: ReportProgress) -> tuple[int, bool]:
    labels = Labels()
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
        for entry, pixels in chosen.pictures(report_progress):
            number = f"{labels.count:08d}"
            name = f"{number[:5]}/img{number}.png"
            # As dataset_tool.py does: the archive is read over and over, so its pictures are not compressed either.
            archive.writestr(_member(name), _png(pixels, compress_level=0))
            labels.add(name, entry.label)
        archive.writestr(_member("dataset.json"), labels.document())
    return labels.count, labels.complete


def _write_npz(chosen: Selection, draft: Path, report_progress: ReportProgress) -> tuple[int, bool]:
    # Twice through the records: an array's length comes before its pictures, and mirrored copies are not in a count.
    facts = [_facts(entry) for entry in chosen.entries()]
    dataset = chosen.dataset
    if any(len({len(one[name]) for one in facts}) > 1 for name in ("attributes", "landmarks")):
        raise ArtifactError(f"{dataset.path} has records with different numbers of attributes or landmarks")
    columns: dict[str, Any] = {name: [one[name] for one in facts] for name in _DTYPES}
    arrays = {name: np.array(columns[name], dtype) for name, dtype in _DTYPES.items()}
    arrays |= {
        "label_names": np.array(dataset.label_names, np.str_),
        "attribute_names": np.array(dataset.attribute_names, np.str_),
    }
    shape = (len(facts), dataset.resolution, dataset.resolution, dataset.channels)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with zipfile.ZipFile(draft, "w", zipfile.ZIP_STORED) as archive:
        with archive.open(_member("images.npy"), "w", force_zip64=True) as stream:
            np.lib.format.write_array_header_1_0(cast(BinaryIO, stream), header)
            for _, pixels in chosen.pictures(report_progress):
                stream.write(pixels.tobytes())
        for name, array in arrays.items():
            with archive.open(_member(f"{name}.npy"), "w", force_zip64=True) as stream:
                np.lib.format.write_array(cast(BinaryIO, stream), array, allow_pickle=False)
    return len(facts), bool(facts) and bool((arrays["labels"] >= 0).all())


_DTYPES: dict[str, Any] = {
    "keys": np.str_,
    "splits": np.str_,
    "labels": np.int64,
    "identities": np.int64,
    "mirrored": np.bool_,
    "attributes": np.int64,
    "landmarks": np.float32,
    "licences": np.str_,
    "authors": np.str_,
}


def _facts(entry: Entry) -> dict[str, Any]:
    return {
        "keys": entry.key,
        "splits": entry.split,
        "labels": entry.label,
        "identities": entry.identity,
        "mirrored": entry.mirrored,
        "attributes": entry.attributes,
        "landmarks": entry.landmarks,
        "licences": entry.licence,
        "authors": entry.author,
    }


# --format -> what writes the selection into a path and returns (pictures, whether all have labels).
FORMATS: dict[str, Callable[[Selection, Path, ReportProgress], tuple[int, bool]]] = {
    "folder": _write_folder,
    "zip": _write_zip,
    "npz": _write_npz,
}


class Labels:
    """The labels of written pictures, in the form of StyleGAN's dataset.json."""

    def __init__(self) -> None:
        self._lines: list[list[Any]] = []
        self._known = 0

    def add(self, name: str, label: int) -> None:
        """Note a picture's label, -1 for none."""
        self._lines.append([name, label])
        self._known += label >= 0

    @property
    def count(self) -> int:
        """Pictures so far."""
        return len(self._lines)

    @property
    def complete(self) -> bool:
        """Whether every picture has a label: StyleGAN takes those of all, or none."""
        return 0 < self.count == self._known

    def document(self) -> bytes:
        """Return the JSON."""
        return json.dumps({"labels": self._lines if self.complete else None}).encode()


def _png(pixels: Pixels, compress_level: int = 6) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(
        stream, "PNG", compress_level=compress_level
    )
    return stream.getvalue()


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.external_attr = _MODE
    return member
