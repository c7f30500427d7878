"""The portraits that faceloom draws, and the data set made of them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beam_jobs.sources import synthetic
from beam_jobs.sources.portrait.traits import EYE_COLOURS, Traits, sample_traits
from beam_jobs.sources.portraits import NEUTRAL_LANDMARKS, Portrait, draw_portrait, paint_portrait
from beam_jobs.sources.synthetic import ATTRIBUTES, attributes_of, partition_of, write_portraits

COUNT = 20


def paint(traits: Traits) -> Portrait:
    """Paint without `sample_traits`, always with the same random details."""
    return paint_portrait(traits, np.random.default_rng(0))


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file under the folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def lines(path: Path) -> list[str]:
    """Return the lines of an ASCII file that ends in one newline."""
    text = path.read_text(encoding="ascii")
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small data set, written in one process."""
    return write_portraits(tmp_path_factory.mktemp("portraits"), COUNT, seed=5, processes=1)


def test_same_seed_and_index_give_the_same_pixels() -> None:
    """A portrait depends on (seed, index) alone, whatever was drawn in between."""
    first = draw_portrait(3, 7)
    draw_portrait(3, 8)
    again = draw_portrait(3, 7)
    assert np.array_equal(first.pixels, again.pixels)
    assert (first.landmarks, first.traits) == (again.landmarks, again.traits)


@pytest.mark.parametrize("other", [(3, 8), (4, 7)])
def test_another_index_or_seed_gives_another_portrait(other: tuple[int, int]) -> None:
    """Neither seed nor index is ignored: traits and pixels differ."""
    first, second = draw_portrait(3, 7), draw_portrait(*other)
    assert first.traits != second.traits
    assert np.mean(first.pixels != second.pixels) > 0.5


def test_pixels_are_uint8_in_celeba_size() -> None:
    """A portrait is uint8 [218, 178, 3], neither black nor burnt out."""
    pixels = draw_portrait(0, 0).pixels
    assert (pixels.shape, pixels.dtype) == ((218, 178, 3), np.uint8)
    assert pixels.std() > 20


@pytest.mark.parametrize(("seed", "index"), [(-1, 0), (0, -1)])
def test_negative_seed_or_index_is_rejected(seed: int, index: int) -> None:
    """The error names both values and the range."""
    with pytest.raises(ValueError, match=f"0 or more, got seed={seed}, index={index}"):
        draw_portrait(seed, index)


def test_neutral_landmarks_are_the_documented_ones() -> None:
    """A frontal, neutral face has its eyes, nose and mouth at CelebA's aligned places."""
    assert paint(Traits()).landmarks == NEUTRAL_LANDMARKS
    assert NEUTRAL_LANDMARKS == ((69, 111), (108, 111), (88, 136), (71, 152), (106, 152))


def test_yaw_moves_the_nose_and_keeps_the_eyes() -> None:
    """Turning the head moves the nose to that side; the alignment holds the eyes within two pixels."""
    left_eye, right_eye, nose, *_ = paint(Traits(yaw=15.0)).landmarks
    assert nose[0] - NEUTRAL_LANDMARKS[2][0] >= 4
    for eye, neutral in zip((left_eye, right_eye), NEUTRAL_LANDMARKS, strict=False):
        assert abs(eye[0] - neutral[0]) <= 2
        assert abs(eye[1] - neutral[1]) <= 2


@pytest.mark.parametrize("colour", sorted(EYE_COLOURS))
def test_iris_has_the_colour_of_the_trait(colour: str) -> None:
    """Around both eye landmarks lies an iris in the colour of the trait, and on them a dark pupil."""
    portrait = paint(Traits(eye_colour=colour, eye_size=0.5, light_side=0.0))
    y, x = np.mgrid[0:218, 0:178]
    for eye_x, eye_y in portrait.landmarks[:2]:
        pupil = portrait.pixels[eye_y, eye_x].astype(float)
        assert pupil.max() < 60
        radius = np.hypot(x - eye_x, y - eye_y)
        ring = (radius > 2.0) & (radius < 3.3) & (y >= eye_y)
        seen = portrait.pixels[ring].mean(axis=0)
        assert np.abs(seen - EYE_COLOURS[colour]).max() < 45


