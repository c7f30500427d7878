from __future__ import annotations

from collections import Counter

import pytest

from beam_jobs.names import Names, key_hash, line_of
from beam_jobs.shards import assign, inputs_digest, record_bytes, shard_index, shard_order, shard_totals, split_of
from gan_core.config import DataConfig
from gan_core.handoff import ImageRef
from tests.prepared import cut

REFS = [ImageRef(f"{index:06d}.jpg") for index in range(1, 5001)]


def test_shard_of_a_key_is_fixed() -> None:
    """A picture's shard follows from its key and the number of shards, nothing else."""
    assert [shard_index(key_hash(ref.key), 3) for ref in REFS[:6]] == [2, 1, 1, 0, 1, 1]
    assert shard_index(key_hash("x.png"), 1) == 0
    assert split_of("test-00000-of-00001.tfrecord") == "test"


def test_all_shards_are_named_in_reading_order() -> None:
    """Every picture is in one shard of its split, sorted by key; a shard that no picture falls into is there too."""
    refs = [ImageRef("x.png", "test"), *reversed(REFS[:6])]
    per_shard = (3 * 64**2 + 450) / 2**20  # of one picture
    shards = assign(Names.of(refs), DataConfig(shard_mib=per_shard))
    assert list(shards) == [f"train-0000{index}-of-00006.tfrecord" for index in range(6)] + [
        "test-00000-of-00001.tfrecord"
    ]
    expected = {
        name: [line_of(ref) for ref in REFS[:6] if f"train-0000{shard_index(key_hash(ref.key), 6)}-of" in name]
        for name in list(shards)[:6]
    }
    assert shards == {**expected, "test-00000-of-00001.tfrecord": [line_of(refs[0])]}
    assert [] in shards.values()


def test_shards_are_sized_by_bytes() -> None:
    """A split has a shard for each 64 MiB of records, whatever form they have."""
    counts = {"train": 202_599 * 8 // 10, "test": 1}
    assert [shard_totals(counts, DataConfig(storage=form)) for form in ("uint8", "float32", "png", "jpeg")] == [
        {"train": 31, "test": 1},
        {"train": 120, "test": 1},
        {"train": 21, "test": 1},
        {"train": 16, "test": 1},
    ]
    assert shard_totals(counts, DataConfig(flip="store"))["train"] == 62
    assert record_bytes(DataConfig(resolution=32, channels=1)) == 32 * 32 + 450


def test_small_splits_are_cut_so_that_processes_can_share_them() -> None:
    """Below 64 pictures a split is one shard, and up to 16 from there on."""
    counts = [1, 63, 64, 300, 512, 13_000]
    assert [shard_totals({"train": count}, DataConfig())["train"] for count in counts] == [1, 1, 2, 9, 16, 16]


def test_a_shard_holds_at_least_one_picture() -> None:
    """A size below that of one record gives a shard to each picture."""
    assert shard_totals({"train": 7}, DataConfig(shard_mib=0.001)) == {"train": 7}


@pytest.mark.parametrize("total", [1, 2, 3, 5, 8, 13])
def test_a_new_shard_takes_from_one_old_shard_only(total: int) -> None:
    """One shard more moves pictures out of a single one; all others stay where they are."""
    before, after = ([shard_index(key_hash(ref.key), count) for ref in REFS] for count in (total, total + 1))
    moved = Counter((old, new) for old, new in zip(before, after, strict=True) if old != new)
    level = 1 << (total.bit_length() - 1)
    assert set(moved) == {(total - level, total)}
    assert abs(moved.total() - len(REFS) / (2 * level)) < 0.1 * len(REFS) / level


def test_reading_order() -> None:
    """Train before validation before test, then by number."""
    names = ["test-00000-of-00001.tfrecord", "train-00001-of-00002.tfrecord", "train-00000-of-00002.tfrecord"]
    names.append("validation-00000-of-00001.tfrecord")
    assert [names.index(name) for name in sorted(names, key=shard_order)] == [2, 1, 3, 0]


def test_inputs_are_recipe_and_pictures() -> None:
    """The digest of a shard's inputs changes with the recipe and with any fact of a picture, but not with its place."""
    line = line_of(ImageRef("a.png", stamp="1-2", span=(0, 10)))
    digest = inputs_digest("recipe", [line])
    assert digest == inputs_digest("recipe", [line_of(ImageRef("a.png", stamp="1-2", span=(99, 10)))])
    others = [line_of(ImageRef("a.png", stamp="1-3")), line_of(ImageRef("a.png", stamp="1-2", label=1))]
    assert len({digest, inputs_digest("other", [line]), *(inputs_digest("recipe", [one]) for one in others)}) == 4


def test_cut_gives_the_asked_pictures() -> None:
    """The tests' own way to ask for shards of five pictures."""
    assert shard_totals({"train": 30}, cut(DataConfig(resolution=32), 5)) == {"train": 6}
