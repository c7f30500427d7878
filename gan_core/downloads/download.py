"""Bringing a release here: mirrors in turn, patience with bounds, a checksum before any file gets its name."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gan_core import artifacts
from gan_core.downloads.part import Part, writing
from gan_core.downloads.releases import Release, RemoteFile
from gan_core.downloads.transfer import transfer
from gan_core.downloads.web import TransferFailed, check_address, shown
from gan_core.errors import ArtifactError, DataError
from gan_core.progress import Progress, ReportProgress

_PROGRESS_BYTES = 1 << 20
_ADVICE = "name other addresses with data.mirrors, or the folder of your own files with --source"


@dataclass(frozen=True)
class Patience:
    """How long a download is tried.

    Attributes:
        rounds: times that every mirror is tried without a mebibyte of progress.
        first_delay_s: before the second round; each later delay is twice the one before.
        longest_delay_s: no delay is longer, whatever a server asks for.
        timeout_s: for a connection, and for every wait for the next bytes.
        min_bytes_per_s: a server that is slower over `timeout_s` seconds counts as stalled.
        sleep: waits so many seconds.
        jitter: returns a number in [0, 1); a delay is cut by up to a half with it, so that many clients spread.
    """

    rounds: int = 6
    first_delay_s: float = 1.0
    longest_delay_s: float = 60.0
    timeout_s: float = 30.0
    min_bytes_per_s: float = 100.0
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[], float] = random.random


def check_mirrors(mirrors: Sequence[str]) -> tuple[str, ...]:
    """Return the base addresses of `data.mirrors`. Raises ConfigError where one is no plain address."""
    return tuple(check_address(mirror) for mirror in mirrors)


def fetch_release(
    release: Release,
    location: Path,
    mirrors: Sequence[str],
    report_progress: ReportProgress,
    patience: Patience = Patience(),
) -> None:
    """Publish the files of a release at `location`, unless they are there and verify.

    What an interrupted call got stays in a hidden folder beside `location`, and the next call goes on there.

    Raises:
        DataError: no mirror has the files of this release.
        ArtifactError: no mirror gave them in time, the disk is full, or `location` holds something else.
    """
    if _is_here(release, location):
        return
    _check_place(release, location)
    with artifacts.publishing(location, resume=True) as draft:
        if _is_here(release, location):  # by the process that held the lock
            return
        _adopt(release, location, draft)
        total = sum(file.size_bytes or 0 for file in release.files)
        done = last = 0
        for file in release.files:

            def report(received: int, before: int = done) -> None:
                nonlocal last
                now = before + received
                if now == total or not 0 <= now - last < _PROGRESS_BYTES:
                    last = now
                    report_progress(Progress("ingest", now, total, unit="bytes"))

            addresses = [f"{mirror}/{file.name}" for mirror in mirrors]
            done += download(file, addresses, draft, report, patience).stat().st_size
        fields = {"name": location.name, "counts": dict(release.counts)}
        artifacts.write_manifest(draft, "source", release.fingerprint, fields)


def download(
    file: RemoteFile,
    addresses: Sequence[str],
    folder: Path,
    report: Callable[[int], None],
    patience: Patience = Patience(),
    *,
    advice: str = _ADVICE,
) -> Path:
    """Get one file into `folder`, and return its path; its bytes have the SHA-256 of `file`.

    The addresses are tried in turn, each going on where the one before ended. After a round without success there is a
    delay. An address that does not have the file, or gives wrong bytes, is not asked again.

    Args:
        file: what to get.
        addresses: of the whole file, http or https.
        folder: where it gets its name once it is complete; what an interrupted call got stays there too.
        report: called with the bytes that are here, now and then.
        patience: how long it is tried.
        advice: the end of the message where it fails: what a user can do.

    Raises:
        DataError: every address is out.
        ArtifactError: patience is at its end, or the disk is full.
    """
    final = folder / file.name
    if final.is_file() and artifacts.sha256_file(final).startswith(file.sha256):
        report(final.stat().st_size)
        return final
    part = Part(folder / f"{file.name}.part")
    problems: dict[str, TransferFailed] = {}
    rounds, known_bytes = 0, part.size_bytes
    while True:
        _check_space(folder, (file.size_bytes or 0) - part.size_bytes)
        for address in addresses:
            if address in problems and problems[address].final:
                continue
            try:
                _get(file, address, part, report, patience)
                with writing(final):
                    part.finish(final)
                return final
            except TransferFailed as failed:
                problems[address] = failed
        if part.size_bytes >= known_bytes + _PROGRESS_BYTES:
            rounds, known_bytes = 0, part.size_bytes
        rounds += 1
        open_ends = [failed for failed in problems.values() if not failed.final]
        if not open_ends or rounds >= patience.rounds:
            text = "; ".join(f"{shown(address)}: {failed}" for address, failed in problems.items())
            kind = ArtifactError if open_ends else DataError
            raise kind(f"{file.name} cannot be downloaded: {text}; {advice}")
        asked_s = min(failed.retry_after_s for failed in open_ends)
        patience.sleep(_delay_s(rounds, asked_s, patience))


def _get(file: RemoteFile, url: str, part: Part, report: Callable[[int], None], patience: Patience) -> None:
    """Complete the part from one mirror and check it. Raises TransferFailed."""
    while True:
        resumed = part.size_bytes == file.size_bytes or transfer(
            url,
            part,
            file.size_bytes,
            timeout_s=patience.timeout_s,
            min_bytes_per_s=patience.min_bytes_per_s,
            report=report,
        )
        found = artifacts.sha256_file(part.path)
        if found.startswith(file.sha256):
            report(part.size_bytes)
            return
        part.discard()
        if not resumed:
            raise TransferFailed(
                f"gives other bytes: their SHA-256 is {found[:12]}..., not {file.sha256[:12]}...", final=True
            )
        # Bytes of two attempts do not fit together: which one is wrong shows when all come from one.


def _delay_s(rounds: int, asked_s: float, patience: Patience) -> float:
    delay_s = patience.first_delay_s * 2.0 ** (rounds - 1) * (1 - patience.jitter() / 2)
    return min(max(delay_s, asked_s), patience.longest_delay_s)


def _is_here(release: Release, location: Path) -> bool:
    return artifacts.find(location, "source", release.fingerprint) is not None


def _check_place(release: Release, location: Path) -> None:
    """Raise ArtifactError where publishing would delete files that are not of this release."""
    known = {artifacts.MANIFEST, *(file.name for file in release.files)}
    others = sorted(path.name for path in location.iterdir() if path.name not in known) if location.is_dir() else []
    if others:
        raise ArtifactError(
            f"{location} is where downloads go, and has '{others[0]}', which is none; "
            "move it away, or name the folder with --source"
        )


def _adopt(release: Release, location: Path, draft: Path) -> None:
    """Take over what is right at `location`: put there by hand, or left of a damaged download."""
    for file in release.files:
        here = location / file.name
        if here.is_file() and not (draft / file.name).exists() and artifacts.sha256_file(here) == file.sha256:
            with writing(draft / file.name):
                try:
                    os.link(here, draft / file.name)
                except OSError:  # a file system without links
                    shutil.copyfile(here, draft / file.name)


def _check_space(folder: Path, missing_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < missing_bytes:
        raise ArtifactError(
            f"the disk of {folder} has {free_bytes} bytes free and {missing_bytes} are missing; free some and run again"
        )