def test_pupil_follows_the_pose() -> None:
    """The darkest place near an eye landmark is at most two pixels away from it, in any pose."""
    for yaw, pitch, roll in ((18.0, 5.0, -5.0), (-18.0, -6.0, 5.0)):
        portrait = paint(Traits(yaw=yaw, pitch=pitch, roll=roll, eye_colour="blue", eye_size=1.0, age=0.0))
        for eye_x, eye_y in portrait.landmarks[:2]:
            around = portrait.pixels[eye_y - 3 : eye_y + 4, eye_x - 3 : eye_x + 4].sum(axis=2).astype(float)
            assert around[2:5, 2:5].min() < 130


def test_layout_files_agree_in_count_and_names(dataset: Path) -> None:
    """The folder holds the pictures and CelebA's four text files, one row each per picture."""
    names = [f"{i:06d}.jpg" for i in range(1, COUNT + 1)]
    assert sorted(p.name for p in dataset.iterdir()) == [
        "identity_CelebA.txt",
        "img_align_celeba",
        "list_attr_celeba.txt",
        "list_eval_partition.txt",
        "list_landmarks_align_celeba.txt",
    ]
    assert sorted(p.name for p in (dataset / "img_align_celeba").iterdir()) == names
    attributes, landmarks = (
        lines(dataset / "list_attr_celeba.txt"),
        lines(dataset / "list_landmarks_align_celeba.txt"),
    )
    assert attributes[0] == landmarks[0] == str(COUNT)
    assert attributes[1] == " ".join(ATTRIBUTES) + " "
    assert [row.split()[0] for row in attributes[2:]] == names
    assert [row.split()[0] for row in landmarks[2:]] == names
    assert lines(dataset / "list_eval_partition.txt") == [
        f"{name} {0 if i < 16 else 1 if i < 18 else 2}" for i, name in enumerate(names)
    ]
    assert lines(dataset / "identity_CelebA.txt") == [f"{name} {i + 1}" for i, name in enumerate(names)]


def test_rows_have_celebas_format(dataset: Path) -> None:
    """Attributes are 40 signs two wide; landmarks are ten numbers, all but the first four wide."""
    for row in lines(dataset / "list_attr_celeba.txt")[2:]:
        assert re.fullmatch(r"\d{6}\.jpg( (-1| 1)){40}", row)
    for row in lines(dataset / "list_landmarks_align_celeba.txt")[2:]:
        assert re.fullmatch(r"\d{6}\.jpg \d+( [ \d]{3}\d){9}", row)


def test_landmarks_lie_in_the_picture_and_in_order(dataset: Path) -> None:
    """Left is left of right, eyes are above the nose, the nose above the mouth, all within 178x218."""
    for row in lines(dataset / "list_landmarks_align_celeba.txt")[2:]:
        lex, ley, rex, rey, nx, ny, lmx, lmy, rmx, rmy = map(int, row.split()[1:])
        assert 0 <= lex < rex < 178
        assert 0 <= lmx < rmx < 178
        assert 0 <= nx < 178
        assert max(ley, rey) < ny < min(lmy, rmy) < 218


def test_pictures_are_jpegs_of_the_drawn_portraits(dataset: Path) -> None:
    """Each file decodes to its portrait, up to JPEG's loss."""
    for index in (0, COUNT - 1):
        with Image.open(dataset / "img_align_celeba" / f"{index + 1:06d}.jpg") as picture:
            assert (picture.format, picture.mode, picture.size) == ("JPEG", "RGB", (178, 218))
            decoded = np.asarray(picture, dtype=float)
        assert np.abs(decoded - draw_portrait(5, index).pixels).mean() < 4


def test_attribute_file_follows_the_traits(dataset: Path) -> None:
    """The signs in the file are those of the traits that were drawn."""
    for index, row in enumerate(lines(dataset / "list_attr_celeba.txt")[2:]):
        expected = attributes_of(sample_traits(np.random.default_rng([5, index]))).values()
        assert [int(sign) for sign in row.split()[1:]] == [1 if value else -1 for value in expected]


def test_two_processes_write_the_same_bytes_as_one(dataset: Path, tmp_path: Path) -> None:
    """The number of processes changes nothing, progress reaches the count, and a missing folder is created."""
    folder = tmp_path / "missing" / "folder"
    reports: list[tuple[int, int]] = []
    write_portraits(folder, COUNT, seed=5, processes=2, progress=lambda done, of: reports.append((done, of)))
    assert contents(folder) == contents(dataset)
    assert reports == [(done, COUNT) for done in range(1, COUNT + 1)]


