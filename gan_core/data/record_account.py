"""What all records of a data set amount to, and whether that is what its manifest claims."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gan_core import artifacts
from gan_core.data.entries import Entry, Pixels
from gan_core.handoff import DatasetManifest

REJECTS = "rejects.jsonl"
_TOLERANCE = 1e-9  # relative, of means and deviations: they come from exact integers


@dataclass
class Account:
    """What the good records of all shards amount to.

    Attributes:
        keys: the first 16 bytes of the SHA-256 of every key.
        records: all of them.
        originals: split -> records that are no mirrored copies.
        mirrored: records that are.
        licences: licence -> originals.
        histogram: int64 [C, 256], how often each value occurs in the training pixels that are no mirrored copies.
    """

    keys: set[bytes] = field(default_factory=set)
    records: int = 0
    originals: Counter[str] = field(default_factory=Counter)
    mirrored: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    histogram: Any = None

    def add(self, entry: Entry, pixels: Pixels) -> None:
        """Take a record in. pixels: uint8 [H, W, C]."""
        self.records += 1
        if entry.mirrored:
            self.mirrored += 1
            return
        self.originals[entry.split] += 1
        if entry.licence:
            self.licences[entry.licence] += 1
        if entry.split == "train":
            if self.histogram is None:
                self.histogram = np.zeros((pixels.shape[2], 256), np.int64)
            for channel, counts in enumerate(self.histogram):
                counts += np.bincount(pixels[:, :, channel].ravel(), minlength=256)


def statistics_of(histogram: Any, count: int) -> dict[str, Any]:
    """Return the manifest's `statistics`: `count`, and mean and deviation per channel in [0, 255].

    histogram: int64 [C, 256], how often each value occurs in each channel.
    """
    mean, deviation = [], []
    for counts in histogram.tolist():
        pixels = sum(counts)
        total, squares = (sum(value**power * one for value, one in enumerate(counts)) for power in (1, 2))
        mean.append(total / pixels)
        deviation.append(math.sqrt(pixels * squares - total * total) / pixels)
    return {"count": count, "mean": mean, "deviation": deviation}


def contradictions(dataset: DatasetManifest, account: Account) -> list[tuple[str, str]]:
    """Return where the records of all shards together are not what the manifest says: (file, what is wrong)."""
    checks: tuple[Callable[[DatasetManifest, Account], str | None], ...] = (_counts, _statistics, _copies, _licences)
    found = [(artifacts.MANIFEST, what) for check in checks if (what := check(dataset, account))]
    rejects = _rejects(dataset)
    return [*found, (REJECTS, rejects)] if rejects else found


def _statistics(dataset: DatasetManifest, account: Account) -> str | None:
    if account.histogram is None:
        return "there are no training pictures"
    measured = statistics_of(account.histogram, account.originals["train"])
    for name, value in measured.items():
        if not _close(dataset.statistics.get(name), value):
            return f"statistics.{name} is {dataset.statistics.get(name)}, and the training pictures have {value}"
    return None


def _close(claimed: Any, measured: Any) -> bool:
    if isinstance(measured, list):
        fits = isinstance(claimed, list) and len(claimed) == len(measured)
        return fits and all(map(_close, claimed, measured))
    is_number = isinstance(claimed, int | float)
    return is_number and math.isclose(claimed, measured, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _counts(dataset: DatasetManifest, account: Account) -> str | None:
    listed, rejects = sum(dataset.source.get("counts", {}).values()), sum(dataset.rejects.values())
    if listed == account.originals.total() + rejects:
        return None
    return f"{listed} pictures in source.counts became {account.originals.total()} records and {rejects} rejects"


def _copies(dataset: DatasetManifest, account: Account) -> str | None:
    expected = account.originals.total() if dataset.protocol.get("flip") == "store" else 0
    if account.mirrored == expected:
        return None
    return f"{account.mirrored} mirrored copies, expected {expected} (flip is {dataset.protocol.get('flip')})"


def _licences(dataset: DatasetManifest, account: Account) -> str | None:
    if dict(dataset.licences) == dict(account.licences):
        return None
    return f"licences is {dict(dataset.licences)}, and the records have {dict(account.licences)}"


def _rejects(dataset: DatasetManifest) -> str | None:
    try:
        # Not splitlines: a picture's name may hold other separators of lines, such as U+2028.
        lines = (dataset.path / REJECTS).read_text(encoding="utf-8").split("\n")
        counts = Counter(json.loads(line)["reason"] for line in lines if line)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"cannot be read: {error}"
    if dict(counts) == dict(dataset.rejects):
        return None
    return f"has {dict(counts)}, and the manifest says {dict(dataset.rejects)}"
