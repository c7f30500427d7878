"""The forms of hair styles, as numbers; `hair` turns them into distances and paint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from beam_jobs.sources.portrait.canvas import Field

Profile = tuple[tuple[float, float], ...]
"""(height, half-width) pairs in pixels, from the top down; heights are measured from the eyes."""
_TOP, _BOTTOM = -32, 112
_STEPS = 16


@dataclass(frozen=True)
class Style:
    """The form of a hair style in pixels of the frontal face, measured from between the eyes."""

    crown: float
    width: float  # half-width where the cap ends and `sides` begin
    sides: Profile  # outer half-width below the cap
    end: float  # height where the hair ends
    inner: Profile  # half-width of the opening for face and neck
    hairline: float = -39.0
    texture: str = "straight"
    can_fringe: bool = True
    rough: float = 0.8  # deviation of the outline, pixels
    volume: float = 6.0  # what `Traits.hair_volume` adds to crown and width between 0 and 1
    opacity: float = 1.0


@cache
def _table(profile: Profile) -> Field:
    heights, widths = zip(*profile, strict=True)
    table: Field = np.interp(np.arange(_TOP, _BOTTOM, 1 / _STEPS), heights, widths).astype(np.float32)
    return table


def half_width(profile: Profile, y: Field) -> Field:
    """Return the half-width at the heights y, interpolated, constant above the first and below the last height."""
    # A table to a sixteenth of a pixel is six times as fast as np.interp.
    place = y * _STEPS
    place -= _TOP * _STEPS
    widths: Field = _table(profile).take(place.astype(np.intp), mode="clip")
    return widths


_SHORT_INNER: Profile = ((-30, 31), (-14, 34.5), (-2, 36.5), (6, 38), (10, 44), (16, 80))
_LONG_INNER: Profile = ((-30, 31), (-10, 34.5), (15, 35), (40, 33), (58, 29), (80, 27), (107, 30))
STYLES: dict[str, Style] = {
    "buzz": Style(-56, 40, ((-8, 40.5), (14, 38)), 10, _SHORT_INNER, -40, "buzz", False, 0.3, 1.5, 0.8),
    "short": Style(-60, 41.5, ((-8, 42), (14, 39)), 11, _SHORT_INNER, -39),
    "side part": Style(-61, 42, ((-8, 42.5), (14, 39)), 13, _SHORT_INNER, -41, can_fringe=False),
    "quiff": Style(-66, 40.5, ((-8, 41), (14, 38.5)), 9, _SHORT_INNER, -39, "quiff", False, 1.4),
    "crop": Style(
        -61, 43.5, ((-8, 44), (12, 44), (28, 40)), 27,
        ((-30, 31), (-5, 34), (12, 35), (24, 37), (32, 70)), -37, rough=1.5,
    ),
    "bob": Style(
        -61, 45, ((-8, 46), (20, 49), (44, 50), (56, 44), (62, 36)), 60,
        ((-30, 31), (-5, 35), (20, 35), (44, 33), (58, 31), (64, 31)),
    ),
    "long straight": Style(-60, 44, ((-8, 45), (30, 48), (70, 52), (107, 55)), 200, _LONG_INNER),
    "long wavy": Style(
        -62, 46, ((-8, 48), (25, 55), (60, 61), (107, 66)), 200, _LONG_INNER,
        texture="wavy", rough=1.4, volume=9,
    ),
    "bun": Style(-57, 40, ((-8, 40), (8, 37)), 4, _SHORT_INNER, -41, "pulled", volume=3, rough=0.5),
    "ponytail": Style(-58, 40.5, ((-8, 40.5), (8, 38)), 4, _SHORT_INNER, -40, "pulled", volume=4, rough=0.5),
    "curly": Style(
        -66, 49, ((-8, 52), (20, 58), (48, 57), (70, 48)), 84,
        ((-30, 30), (-5, 33.5), (25, 34), (50, 33), (75, 36)), -36, "curly", rough=2.0, volume=11,
    ),
    "afro": Style(
        -78, 57, ((-16, 59), (10, 55), (28, 42)), 30,
        ((-30, 31), (-5, 35), (18, 38), (34, 50)), -38, "afro", False, 1.8, 12,
    ),
}  # fmt: skip
"""Every style but "bald", which has no hair to paint."""
FRINGED_STYLES = frozenset(name for name, style in STYLES.items() if style.can_fringe)
"""The styles where `Traits.fringe` shows."""
