"""What lies in a place: the pictures, the other files, and what is passed over; one set of rules for all places."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from beam_jobs.pixels.decoding import EXTENSIONS, Reject
from gan_core.errors import DataError
from gan_core.handoff import ImageRef

MAX_FILE_BYTES = 1 << 30
"""Larger files are rejected unread: 358 million pixels of 3 bytes, while an archive's entry may claim anything."""

JUNK_FOLDERS = frozenset({"__MACOSX", "$RECYCLE.BIN", "@eaDir"})
_HIDDEN = re.compile(rf"(?:^|/)(?:\.|(?:{'|'.join(map(re.escape, JUNK_FOLDERS))})/|(?i:thumbs\.db)\Z)")
_OUTSIDE = re.compile(r"/|\\|[A-Za-z]:")


@dataclass(frozen=True)
class Found:
    """What lies in a place.

    Attributes:
        stamps: key of each picture file (by extension) -> what changes when its bytes change.
        spans: key of a picture -> `ImageRef.span`, where the place needs one.
        others: name of each other file -> its span, () where the place needs none; hidden files and thumbs.db are
            in neither.
        skipped: why entries of an archive are not listed -> how many.
    """

    stamps: Mapping[str, str]
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    spans: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    skipped: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> str:
        """Return what was found in a few words, for messages."""
        counts = sorted(self._extensions(()).items())
        others = ", ".join(f"{count} {name or 'without extension'}" for name, count in counts)
        if not self.stamps:
            return f"no picture file, {others or 'and nothing else'}"
        return f"{len(self.stamps)} pictures such as {min(self.stamps)}" + (f"; {others}" if others else "")

    def notes(self, used: Collection[str] = ()) -> list[str]:
        """Return one line on files that are no pictures (but for the `used` ones), one on entries passed over."""
        lines = []
        for counts, what in (
            (self._extensions(used), "files that are not pictures by their extension"),
            (self.skipped, "entries of the archive that are not read"),
        ):
            if counts:
                listed = ", ".join(f"{name or 'no extension'}: {count}" for name, count in sorted(counts.items()))
                lines.append(f"{what}: {sum(counts.values())} ({listed})")
        return lines

    def ref(self, key: str, label: int = -1) -> ImageRef:
        """Return the listed picture, in the train split, with nothing known about it but perhaps its class."""
        return ImageRef(key, stamp=self.stamps[key], label=label, span=self.spans.get(key, ()))

    def inside(self, folder: str) -> Found:
        """Return what lies in one of the folders, by names without it; "" is the whole."""
        if not folder:
            return self
        start = len(folder) + 1
        return replace(
            self,
            stamps={key[start:]: stamp for key, stamp in self.stamps.items() if key.startswith(f"{folder}/")},
            others={name[start:]: span for name, span in self.others.items() if name.startswith(f"{folder}/")},
            spans={key[start:]: span for key, span in self.spans.items() if key.startswith(f"{folder}/")},
        )

    def top_folder(self) -> str:
        """Return the first-level folder that holds every picture; "" where there is none."""
        tops = {key.partition("/")[0] if "/" in key else "" for key in self.stamps}
        return tops.pop() if len(tops) == 1 else ""

    def _extensions(self, used: Collection[str]) -> Counter[str]:
        return Counter(_extension(name) for name in self.others if name not in used)


class Listing:
    """Sorts names into a `Found`. A name that comes twice counts once, as its last entry."""

    def __init__(self) -> None:
        self._stamps: dict[str, str] = {}
        self._others: dict[str, tuple[int, ...]] = {}
        self._spans: dict[str, tuple[int, ...]] = {}
        self._skipped: Counter[str] = Counter()

    def add(self, name: str, stamp: str, span: tuple[int, ...] = ()) -> None:
        """Take one file, unless it is hidden or junk."""
        if not is_visible(name):
            return
        if not is_picture(name):
            self._others[name] = span
            return
        if name in self._stamps:
            self._skipped["name that comes again later"] += 1
        self._stamps[name] = stamp
        if span:
            self._spans[name] = span
        else:
            self._spans.pop(name, None)

    def skip(self, why: str) -> None:
        """Count an entry that is no file."""
        self._skipped[why] += 1

    def found(self) -> Found:
        """Return what was added so far."""
        return Found(self._stamps, self._others, self._spans, dict(self._skipped))


def is_picture(name: str) -> bool:
    """Whether the extension is one of a picture."""
    return _extension(name) in EXTENSIONS


def is_visible(name: str) -> bool:
    """Whether neither the file nor a folder on the way to it is hidden or known junk."""
    return _HIDDEN.search(name) is None


def entry_name(archive: Path, name: str) -> str:
    """Return the name of an archive's entry without `./` and doubled slashes.

    Raises:
        DataError: it leads out of the archive's folder.
    """
    if _OUTSIDE.match(name) or (".." in name and ".." in re.split(r"[/\\]", name)):
        raise DataError(
            f"{archive} holds the entry '{name}', which leaves its folder; make the archive again without it"
        )
    if name.startswith("./") or "/./" in name or "//" in name:
        return "/".join(part for part in name.split("/") if part not in ("", "."))
    return name


def _extension(name: str) -> str:
    """Return the extension in lower case with its dot; "" where there is none. pathlib takes ten times as long."""
    last = name[name.rfind("/") + 1 :]
    dot = last.rfind(".")
    return last[dot:].lower() if 0 < dot < len(last) - 1 else ""


def check_size(size_bytes: int) -> None:
    """Raise Reject where a file is too large to be read into memory; see MAX_FILE_BYTES."""
    if size_bytes > MAX_FILE_BYTES:
        raise Reject("too-large", f"the file has {size_bytes} bytes; up to {MAX_FILE_BYTES} are read")


def printable(name: bytes) -> str:
    r"""Return a file name as text for JSON: bytes that are no UTF-8 become \xNN."""
    return name.decode("utf-8", "backslashreplace")
