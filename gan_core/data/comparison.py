"""`faceloom data compare`: in what two data sets differ, from the manifest down to single pixels."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gan_core.artifacts import canonical_json
from gan_core.data.entries import Decoder, Entry, Pixels, entries, entry_of
from gan_core.handoff import SPLITS, DatasetManifest
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.records import decode_example

EXAMPLES = 5  # keys named for each kind of difference
_COMPARED = ("resolution", "channels", "protocol", "normalization", "statistics", "rejects", "source", "licences")
_NAMES = ("attribute_names", "label_names", "features", "created_by")

Mark = tuple[str, bool]  # key, mirrored


@dataclass(frozen=True)
class Found:
    """How many records differ in one way, and the keys of the first ones."""

    count: int = 0
    examples: tuple[str, ...] = ()

    def and_also(self, mark: Mark) -> Found:
        """Return this with one more."""
        name = f"{mark[0]} (mirrored)" if mark[1] else mark[0]
        return Found(self.count + 1, (*self.examples, name) if len(self.examples) < EXAMPLES else self.examples)


@dataclass(frozen=True)
class Comparison:
    """In what two data sets, A and B, differ.

    Attributes:
        fields: what the manifests say differently: dotted name -> (A's value, B's); None where it is absent.
        only_a: records of keys that only A has.
        only_b: the same of B.
        other_split: records in both, in different splits.
        other_pixels: records in both, with different pixels.
        max_difference: largest difference of a pixel value in those, 0 to 255; None where sizes differ.
        mean_difference: mean absolute difference over the pixels of those; None where there is none to measure.
        other_facts: records in both with another label, identity, attributes, landmarks, licence or author.
        records: of A and of B.
        contents: SHA-256 over all records of A, of B: split, key, facts and decoded pixels, whatever their storage.
    """

    fields: Mapping[str, tuple[Any, Any]]
    only_a: Found
    only_b: Found
    other_split: Found
    other_pixels: Found
    max_difference: int | None
    mean_difference: float | None
    other_facts: Found
    records: tuple[int, int]
    contents: tuple[str, str]

    @property
    def same_records(self) -> bool:
        """Whether both hold the same pictures with the same facts in the same splits."""
        return self.contents[0] == self.contents[1]

    @property
    def identical(self) -> bool:
        """Whether nothing differs at all."""
        return self.same_records and not self.fields

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {"identical": self.identical, "same_records": self.same_records, **asdict(self)}


@dataclass(frozen=True, slots=True)
class _Trace:
    """What is kept of a record: enough to see whether another one equals it, and to find it again."""

    split: str
    pixels: bytes
    facts: bytes
    path: Path
    byte: int
    size_bytes: int


def compare(a: DatasetManifest, b: DatasetManifest, report_progress: ReportProgress = silent) -> Comparison:
    """Compare two data sets record by record, by key. About 500 bytes of memory for each record of both.

    Raises:
        ArtifactError: a shard is missing or damaged.
    """
    total = sum(dataset.count(split) for dataset in (a, b) for split in dataset.splits)
    traces_a = dict(_traces(a, 0, total, report_progress))
    traces_b = dict(_traces(b, len(traces_a), total, report_progress))
    found = {name: Found() for name in ("only_a", "only_b", "other_split", "other_pixels", "other_facts")}
    gap = _Gap(a, b)
    for mark in sorted({*traces_a, *traces_b}):
        for name in _differences(traces_a.get(mark), traces_b.get(mark)):
            found[name] = found[name].and_also(mark)
            if name == "other_pixels":
                gap.add(traces_a[mark], traces_b[mark])
    return Comparison(
        fields=_other_fields(a, b),
        **found,
        max_difference=gap.largest,
        mean_difference=gap.mean,
        records=(len(traces_a), len(traces_b)),
        contents=(_contents(traces_a), _contents(traces_b)),
    )


def _traces(
    dataset: DatasetManifest, done: int, total: int, report_progress: ReportProgress
) -> Iterator[tuple[Mark, _Trace]]:
    decode = Decoder(dataset)
    splits = [split for split in SPLITS if split in dataset.splits]
    for index, entry in enumerate(entries(dataset, splits), start=done + 1):
        pixels = decode(entry)
        shape = ",".join(map(str, pixels.shape)).encode()
        hashes = hashlib.sha256(shape + pixels.tobytes()).digest(), hashlib.sha256(_facts(entry)).digest()
        if index % 64 == 0 or index == total:
            report_progress(Progress("compare", index, total, "records"))
        yield (entry.key, entry.mirrored), _Trace(entry.split, *hashes, entry.path, entry.byte, entry.size_bytes)


def _facts(entry: Entry) -> bytes:
    landmarks = [None if math.isnan(value) else value for value in entry.landmarks]
    facts = [entry.label, entry.identity, list(entry.attributes), landmarks, entry.licence, entry.author]
    return canonical_json(facts).encode()


def _differences(a: _Trace | None, b: _Trace | None) -> Iterator[str]:
    if a is None or b is None:
        yield "only_b" if a is None else "only_a"
        return
    if a.split != b.split:
        yield "other_split"
    if a.pixels != b.pixels:
        yield "other_pixels"
    if a.facts != b.facts:
        yield "other_facts"


def _contents(traces: Mapping[Mark, _Trace]) -> str:
    digest = hashlib.sha256()
    for mark in sorted(traces):
        trace = traces[mark]
        line = [*mark, trace.split, trace.pixels.hex(), trace.facts.hex()]
        digest.update(canonical_json(line).encode() + b"\n")
    return digest.hexdigest()


class _Gap:
    """How far pixels are apart, over all pairs that differ."""

    def __init__(self, a: DatasetManifest, b: DatasetManifest) -> None:
        self._decoders = Decoder(a), Decoder(b)
        self._comparable = self._decoders[0].shape == self._decoders[1].shape
        self._sum = self._values = 0
        self.largest: int | None = 0 if self._comparable else None

    def add(self, a: _Trace, b: _Trace) -> None:
        """Read the two pictures again and measure them."""
        if self._comparable:
            first, second = (
                _read_again(trace, decode).astype(np.int16)
                for trace, decode in zip((a, b), self._decoders, strict=True)
            )
            apart = np.abs(first - second)
            self.largest = max(self.largest or 0, int(apart.max()))
            self._sum += int(apart.sum(dtype=np.int64))
            self._values += apart.size

    @property
    def mean(self) -> float | None:
        """Mean absolute difference of all values in the pairs."""
        return self._sum / self._values if self._values else None


def _read_again(trace: _Trace, decode: Decoder) -> Pixels:
    with trace.path.open("rb") as stream:
        stream.seek(trace.byte)
        record = stream.read(trace.size_bytes)
    return decode(entry_of(decode_example(record), trace.path, trace.byte, trace.size_bytes, trace.split))


def _other_fields(a: DatasetManifest, b: DatasetManifest) -> dict[str, tuple[Any, Any]]:
    first, second = ({name: _flat(getattr(one, name)) for name in (*_COMPARED, *_NAMES)} for one in (a, b))
    flat_a, flat_b = _dotted(first), _dotted(second)
    names = [*flat_a, *(name for name in flat_b if name not in flat_a)]
    return {name: (flat_a.get(name), flat_b.get(name)) for name in names if flat_a.get(name) != flat_b.get(name)}


def _flat(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _dotted(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat |= _dotted(item, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = item
    return flat
