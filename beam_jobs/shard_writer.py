"""One shard, from names to a finished file: the unit of work that a worker does, and skips when it is done.

Plain functions on paths; no Beam.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from beam_jobs.books import (
    WORK,
    Look,
    Receipt,
    Rejected,
    ShardProgress,
    failure,
    finished,
    forget,
    read_dropped,
    read_names,
    read_receipt,
    record_failure,
    write_receipt,
)
from beam_jobs.names import ref_of
from beam_jobs.pixels.decoding import Pixels, Reject, quiet_pillow
from beam_jobs.pixels.duplicates import perceptual_hash, pixel_hash
from beam_jobs.pixels.moments import Moments
from beam_jobs.pixels.pictures import Prepared, prepare_picture
from beam_jobs.places.ahead import fetched
from beam_jobs.shards import inputs_digest
from beam_jobs.sources.base import Reader
from gan_core import storage
from gan_core.config import DataConfig
from gan_core.errors import ArtifactError, FaceloomError
from gan_core.handoff import ImageRef
from gan_core.normalization import NORMALIZATIONS, Normalization
from gan_core.object_store import objects as stores
from gan_core.paths import is_remote
from gan_core.records import Feature, decode_example, encode_example, read_records, write_record

_BUFFER_BYTES = 1 << 20  # one call of the system for some eighty records of 64x64 pixels


@dataclass(frozen=True)
class ShardJob:
    """Everything that a worker needs for any shard of one data set; small and picklable.

    Attributes:
        draft: the folder that is being filled.
        recipe: digest of what determines the pixels besides the pictures, see `shards.inputs_digest`.
        landmark_count: numbers in a record's `landmarks`: 10, or 0 where the source has none.
        owner: the mark of the launcher that the worker works for.
    """

    draft: Path
    config: DataConfig
    reader: Reader
    recipe: str
    landmark_count: int
    owner: str


def prepare_shard(job: ShardJob, name: str) -> None:
    """Write one whole shard of the pictures in its names' file, and its receipt; do nothing where it is finished.

    Errors that would hit every picture are left in `.work/failed` for the launcher: an exception would have a
    runner try four times, and then arrive there as a text.
    """
    if failure(job.draft) is not None or finished(job.draft, [name]):
        return
    with _failures_noted(job, name), contextlib.suppress(_Abandoned):
        try:
            lines = read_names(job.draft, name)
        except FileNotFoundError:  # another launcher has taken over, or the folder is not this machine's
            raise _Abandoned from None
        _write_shard(job, name, lines)


def finish_shard(job: ShardJob, normalization: Normalization | None, name: str) -> None:
    """Write a prepared shard anew, as all shards together want it.

    Args:
        job: the job.
        normalization: for float32 pixels whose normalization had to wait for the statistics of all shards.
        name: the shard; which of its pictures are duplicates is in `.work/dropped`.
    """
    receipt = read_receipt(job.draft, name)
    if failure(job.draft) is not None or receipt is None:
        return
    dropped = read_dropped(job.draft, name)
    if not receipt.is_as_wanted(dropped, normalization):
        with _failures_noted(job, name):
            _rewrite_shard(job, receipt, dropped, normalization)


@contextlib.contextmanager
def _failures_noted(job: ShardJob, name: str) -> Iterator[None]:
    try:
        yield
    except FaceloomError as error:
        record_failure(job.draft, name, error)
    except OSError as error:
        room = f"make room in {tempfile.gettempdir()}" if is_remote(job.draft) else "make room"
        message = f"cannot write {job.draft / name}: {error.strerror}; {room} and run again, it continues there"
        record_failure(job.draft, name, ArtifactError(message))


def _write_shard(job: ShardJob, name: str, lines: Sequence[bytes]) -> None:
    quiet_pillow()
    progress = ShardProgress(job.draft, name, job.owner)
    rejects: list[Rejected] = []
    looks: list[Look] = []
    with _replacing(job.draft, name) as stream:
        shard = _OpenShard(stream, job.config)
        for done, (ref, read) in enumerate(fetched(job.reader, map(ref_of, lines)), start=1):
            try:
                prepared = prepare_picture(read(), job.config, ref.landmarks)
            except Reject as reject:
                rejects.append(Rejected(ref.key, reject.reason, reject.detail))
            else:
                if job.config.duplicates != "keep":
                    look = f"{perceptual_hash(prepared.pixels):016x}"
                    looks.append(Look(ref.key, pixel_hash(prepared.pixels), look))
                _add_picture(shard, job, ref, prepared)
            if progress.report(done, len(rejects)):
                raise _Abandoned
    receipt = Receipt(
        name=name,
        inputs=inputs_digest(job.recipe, lines),
        pictures=len(lines),
        rejects=tuple(rejects),
        looks=tuple(looks),
        **shard.facts(),
    )
    write_receipt(job.draft, receipt)
    progress.report(len(lines), len(rejects), now=True)


def _add_picture(shard: _OpenShard, job: ShardJob, ref: ImageRef, prepared: Prepared) -> None:
    """Append the record of a picture, and that of its mirrored copy where the config stores one."""
    config, form, normalization = job.config, *first_form(job.config)
    copies = (prepared, prepared.mirrored()) if config.flip == "store" else (prepared,)
    for mirrored, copy in enumerate(copies):
        image = storage.encode(copy.pixels, form, jpeg_quality=config.jpeg_quality, normalization=normalization)
        features = record_features(ref, image, copy, job.landmark_count, mirrored=bool(mirrored))
        # A JPEG is what is stored, not what it was made from.
        stored = storage.decode(image, copy.pixels.shape, form, normalization) if form == "jpeg" else copy.pixels
        shard.write(features, stored)


def _rewrite_shard(
    job: ShardJob, receipt: Receipt, dropped: Mapping[str, Rejected], normalization: Normalization | None
) -> None:
    form, first = first_form(job.config)
    path = job.draft / receipt.name
    with _replacing(job.draft, receipt.name) as stream:
        shard = _OpenShard(stream, job.config)
        for _, record in read_records(path):
            features = decode_example(record)
            if cast(bytes, features["key"]).decode() in dropped:
                continue
            shape, image = tuple(cast(list[int], features["shape"])), cast(bytes, features["image"])
            pixels = storage.decode(image, shape, form, first)
            if normalization is not None:
                image = storage.encode(pixels, "float32", jpeg_quality=0, normalization=normalization)
            shard.write(_typed(features) | {"image": image}, pixels)
    lasting = [reject for reject in receipt.rejects if reject.key not in receipt.dropped]
    rejects = sorted([*lasting, *dropped.values()], key=lambda one: one.key)
    changes = {"rejects": tuple(rejects), "dropped": tuple(sorted(dropped)), **shard.facts()}
    write_receipt(job.draft, replace(receipt, normalization=normalization, **changes))


def first_form(config: DataConfig) -> tuple[str, Normalization | None]:
    """Return how a shard holds its pixels when it is first written, and the normalization of float32 ones.

    float32 by mean and deviation must wait until the statistics of all shards are known: it is uint8 until then.
    """
    if config.storage != "float32":
        return config.storage, None
    if waits_for_statistics(config):
        return "uint8", None
    zeros = (0.0,) * config.channels
    return "float32", NORMALIZATIONS[config.normalize](zeros, zeros)


def waits_for_statistics(config: DataConfig) -> bool:
    """Whether records hold values that depend on all pictures together."""
    return config.storage == "float32" and config.normalize == "mean-deviation"


def record_features(
    ref: ImageRef, image: bytes, prepared: Prepared, landmark_count: int, *, mirrored: bool
) -> dict[str, Feature]:
    """Return the features of one record; data/README.md is their schema."""
    landmarks = prepared.landmarks or (math.nan,) * landmark_count
    return {
        "image": image,
        "shape": prepared.pixels.shape,
        "key": ref.key.encode(),
        "attributes": ref.attributes,
        "identity": (ref.identity,),
        "mirrored": (int(mirrored),),
        "label": (ref.label,),
        "landmarks": np.array(landmarks[:landmark_count], np.float32),
        "licence": ref.licence.encode(),
        "author": ref.author.encode(),
    }


def _typed(features: Mapping[str, bytes | list[int] | list[float]]) -> dict[str, Feature]:
    """Return decoded features as `encode_example` takes them: an empty list has forgotten that it holds floats."""
    return {**features, "landmarks": np.array(features["landmarks"], np.float32)}


class _Abandoned(Exception):
    """The launcher of this worker is gone, or wants it to stop."""


class _OpenShard:
    """A shard that is being written, and its account."""

    def __init__(self, stream: BinaryIO, config: DataConfig) -> None:
        self._stream = _Hashed(stream)
        self._count = 0
        self._moments = Moments(config.resolution, config.channels)

    def write(self, features: Mapping[str, Feature], pixels: Pixels) -> None:
        """Append one record. pixels: uint8 [S, S, C], what it holds."""
        write_record(cast(BinaryIO, self._stream), encode_example(features))
        self._count += 1
        if features["mirrored"][0] == 0:
            self._moments.add(pixels)

    def facts(self) -> dict[str, Any]:
        """Return the fields of a receipt that the records determine."""
        sums, squares = self._moments.totals()
        return {
            "count": self._count,
            "originals": self._moments.pictures,
            "size_bytes": self._stream.size_bytes,
            "sha256": self._stream.sha256.hexdigest(),
            "sums": sums,
            "squares": squares,
        }


class _Hashed:
    """A stream that takes the SHA-256 of what passes: reading the file again would cost as much as writing it."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.sha256 = hashlib.sha256()
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Write, and count in."""
        self._stream.write(data)
        self.sha256.update(data)
        self.size_bytes += len(data)


@contextlib.contextmanager
def _replacing(draft: Path, name: str) -> Iterator[BinaryIO]:
    """Yield a stream; the shard is what was written once the block has ended, and unchanged when it fails."""
    if is_remote(draft):
        with tempfile.TemporaryDirectory(prefix="faceloom-") as folder:
            local = Path(folder) / name
            with local.open("wb") as stream:
                yield stream
            forget(draft, name)  # a receipt tells the shard by its size, and the next one may have the same
            stores.send(local, draft / name)
        return
    partial = draft / WORK / f"{name}.{uuid.uuid4().hex}.part"
    try:
        with partial.open("wb", _BUFFER_BYTES) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())  # here, where others go on meanwhile: at the end the launcher waits for all files
        partial.replace(draft / name)
    finally:
        partial.unlink(missing_ok=True)
