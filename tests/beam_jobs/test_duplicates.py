from __future__ import annotations

import io
import random

import numpy as np
import pytest
from PIL import Image

from beam_jobs.pixels.duplicates import Duplicate, Entry, find_duplicates, perceptual_hash, pixel_hash
from beam_jobs.pixels.near import first_near
from tests.pictures import encode, scene


def entries(*looks: tuple[str, str, str, int]) -> list[Entry]:
    """Return entries of (key, split, pixels, look)."""
    return [Entry(*look) for look in looks]


def test_pixel_hash_is_golden() -> None:
    """SHA-256 of the text "(2, 2, 1)" and the four bytes; shape and every pixel count."""
    picture = np.array([[[1], [2]], [[3], [4]]], np.uint8)
    assert pixel_hash(picture) == "1a9fe92f538381412c72a88621f8c66df437142e10e2b81bd1845814e213ace6"
    assert pixel_hash(picture.reshape(1, 4, 1)) != pixel_hash(picture)
    assert pixel_hash(scene()[:, ::-1]) == pixel_hash(scene()[:, ::-1].copy())


def test_perceptual_hash_is_golden() -> None:
    """The same 64 bits on every machine: integers from luminance to median."""
    assert f"{perceptual_hash(scene(64, 64)):016x}" == "840f1f3c7071e3e6"
    assert f"{perceptual_hash(scene(64, 64)[:, :, :1]):016x}" == "8400000000000000"
    assert f"{perceptual_hash(scene(28, 28)[:, :, :1]):016x}" == "8000000000000000"


def test_perceptual_hash_is_that_of_the_literature() -> None:
    """The bits are those of a floating-point DCT of the 32x32 means, but for coefficients at the very median."""
    rng = np.random.default_rng(3)
    x, u = np.arange(32), np.arange(8)[:, np.newaxis]
    cosines = np.cos(np.pi * (2 * x + 1) * u / 64)
    for _ in range(20):
        picture = rng.integers(0, 256, (32, 32, 1), np.uint8)
        coefficients = (cosines @ picture[:, :, 0].astype(float) @ cosines.T).ravel()
        clear = np.abs(coefficients - np.median(coefficients)) > 1
        bits = np.unpackbits(np.frombuffer(perceptual_hash(picture).to_bytes(8, "big"), np.uint8)).astype(bool)
        assert np.array_equal(bits[clear], (coefficients > np.median(coefficients))[clear])
        assert clear.sum() >= 60


def test_blank_pictures_look_alike() -> None:
    """Without any frequency only the mean is left: black is 0, every other grey the first bit."""
    assert perceptual_hash(np.zeros((64, 64, 3), np.uint8)) == 0
    assert {perceptual_hash(np.full((64, 64, 3), level, np.uint8)) for level in (1, 128, 255)} == {1 << 63}


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_a_recompressed_picture_keeps_its_look(quality: int) -> None:
    """JPEG changes pixels, and at most 4 of the 64 bits of a photograph-like drawing."""
    x, y = np.meshgrid(np.arange(64), np.arange(64))
    planes = [127 + 90 * np.sin(x / a + y / b) * np.cos(y / c) for a, b, c in ((9, 14, 7), (6, 21, 11), (13, 5, 8))]
    picture = np.stack(planes, axis=2).astype(np.uint8)
    again = np.asarray(Image.open(io.BytesIO(encode(picture, "JPEG", quality=quality))))
    assert pixel_hash(again) != pixel_hash(picture)
    assert (perceptual_hash(again) ^ perceptual_hash(picture)).bit_count() <= 4


def test_equal_pixels() -> None:
    """The smallest key of a split is kept; looks do not matter when only pixels are asked for."""
    listed = entries(("c", "train", "p", 7), ("a", "train", "p", 7), ("b", "train", "q", 7), ("d", "train", "p", 7))
    assert find_duplicates(listed, None) == {
        "c": Duplicate("duplicate", "the same pixels as a (train)"),
        "d": Duplicate("duplicate", "the same pixels as a (train)"),
    }


def test_training_gives_way_to_validation_and_test() -> None:
    """Of a picture in all three splits the one in test stays, whatever the keys; validation comes before training."""
    listed = entries(
        ("a", "train", "p", 0),
        ("b", "validation", "p", 0),
        ("c", "test", "p", 0),
        ("d", "train", "q", 1),
        ("e", "validation", "q", 1),
    )
    assert find_duplicates(listed, None) == {
        "a": Duplicate("duplicate", "the same pixels as c (test)"),
        "b": Duplicate("duplicate", "the same pixels as c (test)"),
        "d": Duplicate("duplicate", "the same pixels as e (validation)"),
    }


