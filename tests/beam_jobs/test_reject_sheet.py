"""The sheet of rejects: which pictures have a tile, what is on it, and that nothing else changes."""

from __future__ import annotations

import io
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from beam_jobs.books import Rejected
from beam_jobs.pixels.decoding import Reject, quiet_pillow
from beam_jobs.pixels.thumbnails import SHOWN_REASONS, thumbnail
from beam_jobs.preprocess import prepare
from beam_jobs.reject_sheet import choose
from beam_jobs.sources.base import Reader
from beam_jobs.sources.folder import FolderSource
from gan_core.artifacts import read_manifest
from gan_core.data.inspection import describe
from gan_core.data.verification import verify_dataset
from gan_core.handoff import DatasetManifest, ImageRef
from tests.pictures import encode, png_header, scene, write_awkward
from tests.prepared import rejects, shard_bytes, square_config, write_scenes

MAX_PIXELS = 1_000_000
GREY = [224, 224, 224]


def sheet(dataset: DatasetManifest) -> dict[str, Any]:
    """Return rejects_sheet.json with `tiles` as key -> pixels, after a look at the reasons."""
    facts = json.loads((dataset.path / "rejects_sheet.json").read_text())
    lines = {line["key"]: line for line in rejects(dataset)}
    assert [lines[tile["key"]] for tile in facts["tiles"]] == facts["tiles"]
    with Image.open(dataset.path / facts["file"]) as picture:
        pixels = np.asarray(picture)
    side, found = facts["tile_pixels"], {}
    for index, tile in enumerate(facts["tiles"]):
        top, left = (place * (side + 2) for place in divmod(index, facts["columns"]))
        found[tile["key"]] = pixels[top : top + side, left : left + side]
    return {**facts, "tiles": found}


def test_every_awkward_picture(tmp_path: Path) -> None:
    """What can be seen, in part too, has a tile; bombs, texts and undefined pixels have none."""
    (tmp_path / "in").mkdir()
    write_awkward(tmp_path / "in")
    dataset = prepare(square_config(tmp_path / "in", max_reject_fraction=0.5), tmp_path)
    tiles = sheet(dataset)["tiles"]
    assert list(tiles) == [
        "one-pixel.png",
        "truncated.jpg",
        "truncated.png",
        "without-end.png",
        "flipped-bit.png",
    ]  # damaged.png has nothing before its damage
    assert (tiles["one-pixel.png"] == scene(64, 64)[0, 0]).all()
    np.testing.assert_array_equal(tiles["without-end.png"], scene(64, 64))
    np.testing.assert_array_equal(tiles["truncated.png"][:32], scene(64, 64)[:32])
    assert (tiles["truncated.png"][-8:] == 0).all()
    whole = np.asarray(Image.open(io.BytesIO(encode(scene(64, 64), "JPEG", quality=95))))
    np.testing.assert_array_equal(tiles["truncated.jpg"][:24], whole[:24])


def test_the_sheet_is_part_of_the_data_set_and_nothing_else_changes(tmp_path: Path) -> None:
    """It is listed, verified and hashed; shards are those of a job without rejects, and receipts hold no pictures."""
    folder = write_scenes(tmp_path / "in", 12)
    clean = prepare(square_config(folder), tmp_path)
    assert not {"rejects.png", "rejects_sheet.json"} & set(read_manifest(clean.path, "dataset").files)
    (folder / "tiny.png").write_bytes(encode(scene(20, 20)))
    with_reject = prepare(square_config(folder, min_side=30, max_reject_fraction=0.1), tmp_path)
    files = read_manifest(with_reject.path, "dataset").files
    assert {"rejects.png", "rejects_sheet.json"} <= set(files)
    assert verify_dataset(with_reject.path).good
    assert describe(with_reject)["rejects"]["too-small"]["count"] == 1
    assert shard_bytes(with_reject) == shard_bytes(clean)
    receipts = [json.loads(line) for line in (with_reject.path / "shards.jsonl").read_text().splitlines()]
    assert {key for receipt in receipts for one in receipt["rejects"] for key in one} == {"key", "reason", "detail"}
    (with_reject.path / "rejects.png").write_bytes(b"something else")
    assert not verify_dataset(with_reject.path).good


def test_duplicates_and_filters(tmp_path: Path) -> None:
    """Whatever the reason, the tile shows the whole picture, in its shape, before grey."""
    folder = write_scenes(tmp_path / "in", 12)
    (folder / "copy.png").write_bytes(encode(scene(40, 40, 3)))
    (folder / "flat.png").write_bytes(encode(np.full((40, 40, 3), 90, np.uint8)))
    (folder / "wide.png").write_bytes(encode(scene(128, 32, 1)))
    config = square_config(folder, duplicates="exact", min_sharpness=1.0, max_aspect=2.0)
    tiles = sheet(prepare(config, tmp_path))["tiles"]
    assert list(tiles) == ["wide.png", "flat.png", "copy.png"]
    assert tiles["flat.png"][12:52, 12:52].tolist() == [[[90] * 3] * 40] * 40
    np.testing.assert_array_equal(tiles["copy.png"][12:52, 12:52], scene(40, 40, 3))
    for key, rows in (("wide.png", slice(0, 24)), ("copy.png", slice(0, 12))):
        assert (tiles[key][rows] == GREY).all()
    assert not (tiles["wide.png"][24:40] == GREY).all(axis=2).any()


