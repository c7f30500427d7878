"""What is worn on a face: facial hair, glasses, earrings, hats."""

from __future__ import annotations

import numpy as np

from beam_jobs.sources.portrait.canvas import (
    Field,
    bump,
    cover,
    linear,
    multiply,
    noise,
    noise_tile,
    over,
    slopes,
    smooth,
)
from beam_jobs.sources.portrait.features import hair_colour, level, mouth_corner
from beam_jobs.sources.portrait.head import face_box, outline_distance
from beam_jobs.sources.portrait.skin import Light
from beam_jobs.sources.portrait.traits import Traits
from beam_jobs.sources.portrait.view import EYE_U, View

FACIAL_HAIR = ("stubble", "mustache", "goatee", "beard")


def paint_facial_hair(picture: Field, traits: Traits, view: View, light: Light, offset: tuple[int, int]) -> None:
    """Paint stubble, moustache, goatee or beard under the mouth's own paint."""
    if traits.grooming not in FACIAL_HAIR:
        return
    rows, columns = face_box(traits, view, 8.0)
    box = (slice(100, rows.stop), columns)
    u, v = view.u[box].copy(), view.v[box].copy()
    side = np.abs(u)
    half, corner = mouth_corner(traits)
    lip = smooth(-1.5, 2.5, np.sqrt((u / (half - 2.5)) ** 2 + ((v - 43.5) / 5.5) ** 2) * 8 - 8)
    fine = noise(noise_tile(1.0, 6.0), 2.4 * u + 0.5 * v + offset[0], 2 * v + offset[1])
    curl = noise(noise_tile(4.0, 7.0), 2 * u + offset[1], 2 * v + offset[0])
    mustache = smooth(half + 4, half - 3, side) * smooth(27.5, 34, v - 0.1 * side) * smooth(45, 39, v - 0.16 * side)
    mustache *= 1 - 0.25 * np.exp(-((u / 2.0) ** 2))
    chin = smooth(19, 9, side + 0.25 * (v - 56)) * smooth(47, 54, v)
    chin += smooth(4.5, 0.5, np.abs(side - half - 0.5 + 0.2 * (v - 44))) * smooth(37, 44, v) * smooth(64, 52, v)
    _, distance = outline_distance(traits, u, v)
    # The cheek line runs from the sideburn down to the corner of the mouth.
    cheek = 8 + (corner - 12) * np.clip((38 - side) / (38 - half), 0, 1) ** 1.5
    jaw = smooth(-2.5, 4.5, v - cheek) * smooth(8, 20, v + 0.9 * np.maximum(side - 30, 0))
    masks = {
        "stubble": np.maximum(mustache * 0.9, jaw) * 0.42,
        "mustache": mustache,
        "goatee": np.maximum(mustache * 0.9, np.minimum(chin, 1)),
        "beard": np.maximum(mustache, jaw),
    }
    grown = 3.5 if traits.grooming == "beard" else 0.5
    edge = cover(distance - grown + 1.2 * curl, 2.2)
    density = masks[traits.grooming] * lip * edge
    if traits.grooming == "stubble":
        speckle = noise(noise_tile(1.0, 1.0), 2 * u + offset[0], 2 * v + offset[1])
        alpha = density * np.clip(0.85 + 0.25 * speckle, 0, 1.4)
    else:
        alpha = np.clip(density * 1.25 * np.clip(0.95 + 0.22 * fine, 0, 1.2) - 0.05, 0, 0.96)
    lx = light.direction[0]
    form = np.clip(0.62 + 0.5 * lx * u / 36 - 0.006 * (v - 40), 0.2, 1.2)
    colour = light.fill * 0.8 + light.key * 0.75 * form
    colour *= hair_colour(traits) * np.clip(0.75 + 0.22 * fine + 0.14 * curl, 0.3, 1.5)
    over(picture[(slice(None), *box)], colour, alpha)


