"""Hair in two layers: what hangs behind the neck, and what lies over head, ears and forehead."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from beam_jobs.sources.portrait.canvas import (
    HEIGHT,
    WIDTH,
    Field,
    cover,
    multiply,
    noise,
    noise_tile,
    over,
    smooth,
    superellipse,
)
from beam_jobs.sources.portrait.features import hair_colour
from beam_jobs.sources.portrait.hair_styles import STYLES, Style
from beam_jobs.sources.portrait.skin import Light, slopes
from beam_jobs.sources.portrait.traits import Traits
from beam_jobs.sources.portrait.view import EYES_X, EYES_Y, View


@dataclass(frozen=True)
class Hair:
    """Distances and strand coordinates of one head of hair, float32, all of the size of `box`, in pixels."""

    style: Style
    box: tuple[slice, slice]  # the rows and columns of the picture that the fields cover
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
    box = _box(style, traits)
    view = whole.window(*box)
    x, y = view.hx, view.hy
    more = style.volume * (traits.hair_volume - 0.35)
    grain = noise(noise_tile(7.0, 7.0), 2 * x + offset[0], 2 * y + offset[1])
    wave = _wave(style, traits, x, y, grain)
    crown, middle = style.crown - more, style.sides[0][0]
    heights, widths = zip(*style.sides, strict=True)
    width = widths[0] + 0.8 * more
    row = np.interp(y, heights, widths).astype(np.float32) + 0.8 * more
    lift = np.maximum((middle - y) * (1 / (middle - crown)), 0)
    ax = np.abs(x + wave * smooth(-20, 30, y))
    oval = superellipse(ax * (1 / width), lift, 2.3)
    q = np.where(y < middle, oval, ax / row)
    outer = np.where(y < middle, (oval - 1) * min(width, middle - crown), ax - row)
    outer = np.maximum(outer, (y - style.end + 0.006 * x * x - 2.5 * grain) * 0.8) + style.rough * grain
    strand, clump = _strands(style, traits, (x, y), (width, row), wave, offset)
    opening = _opening(style, traits, view, strand + 1.5 * clump)
    opening = opening + 0.5 * wave * smooth(10, 50, y)
    return Hair(style, box, view, outer, opening, q, strand, clump)


def _box(style: Style, traits: Traits) -> tuple[slice, slice]:
    """Return the part of the picture that the style can reach in any pose."""
    if style.texture == "pulled":  # the bun and the tail are outside the silhouette
        return slice(0, HEIGHT), slice(10, WIDTH - 10)
    width = max(w for _, w in style.sides) + style.volume + 22
    top, bottom = EYES_Y + style.crown - style.volume - 22, EYES_Y + style.end + 22
    return (
        slice(max(int(top), 0), min(int(bottom), HEIGHT)),
        slice(max(int(EYES_X - width), 0), min(int(EYES_X + width), WIDTH)),
    )


def _wave(style: Style, traits: Traits, x: Field, y: Field, grain: Field) -> Field:
    """Return how far the locks swing sideways, in pixels."""
    if style.texture == "wavy":
        swing = 1.6 + 2.4 * traits.hair_volume
        return swing * np.sin(y * 0.15 + 0.55 * grain + 0.9 * np.sign(x)) * smooth(-55, 0, y)
    return np.zeros_like(x)


def _strands(
    style: Style,
    traits: Traits,
    place: tuple[Field, Field],
    widths: tuple[float, Field],
    wave: Field,
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
    bulge = np.sqrt(np.clip((y - top) * (1 / (style.sides[0][0] - top)), 0.02, 1))
    part = 16 * traits.part * (1 - smooth(-60, 10, y))
    if style.texture == "quiff":
        part = -0.5 * traits.part * y
    across = (x + wave - part) / bulge * (width / np.maximum(row, 1))
    along = 0.8 * y + 0.2 * np.abs(x)
    strand = noise(noise_tile(1.1, 14.0), across * 1.9 + offset[0], along + offset[1])
    clump = noise(noise_tile(3.2, 20.0), across * 1.1 + offset[1], along + offset[0])
    return strand, clump


def _opening(style: Style, traits: Traits, view: View, ragged: Field) -> Field:
    u, v = view.u, view.v
    heights, widths = zip(*style.inner, strict=True)
    middle = -10.0
    fringe = traits.fringe and style.can_fringe
    hairline = style.hairline - 4.0 * traits.hairline
    power, tooth = 2.3, 0.5
    if fringe:
        hairline, power, tooth = -19.0 - 2.5 * traits.hairline, 5.0, 1.3
    side = float(np.interp(middle, heights, widths))
    # A part lifts the hairline on its side and lets the hair fall on the other.
    skew = 0.0 if style.texture in ("pulled", "afro", "buzz") else 0.2 * traits.part
    if traits.hair_style == "side part":
        skew *= 1.6
    lifted = v + skew * u - (0 if fringe else 1.5 * np.exp(-((u - 16 * traits.part) ** 2) / 60))
    lift = np.maximum((middle - lifted) * (1 / (middle - hairline)), 0)
    oval = superellipse(np.abs(u) * (1 / side), lift, power)
    below = np.abs(u) - np.interp(v, heights, widths).astype(np.float32)
    distance = np.where(lifted < middle, (oval - 1) * 27.0, below)
    if traits.hairline > 0.4 and not fringe:
        distance += 5 * (traits.hairline - 0.4) * np.exp(-((u / 7) ** 2)) * (v < -15)
    return distance + tooth * ragged * smooth(60, -10, v)


def _colour(hair: Hair, traits: Traits, light: Light) -> Field:
    """Return the lit colour of the hair everywhere, float32 [3, *box]."""
    x, y = hair.view.hx, hair.view.hy
    curly = hair.style.texture in ("curly", "afro")
    relief = 34 * np.sqrt(np.maximum(1 - hair.q * hair.q, 0)) + (1.7 if curly else 0.6) * hair.clump
    relief += 0.35 * np.minimum(-y, 40)  # the top of the head leans back, towards the sky
    sx, sy = slopes(relief, 2.0)
    lit = light.shade(sx, sy, (0.3, 0.27, 0.25))
    base = hair_colour(traits)
    grain = np.clip(0.8 + (0.11 if not curly else 0.22) * hair.strand + 0.1 * hair.clump, 0.25, 1.6)
    if hair.style.end > 50 and traits.hair_colour not in ("black", "gray", "white"):
        grain *= 1 + 0.35 * smooth(-20, 90, y)  # the ends have seen more sun than the roots
    colour = base * lit
    colour *= grain
    lx = light.direction[0]
    ring = y - (hair.style.crown + 20) - 0.006 * (x - 26 * lx) ** 2 - 2.5 * hair.clump
    band = np.exp(-0.5 * ((ring / 6.5) ** 2 + ((x - 30 * lx) / 24) ** 2))
    below = 0.45 * np.exp(-0.5 * ((y - 42 - 3 * hair.clump) / 11) ** 2) * np.clip(0.5 + lx * x / 40, 0, 1)
    shine = (band + below) * np.clip(0.6 + 0.38 * hair.strand, 0, 2) * (0.3 if curly else 1.0)
    tint = base**0.5 * 0.55 + 0.05
    colour += (light.key * tint * 0.42) * shine
    return colour


def paint_back_hair(picture: Field, traits: Traits, light: Light, hair: Hair) -> None:
    """Paint what hangs behind the neck, a bun or a tail."""
    base = hair_colour(traits) * (0.75 * light.fill + 0.22 * light.key)
    colour = base * np.clip(0.7 + 0.15 * hair.strand, 0.2, 1.3)
    picture = picture[(slice(None), *hair.box)]
    over(picture, colour, cover(hair.outer, 1.2))
    x, y = hair.view.hx, hair.view.hy
    if traits.hair_style == "bun":
        radius = 14 + 5 * traits.hair_volume
        d = np.sqrt(x * x + (y + 62 + 0.55 * radius) ** 2 * 1.25) / radius
        swirl = np.clip(0.75 + 0.3 * np.sin(9 * d + 0.12 * x + hair.clump), 0.3, 1.2)
        round_light = np.clip(0.6 - 0.5 * (y + 68) / radius + light.direction[0] * x / radius, 0.15, 1.5)
        knot = hair_colour(traits) * (light.fill + light.key * round_light) * swirl
        over(picture, knot, cover((d - 1) * radius + 0.8 * hair.clump, 1.1))
    elif traits.hair_style == "ponytail":
        side = 1.0 if traits.part > 0 else -1.0
        middle = 33 + 0.12 * y + 2.5 * np.sin(y * 0.06)
        width = 6 + (5 + 6 * traits.hair_volume) * smooth(-10, 40, y) * smooth(125, 50, y)
        d = np.abs(side * x - middle) - width + 0.8 * hair.clump
        over(
            picture,
            base * 2.0 * np.clip(0.7 + 0.16 * hair.strand, 0.2, 1.3),
            cover(np.maximum(d, -20 - y), 1.1),
        )


def paint_hair_shadow(picture: Field, light: Light, hair: Hair, face: Field) -> None:
    """Darken the skin next to the hair, on the side where the light comes over it."""
    view = hair.view
    reach = 5.0 + 3.0 * np.clip(view.u * (-0.05 * light.direction[0]), -0.8, 1)
    near = smooth(-1.9, 0, hair.opening / reach) * smooth(60, 20, view.v)
    strength = (0.35 + 0.25 * light.hardness) * hair.style.opacity
    tint = np.array([0.42, 0.3, 0.27], np.float32).reshape(3, 1, 1)
    multiply(picture[(slice(None), *hair.box)], tint, near * face[hair.box] * strength)


def paint_front_hair(picture: Field, traits: Traits, light: Light, hair: Hair) -> None:
    """Paint the hair that lies over head, temples and shoulders."""
    view = hair.view
    colour = _colour(hair, traits, light)
    # Roots and the inside of the locks are in the shade of their neighbours.
    inner = np.exp(-np.maximum(hair.opening, 0) * 0.16) * smooth(-35, 15, view.v)
    multiply(colour, 0.5, inner * 0.75)
    if hair.style.texture not in ("pulled", "buzz", "afro", "curly") and not traits.fringe:
        line = view.hx - 16 * traits.part * smooth(-20, -62, view.hy)
        seam = np.exp(-0.5 * (line / 1.0) ** 2) * smooth(-38, -50, view.hy)
        multiply(colour, 0.55, seam * 0.6)
    soft = 2.2 if hair.style.texture in ("buzz", "afro", "curly") else 1.3
    alpha = cover(hair.outer, 1.2) * cover(-hair.opening, soft) * hair.style.opacity
    over(picture[(slice(None), *hair.box)], colour, alpha)
