"""A sheet of randomly chosen records, to look at: pictures, and on request what is known of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gan_core.data.entries import Decoder, Entry, Pixels, shard_entries
from gan_core.errors import ConfigError
from gan_core.handoff import DatasetManifest

COLUMNS = 8
_GAP_PIXELS = 4
_MIN_TILE, _MAX_TILE = 96, 256  # pixels; smaller pictures are magnified by whole factors, larger ones shrunk
_CAPTION_PIXELS = 24  # two lines
_FONT_PIXELS = 10
_POINT_COLOURS = ("red", "red", "lime", "cyan", "cyan")  # eyes, nose, corners of the mouth


def choose(dataset: DatasetManifest, splits: Sequence[str], count: int, seed: int) -> Iterator[Entry]:
    """Yield `count` random records of some splits, all of them where there are fewer, in the manifest's order.

    The choice is a function of (seed, number of records, count). Shards without a chosen record are not opened.
    """
    total = sum(dataset.count(split) for split in splits)
    chosen = np.sort(np.random.default_rng(seed).permutation(total)[:count])
    first = 0
    for split in splits:
        for shard in dataset.splits[split]:
            mine = {int(index) - first for index in chosen if first <= index < first + shard.count}
            first += shard.count
            if mine:
                yield from (entry for index, entry in enumerate(shard_entries(dataset, split, shard)) if index in mine)


def write_sheet(path: Path, dataset: DatasetManifest, chosen: Sequence[Entry], *, annotated: bool) -> None:
    """Write a PNG with the chosen records, row by row.

    Args:
        path: the file to write; replaced where it exists.
        dataset: what they are records of.
        chosen: at least one.
        annotated: with key, class and landmarks.

    Raises:
        ConfigError: the file cannot be written.
    """
    decode = Decoder(dataset)
    tiles = [_tile(decode(entry), entry if annotated else None, dataset.label_names) for entry in chosen]
    columns, (width, height) = min(COLUMNS, len(tiles)), tiles[0].size
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (width + _GAP_PIXELS), rows * (height + _GAP_PIXELS)), "white")
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        sheet.paste(tile, (column * (width + _GAP_PIXELS), row * (height + _GAP_PIXELS)))
    try:
        sheet.save(path, "PNG")
    except OSError as error:
        raise ConfigError(f"--images {path} cannot be written: {error.strerror or error}") from None


def _tile(pixels: Pixels, entry: Entry | None, label_names: Sequence[str]) -> Image.Image:
    picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    side = picture.width
    shown = side * -(-_MIN_TILE // side) if side < _MIN_TILE else min(side, _MAX_TILE)
    # Magnified pixels stay visible as squares: one wants to see what is stored.
    picture = picture.resize((shown, shown), Image.Resampling.NEAREST if shown > side else Image.Resampling.LANCZOS)
    if entry is None:
        return picture
    _draw_landmarks(picture, entry.landmarks, shown / side)
    tile = Image.new("RGB", (shown, shown + _CAPTION_PIXELS), "white")
    tile.paste(picture, (0, 0))
    text = ImageDraw.Draw(tile)
    font = ImageFont.load_default(_FONT_PIXELS)
    for line, words in enumerate(_caption(entry, label_names)):
        text.text((1, shown + 1 + line * _CAPTION_PIXELS // 2), words, fill="black", font=font)
    return tile


def _draw_landmarks(picture: Image.Image, landmarks: Sequence[float], scale: float) -> None:
    draw = ImageDraw.Draw(picture)
    for colour, x, y in zip(_POINT_COLOURS, landmarks[0::2], landmarks[1::2], strict=False):
        if x == x and y == y:  # not NaN
            draw.circle((x * scale, y * scale), 2, fill=colour, outline="black")


def _caption(entry: Entry, label_names: Sequence[str]) -> tuple[str, str]:
    known = label_names[entry.label] if 0 <= entry.label < len(label_names) else ""
    words = [known, "mirrored" if entry.mirrored else "", f"identity {entry.identity}" if entry.identity >= 0 else ""]
    return entry.key[-20:], ", ".join(filter(None, words))
