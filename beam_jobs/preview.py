"""One picture that shows what training will see: a grid of the first training records."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from beam_jobs.pixels.decoding import Pixels
from gan_core import storage
from gan_core.artifacts import replace_file
from gan_core.normalization import Normalization
from gan_core.records import decode_example, read_records

COLUMNS, ROWS = 8, 8
_GAP = 2  # pixels between tiles and around them
_BACKDROP = 255
_MIN_TILE, _MAX_TILE = 64, 128  # pixels; smaller tiles are magnified, larger ones shrunk, by whole factors


def write_preview(path: Path, shards: Sequence[Path], fields: Mapping[str, Any]) -> None:
    """Write a PNG grid of the first 64 records that are no mirrored copies; `fields` are the manifest's."""
    grid = picture_grid(islice(_originals(shards, fields), COLUMNS * ROWS))
    picture = io.BytesIO()
    Image.fromarray(grid[:, :, 0] if grid.shape[2] == 1 else grid).save(picture, "PNG")
    replace_file(path, picture.getvalue())


def picture_grid(images: Iterable[Pixels]) -> Pixels:
    """Return 8 columns of tiles with thin gaps: uint8 [S, S, C], at least one -> uint8 [rows, columns, C]."""
    tiles = [_tile(image) for image in images]
    side, _, channels = tiles[0].shape
    columns = min(COLUMNS, len(tiles))
    rows = -(-len(tiles) // columns)
    grid = np.full((rows * (side + _GAP) + _GAP, columns * (side + _GAP) + _GAP, channels), _BACKDROP, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = (_GAP + place * (side + _GAP) for place in divmod(index, columns))
        grid[top : top + side, left : left + side] = tile
    return grid


def _tile(image: Pixels) -> Pixels:
    side, _, channels = image.shape
    if side < _MIN_TILE:
        factor = -(-_MIN_TILE // side)
        return image.repeat(factor, axis=0).repeat(factor, axis=1)
    if side <= _MAX_TILE:
        return image
    factor = side // _MAX_TILE
    blocks = image.reshape(side // factor, factor, side // factor, factor, channels)
    shrunk: Pixels = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return shrunk


def _originals(shards: Iterable[Path], fields: Mapping[str, Any]) -> Iterator[Pixels]:
    form, normalization = fields["protocol"]["storage"], Normalization.from_json(fields["normalization"])
    for shard in shards:
        for _, record in read_records(shard):
            features = decode_example(record)
            if features["mirrored"] == [0]:
                shape, image = tuple(cast(list[int], features["shape"])), cast(bytes, features["image"])
                yield storage.decode(image, shape, form, normalization)
