"""Measures images/s of feature extraction, faceloom's and torch-fidelity's: the same network, picture to features.

    python -m benchmarks.evaluation.extraction --torch-python PYTHON [--rounds 5] [--images 128] [--side 64]

PYTHON has torch and torch-fidelity. All contenders live at once and take turns, so that a busy machine is busy for all;
only one works at a time. Prints a Markdown table; a ratio is the median over rounds of two turns of one round.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.evaluation import turns
from benchmarks.markdown import number, table
from benchmarks.measure import ROOT, warn_if_busy

OURS, PEER, PEER_LAST = "faceloom", "torch-fidelity", "torch-fidelity, channels last"


class Contender:
    """A process that extracts when it is told to."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.version: str = self._answer()["version"]

    def turn(self) -> dict[str, float]:
        """Extract all pictures once; return `seconds`, `cpu_seconds` and `peak_mib`."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Let the process end."""
        self._process.communicate()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a contender ended with {self._process.wait()}; its messages are above")
        found: dict[str, Any] = json.loads(line)
        return found


def main() -> None:
    """Measure in alternating rounds, and print the table."""
    parser = turns.arguments(__doc__)
    parser.add_argument("--torch-python", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    given = parser.parse_args()
    told = [f"--{name}={getattr(given, name)}" for name in ("images", "side", "batch", "threads")]
    torch = [str(given.torch_python), "-m", "benchmarks.evaluation.torch_extraction", *told]
    ours = [sys.executable, "-m", "benchmarks.evaluation.faceloom_extraction", *told]
    warn_if_busy()
    commands = {OURS: ours, PEER: torch, PEER_LAST: [*torch, "--channels-last"]}
    contenders = {name: Contender(command) for name, command in commands.items()}
    rounds: list[dict[str, dict[str, float]]] = []
    for index in range(given.rounds):
        # Each round begins with another one: who comes first may find a cooler processor.
        names = [*commands][index % len(commands) :] + [*commands][: index % len(commands)]
        rounds.append({name: contenders[name].turn() for name in names})
        rates = ", ".join(f"{name} {given.images / rounds[-1][name]['seconds']:.1f}/s" for name in names)
        sys.stderr.write(f"round {index + 1}: {rates}\n")
    sys.stdout.write(_table(given.images, rounds, {name: one.version for name, one in contenders.items()}) + "\n")
    for one in contenders.values():
        one.end()


def _table(images: int, rounds: list[dict[str, dict[str, float]]], versions: dict[str, str]) -> str:
    rows = []
    for name, version in versions.items():
        own = [each[name] for each in rounds]
        rows.append(
            [
                f"{name} ({version})",
                number(statistics.median(images / turn["seconds"] for turn in own), 1),
                number(statistics.median(turn["cpu_seconds"] / images * 1000 for turn in own), 1),
                f"{statistics.median(each[name]['seconds'] / each[OURS]['seconds'] for each in rounds):.2f}",
                number(max(turn["peak_mib"] for turn in own), 0),
            ]
        )
    header = ("network", "images/s", "CPU ms an image", "time as a multiple of ours", "peak MiB")
    return table(header, rows)


if __name__ == "__main__":
    main()
