"""Text files that come with pictures: in the same archive, beside the pictures, or one folder above."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from beam_jobs.places.listing import Found
from beam_jobs.places.place import Place
from beam_jobs.places.zips import DAMAGE
from gan_core.errors import DataError


@dataclass(frozen=True)
class TextFile:
    """A file that a source reads besides its pictures.

    Attributes:
        label: where it is, for messages.
        suffix: its extension in lower case, with the dot.
        entry: its name in the archive; "" where it lies in a folder.
        open: opens it for reading bytes.
    """

    label: str
    suffix: str
    entry: str
    open: Callable[[], BinaryIO]

    def text(self) -> str:
        """Return its text, UTF-8 with or without a byte order mark. Raises DataError."""
        try:
            with self.open() as stream:
                return stream.read().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.label} is not a text file (byte {error.start}); download it again") from None
        except DAMAGE as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or error
            raise DataError(f"{self.label} cannot be read: {reason}") from None


def find_text(place: Place, found: Found, names: Sequence[str], folders: Sequence[str] = ("",)) -> TextFile | None:
    """Return the first of some files that is there, None where none is.

    Args:
        place: where the pictures are.
        found: everything in its archive, by names from the archive's top; unused where it is a folder.
        names: names that the file may have; the earlier ones are looked for first.
        folders: folders that it may lie in, below each place that is looked at: in the archive, the folder of the
            pictures and all above it; then, on disk, the folder of the pictures (that of the archive) and one above.
    """
    return next(_candidates(place, found, names, folders), None)


def _candidates(place: Place, found: Found, names: Sequence[str], folders: Sequence[str]) -> Iterator[TextFile]:
    if place.is_archive:
        inside = PurePosixPath(place.folder)
        for home in (inside, *inside.parents):
            for entry in (str(home / folder / name) for folder in folders for name in names):
                if entry in found.others:
                    yield _in_archive(place, entry, found.others[entry])
        outside = [place.path.parent]
    else:
        outside = [place.path / place.folder, (place.path / place.folder).parent]
    homes = (*outside, outside[-1].parent)
    for path in (home / folder / name for home in homes for folder in folders for name in names):
        if path.is_file():
            yield TextFile(str(path), path.suffix.lower(), "", partial(_open, path))


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _in_archive(place: Place, entry: str, span: tuple[int, ...]) -> TextFile:
    suffix = PurePosixPath(entry).suffix.lower()
    return TextFile(f"{place.path}/{entry}", suffix, entry, partial(place.open_other, entry, span))