def test_the_sheet_does_not_depend_on_workers_or_reuse(tmp_path: Path) -> None:
    """In two processes, and where shards come from an earlier data set, it is the same to the byte."""
    folder = write_scenes(tmp_path / "in", 20)
    for index in range(30):
        (folder / f"small-{index:02d}.png").write_bytes(encode(scene(20, 20, index)))
    config = square_config(folder, per_shard=8, min_side=30, max_reject_fraction=1.0)
    before = prepare(config, tmp_path)
    assert list(sheet(before)["tiles"]) == [f"small-{index:02d}.png" for index in (0, 4, 8, 12, 16, 20, 24, 29)]
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    after = prepare(config, tmp_path)
    again = prepare(config, tmp_path / "full", beam_args=["--direct_num_workers=2"])
    hashes = [read_manifest(one.path, "dataset").files["rejects.png"] for one in (before, after, again)]
    assert hashes[0] == hashes[1] == hashes[2]
    assert read_manifest(after.path, "dataset").files == read_manifest(again.path, "dataset").files


def test_a_picture_that_is_gone_meanwhile_has_no_tile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set is published all the same, without a sheet where nothing is left to show."""
    folder = write_scenes(tmp_path / "in", 4)
    (folder / "tiny.png").write_bytes(encode(scene(20, 20)))
    readers = iter([0, 1])
    reader = FolderSource.reader

    def second_is_blind(self: FolderSource) -> Reader:
        return reader(self) if next(readers) == 0 else Blind()

    monkeypatch.setattr(FolderSource, "reader", second_is_blind)
    dataset = prepare(square_config(folder, min_side=30, max_reject_fraction=1.0), tmp_path)
    assert dataset.rejects == {"too-small": 1}
    assert [path.name for path in dataset.path.glob("rejects*")] == ["rejects.jsonl"]


class Blind:
    """A reader for which every picture is gone."""

    def read(self, ref: ImageRef) -> bytes:
        """Raise."""
        raise Reject("missing", "it is gone")


def test_no_more_than_the_bound_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture with too many pixels by its header is not loaded, whatever it was rejected for."""
    monkeypatch.setattr(Image.Image, "resize", lambda *_, **__: pytest.fail("there are pixels to resize"))
    for reason in SHOWN_REASONS:
        assert thumbnail(png_header(60_000, 60_000), reason, MAX_PIXELS) is None
        assert thumbnail(encode(scene(1001, 1000)), reason, MAX_PIXELS) is None
    assert "too-large" not in SHOWN_REASONS


@pytest.mark.parametrize("data", [b"", b"text", encode(scene(8, 8))[:40], encode(scene(8, 8), "JPEG")[:30]])
def test_what_has_no_pixels_has_no_tile(data: bytes) -> None:
    """Nothing, no picture, and files that end before their first pixel."""
    assert thumbnail(data, "truncated", MAX_PIXELS) is None


def test_large_small_and_long_pictures_fit() -> None:
    """Shrunk to 64, magnified by a whole factor, or one pixel high at least; one channel becomes three."""
    large = thumbnail(encode(np.full((300, 600, 3), 80, np.uint8)), "blurry", MAX_PIXELS)
    small = thumbnail(np.full((28, 28, 1), 9, np.uint8), "duplicate", MAX_PIXELS)
    long = thumbnail(encode(np.full((2, 900, 3), 80, np.uint8)), "wrong-aspect", MAX_PIXELS)
    assert large is not None
    assert small is not None
    assert long is not None
    assert [one.shape for one in (large, small, long)] == [(64, 64, 3)] * 3
    assert [(one != GREY).any(axis=(1, 2)).sum() for one in (large, small, long)] == [32, 56, 1]


def test_reasons_take_turns() -> None:
    """Twenty-four at most, eight of one reason, none of what cannot be seen; sorted by reason and key."""

    def some(reason: str, count: int) -> list[Rejected]:
        return [Rejected(f"{reason}-{index:03d}", reason, "") for index in range(count)]

    blurry = some("blurry", 100)
    assert [one.key for one in choose(blurry)] == [f"blurry-{index:03d}" for index in (0, 14, 28, 42, 56, 70, 84, 99)]
    assert choose([*some("too-large", 3), *some("empty", 3), *some("missing", 1)]) == []
    every = [one for reason in SHOWN_REASONS for one in some(reason, 10)]
    chosen = choose(every[::-1])
    assert [one.reason for one in chosen] == [reason for reason in SHOWN_REASONS for _ in range(3)]
    assert len(choose([*blurry, *some("damaged", 1)])) == 9


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])
def test_any_damage_gives_a_tile_or_none(kind: str) -> None:
    """Changed and missing bytes raise nothing; what is seen is the same every time."""
    quiet_pillow()
    rng, whole, shown = random.Random(kind), encode(scene(40, 30), kind), 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        broken = bytes(data[: rng.randrange(len(data))] if rng.random() < 0.5 else data)
        tiles = [thumbnail(broken, "damaged", MAX_PIXELS) for _ in range(2)]
        assert [tile is None for tile in tiles] in ([True, True], [False, False])
        if tiles[0] is not None and tiles[1] is not None:
            assert (tiles[0].shape, tiles[0].dtype) == ((64, 64, 3), np.uint8)
            np.testing.assert_array_equal(*tiles)
            shown += 1
    assert shown > 5