def test_near_looks() -> None:
    """At most near_bits bits: 2 of 2 is near, 3 is not; equal looks with other pixels are near at 0."""
    listed = entries(
        ("a", "train", "1", 0), ("b", "train", "2", 0b11), ("c", "train", "3", 0b111 << 60), ("d", "train", "4", 0)
    )
    assert find_duplicates(listed, 2) == {
        "b": Duplicate("near-duplicate", "2 of 64 bits differ from a (train)"),
        "d": Duplicate("near-duplicate", "0 of 64 bits differ from a (train)"),
    }
    assert set(find_duplicates(listed, 1)) == {"d"}
    assert set(find_duplicates(listed, 0)) == {"d"}
    assert set(find_duplicates(listed, 3)) == {"b", "c", "d"}


def test_chains_do_not_grow() -> None:
    """Here b is near a, c near b, and c is kept: b, which it resembles, is not there any more."""
    listed = entries(("a", "train", "1", 0b0), ("b", "train", "2", 0b11), ("c", "train", "3", 0b1111))
    assert find_duplicates(listed, 2) == {"b": Duplicate("near-duplicate", "2 of 64 bits differ from a (train)")}


def test_copies_of_a_refused_picture_name_the_kept_one() -> None:
    """Here c has the pixels of b, which is refused for a: both name a."""
    listed = entries(("a", "train", "1", 0), ("b", "train", "2", 1), ("c", "train", "2", 1))
    expected = Duplicate("near-duplicate", "1 of 64 bits differ from a (train)")
    assert find_duplicates(listed, 4) == {"b": expected, "c": expected}


def test_the_order_of_entries_does_not_matter() -> None:
    """Workers finish in any order; the result is the same."""
    generator = random.Random(5)
    listed = [
        Entry(f"{i:03d}", generator.choice(("train", "validation", "test")), str(i % 60), (i % 60) * 0x1001)
        for i in range(300)
    ]
    expected = find_duplicates(listed, 3)
    for _ in range(5):
        generator.shuffle(listed)
        assert find_duplicates(listed, 3) == expected
    assert len(expected) >= 240


def slow_first_near(hashes: list[int], near_bits: int) -> list[int]:
    """Compare each with every kept one, as it is defined."""
    kept: list[int] = []
    found = []
    for index, look in enumerate(hashes):
        near = next((other for other in kept if (hashes[other] ^ look).bit_count() <= near_bits), index)
        kept += [index] if near == index else []
        found.append(near)
    return found


@pytest.mark.parametrize("near_bits", [0, 1, 2, 4, 7, 16])
def test_banding_finds_what_comparing_all_finds(near_bits: int) -> None:
    """Random hashes, hashes with few bits changed, and crowds in one band, over more than one chunk."""
    rng = np.random.default_rng(near_bits)
    spread = rng.integers(0, 2**64, 400, np.uint64)
    changed = [look ^ np.bitwise_or.reduce(np.uint64(1) << rng.integers(0, 64, 3, np.uint64)) for look in spread[:300]]
    crowd = rng.integers(0, 2**11, 700, np.uint64) << np.uint64(30)
    hashes = np.concatenate([spread, np.array(changed, np.uint64), crowd])
    rng.shuffle(hashes)
    assert first_near(hashes, near_bits).tolist() == slow_first_near(hashes.tolist(), near_bits)


def test_planted_near_duplicates_are_all_found() -> None:
    """Among 20,000 random hashes, the 500 that differ in 4 bits from an earlier one, and no other."""
    rng = np.random.default_rng(11)
    hashes = rng.integers(0, 2**64, 20_000, np.uint64)
    planted = rng.choice(np.arange(10_000, 20_000), 500, replace=False)
    originals = rng.choice(10_000, 500, replace=False)
    for target, original in zip(planted, originals, strict=True):
        bits = rng.choice(64, 4, replace=False).astype(np.uint64)
        hashes[target] = hashes[original] ^ np.bitwise_or.reduce(np.uint64(1) << bits)
    expected = np.arange(20_000)
    expected[planted] = originals
    assert np.array_equal(first_near(hashes, 4), expected)


def test_no_pictures_have_no_duplicates() -> None:
    """An empty list is an empty answer."""
    assert find_duplicates([], 4) == {}
