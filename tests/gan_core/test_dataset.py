from __future__ import annotations

import dataclasses
import io
import os
from pathlib import Path

import numpy as np
import pytest

from gan_core.dataset import MemoryPictures, StreamedPictures, load_images, open_pictures, shown_indices
from gan_core.errors import ArtifactError, DataError
from gan_core.handoff import DatasetManifest
from gan_core.normalization import NORMALIZATIONS
from gan_core.records import encode_example, read_records, write_record
from tests.datasets import make_dataset, split_pictures

FIRST_SHARD = "train-00000-of-00003.tfrecord"


@pytest.fixture
def dataset(tmp_path: Path) -> DatasetManifest:
    """A data set of its own for each test, to damage: 40 pictures in three shards."""
    return make_dataset(tmp_path / "set")


def refusals(dataset: DatasetManifest) -> set[str]:
    """Return the messages with which the three ways to read the training split refuse it."""
    messages = set()
    for read in (MemoryPictures, StreamedPictures, load_images):
        with pytest.raises(ArtifactError) as caught:
            read(dataset, "train")
        messages.add(str(caught.value))
    return messages


def test_shown_indices_is_this_sequence() -> None:
    """The first three epochs of ten pictures with seed 0: what a training saw once, it sees for ever."""
    assert shown_indices(0, 30, total=10, seed=0).reshape(3, 10).tolist() == [
        [6, 1, 9, 8, 2, 0, 3, 7, 4, 5],
        [0, 8, 7, 4, 3, 6, 9, 5, 2, 1],
        [5, 2, 3, 1, 8, 0, 7, 9, 6, 4],
    ]


