import base64
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_core import grids
from gan_core.errors import ArtifactError
from gan_core.handoff import DatasetManifest
from gan_core.report import pictures
from gan_core.report.pictures import Picture
from tests.datasets import smooth_pictures, split_pictures


def decoded(picture: Picture | None) -> Image.Image:
    """Return the picture that the page shows."""
    assert picture is not None
    return Image.open(io.BytesIO(base64.b64decode(picture.src.partition(",")[2])))


def test_mirrored_copies_are_passed_over(tmp_path: Path, make_dataset: Callable[..., DatasetManifest]) -> None:
    """Where a data set stores mirrored copies, the real pictures are the originals."""
    mirrored = make_dataset(tmp_path / "mirrored", count=8, mirrored=True)
    shown = pictures.real_pictures(mirrored, "train", 64)
    assert np.array_equal(shown, split_pictures("train", 8))


def test_real_pictures_are_spread_evenly(tiny_dataset: DatasetManifest) -> None:
    """Four of the sixteen in the first shard are every fourth; an empty split is refused."""
    shown = pictures.real_pictures(tiny_dataset, "train", 4)
    assert np.array_equal(shown, split_pictures("train")[:16:4])
    with pytest.raises(ArtifactError, match="has no pictures in the split 'test'"):
        pictures.real_pictures(tiny_dataset, "test", 4)


@pytest.mark.parametrize(
    ("resolution", "layout"), [(28, (8, 8)), (32, (8, 8)), (64, (8, 8)), (128, (8, 4)), (256, (4, 2))]
)
def test_sheets_fit_a_desktop_without_shrinking(resolution: int, layout: tuple[int, int]) -> None:
    """A sheet is at most 1056 pixels wide, and as high only if two of them fit beside each other."""
    assert pictures.sheet_layout(resolution) == layout


@pytest.mark.parametrize(("resolution", "columns", "shown_count"), [(32, 8, 12), (256, 4, 8)])
def test_generated_pictures_are_shown_pixel_for_pixel(
    tmp_path: Path, resolution: int, columns: int, shown_count: int
) -> None:
    """The first pictures of the file stand on the page as they are; large ones are fewer, never smaller."""
    colours = np.arange(12 * 3, dtype=np.uint8).reshape(12, 1, 1, 3)
    images = np.tile(colours, (1, resolution, resolution, 1))
    grids.grid(images, 8).save(tmp_path / "grid.png")
    shown = pictures.generated_sheet(tmp_path / "grid.png", resolution)
    expected = grids.grid(images[:shown_count], columns)
    assert np.array_equal(np.asarray(decoded(shown)), np.asarray(expected))
    assert shown is not None and shown.exact


def test_a_file_that_is_no_such_grid_is_shown_whole(tmp_path: Path) -> None:
    """A sheet of another geometry is not cut apart; what cannot be decoded is no picture."""
    Image.new("L", (70, 50), 9).save(tmp_path / "grid.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    assert decoded(pictures.generated_sheet(tmp_path / "grid.png", 32)).size == (70, 50)
    assert pictures.generated_sheet(tmp_path / "broken.png", 32) is None
    assert pictures.generated_sheet(tmp_path / "none.png", 32) is None


def test_large_pictures_are_made_to_fit() -> None:
    """Noise, which no format compresses, loses quality and then size, until it keeps its share of the page."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8))
    tight = pictures.encode(noise, 5_000, lossless=True)
    assert decoded(tight).size == (tight.width, tight.height) == (100, 100)
    assert len(tight.src) <= 5_000 * 4 / 3 + 100
    assert not tight.exact
    loose = pictures.encode(noise, 200_000, lossless=True)
    assert loose.exact
    assert np.array_equal(np.asarray(decoded(loose)), np.asarray(noise))


def test_a_picture_without_losses_but_smaller_is_not_exact() -> None:
    """What was shrunk to the page's largest side is not called exact, though nothing else was lost."""
    shown = pictures.encode(Image.new("RGB", (1200, 8)), 10_000, lossless=True)
    assert (shown.width, shown.height, shown.exact) == (1056, 7, False)


def test_undecodable_snapshots_are_left_out(tmp_path: Path) -> None:
    """A damaged snapshot costs its frame and its column; the moments of the others stay theirs."""
    images = smooth_pictures(16, 32, 3)
    (tmp_path / "snapshots").mkdir()
    for images_seen in (0, 1500, 3000):
        grids.grid(images, 8).save(tmp_path / "snapshots" / f"{images_seen:012d}.png")
    (tmp_path / "snapshots" / "000000001500.png").write_bytes(b"")
    (tmp_path / "snapshots" / "notes.png").write_bytes(b"")
    files = pictures.snapshot_files(tmp_path)
    assert [path.stem for path in files] == ["000000000000", "000000001500", "000000003000"]
    assert [(kimg, frame.width) for kimg, frame in pictures.film(files)] == [(0.0, 270), (3.0, 270)]
    moments, strip = pictures.strip(files, 32) or ([], None)
    assert moments == [0.0, 3.0]
    assert decoded(strip).size == (66, 66)
    assert pictures.strip([], 32) is None


@pytest.mark.parametrize(
    ("count", "resolution", "size"), [(64, 32, (270, 202)), (12, 32, (270, 66)), (64, 128, (720, 540))]
)
def test_the_first_screen_has_a_wide_sheet(tmp_path: Path, count: int, resolution: int, size: tuple[int, int]) -> None:
    """At most eight by six samples, no wider than 720 pixels; none without samples."""
    grids.grid(smooth_pictures(count, resolution, 3), 8).save(tmp_path / "grid.png")
    assert decoded(pictures.hero(tmp_path / "grid.png", resolution)).size == size
    assert pictures.hero(tmp_path / "none.png", resolution) is None
