"""The books of a data set in the making, kept by its workers in the hidden folder `.work` of the draft.

Files, because no Beam runner offers workers another way back to the launcher:

    .work/names/<number>.jsonl     the pictures to do: [shard, content of the ImageRef, its span]
    .work/receipts/<shard>.json    the shard is complete: count, SHA-256, sums, rejects
    .work/progress/<shard>         "<pictures done> <rejects>", for the launcher's progress bar
    .work/failed/<shard>.json      why no shard can be written any more
    .work/owner                    which launcher the workers work for
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from beam_jobs.decoding import TRANSIENT_REASONS
from beam_jobs.sources.base import content_of
from gan_core.artifacts import replace_file, sha256_file, write_json
from gan_core.errors import FaceloomError
from gan_core.handoff import ImageRef

WORK = ".work"
_HEARTBEAT_SECONDS = 0.25
_NAMES_PER_FILE = 4096


@dataclass(frozen=True)
class Rejected:
    """One line of rejects.jsonl."""

    key: str
    reason: str
    detail: str


@dataclass(frozen=True)
class Receipt:
    """What a finished shard amounts to. Sums are exact integers, so their total depends on no order.

    Attributes:
        name: file name of the shard.
        pictures: pictures that were assigned to it.
        count: records in it, mirrored copies included.
        originals: records that are no mirrored copies; the sums are over these.
        sha256: of the file.
        sums: per channel, of all pixel values.
        squares: per channel, of all squared pixel values.
        rejects: sorted by key.
    """

    name: str
    pictures: int
    count: int
    originals: int
    sha256: str
    sums: tuple[int, ...]
    squares: tuple[int, ...]
    rejects: tuple[Rejected, ...]


def start_work(draft: Path) -> str:
    """Set up the books of a draft, or take over those of an interrupted job; return the new owner's mark."""
    for name in ("receipts", "progress", "failed"):
        (draft / WORK / name).mkdir(parents=True, exist_ok=True)
    leftovers = [*(draft / WORK / "failed").iterdir(), *draft.glob(f"{WORK}/*.part")]
    for path in leftovers:
        path.unlink()
    owner = uuid.uuid4().hex
    replace_file(draft / WORK / "owner", owner.encode())
    return owner


def write_names(draft: Path, assigned: Sequence[tuple[str, ImageRef]]) -> list[str]:
    """Write the pictures to do into files of 4096 lines, and return the names of the files.

    Handing the pictures themselves to `beam.Create` cost 1.4 ms each (it pickles and compresses them into the
    pipeline): 280 s for CelebA, 6 s this way.
    """
    folder = draft / WORK / "names"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    names = []
    for first in range(0, len(assigned), _NAMES_PER_FILE):
        names.append(f"{first // _NAMES_PER_FILE:05d}.jsonl")
        rows = ([shard, content_of(ref), ref.span] for shard, ref in assigned[first : first + _NAMES_PER_FILE])
        (folder / names[-1]).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return names


def read_names(draft: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield (shard, line) of every picture in one of the files of `write_names`."""
    for line in (draft / WORK / "names" / name).read_bytes().splitlines():
        yield json.loads(line)[0], line


def parse_name(line: bytes) -> ImageRef:
    """Return the picture of a line."""
    _, content, span = json.loads(line)
    return ImageRef(*(tuple(field) if isinstance(field, list) else field for field in content), tuple(span))


def stop_work(draft: Path) -> None:
    """Tell all workers of this draft to stop; they hear it within a second."""
    replace_file(draft / WORK / "owner", b"nobody")


def finished(draft: Path, name: str) -> Receipt | None:
    """Return the receipt of a shard that is complete and undamaged, else None.

    A shard with rejects that another try might not have (`missing`, `unreadable`, `changed`) counts as
    unfinished.
    """
    receipt = read_receipt(draft, name)
    if receipt is None or any(reject.reason in TRANSIENT_REASONS for reject in receipt.rejects):
        return None
    path = draft / name
    return receipt if path.is_file() and sha256_file(path) == receipt.sha256 else None


def write_receipt(draft: Path, receipt: Receipt) -> None:
    """Note that a shard is complete; its file must be in place."""
    write_json(draft / WORK / "receipts" / f"{receipt.name}.json", asdict(receipt))


def read_receipt(draft: Path, name: str) -> Receipt | None:
    """Return what a worker wrote when it finished the shard, None where it did not."""
    try:
        saved = json.loads((draft / WORK / "receipts" / f"{name}.json").read_text(encoding="utf-8"))
        saved |= {field: tuple(saved[field]) for field in ("sums", "squares")}
        return Receipt(**saved | {"rejects": tuple(Rejected(**line) for line in saved["rejects"])})
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def failure(draft: Path) -> FaceloomError | None:
    """Return the error that stopped a worker, None where there was none."""
    for path in sorted((draft / WORK / "failed").iterdir()):
        saved = json.loads(path.read_text(encoding="utf-8"))
        kinds = {kind.__name__: kind for kind in FaceloomError.__subclasses__()}
        return kinds[saved["error"]](saved["message"])
    return None


def record_failure(draft: Path, name: str, error: FaceloomError) -> None:
    """Leave the error for the launcher, as found while the shard `name` was written."""
    write_json(draft / WORK / "failed" / f"{name}.json", {"error": type(error).__name__, "message": str(error)})


class ShardProgress:
    """Says how far a shard is, and hears whether the launcher is still the one that this worker works for."""

    def __init__(self, draft: Path, name: str, owner: str) -> None:
        self._path = draft / WORK / "progress" / name
        self._owner = draft / WORK / "owner"
        self._mark = owner
        self._next = 0.0

    def report(self, pictures: int, rejects: int, *, now: bool = False) -> bool:
        """Note the numbers, four times a second at most; return whether this worker's launcher is gone."""
        if time.monotonic() < self._next and not now:
            return False
        self._next = time.monotonic() + _HEARTBEAT_SECONDS
        # A worker whose launcher was killed finds a new owner, or the whole draft published, and stops.
        if not self._owner.is_file() or self._owner.read_text() != self._mark:
            return True
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(f"{pictures} {rejects}")
        temporary.replace(self._path)
        return False
