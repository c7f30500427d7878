"""The pictures of a run's report as data URIs, within the page's budget of bytes."""

from __future__ import annotations

import base64
import contextlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from gan_core import grids
from gan_core.dataset import picture_of
from gan_core.errors import ArtifactError
from gan_core.grids import spread
from gan_core.handoff import DatasetManifest, Shard
from gan_core.records import decode_example, read_records

Images = npt.NDArray[np.uint8]

# Base64 adds a third: with Vega's 0.9 MB these stay below the page's 5 MB, whatever the run's resolution is.
SHEET_BYTES = 450_000  # twice; enough for 64 pictures of faces at 64x64, without loss
HERO_BYTES = 110_000
STRIP_BYTES = 80_000
PREVIEW_BYTES = 100_000
FRAMES_BYTES = 520_000

_MAX_FRAMES = 24
_STRIP_COLUMNS = 8
_SHEET_COLUMNS = 8  # as in samples/grid.png
_BESIDE_PIXELS = 542  # sheets up to this width stand side by side on a desktop, wider ones below each other
_MAX_SIDE_PIXELS = 1056
_HOPELESS = 3  # times too large: less quality alone will not do, and each try costs time
_HERO_COLUMNS, _HERO_ROWS, _HERO_PIXELS = 8, 6, 720
_GAP_PIXELS = 2  # as in grids.grid

# On sheets of faces, against Pillow's defaults: a quarter of the time for 1 to 4 % more bytes.
_LOSSLESS: Mapping[str, Any] = {"lossless": True, "quality": 20, "method": 1}
_LOSSY: Sequence[Mapping[str, Any]] = [{"quality": quality, "method": 2} for quality in (90, 75, 60)]


@dataclass(frozen=True)
class Picture:
    """A picture as a data URI, with its size in pixels. `exact` says that no pixel differs from the source's."""

    src: str
    width: int
    height: int
    exact: bool


