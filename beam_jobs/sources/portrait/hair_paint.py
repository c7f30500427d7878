"""Hair is painted in two layers: what hangs behind the neck, and what lies over head, ears and forehead."""

from __future__ import annotations

import numpy as np

from beam_jobs.sources.portrait.canvas import Field, cover, multiply, over, slopes, smooth
from beam_jobs.sources.portrait.features import hair_colour
from beam_jobs.sources.portrait.hair import Hair
from beam_jobs.sources.portrait.head import Face
from beam_jobs.sources.portrait.skin import Light
from beam_jobs.sources.portrait.traits import Traits

_SHADOW = (0.42, 0.3, 0.27)


def _colour(hair: Hair, traits: Traits, light: Light) -> Field:
    """Return the lit colour of the hair everywhere, float32 [3, *box]."""
    y = hair.view.hy
    curly = hair.style.texture in ("curly", "afro")
    relief = hair.q * hair.q
    np.subtract(1, relief, out=relief)
    np.maximum(relief, 0, out=relief)
    np.sqrt(relief, out=relief)
    relief *= 34
    relief += (1.7 if curly else 0.6) * hair.clump
    relief -= 0.35 * np.maximum(y, -40)  # the top of the head leans back, towards the sky
    base = hair_colour(traits)
    colour = light.shade(*slopes(relief, 2.0), (0.3, 0.27, 0.25), base)
    grain = (0.11 if not curly else 0.22) * hair.strand
    grain += 0.1 * hair.clump
    grain += 0.8
    np.clip(grain, 0.25, 1.6, out=grain)
    if hair.style.end > 50 and traits.hair_colour not in ("black", "gray", "white"):
        grain *= 1 + 0.35 * smooth(-20, 90, y)  # the ends have seen more sun than the roots
    colour *= grain
    shine = _shine(hair, light)
    glint = 0.38 * hair.strand
    glint += 0.6
    shine *= np.clip(glint, 0, 2, out=glint)
    tint = (base**0.5 * 0.55 + 0.05) * light.key * (0.42 * (0.3 if curly else 1.0))
    for plane, tone in zip(colour, tint.flat, strict=True):
        plane += shine * tone
    return colour


def _shine(hair: Hair, light: Light) -> Field:
    """Return the bands of light round the crown and, on long hair, beside the chin."""
    x, y, lx = hair.view.hx, hair.view.hy, light.direction[0]
    ring = x - 26 * lx
    ring *= ring
    ring *= -0.006
    ring += y
    ring -= hair.style.crown + 20
    ring -= 2.5 * hair.clump
    ring *= ring
    ring *= -0.5 / 6.5**2
    ring -= ((x - 30 * lx) * (0.5**0.5 / 24)) ** 2
    shine: Field = np.exp(ring, out=ring)
    if hair.style.end > 15:
        below = y - 42
        below -= 3 * hair.clump
        below *= below
        below *= -0.5 / 11**2
        np.exp(below, out=below)
        below *= np.clip(x * (0.45 * lx / 40) + 0.45 * 0.5, 0, 0.45)
        shine += below
    return shine


def paint_back_hair(picture: Field, traits: Traits, light: Light, hair: Hair) -> None:
    """Paint what hangs behind the neck, a bun or a tail."""
    base = hair_colour(traits) * (0.75 * light.fill + 0.22 * light.key)
    shade = 0.15 * hair.strand
    shade += 0.7
    colour = base * np.clip(shade, 0.2, 1.3, out=shade)
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


def paint_hair_shadow(picture: Field, light: Light, hair: Hair, face: Face) -> None:
    """Darken the skin next to the hair, on the side where the light comes over it."""
    both = [
        slice(max(a.start, b.start), max(a.start, b.start, min(a.stop, b.stop)))
        for a, b in zip(hair.box, face.box, strict=True)
    ]
    of_hair, of_face = (
        tuple(slice(part.start - start.start, part.stop - start.start) for part, start in zip(both, box, strict=True))
        for box in (hair.box, face.box)
    )
    reach = hair.view.u[of_hair] * (-0.15 * light.direction[0])
    np.clip(reach, -2.4, 3, out=reach)
    reach += 5
    near = smooth(-1.9, 0, hair.opening[of_hair] / reach)
    near *= smooth(60, 20, hair.view.v[of_hair])
    near *= face.coverage[of_face]
    near *= (0.35 + 0.25 * light.hardness) * hair.style.opacity
    multiply(picture[(slice(None), *both)], _SHADOW, near)


def paint_front_hair(picture: Field, traits: Traits, light: Light, hair: Hair) -> None:
    """Paint the hair that lies over head, temples and shoulders."""
    view = hair.view
    colour = _colour(hair, traits, light)
    # Roots and the inside of the locks are in the shade of their neighbours.
    inner = np.maximum(hair.opening, 0)
    inner *= -0.16
    np.exp(inner, out=inner)
    inner *= smooth(-35, 15, view.v)
    inner *= 0.75
    multiply(colour, 0.5, inner)
    if hair.style.texture not in ("pulled", "buzz", "afro", "curly") and not traits.fringe:
        top = slice(0, int(np.count_nonzero(view.hy.min(axis=1) < -38)))
        x, y = view.hx[top], view.hy[top]
        line = x - 16 * traits.part * smooth(-20, -62, y)
        seam = np.exp(-0.5 * line * line) * smooth(-38, -50, y)
        multiply(colour[:, top], 0.55, seam * 0.6)
    soft = 2.2 if hair.style.texture in ("buzz", "afro", "curly") else 1.3
    alpha = cover(hair.outer, 1.2)
    alpha *= cover(-hair.opening, soft)
    if hair.style.opacity < 1:
        alpha *= hair.style.opacity
    over(picture[(slice(None), *hair.box)], colour, alpha)
