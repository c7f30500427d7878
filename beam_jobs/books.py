"""The books of a data set in the making, kept by its workers in the hidden folder `.work` of the draft.

Files, because no Beam runner offers workers another way back to the launcher:

    .work/names/<shard>.jsonl      the pictures to do, a line each (names.py)
    .work/receipts/<shard>.json    the shard is complete: count, SHA-256, sums, rejects
    .work/progress/<shard>         "<pictures done> <rejects>", for the launcher's progress bar
    .work/dropped/<shard>.json     which of its pictures are duplicates of others
    .work/failed/<shard>.json      why no shard can be written any more
    .work/owner                    which launcher the workers work for
    .work/reserve                  some room for the notes in `failed` when the disk is full

On an object store they are small objects, said and read less often; a shard of a size other than its receipt's is not
finished.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from beam_jobs.pixels.decoding import TRANSIENT_REASONS
from gan_core.artifacts import remove_tree, replace_file, sha256_file, write_json
from gan_core.errors import FaceloomError
from gan_core.normalization import Normalization
from gan_core.object_store import objects as stores
from gan_core.paths import is_remote

WORK = ".work"
_RESERVE_BYTES = 1 << 16
_HEARTBEAT_SECONDS = 0.25
_REMOTE_HEARTBEAT_SECONDS = 5.0  # one request each to read and to write


@dataclass(frozen=True)
class Rejected:
    """One line of rejects.jsonl."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Look:
    """What tells whether a picture is there twice: hashes of its prepared pixels, exact and perceptual (hex)."""

    key: str
    pixels: str
    look: str


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """What a finished shard amounts to. Sums are exact integers, so their total depends on no order.

    Attributes:
        name: file name of the shard.
        inputs: what it was made from, see `shards.inputs_digest`.
        pictures: pictures that were assigned to it.
        count: records in it, mirrored copies included.
        originals: records that are no mirrored copies; the sums are over these.
        size_bytes: of the file.
        sha256: of the file.
        sums: per channel, of all pixel values.
        squares: per channel, of all squared pixel values.
        rejects: sorted by key.
        looks: of every picture that is no reject, or is one as a duplicate; empty with `data.duplicates=keep`.
        dropped: keys of the pictures that were left out as duplicates, sorted.
        normalization: that of float32 pixels, where it had to wait for the statistics of all shards.
    """

    name: str
    inputs: str
    pictures: int
    count: int
    originals: int
    size_bytes: int
    sha256: str
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    rejects: tuple[Rejected, ...] = ()
    looks: tuple[Look, ...] = ()
    dropped: tuple[str, ...] = ()
    normalization: Normalization | None = None

    def is_as_wanted(self, dropped: Iterable[str], normalization: Normalization | None) -> bool:
        """Whether the file leaves out these duplicates, and holds pixels in this form."""
        return set(self.dropped) == set(dropped) and self.normalization == normalization

    def can_become(self, dropped: Iterable[str], normalization: Normalization | None) -> bool:
        """Whether the file still has all that the wanted one needs; else the shard must be prepared again."""
        return self.is_as_wanted(dropped, normalization) or (
            self.normalization is None and set(self.dropped) <= set(dropped)
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `from_json` is the inverse."""
        saved = asdict(self)
        saved["looks"] = [[look.key, look.pixels, look.look] for look in self.looks]
        return saved

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Receipt:
        """Read it back. Raises KeyError, TypeError or ValueError where it is something else."""
        fields = dict(saved)
        fields |= {name: tuple(saved[name]) for name in ("sums", "squares", "dropped")}
        fields["rejects"] = tuple(Rejected(**line) for line in saved["rejects"])
        fields["looks"] = tuple(Look(*line) for line in saved["looks"])
        if saved["normalization"] is not None:
            fields["normalization"] = Normalization.from_json(saved["normalization"])
        return cls(**fields)


def start_work(draft: Path) -> str:
    """Set up the books of a draft, or take over those of an interrupted job; return the new owner's mark."""
    for name in ("receipts", "progress", "dropped", "failed"):
        (draft / WORK / name).mkdir(parents=True, exist_ok=True)
    leftovers = [*(draft / WORK / "failed").iterdir(), *draft.glob(f"{WORK}/*.part")]
    for path in leftovers:
        path.unlink()
    owner = uuid.uuid4().hex
    replace_file(draft / WORK / "owner", owner.encode())
    if not is_remote(draft):
        replace_file(draft / WORK / "reserve", os.urandom(_RESERVE_BYTES))  # zeros might take no room
    return owner


def write_names(draft: Path, assigned: Mapping[str, Sequence[bytes]]) -> None:
    """Tell the workers which pictures belong to each shard, as lines of `beam_jobs.names`.

    By files, because no name has to pass through Beam then: in a pipeline, a picture cost 0.05 to 1.4 ms.
    """
    folder = draft / WORK / "names"
    remove_tree(folder)
    folder.mkdir()
    for shard, lines in assigned.items():
        (folder / f"{shard}.jsonl").write_bytes(b"\n".join(lines))


def read_names(draft: Path, shard: str) -> list[bytes]:
    """Return the lines of a shard's pictures, sorted by key."""
    return (draft / WORK / "names" / f"{shard}.jsonl").read_bytes().splitlines()


def stop_work(draft: Path) -> None:
    """Tell all workers of this draft to stop; they hear it within a second."""
    replace_file(draft / WORK / "owner", b"nobody")


def finished(draft: Path, names: Iterable[str]) -> dict[str, Receipt]:
    """Return the receipts of those shards that are complete and undamaged.

    A shard with rejects that another try might not have (`missing`, `unreadable`, `changed`) counts as
    unfinished.
    """
    receipts = {
        name: receipt
        for name, receipt in read_receipts(draft, names).items()
        if not any(reject.reason in TRANSIENT_REASONS for reject in receipt.rejects)
    }
    if is_remote(draft) and len(receipts) > 1:
        sizes = {name: facts.st_size for name, facts in stores.listing(draft).items()}
        return {name: receipt for name, receipt in receipts.items() if sizes.get(name) == receipt.size_bytes}
    return {name: receipt for name, receipt in receipts.items() if _is_undamaged(draft / name, receipt)}


def _is_undamaged(path: Path, receipt: Receipt) -> bool:
    if not path.is_file():
        return False
    # A store checks what it keeps, and shows an object when it is complete.
    return path.stat().st_size == receipt.size_bytes if is_remote(path) else sha256_file(path) == receipt.sha256


def write_receipt(draft: Path, receipt: Receipt) -> None:
    """Note that a shard is complete; its file must be in place."""
    write_json(draft / WORK / "receipts" / f"{receipt.name}.json", receipt.to_json())


def read_receipt(draft: Path, name: str) -> Receipt | None:
    """Return what a worker wrote when it finished the shard, None where it did not."""
    return read_receipts(draft, [name]).get(name)


def read_receipts(draft: Path, names: Iterable[str]) -> dict[str, Receipt]:
    """Return shard -> what a worker wrote when it finished it; shards without a usable receipt are absent."""
    paths = {draft / WORK / "receipts" / f"{name}.json": name for name in names}
    found = stores.read_all(paths) if is_remote(draft) else _read_files(paths)
    receipts = {}
    for path, data in found.items():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            receipts[paths[path]] = Receipt.from_json(json.loads(data))
    return receipts


def _read_files(paths: Iterable[Path]) -> dict[Path, bytes]:
    found = {}
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            found[path] = path.read_bytes()
    return found


def forget(draft: Path, name: str) -> None:
    """Tear up a receipt, so that its shard is prepared again."""
    (draft / WORK / "receipts" / f"{name}.json").unlink(missing_ok=True)
    (draft / WORK / "progress" / name).unlink(missing_ok=True)


def write_dropped(draft: Path, name: str, dropped: Iterable[Rejected]) -> None:
    """Note which pictures of a shard are duplicates, for `finish_shard`."""
    write_json(draft / WORK / "dropped" / f"{name}.json", [asdict(one) for one in dropped])


def read_dropped(draft: Path, name: str) -> dict[str, Rejected]:
    """Return key -> reject of the duplicates in a shard."""
    path = draft / WORK / "dropped" / f"{name}.json"
    saved = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    return {line["key"]: Rejected(**line) for line in saved}


def failure(draft: Path) -> FaceloomError | None:
    """Return the error that stopped a worker, None where there was none."""
    for path in sorted((draft / WORK / "failed").iterdir()):
        saved = json.loads(path.read_text(encoding="utf-8"))
        kinds = {kind.__name__: kind for kind in FaceloomError.__subclasses__()}
        return kinds[saved["error"]](saved["message"])
    return None


def record_failure(draft: Path, name: str, error: FaceloomError) -> None:
    """Leave the error for the launcher, as found while the shard `name` was written."""
    kind = next(kind.__name__ for kind in FaceloomError.__subclasses__() if isinstance(error, kind))
    note = partial(write_json, draft / WORK / "failed" / f"{name}.json", {"error": kind, "message": str(error)})
    try:
        note()
    except OSError:
        (draft / WORK / "reserve").unlink(missing_ok=True)
        note()


class ShardProgress:
    """Says how far a shard is, and hears whether the launcher is still the one that this worker works for."""

    def __init__(self, draft: Path, name: str, owner: str) -> None:
        self._path = draft / WORK / "progress" / name
        self._owner = draft / WORK / "owner"
        self._mark = owner
        self._every_s = _REMOTE_HEARTBEAT_SECONDS if is_remote(draft) else _HEARTBEAT_SECONDS
        self._next = 0.0

    def report(self, pictures: int, rejects: int, *, now: bool = False) -> bool:
        """Note the numbers, four times a second at most (every 5 s on a store); return whether the launcher is gone."""
        if time.monotonic() < self._next and not now:
            return False
        self._next = time.monotonic() + self._every_s
        # A worker whose launcher was killed finds a new owner, or the whole draft published, and stops.
        if not self._owner.is_file() or self._owner.read_text() != self._mark:
            return True
        if is_remote(self._path):
            self._path.write_text(f"{pictures} {rejects}")
            return False
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(f"{pictures} {rejects}")
        temporary.replace(self._path)
        return False