def sheet_layout(resolution: int) -> tuple[int, int]:
    """Return columns and rows of a sheet that a desktop shows without shrinking: 64 -> 8, 8; 128 -> 8, 4."""
    step = resolution + _GAP_PIXELS
    columns = max(1, min(_SHEET_COLUMNS, (_MAX_SIDE_PIXELS + _GAP_PIXELS) // step))
    return columns, columns if columns * step - _GAP_PIXELS <= _BESIDE_PIXELS else max(1, columns // 2)


def generated_sheet(path: Path, resolution: int) -> Picture | None:
    """Return the first pictures of the grid file at `path`, as many as `sheet_layout` says.

    None where there is no such file or it cannot be decoded; a file that is no such grid is returned whole.
    """
    sheet = open_picture(path)
    if sheet is None:
        return None
    columns, rows = sheet_layout(resolution)
    tiles = tiles_of(sheet, resolution)
    if tiles and (len(tiles) > columns * rows or sheet.width > columns * (resolution + _GAP_PIXELS)):
        sheet = grids.grid(np.stack(tiles[: columns * rows]), columns)
    return encode(sheet, SHEET_BYTES, lossless=True)


def tiles_of(sheet: Image.Image, resolution: int) -> list[Images] | None:
    """Return the pictures of a sheet that `grids.grid` made, row by row; None where it is no sheet of that side."""
    step = resolution + _GAP_PIXELS
    if (sheet.width + _GAP_PIXELS) % step or (sheet.height + _GAP_PIXELS) % step:
        return None
    corners = [(x, y) for y in range(0, sheet.height, step) for x in range(0, sheet.width, step)]
    return [np.asarray(sheet.crop((x, y, x + resolution, y + resolution))) for x, y in corners]


def hero(path: Path, resolution: int) -> Picture | None:
    """Return the first pictures of the grid file at `path`, in a wide sheet for the top of the page; None without."""
    sheet = open_picture(path)
    if sheet is None:
        return None
    tiles = tiles_of(sheet, resolution)
    if tiles is None:
        return encode(sheet, HERO_BYTES)
    columns = _HERO_COLUMNS if len(tiles) >= 2 * _HERO_COLUMNS else max(1, len(tiles) // 2)
    rows = min(len(tiles) // columns, _HERO_ROWS)
    return encode(grids.grid(np.stack(tiles[: columns * rows]), columns), HERO_BYTES, largest_side=_HERO_PIXELS)


def real_sheet(dataset: DatasetManifest, split: str) -> Picture:
    """Return as many real pictures as `sheet_layout` says. Raises ArtifactError as `real_pictures` does."""
    columns, rows = sheet_layout(dataset.resolution)
    pictures = real_pictures(dataset, split, columns * rows)
    return encode(grids.grid(pictures, columns), SHEET_BYTES, lossless=True)


def real_pictures(dataset: DatasetManifest, split: str, count: int) -> Images:
    """Return up to `count` pictures spread evenly over the first shards of `split`: uint8 [N, S, S, C].

    As many shards are read as hold `count` records; mirrored copies are passed over.

    Raises:
        ArtifactError: the split is empty, or a shard is missing or damaged.
    """
    shards: list[Shard] = []
    for shard in dataset.splits.get(split, ()):
        shards.append(shard)
        if sum(shard.count for shard in shards) >= count:
            break
    total = sum(shard.count for shard in shards)
    images: list[Images] = []
    try:
        records = (data for shard in shards for _, data in read_records(dataset.path / shard.name))
        for position, data in enumerate(records):
            if position >= len(images) * total // min(count, total):
                features = decode_example(data)
                if features.get("mirrored") != [1]:
                    images.append(_picture(features, dataset))
    except OSError as error:
        raise ArtifactError(f"{error.filename} cannot be read: {error.strerror}") from None
    if not images:
        raise ArtifactError(f"{dataset.path} has no pictures in the split '{split}'")
    return np.stack(images)


def _picture(features: Mapping[str, Any], dataset: DatasetManifest) -> Images:
    try:
        return picture_of(features, dataset)
    except ArtifactError as error:
        raise ArtifactError(f"{dataset.path}: a record is {error}") from None


def snapshot_files(run_dir: Path) -> list[Path]:
    """Return the snapshots of a run, `<images seen>.png`, in the order of the training."""
    return sorted(path for path in (run_dir / "snapshots").glob("*.png") if path.stem.isdecimal())


def film(snapshots: Sequence[Path]) -> list[tuple[float, Picture]]:
    """Return (kimg, picture) of at most 24 snapshots; undecodable ones are left out."""
    chosen = spread(snapshots, _MAX_FRAMES)
    frames = [(int(path.stem) / 1000, picture_file(path, FRAMES_BYTES // len(chosen))) for path in chosen]
    return [(kimg, picture) for kimg, picture in frames if picture]


def strip(snapshots: Sequence[Path], resolution: int) -> tuple[list[float], Picture] | None:
    """Return (kimg of each column, picture): the first latent vectors, one a row, at up to eight moments."""
    columns, moments = [], []
    for path in spread(snapshots, _STRIP_COLUMNS):
        if sheet := open_picture(path):
            columns.append(np.asarray(sheet.crop((0, 0, resolution, sheet.height))))
            moments.append(int(path.stem) / 1000)
    if len({column.shape for column in columns}) != 1:
        return None
    return moments, encode(grids.grid(np.stack(columns), _STRIP_COLUMNS), STRIP_BYTES)


def picture_file(path: Path, limit_bytes: int, *, largest_side: int = _MAX_SIDE_PIXELS) -> Picture | None:
    """Return the picture at `path` for the page; None where there is none or it cannot be decoded."""
    picture = open_picture(path)
    return encode(picture, limit_bytes, largest_side=largest_side) if picture else None


def encode(
    picture: Image.Image, limit_bytes: int, *, lossless: bool = False, largest_side: int = _MAX_SIDE_PIXELS
) -> Picture:
    """Return the picture as WebP, as good and as large as fits into `limit_bytes`, at best `lossless`."""
    tries = [_LOSSLESS, *_LOSSY] if lossless else _LOSSY
    image = picture.convert("RGB")
    image.thumbnail((largest_side, largest_side), Image.Resampling.LANCZOS)
    while True:
        for options in tries:
            stream = io.BytesIO()
            image.save(stream, "WEBP", **options)
            if stream.tell() <= limit_bytes:
                src = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
                return Picture(src, *image.size, exact="lossless" in options and image.size == picture.size)
            if "lossless" not in options and stream.tell() > _HOPELESS * limit_bytes:
                break
        image = image.reduce(2)


def open_picture(path: Path) -> Image.Image | None:
    """Return the picture at `path` as RGB; None where there is none or it cannot be decoded."""
    broken = (OSError, SyntaxError, Image.DecompressionBombError)  # SyntaxError: a broken chunk
    with contextlib.suppress(*broken), Image.open(path) as image:
        return image.convert("RGB")
    return None
