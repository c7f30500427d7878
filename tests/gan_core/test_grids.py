from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from gan_core.grids import animation, grid, spread

RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)


def plain(*colours: tuple[int, ...], side: int = 1) -> np.ndarray:
    """Return one picture of each colour: uint8 [N, side, side, C]."""
    return np.tile(np.array(colours, np.uint8)[:, None, None, :], (1, side, side, 1))


def test_grid_puts_pictures_row_by_row_with_a_gap() -> None:
    """Four 1x1 pictures in two columns: a 4x4 sheet, white where there is no picture."""
    sheet = grid(plain(RED, GREEN, BLUE, BLACK), columns=2)
    assert sheet.mode == "RGB"
    white = [WHITE] * 4
    assert np.asarray(sheet).tolist() == [
        [list(pixel) for pixel in row]
        for row in ([RED, WHITE, WHITE, GREEN], white, white, [BLUE, WHITE, WHITE, BLACK])
    ]


def test_grid_leaves_a_short_last_row_white() -> None:
    """Three pictures in two columns: the fourth place is white."""
    sheet = np.asarray(grid(plain(RED, GREEN, BLUE, side=2), columns=2))
    assert sheet.shape == (6, 6, 3)
    assert (sheet[4:, :2] == BLUE).all()
    assert (sheet[4:, 2:] == WHITE).all()


def test_grid_has_no_empty_columns() -> None:
    """Fewer pictures than columns give one row of just these."""
    assert grid(plain(RED, GREEN), columns=8).size == (4, 1)


def test_grid_keeps_the_order_inside_a_picture() -> None:
    """A picture's own rows and columns are not exchanged, also where it is not square."""
    image = np.arange(6, dtype=np.uint8).reshape(1, 2, 3, 1)
    assert np.asarray(grid(image, columns=1)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_grid_of_one_channel_is_grey() -> None:
    """Pictures with one channel give an 8-bit grey sheet."""
    sheet = grid(plain((7,), (8,)), columns=2)
    assert sheet.mode == "L"
    assert np.asarray(sheet).tolist() == [[7, 255, 255, 8]]


def frames(*colours: tuple[int, int, int]) -> list[Image.Image]:
    """Return one picture of each colour, 6 pixels wide and 4 high."""
    return [Image.new("RGB", (6, 4), colour) for colour in colours]


def read_gif(path: Path) -> tuple[list[tuple[int, tuple[int, int], tuple[int, ...]]], int]:
    """Return (milliseconds, size, colour) of every frame, each of one colour, and the loop count."""
    shown = []
    with Image.open(path) as picture:
        assert picture.format == "GIF"
        for index in range(getattr(picture, "n_frames", 1)):
            picture.seek(index)
            pixels = np.asarray(picture.convert("RGB"))
            assert (pixels == pixels[0, 0]).all()
            shown.append((picture.info["duration"], picture.size, tuple(pixels[0, 0].tolist())))
        return shown, picture.info["loop"]


def test_animation_shows_every_frame_and_holds_the_last(tmp_path: Path) -> None:
    """Frames keep order, size and colours; the last one stays longer; the film never ends."""
    animation(frames(RED, GREEN, BLUE), tmp_path / "film.gif")
    assert read_gif(tmp_path / "film.gif") == (
        [(250, (6, 4), RED), (250, (6, 4), GREEN), (2000, (6, 4), BLUE)],
        0,
    )


def test_animation_takes_its_times(tmp_path: Path) -> None:
    """The time of a frame and of the last one can be set."""
    animation(frames(RED, GREEN), tmp_path / "film.gif", frame_ms=40, hold_ms=500)
    assert read_gif(tmp_path / "film.gif")[0] == [(40, (6, 4), RED), (500, (6, 4), GREEN)]


def test_animation_of_frames_that_do_not_change_lasts_as_long(tmp_path: Path) -> None:
    """Equal neighbours are stored once, with the sum of their times."""
    animation(frames(RED, RED, GREEN, GREEN), tmp_path / "film.gif")
    assert read_gif(tmp_path / "film.gif")[0] == [(500, (6, 4), RED), (2250, (6, 4), GREEN)]


def test_animation_of_one_frame(tmp_path: Path) -> None:
    """One frame is a film that stands still."""
    animation(frames(RED), tmp_path / "film.gif")
    assert read_gif(tmp_path / "film.gif")[0] == [(2000, (6, 4), RED)]


def test_spread_keeps_the_first_and_the_last() -> None:
    """Of more items than fit, evenly spread ones are taken."""
    assert spread(list(range(9)), 4) == [0, 2, 5, 8]
    assert spread([7], 4) == [7]
    assert spread([], 4) == []
