"""The data set that faceloom draws itself, in the layout and text formats of CelebA's "Align&Cropped".

Nothing is downloaded and nobody's face is used, so tests, examples and the first run of a fresh checkout need
no permission. Every portrait shows a person of its own.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from beam_jobs.sources.portrait.accessories import FACIAL_HAIR
from beam_jobs.sources.portrait.hair_styles import FRINGED_STYLES
from beam_jobs.sources.portrait.traits import Traits
from beam_jobs.sources.portraits import Landmarks, draw_portrait
from gan_core.spawning import end_with_parent

PORTRAITS_VERSION = 1
"""Part of the data set's digest: bumped when the same (seed, index) would give other pixels or other text."""

IMAGE_FOLDER = "img_align_celeba"
ATTRIBUTES_FILE = "list_attr_celeba.txt"
PARTITION_FILE = "list_eval_partition.txt"
LANDMARKS_FILE = "list_landmarks_align_celeba.txt"
IDENTITY_FILE = "identity_CelebA.txt"

ATTRIBUTES: tuple[str, ...] = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips",
    "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby",
    "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male",
    "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose",
    "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair",
    "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
)  # fmt: skip
"""CelebA's 40 attributes in the order of its files."""

LANDMARK_COLUMNS = " ".join(
    f"{point}_{axis}" for point in ("lefteye", "righteye", "nose", "leftmouth", "rightmouth") for axis in "xy"
)

_JPEG_QUALITY = 92
_JPEG_SUBSAMPLING = 2  # 4:2:0, as in CelebA; said here because Pillow's default depends on the quality
_MAX_COUNT = 999_999  # six digits in a file name
# A spawned worker takes half a second to import NumPy and Pillow: about as long as 40 portraits.
_MIN_COUNT_PER_PROCESS = 100

_BROWN = frozenset({"dark brown", "brown", "light brown", "auburn"})
_BLOND = frozenset({"dark blond", "blond", "platinum"})
_STRAIGHT = frozenset({"bob", "long straight", "short", "side part", "crop", "ponytail"})


def attributes_of(traits: Traits) -> dict[str, bool]:
    """Return CelebA's 40 attributes for one portrait, in the order of its files.

    Attributes that no trait determines (Attractive, Blurry, ...) are False. `Male` is True with facial hair
    only: nothing else in the traits says it.
    """
    t = traits
    grown = t.hair_style != "bald"
    bearded = t.grooming in FACIAL_HAIR
    true = {
        "5_o_Clock_Shadow": t.grooming == "stubble",
        "Arched_Eyebrows": t.brow_arch > 0.4,
        "Bags_Under_Eyes": t.age > 0.6,
        "Bald": not grown,
        "Bangs": t.fringe and t.hair_style in FRINGED_STYLES,
        "Big_Lips": t.lips > 0.4,
        "Big_Nose": t.nose_width > 0.4,
        "Black_Hair": grown and t.hair_colour == "black",
        "Blond_Hair": grown and t.hair_colour in _BLOND,
        "Brown_Hair": grown and t.hair_colour in _BROWN,
        "Bushy_Eyebrows": t.brow_weight > 0.75,
        "Eyeglasses": t.glasses != "none",
        "Goatee": t.grooming == "goatee",
        "Gray_Hair": grown and t.hair_colour in ("gray", "white"),
        "Heavy_Makeup": t.grooming == "lipstick",
        "High_Cheekbones": t.smile > 0.5,
        "Male": bearded,
        "Mouth_Slightly_Open": t.mouth_open > 0.15,
        "Mustache": t.grooming in ("mustache", "goatee", "beard"),
        "Narrow_Eyes": t.eye_size < -0.5,
        "No_Beard": not bearded,
        "Oval_Face": t.jaw < -0.1 and t.face_width < 0.3,
        "Pale_Skin": t.skin < 0.1,
        "Pointy_Nose": t.nose_width < -0.4,
        "Receding_Hairline": grown and t.hairline > 0.5 and not (t.fringe and t.hair_style in FRINGED_STYLES),
        "Rosy_Cheeks": t.grooming == "lipstick" and t.skin < 0.5,
        "Sideburns": t.grooming == "beard",
        "Smiling": t.smile > 0.3,
        "Straight_Hair": t.hair_style in _STRAIGHT,
        "Wavy_Hair": t.hair_style in ("long wavy", "curly"),
        "Wearing_Earrings": t.earrings != "none",
        "Wearing_Hat": t.hat != "none",
        "Wearing_Lipstick": t.grooming == "lipstick",
        "Wearing_Necktie": t.clothing == "suit",
        "Young": t.age < 0.5 and t.hair_colour not in ("gray", "white"),
    }
    return {name: true.get(name, False) for name in ATTRIBUTES}


