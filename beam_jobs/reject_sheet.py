"""One picture of what was rejected: rejects.png, and in rejects_sheet.json what each tile is.

Made by the launcher, from the source, once all shards are finished: workers keep nothing for it, receipts stay as they
are, and the sheet is the same however many there are and whichever shards come from an earlier data set.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from beam_jobs.books import Receipt, Rejected
from beam_jobs.names import Names
from beam_jobs.pixels.decoding import Pixels, Reject, quiet_pillow
from beam_jobs.pixels.filters import Bounds
from beam_jobs.pixels.thumbnails import SHOWN_REASONS, TILE_PIXELS, thumbnail
from beam_jobs.places.ahead import fetched
from beam_jobs.sources.base import Reader
from gan_core.artifacts import replace_file, write_json
from gan_core.config import DataConfig
from gan_core.errors import FaceloomError
from gan_core.grids import grid, spread

SHEET, LIST = "rejects.png", "rejects_sheet.json"
MAX_TILES, MAX_OF_A_REASON, COLUMNS = 24, 8, 8


def write_reject_sheet(
    draft: Path, config: DataConfig, reader: Reader, names: Names, receipts: Sequence[Receipt]
) -> None:
    """Write both files below `draft`, or neither where no reject can be shown. At most 24 pictures are read again.

    rejects_sheet.json has `file`, `columns`, `tile_pixels`, and `tiles`: key, reason and detail of each, row by row.
    """
    for name in (SHEET, LIST):  # of an interrupted job, when the source was another
        (draft / name).unlink(missing_ok=True)
    chosen = choose([reject for receipt in receipts for reject in receipt.rejects])
    if not chosen:
        return
    found = _thumbnails(chosen, config, reader, names)
    shown = [reject for reject in chosen if reject.key in found]
    if not shown:
        return
    picture = io.BytesIO()
    grid(np.stack([found[reject.key] for reject in shown]), COLUMNS).save(picture, "PNG")
    replace_file(draft / SHEET, picture.getvalue())
    facts = {"file": SHEET, "columns": COLUMNS, "tile_pixels": TILE_PIXELS}
    write_json(draft / LIST, {**facts, "tiles": [asdict(reject) for reject in shown]})


def choose(rejects: Sequence[Rejected]) -> list[Rejected]:
    """Return up to 24 rejects that may have something to see, by reason and key.

    Of each reason up to 8, evenly spread over its keys; where that is too many, the reasons take turns.
    """
    ordered = sorted(rejects, key=lambda one: one.key)
    of_reason = [spread([one for one in ordered if one.reason == reason], MAX_OF_A_REASON) for reason in SHOWN_REASONS]
    turns = itertools.zip_longest(*of_reason)
    taken = [one for turn in turns for one in turn if one is not None][:MAX_TILES]
    return sorted(taken, key=lambda one: (SHOWN_REASONS.index(one.reason), one.key))


def _thumbnails(chosen: Sequence[Rejected], config: DataConfig, reader: Reader, names: Names) -> dict[str, Pixels]:
    quiet_pillow()
    reasons = {one.key: one.reason for one in chosen}
    found: dict[str, Pixels] = {}
    for key, data in _read(reader, names, set(reasons)):
        tile = thumbnail(data, reasons[key], Bounds.of(config).max_pixels, config.background)
        if tile is not None:
            found[key] = tile
    return found


def _read(reader: Reader, names: Names, keys: set[str]) -> Iterator[tuple[str, bytes | Pixels]]:
    """Yield what can be read; a picture that is gone meanwhile has no tile, and the data set is none the worse."""
    for ref, read in fetched(reader, (ref for ref in names if ref.key in keys)):
        try:
            data = read()
        except (Reject, FaceloomError, OSError):
            continue
        yield ref.key, data
