"""What makes one portrait differ from another: independent factors, drawn by `sample_traits`."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from beam_jobs.sources.portrait.canvas import Rgb

SKIN_RAMP: tuple[Rgb, ...] = (
    (250, 226, 212),
    (241, 209, 190),
    (228, 187, 161),
    (207, 161, 132),
    (174, 127, 100),
    (137, 96, 74),
    (104, 71, 56),
    (80, 55, 46),
)
"""sRGB albedo of skin at `Traits.skin` = 0, 1/7, ... 1; in between, interpolated."""

HAIR_COLOURS: dict[str, Rgb] = {
    "black": (30, 26, 27),
    "dark brown": (58, 40, 31),
    "brown": (94, 63, 43),
    "light brown": (134, 98, 66),
    "auburn": (122, 58, 34),
    "red": (168, 82, 42),
    "dark blond": (172, 134, 84),
    "blond": (216, 180, 120),
    "platinum": (233, 216, 184),
    "gray": (142, 140, 139),
    "white": (214, 211, 207),
}
HAIR_STYLES = (
    "bald", "buzz", "short", "side part", "quiff", "crop", "bob", "long straight", "long wavy", "bun",
    "ponytail", "curly", "afro",
)  # fmt: skip
EYE_COLOURS: dict[str, Rgb] = {
    "dark brown": (66, 40, 26),
    "brown": (112, 70, 38),
    "hazel": (134, 106, 56),
    "green": (96, 124, 78),
    "gray": (124, 136, 142),
    "blue": (88, 132, 172),
}
GLASSES = ("none", "round", "square", "browline", "sunglasses")
GROOMING = ("bare", "gloss", "lipstick", "stubble", "mustache", "goatee", "beard")
CLOTHING = ("crew neck", "v-neck", "shirt", "suit", "turtleneck", "bare shoulders")
CLOTHING_COLOURS: tuple[Rgb, ...] = (
    (34, 36, 42), (232, 230, 225), (44, 62, 96), (122, 32, 40), (86, 104, 84), (170, 140, 108),
    (92, 118, 150), (196, 168, 60), (148, 90, 118), (60, 96, 98), (150, 152, 156), (190, 104, 70),
)  # fmt: skip
EARRINGS = ("none", "stud", "hoop", "drop")
HATS = ("none", "beanie", "brim")
BACKGROUNDS = ("studio", "wall", "bokeh", "garden", "sky", "bookshelf", "interior", "press wall", "night")


@dataclass(frozen=True)
class Traits:
    """The factors of one portrait. Numbers are in [-1, 1] or [0, 1] as said, angles in degrees.

    The defaults are a frontal, neutral, evenly lit face, whose landmarks are those of
    `beam_jobs.sources.portraits.NEUTRAL_LANDMARKS`.
    """

    skin: float = 0.25  # 0 palest to 1 darkest, an index into SKIN_RAMP
    undertone: float = 0.0  # -1 cool (pink) to 1 warm (golden)
    hair_colour: str = "brown"
    hair_style: str = "short"
    hair_volume: float = 0.5  # 0 flat to 1 full
    hairline: float = 0.0  # -1 low to 1 receding
    fringe: bool = False  # hair over the forehead, where the style has any to spare
    part: float = 0.3  # side of the part: -1 left to 1 right of the picture
    eye_colour: str = "brown"
    eye_size: float = 0.0  # -1 narrow to 1 wide open
    eye_slant: float = 0.0  # -1 outer corner low to 1 high
    brow_weight: float = 0.5  # 0 thin to 1 bushy
    brow_arch: float = 0.0  # -1 flat to 1 arched
    glasses: str = "none"
    smile: float = 0.0  # -1 corners down to 1 broad smile
    mouth_open: float = 0.0  # 0 closed to 1
    lips: float = 0.0  # -1 thin to 1 full
    grooming: str = "bare"  # lip colour and facial hair: one factor, since the lower face carries one of them
    nose_width: float = 0.0  # -1 narrow to 1 wide
    nose_length: float = 0.0  # -1 short to 1 long
    face_width: float = 0.0  # -1 narrow to 1 wide
    jaw: float = 0.0  # -1 pointed to 1 square
    age: float = 0.2  # 0 smooth to 1 lined
    freckles: float = 0.0  # 0 none to 1
    yaw: float = 0.0  # degrees, positive turns the nose to the right of the picture
    pitch: float = 0.0  # degrees, positive looks up
    roll: float = 0.0  # degrees, positive tilts clockwise
    light_side: float = -0.4  # -1 from the left of the picture to 1 from the right
    light_height: float = 0.5  # 0 level to 1 from above
    light_temperature: float = 0.0  # -1 warm (tungsten) to 1 cool (shade)
    contrast: float = 0.5  # 0 overcast to 1 hard key light
    background: str = "studio"
    background_hue: float = 0.58  # 0 to 1 around the colour wheel
    background_lightness: float = 0.5  # 0 dark to 1 bright
    clothing: str = "crew neck"
    clothing_colour: int = 2  # index into CLOTHING_COLOURS
    earrings: str = "none"
    hat: str = "none"


def sample_traits(rng: np.random.Generator) -> Traits:
    """Draw every factor independently of all others.

    The order of the draws is part of the data set's identity: whoever changes it bumps `PORTRAITS_VERSION`.
    """

    def choice(names: tuple[str, ...], weights: tuple[float, ...]) -> str:
        total = sum(weights)
        return names[bisect_right([weight / total for weight in accumulate(weights)], rng.random())]

    def normal(deviation: float, limit: float) -> float:
        return min(max(float(rng.normal(0.0, deviation)), -limit), limit)

    return Traits(
        skin=float(rng.random() ** 1.15),
        undertone=normal(0.45, 1.0),
        hair_colour=choice(tuple(HAIR_COLOURS), (20, 17, 14, 9, 6, 4, 8, 9, 4, 6, 3)),
        hair_style=choice(HAIR_STYLES, (5, 6, 11, 11, 8, 7, 11, 13, 14, 7, 6, 9, 4)),
        hair_volume=float(rng.random()),
        hairline=normal(0.45, 1.0),
        fringe=bool(rng.random() < 0.24),
        part=float(rng.uniform(-1, 1)),
        eye_colour=choice(tuple(EYE_COLOURS), (26, 24, 12, 11, 9, 18)),
        eye_size=normal(0.45, 1.0),
        eye_slant=normal(0.4, 1.0),
        brow_weight=float(rng.random()),
        brow_arch=normal(0.45, 1.0),
        glasses=choice(GLASSES, (82, 5, 5, 4, 4)),
        smile=min(max(float(rng.normal(0.42, 0.45)), -0.6), 1.0),
        mouth_open=float(rng.random()) if rng.random() < 0.45 else 0.0,
        lips=normal(0.45, 1.0),
        grooming=choice(GROOMING, (28, 15, 17, 12, 6, 8, 14)),
        nose_width=normal(0.45, 1.0),
        nose_length=normal(0.4, 1.0),
        face_width=normal(0.45, 1.0),
        jaw=normal(0.5, 1.0),
        age=float(rng.random() ** 1.6),
        freckles=float(rng.random()) if rng.random() < 0.12 else 0.0,
        yaw=normal(9.0, 22.0),
        pitch=normal(4.0, 9.0),
        roll=normal(2.5, 6.0),
        light_side=float(rng.uniform(-1, 1)),
        light_height=float(rng.random()),
        light_temperature=normal(0.45, 1.0),
        contrast=float(rng.random()),
        background=choice(BACKGROUNDS, (20, 12, 10, 12, 9, 8, 11, 9, 9)),
        background_hue=float(rng.random()),
        background_lightness=float(rng.random()),
        clothing=choice(CLOTHING, (22, 16, 18, 17, 10, 17)),
        clothing_colour=int(rng.integers(len(CLOTHING_COLOURS))),
        earrings=choice(EARRINGS, (72, 11, 8, 9)),
        hat=choice(HATS, (94, 4, 2)),
    )
