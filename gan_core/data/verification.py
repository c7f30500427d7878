"""`faceloom data verify`: everything that a data set's manifest claims, held against every byte on disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gan_core import artifacts
from gan_core.artifacts import Manifest
from gan_core.data.entries import Entry, entry_of
from gan_core.data.record_account import Account, contradictions
from gan_core.data.record_checks import RecordChecks, contradiction
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest, Shard
from gan_core.progress import Progress, ReportProgress, silent
from gan_core.records import decode_example, read_records

_RECORD_FOOTER_BYTES = 4


@dataclass(frozen=True)
class Problem:
    """One thing that is not as the manifest says.

    Attributes:
        file: name below the data set's folder.
        byte: offset in that file of the record, or of the first byte that is missing or bad; None where the file, or
            the data set, is wrong as a whole.
    """

    file: str
    byte: int | None
    what: str

    def __str__(self) -> str:
        place = self.file if self.byte is None else f"{self.file} at byte {self.byte:,}"
        return f"{place}: {self.what}"


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        files: files that were hashed.
        size_bytes: of those.
        records: records that were decoded and found good.
        records_listed: records that the manifest lists.
        problems: the first of every file, and those of the data set as a whole.
    """

    path: Path
    files: int
    size_bytes: int
    records: int
    records_listed: int
    problems: tuple[Problem, ...]

    @property
    def good(self) -> bool:
        """Whether everything is as the manifest says."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**asdict(self), "path": str(self.path), "good": self.good}


class _Bad(Exception):
    """What is wrong, at a byte."""

    def __init__(self, byte: int | None, what: str) -> None:
        super().__init__(what)
        self.byte = byte


def verify_dataset(folder: Path, report_progress: ReportProgress = silent) -> Verification:
    """Check every listed file's size and SHA-256, every record's CRCs, features and pixels, counts, keys, statistics.

    Damage in one shard does not keep the others from being checked. The keys of all records are held in memory, about
    100 bytes each.

    Raises:
        ArtifactError: the manifest itself is missing or damaged.
    """
    manifest = artifacts.read_manifest(folder, "dataset")
    dataset = DatasetManifest.from_manifest(manifest)
    shards = {shard.name: (split, shard) for split, listed in dataset.splits.items() for shard in listed}
    total = sum(shard.count for _, shard in shards.values())
    account, problems = Account(), list(_listing_problems(manifest, shards))
    # Shards first, in reading order: of two records with one key, it is the later one that is wrong.
    for name in dict.fromkeys([*(name for name in shards if name in manifest.files), *manifest.files]):
        before = account.records
        try:
            if name in shards:
                for _ in _records(dataset, *shards[name], account):
                    if account.records % 64 == 0:
                        report_progress(Progress("verify", account.records, total, "records"))
            _check_bytes(folder / name, manifest.files[name])
        except _Bad as bad:
            problems.append(Problem(name, bad.byte, f"{bad}{_left_out(shards.get(name), account.records - before)}"))
    if not problems:
        problems += [Problem(name, None, what) for name, what in contradictions(dataset, account)]
    report_progress(Progress("verify", account.records, max(1, total), "records"))
    size_bytes = sum(facts["bytes"] for facts in manifest.files.values())
    return Verification(folder, len(manifest.files), size_bytes, account.records, total, tuple(problems))


def unreadable(folder: Path, error: ArtifactError) -> Verification:
    """Return what is to be said of a data set whose manifest cannot be read."""
    what = str(error).removeprefix(f"{folder / artifacts.MANIFEST} ")
    return Verification(folder, 0, 0, 0, 0, (Problem(artifacts.MANIFEST, None, what),))


def _listing_problems(manifest: Manifest, shards: Mapping[str, tuple[str, Shard]]) -> Iterator[Problem]:
    """Yield where the manifest contradicts itself."""
    for name, (_, shard) in shards.items():
        if name not in manifest.files:
            yield Problem(artifacts.MANIFEST, None, f"lists the shard {name}, but no such file")
        elif manifest.files[name]["sha256"] != shard.sha256:
            yield Problem(artifacts.MANIFEST, None, f"gives two SHA-256 for {name}")
    if not manifest.fields.get("features"):
        yield Problem(artifacts.MANIFEST, None, "describes no features; run `faceloom prepare` again")


def _check_bytes(path: Path, facts: Mapping[str, Any]) -> None:
    if not path.is_file():
        raise _Bad(None, "is missing")
    size = path.stat().st_size
    if size < facts["bytes"]:
        raise _Bad(size, f"ends here, and the manifest says {facts['bytes']:,} bytes")
    if size > facts["bytes"]:
        raise _Bad(facts["bytes"], f"should end here, and has {size:,} bytes")
    if artifacts.sha256_file(path) != facts["sha256"]:
        raise _Bad(None, "its SHA-256 is not the manifest's")


def _records(dataset: DatasetManifest, split: str, shard: Shard, account: Account) -> Iterator[Entry]:
    """Check the records of a shard one by one, take the good ones into the account, and yield them."""
    path = dataset.path / shard.name
    if not path.is_file():
        return  # _check_bytes says it
    check, end, count = RecordChecks(dataset, account.keys), 0, 0
    records = read_records(path)
    while True:
        try:
            offset, record = next(records, (0, None))
        except ArtifactError as error:
            raise _Bad(end, str(error).removeprefix(f"{path}: ")) from None
        if record is None:
            break
        if count == shard.count:
            raise _Bad(end, f"a record more than the {shard.count} that the manifest says")
        try:
            features = decode_example(record)
            entry = entry_of(features, path, offset, len(record), split)
            pixels = check(entry, contradiction(features, dataset.features) if dataset.features else None)
        except ArtifactError as error:
            raise _Bad(end, f"record {count + 1}: {error}") from None
        account.add(entry, pixels)
        yield entry
        end, count = offset + len(record) + _RECORD_FOOTER_BYTES, count + 1
    if count < shard.count:
        raise _Bad(end, f"ends after {count} of {shard.count} records")


def _left_out(listed: tuple[str, Shard] | None, read: int) -> str:
    if listed is None or read == listed[1].count:
        return ""
    return f" ({listed[1].count - read:,} of {listed[1].count:,} records not checked)"