def partition_of(index: int, count: int) -> int:
    """Return 0 (train), 1 (validation) or 2 (test) of portrait `index` in [0, count).

    As in CelebA, the first 80 % are for training, the next 10 % for validation and the last for testing.
    """
    if 10 * index < 8 * count:
        return 0
    return 1 if 10 * index < 9 * count else 2


def file_name(index: int) -> str:
    """Return the name of portrait `index`: CelebA counts from 000001.jpg."""
    return f"{index + 1:06d}.jpg"


def write_portraits(
    folder: Path,
    count: int,
    seed: int,
    processes: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write `count` portraits and CelebA's four text files into `folder`, and return it.

    The bytes of every file depend on (count, seed), this version of faceloom, the installed Pillow and NumPy,
    and the vector instructions of the CPU: without AVX-512, NumPy's exp rounds one value in 200,000 to the
    neighbouring grey level, and its matrix product one in two million. The number of processes changes nothing.
    Publishing is the caller's: hand in a hidden sibling and rename it.

    Args:
        folder: a folder without an `img_align_celeba` in it; created if missing.
        count: portraits to draw, 1 to 999,999.
        seed: 0 or more.
        processes: how many draw at the same time. None takes one per CPU, but no more than the count can keep
            busy. More than one needs a main module that can be imported again (`if __name__ == "__main__"`).
        progress: called in this process with (portraits done, count), at the end with (count, count).

    Raises:
        ValueError: count, seed or processes is out of range.
        FileExistsError: the folder already has portraits.
    """
    if not 1 <= count <= _MAX_COUNT:
        raise ValueError(f"count must be 1 to {_MAX_COUNT}, got {count}")
    if seed < 0:
        raise ValueError(f"seed must be 0 or more, got {seed}")
    if processes is not None and processes < 1:
        raise ValueError(f"processes must be 1 or more, got {processes}")
    if processes is None:
        processes = max(1, min(os.cpu_count() or 1, count // _MIN_COUNT_PER_PROCESS))
    images = folder / IMAGE_FOLDER
    images.mkdir(parents=True)
    rows: list[tuple[Traits, Landmarks]] = []
    with _mapper(processes) as in_order:
        for row in in_order(partial(_write_one, str(images), seed), range(count)):
            rows.append(row)
            if progress is not None:
                progress(len(rows), count)
    _write_texts(folder, rows)
    return folder


_Row = tuple[Traits, Landmarks]
_Mapper = Callable[[Callable[[int], _Row], range], Iterator[_Row]]


@contextmanager
def _mapper(processes: int) -> Iterator[_Mapper]:
    """Give a `map` that keeps the order, in this process or in several."""
    if processes == 1:
        yield lambda function, indices: iter(map(function, indices))
        return
    # `spawn`, never `fork`: the caller may hold the threads of TensorFlow, Beam or Prefect.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, initializer=_start_drawing) as pool:
        yield lambda function, indices: pool.map(function, indices, chunksize=25)


def _start_drawing() -> None:
    """End with the launcher; free one large block, so that glibc keeps each picture's memory: a tenth of the time."""
    end_with_parent()
    np.empty(24 << 20, np.uint8)


def _write_one(images: str, seed: int, index: int) -> _Row:
    portrait = draw_portrait(seed, index)
    Image.fromarray(portrait.pixels).save(
        Path(images) / file_name(index), "JPEG", quality=_JPEG_QUALITY, subsampling=_JPEG_SUBSAMPLING
    )
    return portrait.traits, portrait.landmarks


def _write_texts(folder: Path, rows: list[_Row]) -> None:
    count = len(rows)
    names = [file_name(index) for index in range(count)]
    # CelebA's header of attributes ends in a space.
    attributes = [str(count), " ".join(ATTRIBUTES) + " "]
    landmarks = [str(count), LANDMARK_COLUMNS]
    for name, (traits, places) in zip(names, rows, strict=True):
        signs = (1 if value else -1 for value in attributes_of(traits).values())
        attributes.append(name + "".join(f" {sign:2d}" for sign in signs))
        first, *rest = (coordinate for place in places for coordinate in place)
        landmarks.append(f"{name} {first}" + "".join(f" {coordinate:4d}" for coordinate in rest))
    partition = [f"{name} {partition_of(index, count)}" for index, name in enumerate(names)]
    identity = [f"{name} {index + 1}" for index, name in enumerate(names)]
    texts = {
        ATTRIBUTES_FILE: attributes,
        LANDMARKS_FILE: landmarks,
        PARTITION_FILE: partition,
        IDENTITY_FILE: identity,
    }
    for text_name, lines in texts.items():
        (folder / text_name).write_bytes(("\n".join(lines) + "\n").encode("ascii"))
