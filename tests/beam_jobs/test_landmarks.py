from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from beam_jobs.pixels.images import FILTERS, Box
from beam_jobs.pixels.landmarks import FaceSquare, Landmarks, boxed, cut_face, face_square, mirrored, scaled
from beam_jobs.pixels.rejects import Reject
from tests.pictures import scene

Pixels = npt.NDArray[np.uint8]

# Eyes 40 apart, the mouth 44 below them, in pixels; relative to a picture of 200x240 in FACE.
POINTS = (80.0, 100.0, 120.0, 100.0, 100.0, 122.0, 86.0, 144.0, 114.0, 144.0)
FACE = tuple(value / (200, 240)[index % 2] for index, value in enumerate(POINTS))


def turned(points: Landmarks, degrees: float, x: float = 100.0, y: float = 120.0) -> Landmarks:
    """Return points turned clockwise around (x, y)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    pairs = zip(points[::2], points[1::2], strict=True)
    return tuple(v for a, b in pairs for v in (x + (a - x) * cos - (b - y) * sin, y + (a - x) * sin + (b - y) * cos))


def disc(width: int, height: int, points: Landmarks, radius: float) -> Pixels:
    """Return black with a white soft disc at every point. uint8 [height, width, 1]."""
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    picture = np.zeros((height, width))
    for a, b in zip(points[::2], points[1::2], strict=True):
        picture = np.maximum(picture, np.clip(radius + 0.5 - np.hypot(x - a, y - b), 0, 1))
    return np.rint(255 * picture).astype(np.uint8)[:, :, np.newaxis]


def test_the_square_of_an_upright_face() -> None:
    """Eyes 40 apart, mouth 44 below: the half side is max(80, 79.2), the centre 4.4 below the eyes."""
    square = face_square(FACE, 200, 240)
    assert (square.x, square.y, square.right_x, square.right_y) == pytest.approx((100, 104.4, 80, 0))
    assert square.side == pytest.approx(160)


def test_a_long_face_is_measured_from_eyes_to_mouth() -> None:
    """With the mouth 60 below, 1.8 x 60 exceeds 2 x 40."""
    points = (*FACE[:6], FACE[6], 160 / 240, FACE[8], 160 / 240)
    assert face_square(points, 200, 240).side == pytest.approx(216)


def test_the_square_is_that_of_ffhq() -> None:
    """On a crooked face the four corners are those of the released formula, written here as it is published."""
    left, right, mouth = np.array((70.0, 90.0)), np.array((118.0, 104.0)), np.array((88.0, 150.0))
    points = (*left, *right, 0.0, 0.0, *(mouth - np.array((12, 3))), *(mouth + np.array((12, 3))))
    square = face_square(tuple(float(v) / 200 for v in points), 200, 200)
    eye_avg, eye_to_eye = (left + right) * 0.5, right - left
    eye_to_mouth = mouth - eye_avg
    x = eye_to_eye - np.flipud(eye_to_mouth) * [-1, 1]
    x /= np.hypot(*x)
    x *= max(np.hypot(*eye_to_eye) * 2.0, np.hypot(*eye_to_mouth) * 1.8)
    y = np.flipud(x) * [-1, 1]
    c = eye_avg + eye_to_mouth * 0.1
    assert square.place(tuple(np.ravel([c - x - y, c - x + y, c + x + y, c + x - y])), 64) == pytest.approx(
        (0, 0, 0, 64, 64, 64, 64, 0), abs=1e-9
    )


def test_landmarks_of_an_upright_face_move_with_it() -> None:
    """160 pixels become 64: a point (x, y) comes to ((x - 20) * 0.4, (y - 24.4) * 0.4), within 0.01 pixels."""
    placed = face_square(FACE, 200, 240).place(POINTS, 64)
    expected = [((v - 20) if index % 2 == 0 else (v - 24.4)) * 0.4 for index, v in enumerate(POINTS)]
    assert placed == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("degrees", [0.0, 30.0, -75.0, 180.0])
@pytest.mark.parametrize(("factor", "side"), [(1, 64), (1, 256), (8, 64)])
def test_pixels_arrive_where_landmarks_say(degrees: float, factor: int, side: int) -> None:
    """Five discs in a turned picture, shrunk, enlarged or reduced first: their centres are the placed landmarks."""
    width, height = 200 * factor, 240 * factor
    points = tuple(v * factor for v in turned(POINTS, degrees))
    picture = disc(width, height, points, 5 * factor)
    square = face_square(tuple(v / (width, height)[index % 2] for index, v in enumerate(points)), width, height)
    result = cut_face(picture, square, side)[:, :, 0].astype(float)
    placed = square.place(points, side)
    x, y = np.meshgrid(np.arange(side) + 0.5, np.arange(side) + 0.5)
    for a, b in zip(placed[::2], placed[1::2], strict=True):
        near = np.hypot(x - a, y - b) < 8 * side / 160
        weights = result * near
        assert (weights * x).sum() / weights.sum() == pytest.approx(a, abs=0.05)
        assert (weights * y).sum() / weights.sum() == pytest.approx(b, abs=0.05)


def smooth(width: int, height: int, degrees: float) -> Pixels:
    """Return a smooth picture, as it looks when it is turned clockwise around (100, 120). uint8 [height, width, 3]."""
    x, y = np.meshgrid(np.arange(width) + 0.5 - 100, np.arange(height) + 0.5 - 120)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    u, v = x * cos + y * sin, y * cos - x * sin
    waves = [127.5 + 120 * np.sin(u / 9 + phase) * np.cos(v / 11 - phase) for phase in (0, 1, 2)]
    return np.rint(np.stack(waves, axis=2)).astype(np.uint8)


@pytest.mark.parametrize("filter", FILTERS)
def test_a_turned_face_is_upright_again(filter: str) -> None:
    """Turned by 30 degrees, the same face gives the same pixels: at most 2 levels off, 0.6 on average."""
    upright = cut_face(smooth(200, 240, 0), face_square(FACE, 200, 240), 64, filter)
    points = tuple(v / (200, 240)[index % 2] for index, v in enumerate(turned(POINTS, 30)))
    again = cut_face(smooth(200, 240, 30), face_square(points, 200, 240), 64, filter)
    inside = slice(12, 52)  # what lies in both pictures
    difference = np.abs(upright.astype(int) - again.astype(int))[inside, inside]
    assert difference.max() <= 2
    assert difference.mean() <= 0.6


def test_what_is_outside_is_reflected() -> None:
    """A square of 16 at the upper left corner of a picture: the outermost pixels are the axis of the reflection."""
    picture = scene(24, 20)
    # Its centre is the centre of the picture's first pixel, so both sides of it mirror each other.
    result = cut_face(picture, FaceSquare(0.5, 0.5, 8.0, 0.0), 16, "area")
    padded = np.pad(picture, ((12, 12), (12, 12), (0, 0)), mode="reflect")
    expected = cut_face(padded, FaceSquare(12.5, 12.5, 8.0, 0.0), 16, "area")
    assert np.array_equal(result, expected)
    assert np.array_equal(result, result[::-1, ::-1])
    assert result[0, 8:, 0].tolist() == [3, 13, 22, 31, 40, 49, 58, 67]


@pytest.mark.parametrize(("x", "y"), [(150.0, 140.0), (290.0, 260.0), (-20.0, 3.0)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_large_face_is_cut_from_a_smaller_picture(x: float, y: float, channels: int) -> None:
    """Blocks of 4x4 are averaged first, incomplete ones at the edges too, as if the whole picture were made smaller."""
    picture = np.ascontiguousarray(scene(301, 270)[:, :, :channels])
    square = FaceSquare(x, y, 100.0, 20.0)
    smaller = np.asarray(Image.fromarray(picture.squeeze()).reduce(4)).reshape(68, 76, channels)
    assert square.side == pytest.approx(203.96, abs=0.01)  # from 12 times the result on, blocks of 4
    assert np.array_equal(cut_face(picture, square, 16), cut_face(smaller, square.shrunk(4), 16))


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 7), (5, 3)])
def test_a_picture_much_smaller_than_its_square(width: int, height: int) -> None:
    """Reflected as often as needed: no black, and only the levels of the picture."""
    picture = np.full((height, width, 3), (200, 100, 50), np.uint8)
    result = cut_face(picture, FaceSquare(0.5, 0.5, 40.0, 20.0), 32)
    assert result.reshape(-1, 3).min(axis=0).tolist() == result.reshape(-1, 3).max(axis=0).tolist() == [200, 100, 50]


def test_a_fine_pattern_is_averaged() -> None:
    """A checkerboard of single pixels becomes grey at any angle and reduction: the crop is antialiased."""
    board = (np.indices((600, 600)).sum(axis=0) % 2 * 255).astype(np.uint8)[:, :, np.newaxis]
    for half in (100.0, 290.0):
        for angle in (0.0, 0.3, 1.0):
            square = FaceSquare(300.0, 300.0, half * math.cos(angle), half * math.sin(angle))
            assert np.abs(cut_face(board, square, 28).astype(int) - 127.5).max() <= 8


@pytest.mark.parametrize(
    ("landmarks", "start"),
    [
        ((), "data.crop=landmarks, and the source has none"),
        ((0.5, 0.5) * 5, "points that span no face: 0.5, 0.5"),
        ((*FACE[:9], 2.5), "points far outside of the picture, relative to its sides: 0.4, 0.417"),
        ((float("nan"), *FACE[1:]), "points far outside of the picture, relative to its sides: nan"),
    ],
)
def test_useless_landmarks_are_rejected(landmarks: Landmarks, start: str) -> None:
    """Unknown points, one point five times, and what lies far outside: a reject that says what was found."""
    with pytest.raises(Reject) as caught:
        face_square(landmarks, 200, 240)
    assert caught.value.reason == "no-landmarks"
    assert caught.value.detail.startswith(start)


def test_mirrored_points() -> None:
    """In a picture 10 wide, x becomes 10 - x; eyes and corners of the mouth change places, the nose stays."""
    assert mirrored((2, 1, 7, 1.5, 5, 3, 3, 5, 6, 5.5), 10) == (3, 1.5, 8, 1, 5, 3, 4, 5.5, 7, 5)
    assert mirrored(mirrored(POINTS, 200), 200) == POINTS
    assert mirrored((), 10) == ()


def test_mirroring_and_cutting_commute() -> None:
    """The square of the mirrored points is the mirrored square."""
    square = face_square(FACE, 200, 240)
    other = face_square(tuple(v / (200, 240)[i % 2] for i, v in enumerate(mirrored(POINTS, 200))), 200, 240)
    assert (other.x, other.y, other.side) == pytest.approx((200 - square.x, square.y, square.side))


def test_boxed_points() -> None:
    """A box of 20x40 resized to 10x10: each axis has its scale; unknown stays unknown."""
    assert boxed((15.0, 50.0), Box(5, 10, 20, 40), 10) == (5.0, 10.0)
    assert boxed((), Box(0, 0, 4, 4), 2) == ()
    assert scaled((0.5, 0.25), 200, 240) == (100.0, 60.0)
    assert scaled((), 200, 240) == ()


def test_pillow_agrees_on_a_quarter_turn() -> None:
    """A face that lies on its side gives the pixels of the upright one."""
    picture = scene(64, 64)
    upright = cut_face(picture, FaceSquare(32, 32, 32, 0), 64, "area")
    lying = np.asarray(Image.fromarray(picture).transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(upright, cut_face(lying, FaceSquare(32, 32, 0, 32), 64, "area"))
