"""Whether the files that a user brought are those that the owner published, by the owner's checksums.

MD5 sums of CelebA: torchvision's datasets/celeba.py. Size and MD5 of FFHQ's metadata: download_ffhq.py of
NVlabs/ffhq-dataset; those of its pictures are in the metadata. MD5 finds accidents, not forgeries.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from beam_jobs.pixels.decoding import Reject
from beam_jobs.places.place import open_place
from beam_jobs.sources.base import Source
from beam_jobs.sources.celeba import IMAGE_FOLDER, TEXT_FOLDERS, CelebaSource
from beam_jobs.sources.celeba_lists import LISTS
from beam_jobs.sources.ffhq import FfhqSource
from beam_jobs.sources.ffhq_metadata import METADATA_FILE, checksum_of, read_records
from gan_core.config import DataConfig
from gan_core.downloads.releases import RELEASES
from gan_core.errors import DataError
from gan_core.handoff import ImageRef
from gan_core.progress import Progress, ReportProgress, silent

OFFICIAL, DIFFERS, UNKNOWN = "official", "differs", "unknown"

CELEBA_MD5 = {
    "img_align_celeba.zip": "00d2c5bc6d35e252742224ab0c1e8fcb",
    "list_attr_celeba.txt": "75e246fa4810816ffd6ee81facbd244c",
    "list_eval_partition.txt": "d32c9cbf5e040fd4025c592c306e6668",
    "list_landmarks_align_celeba.txt": "cc24ecafdb5b50baae59b03474781f8c",
    "identity_CelebA.txt": "32bd1bd63d3c78cd57e08160ec5ed1e2",
}
FFHQ_METADATA_BYTES, FFHQ_METADATA_MD5 = 267_793_842, "425ae20f06a4da1d4dc0f46d40ba5fd6"

# Only these two sizes have checksums in the metadata.
_FFHQ_FORMS = {"images1024x1024": "image", "thumbnails128x128": "thumbnail"}
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class FileCheck:
    """One file against its owner's checksum.

    Attributes:
        name: of the file, below the location.
        state: official, differs, or unknown where there is no checksum to compare with.
        detail: what was found, in a few words; "" for an official file.
    """

    name: str
    state: str
    detail: str = ""


def check_official(location: Path, kind: str, report_progress: ReportProgress = silent) -> list[FileCheck]:
    """Compare the files of a data set with the checksums of its owner; every byte is read.

    Args:
        location: folder or archive, as `data.path` names it.
        kind: as `data.kind`; auto looks at the location.
        report_progress: called with bytes done and bytes to do.

    Returns:
        One check for each file that belongs to the release, by name; one `unknown` where the owner has no checksums.

    Raises:
        ConfigError: there is nothing at the location, or it holds no picture of FFHQ for kind ffhq.
        DataError: an archive or the metadata is malformed.
    """
    open_place(location)
    if kind == "auto":
        kinds: tuple[type[Source], ...] = (CelebaSource, FfhqSource)
        kind = next((source.kind for source in kinds if source.recognizes(location)), "folder")
    if kind == "celeba":
        return _check_celeba(location, report_progress)
    if kind == "ffhq":
        return _check_ffhq(location, report_progress)
    if kind in RELEASES:
        return _check_release(location, kind, report_progress)
    return [FileCheck(location.name, UNKNOWN, f"there are no checksums for data.kind={kind}")]


def _check_celeba(location: Path, report_progress: ReportProgress) -> list[FileCheck]:
    paths = {path.name: path for path in reversed(list(_celeba_files(location)))}
    to_read = [path for name, path in paths.items() if name in CELEBA_MD5]
    counter = _Counter(sum(path.stat().st_size for path in to_read), report_progress)
    checks = [
        _compare(name, counter.digest(paths[name], "md5"), md5) for name, md5 in CELEBA_MD5.items() if name in paths
    ]
    unpacked = location if location.name == IMAGE_FOLDER else location / IMAGE_FOLDER
    if "img_align_celeba.zip" not in paths:
        name = IMAGE_FOLDER if unpacked.is_dir() else location.name
        checks.insert(0, FileCheck(name, UNKNOWN, "the owner's checksum is that of img_align_celeba.zip"))
    for name in LISTS:
        if f"{name}.csv" in paths:
            checks.append(FileCheck(f"{name}.csv", UNKNOWN, "a converted list; the owner's is .txt"))
    return checks


def _celeba_files(location: Path) -> Iterator[Path]:
    """Yield the files of the release that there are, the nearest first."""
    names = [*CELEBA_MD5, *(f"{name}.csv" for name in LISTS)]
    if location.is_file() and location.name in CELEBA_MD5:
        yield location
    inside = location.is_file() or location.name == IMAGE_FOLDER
    homes = (location.parent, location.parent.parent) if inside else (location,)
    for path in (home / folder / name for home in homes for folder in (*TEXT_FOLDERS, "Img") for name in names):
        if path.is_file():
            yield path


def _check_ffhq(location: Path, report_progress: ReportProgress) -> list[FileCheck]:
    source = FfhqSource.open(DataConfig(kind="ffhq", path=str(location)), location)
    file = source.metadata()
    if file is None:
        return [FileCheck(location.name, UNKNOWN, f"the checksums are in {METADATA_FILE}, which is not there")]
    form = _FFHQ_FORMS.get(source.folder_name, "")
    refs = source.numbered()
    known = {number: checksum_of(record, form) for number, record in read_records(file) if number in refs}
    counter = _Counter(FFHQ_METADATA_BYTES + sum(size for size, _ in known.values() if size > 0), report_progress)
    digest = hashlib.md5(usedforsecurity=False)
    with file.open() as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            counter.add(len(block))
    metadata = _compare(METADATA_FILE, digest.hexdigest(), FFHQ_METADATA_MD5)
    if not form:
        sizes = " and ".join(_FFHQ_FORMS)
        return [metadata, FileCheck(source.folder_name, UNKNOWN, f"the owner has checksums for {sizes} only")]
    checks = [metadata]
    for number, ref in sorted(refs.items()):
        size, md5 = known.get(number, (-1, ""))
        checks.append(_check_picture(source, ref, md5, trusted=metadata.state == OFFICIAL))
        counter.add(max(size, 0))
    return checks


def _check_picture(source: FfhqSource, ref: ImageRef, md5: str, *, trusted: bool) -> FileCheck:
    if not md5:
        return FileCheck(ref.key, UNKNOWN, f"{METADATA_FILE} has no checksum of it")
    try:
        data = source.place.read(ref)
    except Reject as reject:
        return FileCheck(ref.key, DIFFERS, f"{reject.reason}: {reject.detail}")
    check = _compare(ref.key, hashlib.md5(data, usedforsecurity=False).hexdigest(), md5)
    if check.state == OFFICIAL and not trusted:
        return FileCheck(ref.key, UNKNOWN, f"it agrees with {METADATA_FILE}, which is not the owner's")
    return check


def _check_release(location: Path, kind: str, report_progress: ReportProgress) -> list[FileCheck]:
    files = {file.name: file for file in RELEASES[kind].files}
    paths = [location] if location.is_file() else sorted(path for path in location.iterdir() if path.name in files)
    counter = _Counter(sum(path.stat().st_size for path in paths), report_progress)
    checks = [
        _compare(path.name, counter.digest(path, "sha256"), files[path.name].sha256)
        if path.name in files
        else FileCheck(path.name, UNKNOWN, f"the known files are {', '.join(files)}")
        for path in paths
    ]
    return checks or [FileCheck(location.name, UNKNOWN, f"the known files are {', '.join(files)}")]


def _compare(name: str, digest: str, wanted: str) -> FileCheck:
    if digest == wanted:
        return FileCheck(name, OFFICIAL)
    return FileCheck(name, DIFFERS, f"its checksum is {digest}, the owner's is {wanted}")


class _Counter:
    """Counts the bytes that were read, and reports them."""

    def __init__(self, total_bytes: int, report_progress: ReportProgress) -> None:
        self._done = 0
        self._total = total_bytes
        self._report = report_progress

    def add(self, size: int) -> None:
        """Count `size` bytes more."""
        self._done = min(self._done + size, self._total)
        self._report(Progress("verify", self._done, self._total, unit="bytes"))

    def digest(self, path: Path, algorithm: str) -> str:
        """Return the checksum of a file. Raises DataError where it cannot be read."""
        digest = hashlib.new(algorithm, usedforsecurity=False)
        try:
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK_BYTES):
                    digest.update(block)
                    self.add(len(block))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        return digest.hexdigest()
