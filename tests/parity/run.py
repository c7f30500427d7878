"""Computes every measure by faceloom and by other tools, and compares: `make parity`.

`--write` keeps the others' values in tests/gan_core/measures/golden.json, which `make test` holds faceloom to; without
it the file is held against them as well. Ends with 1 where anything is off by more than 1e-6, relative.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tests.parity import ours, peers
from tests.parity.feature_sets import PAIRS, SUBSET_SIZE, SUBSET_SIZES

GOLDEN = Path(__file__).parents[1] / "gan_core" / "measures" / "golden.json"
TOLERANCE = 1e-6


def main() -> None:
    """Compare, print the largest deviation of each measure, and write or check the golden values."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="keep the others' values")
    is_written = parser.parse_args().write
    golden: dict[str, Any] = {"versions": peers.versions(), "sets": {}}
    worst: dict[tuple[str, str], tuple[float, str]] = {}
    for name, make in PAIRS.items():
        pair, size = make(), SUBSET_SIZES.get(name, SUBSET_SIZE)
        mine, golden["sets"][name] = ours.values(pair, size), peers.values(pair, size)
        for measure, by_tool in golden["sets"][name].items():
            for tool, value in by_tool.items():
                found = deviation(mine[measure], value)
                worst[measure, tool] = max(worst.get((measure, tool), (-1.0, "")), (found, name))
    for (measure, tool), (found, name) in worst.items():
        sys.stdout.write(f"{measure:26} {tool:15} {found:.1e}  ({name})\n")
    if is_written:
        GOLDEN.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    kept = json.loads(GOLDEN.read_text(encoding="utf-8"))["sets"]
    drift = max(
        deviation(value, kept[name][measure][tool])
        for name, measures in golden["sets"].items()
        for measure, by_tool in measures.items()
        for tool, value in by_tool.items()
    )
    sys.stdout.write(f"golden.json against these tools: {drift:.1e}\n")
    sys.exit(max(drift, *(found for found, _ in worst.values())) > TOLERANCE)


def deviation(value: float, expected: float) -> float:
    """Return how far apart two values are, relative to the expected one."""
    return abs(value - expected) / max(abs(expected), 1e-12)


if __name__ == "__main__":
    main()
