import itertools

import numpy as np
import numpy.typing as npt
import pytest

from gan_core import distances
from gan_core.distances import (
    Images,
    SlicedWasserstein,
    levels,
    sliced_wasserstein,
    sliced_wasserstein_to_each,
)
from gan_core.errors import DataError

Doubles = npt.NDArray[np.float64]


def noise(count: int, side: int, channels: int = 3, seed: int = 0) -> Images:
    """Return pictures of independent uniform pixels."""
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def drawn(count: int, side: int = 32, seed: int = 0) -> Images:
    """Return pictures of one soft ellipse each, around the centre of a gradient: a face without features."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side] / side - 0.5
    pictures = []
    for _ in range(count):
        cx, cy, rx, ry = random.uniform([-0.1, -0.1, 0.2, 0.25], [0.1, 0.1, 0.35, 0.45])
        face = 1 / (1 + np.exp(20 * (np.hypot((x - cx) / rx, (y - cy) / ry) - 1)))
        back = random.uniform(40, 160, 3) + random.uniform(-60, 60) * x[..., None]
        pictures.append(back + face[..., None] * (random.uniform(150, 230, 3) - back))
    return np.clip(np.round(pictures), 0, 255).astype(np.uint8)


def blurred(images: Images) -> Images:
    """Return the pictures after a (1, 2, 1) / 4 filter along both axes."""
    soft = images.astype(np.float64)
    for axis in (1, 2):
        soft = (np.roll(soft, 1, axis) + 2 * soft + np.roll(soft, -1, axis)) / 4
    return np.round(soft).astype(np.uint8)


def noisy(images: Images, deviation: float) -> Images:
    """Return the pictures with Gaussian noise of that deviation, grey levels, on each pixel."""
    added = images + np.random.default_rng(9).normal(0, deviation, images.shape)
    return np.clip(np.round(added), 0, 255).astype(np.uint8)


def shuffled(images: Images, patch: int = 8) -> Images:
    """Return the pictures cut into patches that are put together again in random order."""
    random, side = np.random.default_rng(9), images.shape[1]
    places = [(slice(y, y + patch), slice(x, x + patch)) for y in range(0, side, patch) for x in range(0, side, patch)]
    mixed = np.empty_like(images)
    for image, result in zip(images, mixed, strict=True):
        for place, source in zip(places, random.permutation(len(places)), strict=True):
            result[place] = image[places[source]]
    return mixed


def slow_distance(real: Images, fake: Images, level: int, seed: int) -> float:
    """Return the SWD of one level from the definition, pixel by pixel and neighbourhood by neighbourhood."""
    vectors = np.random.default_rng([seed, level, 1]).standard_normal((512, real.shape[3] * 49))
    projections = []
    for images in (real, fake):
        places = np.random.default_rng([seed, level, 0]).integers(0, level - 6, (len(images), 128, 2))
        cut = []
        for image, corners in zip(images, places, strict=True):
            bands = [slow_band(image[:, :, channel].astype(np.float64), level) for channel in range(image.shape[2])]
            cut += [[band[y : y + 7, x : x + 7] for band in bands] for y, x in corners]
        rows = np.array(cut)
        rows -= rows.mean(axis=(0, 2, 3), keepdims=True)
        rows /= rows.std(axis=(0, 2, 3), keepdims=True)
        projections.append(rows.reshape(len(rows), -1))
    total = 0.0
    for vector in vectors:
        ends = [sorted(projection @ (vector / np.sqrt((vector**2).sum()))) for projection in projections]
        total += sum(abs(a - b) for a, b in zip(*ends, strict=True)) / len(ends[0])
    return 1000 * total / len(vectors)


def slow_band(plane: Doubles, level: int) -> Doubles:
    """Return one level of the Laplacian pyramid of a plane by convolution with the whole 5x5 kernel."""
    while len(plane) > level:
        plane = slow_filter(plane)[::2, ::2]
    if level in (14, 16):
        return plane
    spread = np.zeros_like(plane)
    spread[::2, ::2] = slow_filter(plane)[::2, ::2]
    return plane - 4 * slow_filter(spread)


def slow_filter(plane: Doubles) -> Doubles:
    """Return the plane after the 5x5 binomial filter, mirrored at the borders without repeating them."""
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    padded, result = np.pad(plane, 2, mode="reflect"), np.empty_like(plane)
    for y, x in itertools.product(range(len(plane)), repeat=2):
        result[y, x] = (kernel * padded[y : y + 5, x : x + 5]).sum()
    return result


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3)])
def test_equals_the_definition(side: int, channels: int) -> None:
    """The vectorized distance is that of a loop over pixels, neighbourhoods and directions."""
    real, fake = drawn(3, side)[..., :channels], noise(3, side, channels)
    expected = {level: slow_distance(real, fake, level, seed=7) for level in levels(side)}
    assert sliced_wasserstein(real, fake, seed=7) == pytest.approx(expected, rel=1e-4)


def test_golden_values() -> None:
    """The numbers of a seeded set stay what they were: another value needs another SCORES_FORMAT."""
    small, large = noise(8, 28, 1), noise(8, 64)
    assert sliced_wasserstein(small, blurred(small)) == pytest.approx({28: 101.016, 14: 44.6359}, rel=1e-4)
    expected = {64: 67.0887, 32: 25.9276, 16: 15.9889}
    assert sliced_wasserstein(large, blurred(large)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("side", "expected"),
    [
        (28, [28, 14]),
        (32, [32, 16]),
        (64, [64, 32, 16]),
        (128, [128, 64, 32, 16]),
        (256, [256, 128, 64, 32, 16]),
    ],
)
def test_levels(side: int, expected: list[int]) -> None:
    """The pyramid ends at 16 pixels, and at 14 for pictures of 28."""
    assert levels(side) == expected


@pytest.mark.parametrize(("side", "channels"), [(28, 1), (32, 3), (64, 1), (128, 3), (256, 1)])
def test_a_set_is_at_distance_0_from_itself(side: int, channels: int) -> None:
    """Every level of every resolution gives exactly 0 for equal sets."""
    images = noise(2, side, channels)
    assert sliced_wasserstein(images, images.copy()) == dict.fromkeys(levels(side), 0.0)


def test_is_symmetric() -> None:
    """Real to fake is as far as fake to real, to the last bit."""
    a, b = drawn(6, seed=1), noise(6, 32)
    assert sliced_wasserstein(a, b) == sliced_wasserstein(b, a)


def test_contrast_of_the_whole_set_does_not_count() -> None:
    """Each set is normalized by its own deviation, so that half the contrast is no distance."""
    dark = noise(4, 32) // 2
    assert sliced_wasserstein(dark, dark * 2) == pytest.approx({32: 0.0, 16: 0.0}, abs=1e-3)


def test_constant_pictures_have_a_finite_distance() -> None:
    """A set without any variance is at distance 0 from another such set and at a finite one from noise."""
    dark, bright = (np.full((4, 32, 32, 3), value, np.uint8) for value in (37, 201))
    assert sliced_wasserstein(dark, bright) == {32: 0.0, 16: 0.0}
    assert all(300 < distance < 1000 for distance in sliced_wasserstein(dark, noise(4, 32)).values())


def test_orders_kinds_of_damage() -> None:
    """From near to far: other real pictures, blurred ones, noisy ones, shuffled patches."""
    real, other = drawn(64, seed=1), drawn(64, seed=2)
    sets = [other, blurred(other), noisy(other, 20), shuffled(other)]
    means = [found.mean for found in sliced_wasserstein_to_each(real, sets)]
    assert means == sorted(means)
    assert means[1] > 1.2 * means[0]


def test_noise_shows_at_the_fine_level() -> None:
    """Pixel noise moves the finest level at least ten times as much as the coarsest."""
    real, other = drawn(64, seed=1), drawn(64, seed=2)
    clean, dirty = (found.by_level for found in sliced_wasserstein_to_each(real, [other, noisy(other, 10)]))
    assert dirty[32] - clean[32] > 10 * abs(dirty[16] - clean[16])


def test_the_seed_decides() -> None:
    """The same seed gives the same numbers, another one slightly different numbers."""
    a, b = drawn(16, seed=1), noise(16, 32)
    first, again, other = (sliced_wasserstein(a, b, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert other != first
    assert other == pytest.approx(first, rel=0.2)


def test_block_sizes_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """How many pictures and directions are worked on at once changes nothing beyond rounding."""
    a, b = drawn(16, seed=1), noise(16, 32)
    expected = sliced_wasserstein(a, b)
    monkeypatch.setattr(distances, "_IMAGES_AT_ONCE", 5)
    monkeypatch.setattr(distances, "_BLOCK_VALUES", 1)
    assert sliced_wasserstein(a, b) == pytest.approx(expected, rel=1e-5)


def contrasts(count: int, seed: int) -> Images:
    """Return coarse 32x32 pictures of very different contrast and noise."""
    random = np.random.default_rng(seed)
    coarse = random.standard_normal((count, 8, 8, 3)).repeat(4, 1).repeat(4, 2) * random.uniform(
        10, 50, (count, 1, 1, 1)
    )
    fine = random.standard_normal((count, 32, 32, 3)) * random.uniform(0, 12, (count, 1, 1, 1))
    return np.clip(coarse + fine + 128, 0, 255).astype(np.uint8)


def test_kept_reference_gives_the_same_distances() -> None:
    """SlicedWasserstein and the function for several sets agree with the plain function."""
    real, others = drawn(8), [noise(8, 32), drawn(8, seed=3)]
    expected = [sliced_wasserstein(real, other) for other in others]
    kept = SlicedWasserstein(real)
    together = sliced_wasserstein_to_each(real, others)
    assert [kept.distance(other) for other in others] == together
    assert [found.by_level for found in together] == expected


def test_error_is_how_far_the_distance_moves_with_other_pictures() -> None:
    """The standard error agrees with the spread over other sets of the same kind, within a half."""
    sets = [contrasts(64, seed) for seed in range(1, 13)]
    found = sliced_wasserstein_to_each(contrasts(64, 0), sets)
    spread = np.std([one.mean for one in found], ddof=1)
    assert 0.67 < np.mean([one.error for one in found]) / spread < 1.5


def test_error_of_one_picture_is_zero() -> None:
    """A single picture says nothing of its kind, and divides by nothing."""
    assert sliced_wasserstein_to_each(noise(1, 32), [drawn(1)])[0].error == 0.0


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 32, 32, 3), np.float32),
        np.zeros((2, 48, 48, 3), np.uint8),
        np.zeros((2, 32, 64, 3), np.uint8),
        np.zeros((2, 32, 32, 4), np.uint8),
        np.zeros((0, 32, 32, 3), np.uint8),
        np.zeros((32, 32, 3), np.uint8),
    ],
)
def test_other_forms_are_refused(images: Images) -> None:
    """Whatever is not uint8 [N, S, S, C] of a known size is named in the message, on either side."""
    wanted = "uint8 [N, S, S, C] with S in 28, 32, 64, 128, 256 and C 1 or 3"
    for a, b in [(images, noise(2, 32)), (noise(2, 32), images)]:
        with pytest.raises(DataError) as caught:
            sliced_wasserstein(a, b)
        assert str(caught.value) == f"pictures to measure must be {wanted}, got {images.dtype} {images.shape}"


def test_sets_of_different_shapes_are_refused() -> None:
    """Two sets must have as many pictures of one size."""
    with pytest.raises(DataError) as caught:
        SlicedWasserstein(noise(2, 32)).distance(noise(3, 32))
    expected = "two sets of pictures must have one shape, got (2, 32, 32, 3) and (3, 32, 32, 3)"
    assert str(caught.value) == expected