@pytest.mark.parametrize("total", [1, 2, 7, 40, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_every_epoch_is_a_permutation(total: int, seed: int) -> None:
    """In each epoch, every record is shown exactly once."""
    epochs = shown_indices(0, 3 * total, total, seed).reshape(3, total)
    assert np.sort(epochs, axis=1).tolist() == [list(range(total))] * 3


def test_epochs_and_seeds_differ() -> None:
    """No two epochs of a training and no two seeds have the same order."""
    orders = [shown_indices(epoch * 40, 40, 40, seed).tolist() for seed in range(5) for epoch in range(5)]
    assert len({tuple(order) for order in orders}) == 25


@pytest.mark.parametrize("total", [3_000, 60_000, 162_770])
def test_order_is_as_good_as_random(total: int) -> None:
    """Neighbours, places and epochs are uncorrelated, and the means of batches vary as those of dice do.

    The bounds are five standard errors; 162,770 is the number of CelebA's training pictures.
    """
    epochs = [shown_indices(epoch * total, total, total, seed=0) for epoch in range(4)]
    pairs = [(order[:-1], order[1:]) for order in epochs]
    pairs += [(order, np.arange(total)) for order in epochs]
    pairs += [(epochs[i], epochs[j]) for i in range(4) for j in range(i)]
    correlations = [np.corrcoef(*pair)[0, 1] for pair in pairs]
    assert np.abs(correlations).max() < 5 / np.sqrt(total)

    batches = np.concatenate([order[: total // 32 * 32].reshape(-1, 32).mean(axis=1) for order in epochs])
    expected = total / np.sqrt(12 * 32)
    assert batches.std() == pytest.approx(expected, rel=5 / np.sqrt(2 * len(batches)))


@pytest.mark.parametrize("chunks", [[1] * 50, [50], [7, 13, 30], [10, 0, 25, 15], [49, 1]])
def test_order_does_not_depend_on_how_it_is_asked_for(chunks: list[int]) -> None:
    """However the images are split into requests, also across epochs, the sequence is the same."""
    whole = shown_indices(3, 50, total=10, seed=4)
    starts = np.cumsum([3, *chunks])[:-1]
    parts = [shown_indices(int(first), count, total=10, seed=4) for first, count in zip(starts, chunks, strict=True)]
    assert np.concatenate(parts).tolist() == whole.tolist()
    assert (whole.dtype, whole.shape) == (np.int64, (50,))


def test_order_far_into_a_long_training() -> None:
    """Two thousand million images in, an epoch is still a permutation."""
    assert sorted(shown_indices(2_000_000_000, 10, total=10, seed=0).tolist()) == list(range(10))


@pytest.mark.parametrize("placement", ["memory", "stream"])
def test_pictures_come_in_the_order_of_the_manifest(tiny_dataset: DatasetManifest, placement: str) -> None:
    """Position i is the i-th record of the manifest's shards, from memory and from disk alike."""
    for split in ("train", "validation"):
        pictures = open_pictures(tiny_dataset, split, placement)
        assert len(pictures) == 40
        read = pictures.read(np.arange(40))
        assert (read.dtype, read.shape) == (np.uint8, (40, 32, 32, 3))
        np.testing.assert_array_equal(read, split_pictures(split))


@pytest.mark.parametrize("placement", ["memory", "stream"])
def test_pictures_are_read_in_any_order_and_repeatedly(tiny_dataset: DatasetManifest, placement: str) -> None:
    """A request may jump between shards and name a picture twice."""
    indices = np.array([39, 0, 17, 0, 16, 15])
    read = open_pictures(tiny_dataset, "train", placement).read(indices)
    np.testing.assert_array_equal(read, split_pictures("train")[indices])


def test_pictures_of_one_channel(tmp_path: Path) -> None:
    """Grey pictures keep their channel axis."""
    dataset = make_dataset(tmp_path / "grey", count=5, resolution=28, channels=1)
    for placement in ("memory", "stream"):
        read = open_pictures(dataset, "train", placement).read(np.arange(5))
        np.testing.assert_array_equal(read, split_pictures("train", 5, 28, 1))


def test_stored_mirrored_copies_are_trained_on(tmp_path: Path) -> None:
    """With `data.flip = "store"`, every picture is followed by its mirrored copy."""
    dataset = make_dataset(tmp_path / "set", count=3, mirrored=True)
    read = open_pictures(dataset, "train", "memory").read(np.arange(6))
    np.testing.assert_array_equal(read[::2], split_pictures("train", 3))
    np.testing.assert_array_equal(read[1::2], split_pictures("train", 3)[:, :, ::-1])


def test_split_without_pictures_is_refused(tiny_dataset: DatasetManifest) -> None:
    """The message names the splits that there are."""
    with pytest.raises(DataError) as caught:
        open_pictures(tiny_dataset, "test", "memory")
    assert str(caught.value) == f"{tiny_dataset.path} has no pictures in split 'test'; it has train, validation"
    with pytest.raises(DataError) as caught:
        load_images(tiny_dataset, "test")
    assert str(caught.value) == f"{tiny_dataset.path} has no pictures in split 'test'"


@pytest.mark.parametrize("mirrored", [False, True])
def test_load_images_takes_originals_in_a_fixed_order(tmp_path: Path, mirrored: bool) -> None:
    """Mirrored copies are left out, so that a reference is the same with and without them."""
    images = load_images(make_dataset(tmp_path / "set", mirrored=mirrored), "train")
    np.testing.assert_array_equal(images, split_pictures("train")[np.random.default_rng(0).permutation(40)])


def test_load_images_takes_the_first_of_that_order(tiny_dataset: DatasetManifest) -> None:
    """A smaller count is the beginning of a larger one; more than there are is all of them."""
    everything = load_images(tiny_dataset, "validation")
    np.testing.assert_array_equal(load_images(tiny_dataset, "validation", 7), everything[:7])
    np.testing.assert_array_equal(load_images(tiny_dataset, "validation", 1000), everything)


def test_damaged_shard_is_refused(dataset: DatasetManifest) -> None:
    """One changed byte in a picture: the file and the place are named, and nothing is trained on it."""
    path = dataset.path / FIRST_SHARD
    (_, first), (offset, _) = list(read_records(path))[:2]
    data = bytearray(path.read_bytes())
    data[offset + 100] ^= 1
    path.write_bytes(data)
    assert refusals(dataset) == {f"{path}: damaged record data at byte {12 + len(first) + 4 + 12}"}


def test_missing_shard_is_refused(dataset: DatasetManifest) -> None:
    """A shard that was deleted is named, with the way out."""
    path = dataset.path / FIRST_SHARD
    path.unlink()
    assert refusals(dataset) == {
        f"{path} is missing; delete {dataset.path} and run `faceloom prepare` again",
    }


@pytest.mark.parametrize(("kept", "found"), [(0, 0), (15, 15), (17, 17)])
def test_shard_with_another_number_of_records_is_refused(dataset: DatasetManifest, kept: int, found: int) -> None:
    """A shard that ends between two records has no wrong checksum, only a wrong count."""
    path = dataset.path / FIRST_SHARD
    records = [record for _, record in read_records(path)]
    stream = io.BytesIO()
    for record in (records + records[:1])[:kept]:
        write_record(stream, record)
    path.write_bytes(stream.getvalue())
    assert refusals(dataset) == {
        f"{path} holds {found} records where the manifest says 16; "
        f"delete {dataset.path} and run `faceloom prepare` again"
    }


@pytest.mark.parametrize(
    ("features", "what"),
    [
        ({"label": [1]}, "without a picture in its feature `image`"),
        ({"image": [1, 2]}, "without a picture in its feature `image`"),
        ({"image": b"abc"}, "no uint8 picture of 32x32x3 (3 bytes instead of 3072)"),
    ],
)
def test_shard_of_other_records_is_refused(
    dataset: DatasetManifest, features: dict[str, bytes | list[int]], what: str
) -> None:
    """Records that are whole but no pictures of this data set are damage, not a traceback."""
    path = dataset.path / FIRST_SHARD
    stream = io.BytesIO()
    for _ in range(16):
        write_record(stream, encode_example(features))
    path.write_bytes(stream.getvalue())
    expected = (f"{path}: the record at byte 12 is {what}; delete {dataset.path} and run `faceloom prepare` again",)
    for placement in ("memory", "stream"):
        with pytest.raises(ArtifactError) as caught:
            open_pictures(dataset, "train", placement).read(np.arange(1))
        assert caught.value.args == expected
    with pytest.raises(ArtifactError) as caught:
        load_images(dataset, "train")
    assert caught.value.args == expected


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("storage", ["float32", "png"])
def test_every_exact_storage_is_read_as_the_same_pixels(
    tmp_path: Path, storage: str, normalize: str, channels: int
) -> None:
    """However exact pixels are stored and normalized, memory, disk and `load_images` give the same uint8 pixels."""
    forms = {"channels": channels, "resolution": 28, "count": 5, "images_per_shard": 2}
    dataset = make_dataset(tmp_path / "set", stored_as=storage, normalize=normalize, **forms)  # type: ignore[arg-type]
    images = split_pictures("train", 5, 28, channels)
    for placement in ("memory", "stream"):
        np.testing.assert_array_equal(open_pictures(dataset, "train", placement).read(np.arange(5)), images)
    np.testing.assert_array_equal(load_images(dataset, "train"), images[np.random.default_rng(0).permutation(5)])


def test_jpeg_is_read_as_its_own_pixels(tmp_path: Path) -> None:
    """Pictures stored as JPEG come back a few levels off, and as the same ones in all three ways."""
    dataset = make_dataset(tmp_path / "set", stored_as="jpeg", mirrored=True)
    read = open_pictures(dataset, "train", "memory").read(np.arange(80))
    np.testing.assert_array_equal(open_pictures(dataset, "train", "stream").read(np.arange(80)), read)
    np.testing.assert_array_equal(load_images(dataset, "train"), read[::2][np.random.default_rng(0).permutation(40)])
    errors = np.abs(read[::2].astype(int) - split_pictures("train")).max(axis=(1, 2, 3))
    assert errors.min() > 0
    assert errors.max() <= 15


def test_storage_of_a_later_version_is_named(dataset: DatasetManifest) -> None:
    """A data set in a form that this version cannot read is refused by its name."""
    later = dataclasses.replace(dataset, protocol={**dataset.protocol, "storage": "webp"})
    with pytest.raises(ArtifactError, match="is stored as 'webp', and this version of faceloom reads uint8, float32, "):
        load_images(later, "train")


def test_streamed_pictures_close_their_files(tiny_dataset: DatasetManifest) -> None:
    """The handles of the shards end with the object that opened them."""
    opened = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    pictures = StreamedPictures(tiny_dataset, "train")
    pictures.read(np.arange(40))
    assert len(os.listdir("/proc/self/fd")) == opened + 3  # noqa: PTH208
    del pictures
    assert len(os.listdir("/proc/self/fd")) == opened  # noqa: PTH208


def test_manifest_order_counts_not_the_folder(dataset: DatasetManifest) -> None:
    """Shards are read as the manifest lists them; files that it does not list are ignored."""
    (dataset.path / "train-00009-of-00003.tfrecord").write_bytes(b"stray")
    backwards = dataclasses.replace(dataset, splits={"train": dataset.splits["train"][::-1]})
    images = split_pictures("train")
    expected = np.concatenate([images[32:], images[16:32], images[:16]])
    np.testing.assert_array_equal(open_pictures(backwards, "train", "memory").read(np.arange(40)), expected)
