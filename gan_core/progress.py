"""How a stage tells the outside how far it is: one small value, passed to one callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """A stage's position: `done` of `total` (same unit), and figures to show beside it, such as losses."""

    stage: str
    done: int
    total: int
    unit: str = "images"
    figures: Mapping[str, float] = field(default_factory=dict)


ReportProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """Report nothing."""
