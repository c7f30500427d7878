"""How one portrait is drawn: `draw_portrait(seed, index)`, a pure function.

A face is a relief of a few dozen soft bumps under one key light, painted from back to front into a picture of
linear light: backdrop, hair behind, neck and clothes, ears, face, features, hair in front. Positions follow
CelebA's aligned and cropped layout. The drawing's parts are in the folder `portrait`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from beam_jobs.sources.portrait import accessories, backdrops, clothes, features, hair, hair_paint, head
from beam_jobs.sources.portrait.canvas import HEIGHT, WIDTH, Field, develop, pixel_grid, smooth
from beam_jobs.sources.portrait.skin import light_of
from beam_jobs.sources.portrait.traits import Traits, sample_traits
from beam_jobs.sources.portrait.view import EYE_U, EYES_X, EYES_Y, View, view_of

Landmarks = tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]
"""Both eyes, nose, both corners of the mouth as (x, y) pixels; the picture's left comes first."""

NEUTRAL_LANDMARKS: Landmarks = ((69, 111), (108, 111), (88, 136), (71, 152), (106, 152))
"""The landmarks of `Traits()`: a frontal face with a neutral expression."""

_NOSE_LIFT = 11.0


@dataclass(frozen=True)
class Portrait:
    """One drawn portrait.

    Attributes:
        pixels: uint8 [218, 178, 3], sRGB.
        landmarks: where eyes, nose and mouth lie in `pixels`.
        traits: what was drawn.
    """

    pixels: NDArray[np.uint8]
    landmarks: Landmarks
    traits: Traits


def draw_portrait(seed: int, index: int) -> Portrait:
    """Draw the portrait number `index` (from 0) of the data set `seed`.

    The pixels depend on (seed, index) alone: not on what was drawn before, nor on the process.

    Raises:
        ValueError: seed or index is negative.
    """
    if seed < 0 or index < 0:
        raise ValueError(f"seed and index must be 0 or more, got seed={seed}, index={index}")
    rng = np.random.default_rng([seed, index])
    return paint_portrait(sample_traits(rng), rng)


def paint_portrait(traits: Traits, rng: np.random.Generator) -> Portrait:
    """Paint given traits; `rng` decides what no trait names: backdrop details, strands, grain."""
    view, light = view_of(traits), light_of(traits)
    left, top = (int(n) for n in rng.integers(0, 4096, size=2))
    offset = left, top
    picture = backdrops.paint_backdrop(traits, rng)
    locks = hair.hair_of(traits, view, offset)
    if locks is not None:
        hair_paint.paint_back_hair(picture, traits, light, locks)
    head.paint_neck(picture, traits, view, light)
    clothes.paint_clothes(picture, traits, view, light, offset)
    head.paint_ears(picture, traits, view, light)
    face = head.paint_face(picture, traits, view, light, offset)
    features.paint_brows(picture, traits, view, light, offset)
    features.paint_eyes(picture, traits, view, light)
    accessories.paint_facial_hair(picture, traits, view, light, offset)
    features.paint_mouth(picture, traits, view, light)
    if locks is not None:
        hair_paint.paint_hair_shadow(picture, light, locks, face)
        hair_paint.paint_front_hair(picture, traits, light, locks)
    accessories.paint_earrings(picture, traits, view, light)
    accessories.paint_glasses(picture, traits, view, light)
    accessories.paint_hat(picture, traits, view, light, clothes.cloth_colour(traits, 5))
    return Portrait(_finish(picture, rng), landmarks_of(traits, view), traits)


def landmarks_of(traits: Traits, view: View) -> Landmarks:
    """Return the five landmarks, rounded to pixels; pose and expression move them with the drawing."""
    corner_u, corner_v = features.mouth_corner(traits)
    tip = 25 * (1 + 0.08 * traits.nose_length)
    points = (
        view.project(-EYE_U, 0),
        view.project(EYE_U, 0),
        view.project(0, tip, _NOSE_LIFT),
        view.project(-corner_u, corner_v, 0.3 * _NOSE_LIFT),
        view.project(corner_u, corner_v, 0.3 * _NOSE_LIFT),
    )
    le, re, nose, lm, rm = ((round(x), round(y)) for x, y in points)
    return le, re, nose, lm, rm


@cache
def _vignette() -> Field:
    x, y = pixel_grid()
    corner = ((x - EYES_X) / 120) ** 2 + ((y - EYES_Y) / 140) ** 2
    return 1 - 0.38 * smooth(0.35, 1.5, corner)


def _finish(picture: Field, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Add vignette and film grain, and develop to uint8 [218, 178, 3]."""
    # Uniform in +-3.6, a deviation of 2.1: it is drawn five times as fast as normal noise.
    grain = rng.random((HEIGHT, WIDTH), dtype=np.float32)
    grain *= 7.2
    grain -= 3.6
    return develop(picture, _vignette(), grain)
