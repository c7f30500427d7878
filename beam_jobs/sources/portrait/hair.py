"""Hair as distances and strand coordinates; `hair_paint` paints it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_jobs.sources.portrait.canvas import (
    HEIGHT,
    Box,
    Field,
    noise,
    noise_tile,
    smooth,
    superellipse,
)
from beam_jobs.sources.portrait.hair_styles import STYLES, Style, half_width
from beam_jobs.sources.portrait.traits import Traits
from beam_jobs.sources.portrait.view import View

_EXTREME = 4.0
"""Noise has deviation 1; this far from 0 it never is, or not so that one could see it."""


@dataclass(frozen=True)
class Hair:
    """Distances and strand coordinates of one head of hair, float32, all of the size of `box`, in pixels."""

    style: Style
    box: Box  # the part of the picture that the fields cover
    view: View  # of this box
    outer: Field  # distance to the silhouette, negative inside
    opening: Field  # distance to the opening for the face, negative inside the opening
    q: Field  # 0 on the middle line, 1 on the silhouette
    strand: Field  # noise that runs along the strands, mean 0
    clump: Field  # the same, coarser


def hair_of(traits: Traits, whole: View, offset: tuple[int, int]) -> Hair | None:
    """Lay out the hair of `traits`; None for a bald head."""
    style = STYLES.get(traits.hair_style)
    if style is None:
        return None
    more = style.volume * (traits.hair_volume - 0.35)
    box = _box(style, traits, whole, more)
    view = whole.window(box)
    x, y = view.hx, view.hy
    grain = noise(noise_tile(7.0, 7.0), 2 * x + offset[0], 2 * y + offset[1])
    wave = _wave(style, traits, x, y, grain)
    crown, middle = style.crown - more, style.sides[0][0]
    width = style.sides[0][1] + 0.8 * more
    row = half_width(style.sides, y)
    row += 0.8 * more
    ax = np.abs(x) if wave is None else np.abs(x + wave * smooth(-20, 30, y))
    q = ax / row
    top = slice(0, int(np.count_nonzero(y.min(axis=1) < middle)))
    lift = (middle - y[top]) * (1 / (middle - crown))
    q[top] = superellipse(q[top], np.maximum(lift, 0, out=lift), 2.3)
    outer = q - 1
    outer *= row
    ends = 0.006 * x * x
    ends += y
    ends -= style.end
    ends -= 2.5 * grain
    ends *= 0.8
    np.maximum(outer, ends, out=outer)
    outer += style.rough * grain
    strand, clump = _strands(style, traits, (x, y), (width, row), wave, offset)
    opening = _opening(style, traits, view, strand + 1.5 * clump)
    if wave is not None:
        opening += 0.5 * wave * smooth(10, 50, y)
    return Hair(style, box, view, outer, opening, q, strand, clump)


def _box(style: Style, traits: Traits, view: View, more: float) -> Box:
    """Return the part of the picture that the style can reach in this pose."""
    ragged = 2 + _EXTREME * style.rough
    width = max(w for _, w in style.sides) + 0.8 * more + ragged
    top, bottom = style.crown - more - ragged, style.end + 2.5 * _EXTREME + 1.25 * ragged
    if style.texture == "wavy":
        width += _SWING[0] + _SWING[1]
    # The bun and the tail are outside the silhouette.
    if traits.hair_style == "bun":
        top = -98.0
    elif traits.hair_style == "ponytail":
        width, bottom = 74.0, float(HEIGHT)
    return view.head_box((-width, width), (top, bottom))


_SWING = (1.6, 2.4)
"""How far waves swing, in pixels, and what `Traits.hair_volume` adds to it."""


def _wave(style: Style, traits: Traits, x: Field, y: Field, grain: Field) -> Field | None:
    """Return how far the locks swing sideways, in pixels."""
    if style.texture != "wavy":
        return None
    swing = _SWING[0] + _SWING[1] * traits.hair_volume
    wave: Field = np.sin(y * 0.15 + 0.55 * grain + 0.9 * np.sign(x))
    wave *= smooth(-55, 0, y)
    wave *= swing
    return wave


def _strands(
    style: Style,
    traits: Traits,
    place: tuple[Field, Field],
    widths: tuple[float, Field],
    wave: Field | None,
    offset: tuple[int, int],
) -> tuple[Field, Field]:
    x, y = place
    if style.texture in ("curly", "afro", "buzz"):
        size = {"curly": 4.6, "afro": 2.6, "buzz": 1.0}[style.texture]
        lumps = noise(noise_tile(size, size), 2 * x + offset[0], 2 * y + offset[1])
        bend = noise(noise_tile(7.0, 7.0), 2 * x + offset[1], 2 * y + offset[0])
        fine = noise(noise_tile(0.9, 6.0), 2.2 * x + 7 * bend + offset[0], 2.2 * y + 7 * lumps + offset[1])
        return 0.55 * fine + 0.55 * lumps, lumps
    # Meridians of the head: strands fan out from the part and hang straight below the widest place.
    width, row = widths
    top = style.crown - 8
    bulge = y - top
    bulge *= 1 / (style.sides[0][0] - top)
    np.clip(bulge, 0.02, 1, out=bulge)
    np.sqrt(bulge, out=bulge)
    bulge *= row
    across = y * (0.5 * traits.part) if style.texture == "quiff" else smooth(10, -60, y) * (-16 * traits.part)
    across += x
    if wave is not None:
        across += wave
    across *= width
    across /= bulge
    along = 0.8 * y
    along += 0.2 * np.abs(x)
    strand = noise(noise_tile(1.1, 14.0), across * 1.9 + offset[0], along + offset[1])
    clump = noise(noise_tile(3.2, 20.0), across * 1.1 + offset[1], along + offset[0])
    return strand, clump


def _opening(style: Style, traits: Traits, view: View, ragged: Field) -> Field:
    u, v = view.u, view.v
    side = np.abs(u)
    middle = -10.0
    fringe = traits.fringe and style.can_fringe
    hairline = style.hairline - 4.0 * traits.hairline
    power, tooth = 2.3, 0.5
    if fringe:
        hairline, power, tooth = -19.0 - 2.5 * traits.hairline, 5.0, 1.3
    # A part lifts the hairline on its side and lets the hair fall on the other.
    skew = 0.0 if style.texture in ("pulled", "afro", "buzz") else 0.2 * traits.part
    if traits.hair_style == "side part":
        skew *= 1.6
    distance = side - half_width(style.inner, v)
    lifted = v + skew * u
    top = slice(0, int(np.count_nonzero(lifted.min(axis=1) < middle + 1.5)))
    lifted, u, side = lifted[top], u[top], side[top]
    if not fringe:
        lifted -= 1.5 * np.exp((u - 16 * traits.part) ** 2 * (-1 / 60))
    lift = (middle - lifted) * (1 / (middle - hairline))
    widest = float(half_width(style.inner, np.full(1, middle, np.float32))[0])
    oval = superellipse(side * (1 / widest), np.maximum(lift, 0, out=lift), power)
    np.copyto(distance[top], (oval - 1) * 27, where=lifted < middle)
    if traits.hairline > 0.4 and not fringe:
        distance[top] += 5 * (traits.hairline - 0.4) * np.exp(u * u * (-1 / 49)) * (v[top] < -15)
    fade = smooth(60, -10, v)
    fade *= ragged
    fade *= tooth
    distance += fade
    return distance
