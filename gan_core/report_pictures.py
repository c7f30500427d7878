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

# Base64 adds a third: together these stay below 4.8 MB of the page's 5 MB, whatever the run's resolution is.
SHEET_BYTES = 1_050_000  # twice; enough for 64 pictures of noise at 64x64, without loss
STRIP_BYTES = 150_000
PREVIEW_BYTES = 150_000
FRAMES_BYTES = 800_000
GIF_BYTES = 400_000

_MAX_FRAMES = 24
_STRIP_COLUMNS = 8
_SHEET_COLUMNS = 8  # as in samples/grid.png
_BESIDE_PIXELS = 542  # sheets up to this width stand side by side on a desktop, wider ones below each other
_MAX_SIDE_PIXELS = 1056
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
    sheet = _open(path)
    if sheet is None:
        return None
    columns, rows = sheet_layout(resolution)
    step = resolution + _GAP_PIXELS
    size = sheet.width + _GAP_PIXELS, sheet.height + _GAP_PIXELS
    is_grid = not size[0] % step and not size[1] % step
    if is_grid and (size[0] > columns * step or size[1] > rows * step):
        corners = [(x, y) for y in range(0, size[1], step) for x in range(0, size[0], step)]
        tiles = [np.asarray(sheet.crop((x, y, x + resolution, y + resolution))) for x, y in corners[: columns * rows]]
        sheet = grids.grid(np.stack(tiles), columns)
    return encode(sheet, SHEET_BYTES, lossless=True)


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
        if sheet := _open(path):
            columns.append(np.asarray(sheet.crop((0, 0, resolution, sheet.height))))
            moments.append(int(path.stem) / 1000)
    if len({column.shape for column in columns}) != 1:
        return None
    return moments, encode(grids.grid(np.stack(columns), _STRIP_COLUMNS), STRIP_BYTES)


def animated(snapshots: Sequence[Path], resolution: int) -> Picture | None:
    """Return the GIF of the first sixteen latent vectors, of as many frames as the budget allows; None without frames.

    The whole grid's GIF, the run's training.gif, takes megabytes.
    """
    side = 4 * (resolution + _GAP_PIXELS) - _GAP_PIXELS
    for limit in (20, 14, 9, 5, 2):
        frames = [sheet.crop((0, 0, side, side)) for path in spread(snapshots, limit) if (sheet := _open(path))]
        if not frames:
            return None
        stream = io.BytesIO()
        grids.animation(frames, stream, colours=64)
        if stream.tell() <= GIF_BYTES:
            break
    data = base64.b64encode(stream.getvalue()).decode()
    return Picture(f"data:image/gif;base64,{data}", side, side, exact=False)


def picture_file(path: Path, limit_bytes: int) -> Picture | None:
    """Return the picture at `path` for the page; None where there is none or it cannot be decoded."""
    picture = _open(path)
    return encode(picture, limit_bytes) if picture else None


def encode(picture: Image.Image, limit_bytes: int, *, lossless: bool = False) -> Picture:
    """Return the picture as WebP, as good and as large as fits into `limit_bytes`, at best `lossless`."""
    tries = [_LOSSLESS, *_LOSSY] if lossless else _LOSSY
    image = picture.convert("RGB")
    image.thumbnail((_MAX_SIDE_PIXELS, _MAX_SIDE_PIXELS), Image.Resampling.LANCZOS)
    while True:
        for options in tries:
            stream = io.BytesIO()
            image.save(stream, "WEBP", **options)
            if stream.tell() <= limit_bytes:
                src = f"data:image/webp;base64,{base64.b64encode(stream.getvalue()).decode()}"
                return Picture(src, *image.size, exact="lossless" in options and image.size == picture.size)
        image = image.reduce(2)


def _open(path: Path) -> Image.Image | None:
    with contextlib.suppress(OSError, SyntaxError), Image.open(path) as image:  # SyntaxError: a broken chunk
        return image.convert("RGB")
    return None