def paint_glasses(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint spectacles; their lenses are centred on the pupils."""
    if traits.glasses == "none":
        return
    box = (slice(84, 142), slice(24, 154))
    nose = view.nose_lift()
    u, v = view.u[box] - 0.35 * nose[0], view.v[box] - 0.35 * nose[1]
    side = np.abs(u)
    dx, dy = side - EYE_U - 0.4, v - 1.8
    dark = traits.glasses == "sunglasses"
    if traits.glasses == "round":
        lens = np.sqrt(dx * dx + dy * dy) - 13.2
    else:
        wide, high, radius = (15.6, 12.0, 7.5) if dark else (15.2, 10.6, 4.5)
        px, py = (
            np.maximum(np.abs(dx) - wide + radius, 0),
            np.maximum(np.abs(dy + 0.06 * dx) - high + radius, 0),
        )
        lens = np.sqrt(px * px + py * py) - radius
    target = picture[(slice(None), *box)]
    multiply(target, (0.6, 0.5, 0.48), cover(np.abs(lens) - 2.0, 3.0) * 0.3)
    if dark:
        glass = linear((26, 24, 26)) * (0.5 + level(light)) + light.key * 0.14 * smooth(4, -11, dy + 0.4 * u)
        over(target, glass, cover(lens, 0.8) * 0.93)
    else:
        streak = smooth(2.2, 0.2, np.abs(dx + 0.8 * dy + 6)) + smooth(1.2, 0.2, np.abs(dx + 0.8 * dy + 1))
        over(target, light.key * 1.1, cover(lens, 0.8) * (0.05 + 0.1 * streak))
    metal = traits.glasses == "round"
    frame = linear((96, 74, 44)) if metal else linear((30, 23, 20))
    thick = 0.75 if metal else 1.25
    rim = np.abs(lens) - thick
    if traits.glasses == "browline":
        rim = np.abs(lens) - np.where(dy < -2, 2.0, 0.5).astype(np.float32)
    bridge = np.maximum(np.abs(v + 2.5 + 0.05 * u * u) - thick, side - 6.5)
    arm = np.maximum(np.abs(v + 3.0) - thick * 1.1, np.maximum(EYE_U + 13.5 - side, side - 40))
    shape = np.minimum(np.minimum(rim, bridge), arm)
    over(target, frame * level(light) * 1.1 + 0.05 * smooth(1, -6, dy), cover(shape, 0.8))


def paint_earrings(picture: Field, traits: Traits, view: View, light: Light) -> None:
    """Paint a stud, hoop or drop under each ear lobe."""
    if traits.earrings == "none":
        return
    gold = linear((222, 178, 92)) if traits.undertone > -0.2 else linear((214, 216, 222))
    for side in (-1, 1):
        lobe = 38.5 * (1 + 0.055 * traits.face_width)
        reach = sorted((side * (lobe - 10), side * (lobe + 10)))
        box = view.head_box((reach[0], reach[1]), (17, 39))
        y = view.hy[box] - 20
        x = side * view.hx[box] - lobe
        if traits.earrings == "stud":
            alpha, tone = cover(np.sqrt(x * x + y * y) - 2.0, 0.8), 1.0 - 0.2 * y
        elif traits.earrings == "hoop":
            ring = np.sqrt(x * x + (y - 8) ** 2)
            alpha, tone = cover(np.abs(ring - 7.5) - 0.9, 0.8), 0.9 - 0.07 * (y - 8)
        else:
            drop = np.sqrt((x / 3.2) ** 2 + ((y - 10) / 5.5) ** 2) * 4 - 4
            alpha = np.maximum(cover(drop, 0.9), cover(np.maximum(np.abs(x) - 0.6, np.abs(y - 3) - 4), 0.7))
            tone = 0.8 - 0.06 * (y - 10)
        shine = bump(x, y, (-1, 5), (1.5, 3))
        over(
            picture[(slice(None), *box)],
            gold * (light.fill + light.key) * np.clip(tone, 0.3, 1.2) + 0.5 * shine,
            alpha,
        )


def paint_hat(picture: Field, traits: Traits, view: View, light: Light, cloth: Field) -> None:
    """Paint a knitted cap or a hat with a brim over the hair; `cloth` is its linear colour."""
    if traits.hat == "none":
        return
    x, y = view.hx, view.hy
    curve = 0.004 * x * x
    crown, width, edge = (-74.0, 46.0, -27.0) if traits.hat == "beanie" else (-80.0, 42.0, -38.0)
    q = ((np.abs(x) / width) ** 2.6 + np.clip((-15 - y) / (-15 - crown), 0, None) ** 2.6) ** (1 / 2.6)
    sx, sy = slopes(32 * np.sqrt(np.clip(1 - np.minimum(q, 1) ** 2, 0, 1)), 2.0)
    knit = 1 + 0.13 * np.sin(x / np.maximum(0.45, 1 - 0.5 * ((-20 - y) / 60)) * 1.4) if traits.hat == "beanie" else 1
    colour = cloth * light.shade(sx, sy, (0.15, 0.15, 0.15)) * knit
    d = np.maximum((q - 1) * 40, y - edge + curve)
    if traits.hat == "beanie":
        cuff = smooth(-14, -13, y - edge + curve)
        multiply(colour, 0.72, np.exp(-0.5 * ((y - edge + curve + 14) / 1.4) ** 2))
        colour = colour * (1 + 0.12 * cuff)
        over(picture, colour, cover(d - 1.5 * cuff, 1.0))
        return
    multiply(colour, 0.25, smooth(-9, -8, y - edge + curve))
    over(picture, colour, cover(d, 1.0))
    brim = (np.sqrt((x / 74) ** 2 + ((y - edge - 1 + 0.5 * curve) / 8.5) ** 2) - 1) * 8
    tone = np.clip(0.95 - 0.05 * (y - edge), 0.3, 1.2)
    over(picture, cloth * (light.fill + light.key * 0.7) * tone, cover(brim, 1.0))
    multiply(
        picture,
        linear((150, 120, 110)),
        smooth(14, 0, np.abs(y - edge - 16)) * 0.6 * cover(np.abs(x) - 38, 3),
    )
