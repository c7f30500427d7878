from __future__ import annotations

import threading

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from beam_jobs.pixels import resampling
from beam_jobs.pixels.colours import as_picture, as_pixels
from beam_jobs.pixels.resampling import Edges, resample

Pixels = npt.NDArray[np.uint8]
LANCZOS = Image.Resampling.LANCZOS


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """No plan of another test."""
    monkeypatch.setattr(resampling, "_PLANS", resampling._Plans())


def noise(width: int, height: int, channels: int, seed: int = 0) -> Pixels:
    """Noise whose left half is black and white alone: there the filter's overshoot must be clipped."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    pixels[:, : width // 2] = pixels[:, : width // 2] // 128 * 255
    return pixels


def count_products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Return a list that grows by the size of every picture that is resized by products."""
    sizes: list[tuple[int, int]] = []
    original = resampling._Plan.resize

    def counted(plan: resampling._Plan, picture: Image.Image) -> Pixels:
        sizes.append(picture.size)
        return original(plan, picture)

    monkeypatch.setattr(resampling._Plan, "resize", counted)
    return sizes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["LANCZOS", "BICUBIC", "BILINEAR", "BOX", "HAMMING"])
@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(148, 148, 64), (178, 218, 64), (108, 108, 128), (64, 64, 64), (50, 301, 17), (1024, 700, 256)],
)
def test_products_are_pillows_pixels(
    monkeypatch: pytest.MonkeyPatch, channels: int, name: str, width: int, height: int, size: int
) -> None:
    """Every pixel, of noise and of overshoots, at all scales, in every filter, is the one that Pillow gives."""
    method = Image.Resampling[name]
    monkeypatch.setattr(resampling, "_FILTERS", {method})
    used = count_products(monkeypatch)
    for seed in range(3):
        picture = as_picture(noise(width, height, channels, seed))
        box = (0, 0, width, height)
        assert np.array_equal(resample(picture, size, method, box), as_pixels(picture.resize((size, size), method)))
    assert used == [(width, height)] * 2


@pytest.mark.parametrize(
    "box", [(0, 0, 148, 148), (15, 35, 163, 183), (0.5, 0.25, 90.75, 91), (1 / 3, 7, 177.9, 217.9), (60, 60, 61, 61)]
)
def test_products_are_pillows_pixels_in_any_box(monkeypatch: pytest.MonkeyPatch, box: Edges) -> None:
    """Edges inside of pixels count in part, and pixels outside of the box count as far as the filter reaches."""
    used = count_products(monkeypatch)
    for seed in range(2):
        picture = as_picture(noise(178, 218, 3, seed))
        assert np.array_equal(
            resample(picture, 64, LANCZOS, box), as_pixels(picture.resize((64, 64), LANCZOS, box=box))
        )
    assert len(used) == 1


def test_products_are_used_where_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the second picture of a geometry on, for Lanczos, from 48x48 to 1024x1024, and not where sizes go by."""
    used = count_products(monkeypatch)

    def resized(side: int, times: int, method: Image.Resampling = LANCZOS) -> None:
        picture = as_picture(noise(side, side, 3))
        for _ in range(times):
            resample(picture, 32, method, (0, 0, side, side))

    resized(100, 3)
    assert used == [(100, 100)] * 2
    for side in (47, 1025):
        resized(side, 2)
    resized(100, 2, Image.Resampling.BICUBIC)
    assert used == [(100, 100)] * 2
    for side in range(60, 65):  # more than are kept
        resized(side, 1)
    resized(100, 1)
    assert used == [(100, 100)] * 2
    resized(100, 1)
    assert used == [(100, 100)] * 3


def test_threads_do_not_share_buffers() -> None:
    """Four threads that resize at once, as those of a Beam worker may, all get Pillow's pixels."""
    pictures = [as_picture(noise(178, 178, 3, seed)) for seed in range(4)]
    expected = [as_pixels(picture.resize((64, 64), LANCZOS)) for picture in pictures]
    wrong: list[int] = []

    def work(index: int) -> None:
        for _ in range(50):
            if not np.array_equal(resample(pictures[index], 64, LANCZOS, (0, 0, 178, 178)), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_result_is_a_picture_of_its_own() -> None:
    """The next picture does not change it."""
    results = [resample(as_picture(noise(100, 100, 1, seed)), 64, LANCZOS, (0, 0, 100, 100)) for seed in range(3)]
    before = results[1].copy()
    resample(as_picture(noise(100, 100, 1, 9)), 64, LANCZOS, (0, 0, 100, 100))
    assert np.array_equal(results[1], before)
    assert results[1].flags.c_contiguous
