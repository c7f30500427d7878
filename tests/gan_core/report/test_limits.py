"""What a page may not exceed: bytes, and too little contrast."""

import re
from pathlib import Path

import numpy as np
import pytest

from gan_core import report
from gan_core.report import write_report
from tests import report_runs


def test_noise_at_256_pixels_stays_below_five_megabytes(tmp_path: Path) -> None:
    """The worst case for every picture of the page at once, which no format compresses, fits the budget."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 256, 256, 3), np.uint8)
    dataset = report_runs.data_set(tmp_path, resolution=256, count=8)
    run_dir = report_runs.full_run(tmp_path, dataset, noise, noise[::-1], steps=3)
    assert write_report(run_dir, dataset).path.stat().st_size < 5_000_000


CONTRASTS = [
    ("ink", "paper"),
    ("muted", "paper"),
    ("ink", "card"),
    ("muted", "card"),
    ("ink", "mark"),
    ("ink", "warn-bg"),
]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_colours_contrast(theme: int) -> None:
    """Text has at least 4.5 to 1 in both themes, and lines of charts 3 to 1 (WCAG 2.2, level AA)."""
    style = (Path(report.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{\s*(--paper[^}]+?)\}", style)
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[theme]))
    pairs = [*CONTRASTS, ("warn", "paper"), ("warn", "warn-bg"), ("real", "paper")]
    assert {pair: ratio for pair in pairs if (ratio := _contrast(colours, *pair)) < 4.5} == {}
    lines = [(name, "paper") for name in ("generated", "real", "discriminator", "score", "muted")]
    assert {pair: ratio for pair in lines if (ratio := _contrast(colours, *pair)) < 3} == {}


def _contrast(colours: dict[str, str], one: str, other: str) -> float:
    low, high = sorted(_luminance(colours[name]) for name in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