@pytest.mark.parametrize(
    ("traits", "true"),
    [
        (Traits(glasses="round"), {"Eyeglasses"}),
        (Traits(glasses="sunglasses"), {"Eyeglasses"}),
        (Traits(hair_style="bald", hair_colour="black"), {"Bald"}),
        (Traits(hair_colour="black"), {"Black_Hair"}),
        (Traits(hair_style="long wavy", hair_colour="blond"), {"Blond_Hair", "Wavy_Hair"}),
        (Traits(fringe=True, hair_style="bob"), {"Bangs"}),
        (Traits(smile=0.8, mouth_open=0.6), {"Smiling", "Mouth_Slightly_Open"}),
        (Traits(grooming="goatee"), {"Goatee", "Mustache", "Male"}),
        (Traits(grooming="lipstick"), {"Wearing_Lipstick", "No_Beard"}),
        (Traits(earrings="hoop", hat="beanie"), {"Wearing_Earrings", "Wearing_Hat"}),
        (Traits(skin=0.0), {"Pale_Skin"}),
    ],
)
def test_attributes_follow_traits(traits: Traits, true: set[str]) -> None:
    """What a trait determines is said by the attribute of CelebA's name."""
    values = attributes_of(traits)
    assert tuple(values) == ATTRIBUTES
    assert true <= {name for name, value in values.items() if value}


def test_attributes_of_the_default_face() -> None:
    """Exactly these attributes are true of `Traits()`, so none is set by accident."""
    true = {name for name, value in attributes_of(Traits()).items() if value}
    assert true == {"Brown_Hair", "No_Beard", "Straight_Hair", "Young"}


def test_attributes_never_contradict_each_other() -> None:
    """One hair colour at most, no beard together with No_Beard, no lipstick on a beard."""
    rng = np.random.default_rng(11)
    for _ in range(300):
        values = attributes_of(sample_traits(rng))
        colours = [values[f"{colour}_Hair"] for colour in ("Black", "Blond", "Brown", "Gray")]
        assert sum(colours) <= (0 if values["Bald"] else 1)
        assert values["No_Beard"] != values["Male"]
        assert not (values["Wearing_Lipstick"] and values["Male"])
        assert not (values["Straight_Hair"] and values["Wavy_Hair"])


def test_glasses_change_the_picture_around_the_eyes_only() -> None:
    """Factors are independent: putting glasses on leaves hair, mouth and backdrop as they were."""
    bare, worn = paint(Traits()), paint(replace(Traits(), glasses="square"))
    changed = np.any(bare.pixels != worn.pixels, axis=2)
    rows = np.flatnonzero(changed.any(axis=1))
    assert changed.any()
    assert 84 <= rows.min() <= rows.max() <= 142


@pytest.mark.parametrize(("index", "expected"), [(0, 0), (7, 0), (8, 1), (9, 2)])
def test_partition_is_80_10_10_in_order(index: int, expected: int) -> None:
    """Of ten portraits eight are for training, then one for validation, then one for testing."""
    assert partition_of(index, 10) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0, "seed": 1}, "count must be 1 to 999999, got 0"),
        ({"count": 1, "seed": -1}, "seed must be 0 or more, got -1"),
        ({"count": 1, "seed": 1, "processes": 0}, "processes must be 1 or more, got 0"),
    ],
)
def test_bad_arguments_are_rejected(tmp_path: Path, arguments: dict[str, int], message: str) -> None:
    """Out-of-range arguments are named with their range, and nothing is written."""
    with pytest.raises(ValueError, match=message):
        write_portraits(tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_portraits_is_not_overwritten(dataset: Path) -> None:
    """Writing twice into one folder is an error, and the first portraits survive."""
    before = contents(dataset)
    with pytest.raises(FileExistsError):
        write_portraits(dataset, 1, seed=6, processes=1)
    assert contents(dataset) == before


def test_version_is_an_int() -> None:
    """The version enters the data set's digest as JSON."""
    assert isinstance(synthetic.PORTRAITS_VERSION, int)
