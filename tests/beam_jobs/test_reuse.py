"""Preparing a source that has grown: what is taken over, what is made, and that it equals a full run."""

from __future__ import annotations

from pathlib import Path

import pytest

from beam_jobs.preprocess import prepare
from gan_core.artifacts import read_manifest
from gan_core.handoff import DatasetManifest
from tests.pictures import encode, scene
from tests.prepared import places, records, shard_bytes, square_config, write_scenes

FILES = {"dataset_info.json", "features.json", "preview.png", "rejects.jsonl", "shards.jsonl"}


def same_files(one: DatasetManifest, other: DatasetManifest) -> bool:
    """Whether two data sets are the same, file by file."""
    return read_manifest(one.path, "dataset").files == read_manifest(other.path, "dataset").files


def kept(before: DatasetManifest, after: DatasetManifest) -> set[str]:
    """Return the shards of `after` that are files of `before`, by inode."""
    old = {inode for inode, _ in places(before.path).values()}
    return {name for name, (inode, _) in places(after.path).items() if inode in old}


def test_only_changed_shards_are_prepared(tmp_path: Path) -> None:
    """One picture more changes one shard; the others are the files of before, and all equals a full run."""
    folder = write_scenes(tmp_path / "in", 40)
    config = square_config(folder, per_shard=6)
    before = prepare(config, tmp_path)
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    after = prepare(config, tmp_path)
    assert (len(shard_bytes(after)), len(kept(before, after))) == (7, 6)
    assert same_files(after, prepare(config, tmp_path / "full"))
    assert [record["key"] for record in records(after)].count(b"new.png") == 1
    assert set(read_manifest(after.path, "dataset").files) >= FILES


def test_a_new_shard_splits_one_old_shard(tmp_path: Path) -> None:
    """One shard more is made with what it splits off another one; the rest is taken over."""
    folder = write_scenes(tmp_path / "in", 40)
    config = square_config(folder, per_shard=5)
    before = prepare(config, tmp_path)
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    after = prepare(config, tmp_path)
    assert (len(shard_bytes(before)), len(shard_bytes(after))) == (8, 9)
    made = sorted(set(shard_bytes(after)) - kept(before, after))
    assert {"train-00000-of-00009.tfrecord", "train-00008-of-00009.tfrecord"} <= set(made)
    assert len(made) <= 3
    assert same_files(after, prepare(config, tmp_path / "full"))


def test_a_changed_picture_and_a_deleted_one(tmp_path: Path) -> None:
    """Shards whose pictures were changed or deleted are prepared, and no others."""
    folder = write_scenes(tmp_path / "in", 40)
    config = square_config(folder, per_shard=5)
    before = prepare(config, tmp_path)
    (folder / "003.png").write_bytes(encode(scene(40, 40, 77)))
    after = prepare(config, tmp_path)
    assert len(kept(before, after)) == 7
    assert same_files(after, prepare(config, tmp_path / "full"))


@pytest.mark.parametrize("change", [{"filter": "area"}, {"storage": "png"}, {"flip": "store"}, {"crop": "none"}])
def test_another_recipe_takes_nothing_over(change: dict[str, str], tmp_path: Path) -> None:
    """Shards that were made otherwise are not taken, even where the pixels would happen to be equal."""
    folder = write_scenes(tmp_path / "in", 10)
    before = prepare(square_config(folder), tmp_path)
    assert kept(before, prepare(square_config(folder, **change), tmp_path)) == set()


def test_a_damaged_shard_is_not_taken_over(tmp_path: Path) -> None:
    """What no longer has its SHA-256 is prepared again."""
    folder = write_scenes(tmp_path / "in", 40)
    config = square_config(folder, per_shard=5)
    before = prepare(config, tmp_path)
    for shard in before.path.glob("*.tfrecord"):
        shard.write_bytes(shard.read_bytes()[:-1] + b"!")
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    after = prepare(config, tmp_path)
    assert kept(before, after) == set()
    assert same_files(after, prepare(config, tmp_path / "full"))


@pytest.mark.parametrize("scribble", ["", "{half", "[]", '{"name": 1}'])
def test_a_damaged_list_of_shards_is_no_obstacle(scribble: str, tmp_path: Path) -> None:
    """An unreadable shards.jsonl of an earlier data set costs its reuse, nothing else."""
    folder = write_scenes(tmp_path / "in", 10)
    before = prepare(square_config(folder), tmp_path)
    (before.path / "shards.jsonl").write_text(scribble)
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    assert prepare(square_config(folder), tmp_path).count("train") == 11


def test_duplicates_among_new_pictures_change_old_shards(tmp_path: Path) -> None:
    """A new picture that comes before its copy by name takes its place; the result equals a full run."""
    folder = write_scenes(tmp_path / "in", 40)
    config = square_config(folder, per_shard=5, duplicates="exact")
    before = prepare(config, tmp_path)
    (folder / "000-copy.png").write_bytes((folder / "011.png").read_bytes())
    after = prepare(config, tmp_path)
    assert after.rejects == {"duplicate": 1}
    assert same_files(after, prepare(config, tmp_path / "full"))
    (folder / "000-copy.png").unlink()
    (folder / "new.png").write_bytes(encode(scene(40, 40, 99)))
    again = prepare(config, tmp_path)
    assert (again.count("train"), dict(again.rejects)) == (41, {})
    assert same_files(again, prepare(config, tmp_path / "full"))
    assert len(kept(after, again)) >= len(shard_bytes(again)) - 4
    assert before.count("train") == 40
