"""The pictures of a source as lines of JSON, sorted by key.

A line is what fingerprint, shard and worker are told of a picture. It is encoded once for all three, and takes a
quarter of the memory of an ImageRef: a launcher holds them all.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring as _text

import numpy as np
import numpy.typing as npt

from gan_core.artifacts import canonical_json
from gan_core.handoff import SPLITS, ImageRef

_HASH_BYTES = 8
_DIGITS = bytes(range(10))
_SPLIT_INDEX = {split: index for index, split in enumerate(SPLITS)}
_DECODER = json.JSONDecoder()


@dataclass(frozen=True)
class Names:
    """The pictures of a data set, sorted by key.

    Attributes:
        lines: see `line_of`.
        splits: of each line, its index in SPLITS.
        hashes: of each line, `key_hash` of its key.
        landmark_count: numbers in the landmarks of any picture that has some: 10, or 0 where none has.
        has_licences: whether any picture names its licence.
    """

    lines: Sequence[bytes]
    splits: Sequence[int]
    hashes: Sequence[int]
    landmark_count: int = 0
    has_licences: bool = False

    @classmethod
    def of(cls, refs: Iterable[ImageRef]) -> Names:
        """Take pictures in any order."""
        keys: list[str] = []
        lines: list[bytes] = []
        splits = bytearray()
        landmark_count, has_licences = 0, False
        for ref in refs:
            keys.append(ref.key)
            lines.append(line_of(ref))
            splits.append(_SPLIT_INDEX[ref.split])
            landmark_count = landmark_count or len(ref.landmarks)
            has_licences = has_licences or bool(ref.licence)
        order = sorted(range(len(keys)), key=keys.__getitem__)
        hashes = array("Q", (key_hash(keys[index]) for index in order))
        return cls(
            [lines[index] for index in order],
            bytes(splits[index] for index in order),
            hashes,
            landmark_count,
            has_licences,
        )

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[ImageRef]:
        """Yield all pictures, by key."""
        return map(ref_of, self.lines)

    def line_hashes(self) -> npt.NDArray[np.uint64]:
        """Return 64 bits for each picture, key, stamp and labels together, sorted: what tells new ones from known."""
        found = [hashlib.blake2b(line.partition(b"\t")[0], digest_size=_HASH_BYTES).digest() for line in self.lines]
        return np.sort(np.frombuffer(b"".join(found), ">u8").astype(np.uint64))

    def counts(self) -> dict[str, int]:
        """Return split -> number of pictures, in the order of SPLITS, without empty ones."""
        return count_splits(SPLITS[index] for index in self.splits)

    def fingerprint(self) -> str:
        """Return the SHA-256 over everything but the span of every picture."""
        digest = hashlib.sha256()
        for line in self.lines:
            digest.update(content_of(line))
        return digest.hexdigest()


def count_splits(splits: Iterable[str]) -> dict[str, int]:
    """Return split -> how often it comes, in the order of SPLITS, without empty ones."""
    counts = Counter(splits)
    return {split: counts[split] for split in SPLITS if counts[split]}


def key_hash(key: str) -> int:
    """Return the first 64 bits of the SHA-256 of a picture's key, which decide sample and shard."""
    return int.from_bytes(hashlib.sha256(key.encode()).digest()[:_HASH_BYTES], "big")


def line_of(ref: ImageRef) -> bytes:
    """Return a picture as two JSON lists with a tab between, and no line break: what it is, and its span.

    The first is `canonical_json` of its facts in their order, put together in half the time.
    """
    key, split, stamp, attributes, identity, label, landmarks, licence, author, span = ref
    points = canonical_json(landmarks) if landmarks else "[]"
    line = (
        f'[{_text(key)},"{split}",{_text(stamp)},{_numbers(attributes)},{identity},{label},{points},'
        f"{_text(licence)},{_text(author)}]"
    )
    return (f"{line}\t{_numbers(span)}" if span else line).encode()


def _numbers(values: Sequence[int]) -> str:
    """Return the JSON of whole numbers; digits, such as forty attributes, are written at a stroke."""
    try:
        digits = bytes(values)
    except ValueError:  # one is no byte
        digits = b"\xff"
    if digits.strip(_DIGITS):
        return f"[{','.join(map(str, values))}]"
    return f"[{(',' + digits.hex(',')).replace(',0', ',')[1:]}]"  # ,00,01,01 -> 0,1,1


def ref_of(line: bytes) -> ImageRef:
    """Return the picture of a line; the inverse of `line_of`."""
    content, _, span = line.partition(b"\t")
    facts, _ = _DECODER.raw_decode(content.decode())  # `json.loads` also looks for space around it
    key, split, stamp, attributes, identity, label, landmarks, licence, author = facts
    where = tuple(json.loads(span)) if span else ()
    return ImageRef(key, split, stamp, tuple(attributes), identity, label, tuple(landmarks), licence, author, where)


def content_of(line: bytes) -> bytes:
    """Return what the picture of a line is, wherever it lies: the line without its span, ended by a line break."""
    return line.partition(b"\t")[0] + b"\n"
