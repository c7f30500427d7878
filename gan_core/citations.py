"""Published results with as much of their protocol as is known: listed beside scores, never compared with them."""

from __future__ import annotations

import functools
import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, kw_only=True)
class Citation:
    """One published number. What its source does not state is 0 or empty, and named in `unknown`.

    Attributes:
        measure: the key of the measure that it is nearest to, such as "fid".
        title: what the source calls it.
        model: who made the pictures.
        value: as printed.
        error: the number behind the source's plus-minus; `error_of` says over what.
        dataset: as in `data.kind`.
        dataset_title: as the source calls it.
        resolution: pixels.
        split, crop: of the real pictures.
        real_count, generated_count: pictures.
        extractor: the network and its implementation.
        paper, arxiv, table: where it is published; the table, or the page where it stands.
        unknown: what is not known of the protocol.
        verified: where the number was read.
    """

    measure: str
    title: str
    model: str
    value: float
    dataset: str
    dataset_title: str
    resolution: int
    extractor: str
    paper: str
    arxiv: str
    table: str
    unknown: str
    verified: str
    error: float = 0.0
    error_of: str = ""
    split: str = ""
    crop: str = ""
    real_count: int = 0
    generated_count: int = 0
    note: str = ""

    @property
    def protocol(self) -> str:
        """What is known of the protocol, in words."""
        counts = [f"{self.real_count:,} real" if self.real_count else "real pictures not stated"]
        counts += [f"{self.generated_count:,} generated" if self.generated_count else "generated pictures not stated"]
        facts = [f"split {self.split}" if self.split else "", self.crop and f"crop: {self.crop}", *counts]
        return "; ".join(fact for fact in (*facts, self.extractor, self.note) if fact)


@functools.cache
def citations() -> tuple[Citation, ...]:
    """Return all of them, in the order of citations.toml."""
    text = (resources.files("gan_core") / "citations.toml").read_text(encoding="utf-8")
    return tuple(Citation(**entry) for entry in tomllib.loads(text)["citation"])


def published(dataset_kind: str, resolution: int) -> list[Citation]:
    """Return what was published on a data set, as in `data.kind`, at a resolution in pixels; perhaps nothing."""
    return [found for found in citations() if (found.dataset, found.resolution) == (dataset_kind, resolution)]
