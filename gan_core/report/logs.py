"""The logs of a run: JSONL files that a kill may have cut short and a resume may have written twice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Log:
    """Lines of a JSONL file. `damaged` counts the unusable, such as a cut-off last one."""

    lines: tuple[Mapping[str, Any], ...] = ()
    damaged: int = 0


def read_log(path: Path) -> Log:
    """Read a JSONL file; a missing one is an empty log.

    A resumed run may repeat what came after its checkpoint. As in the run itself, the later line wins: it
    takes the place of all lines before it whose `kimg` is not smaller.
    """
    if not path.is_file():
        return Log()
    kept: list[Mapping[str, Any]] = []
    damaged = 0
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except (ValueError, RecursionError):
            line = None
        if not isinstance(line, dict) or ("kimg" in line and math.isnan(number(line, "kimg"))):
            damaged += 1
            continue
        while kept and number(kept[-1], "kimg") >= number(line, "kimg"):
            kept.pop()
        kept.append(line)
    return Log(tuple(kept), damaged)


def number(line: Mapping[str, Any], key: str) -> float:
    """Return `line[key]` as a float, and NaN for everything that is not a finite number."""
    value = line.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return math.nan
    return float(value)
