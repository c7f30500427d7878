"""Great circles between latents: ends, lengths, angles, and the cases where there is no one arc."""

from __future__ import annotations

import numpy as np
import pytest

from gan_core.interpolation import great_circle


def angles(way: np.ndarray) -> np.ndarray:
    """Return the angles between consecutive rows, radians."""
    unit = way.astype(np.float64) / np.linalg.norm(way.astype(np.float64), axis=1, keepdims=True)
    return np.arccos(np.clip((unit[1:] * unit[:-1]).sum(1), -1, 1))


def test_a_quarter_of_a_circle() -> None:
    """Between two axes, in three steps, the middle lies at 45 degrees with the same length."""
    way = great_circle(np.array([2, 0], np.float32), np.array([0, 2], np.float32), 3)
    np.testing.assert_allclose(way, [[2, 0], [np.sqrt(2), np.sqrt(2)], [0, 2]], atol=1e-7)
    assert (way.dtype, way.shape) == (np.dtype(np.float32), (3, 2))


def test_ends_are_exact_lengths_grow_evenly_and_so_do_angles() -> None:
    """Of latents as a generator gets them: both ends bit for bit, nothing shorter than the shorter one."""
    for seed in range(5):
        ends = np.random.default_rng(seed).standard_normal((2, 128)).astype(np.float32)
        way = great_circle(*ends, 9)
        np.testing.assert_array_equal(way[[0, -1]], ends)
        lengths = np.linalg.norm(ends.astype(np.float64), axis=1)
        np.testing.assert_allclose(np.linalg.norm(way, axis=1), np.linspace(*lengths, 9), rtol=1e-6)
        cosine = ends[0] @ ends[1] / lengths.prod()
        np.testing.assert_allclose(angles(way), np.arccos(cosine) / 8, rtol=1e-4)


def test_the_way_back_is_the_same() -> None:
    """Reversed ends give the reversed rows."""
    a, b = np.random.default_rng(1).standard_normal((2, 16)).astype(np.float32)
    np.testing.assert_allclose(great_circle(a, b, 7), great_circle(b, a, 7)[::-1], atol=1e-6)


def test_opposite_latents_turn_through_a_third_direction() -> None:
    """Half a circle of equal steps, of full length all the way; the same one every time."""
    a = np.array([3, 0, 4], np.float32)
    way = great_circle(a, -a, 5)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), 5, rtol=1e-6)
    np.testing.assert_allclose(angles(way), np.pi / 4, rtol=1e-6)
    np.testing.assert_allclose(way[2], [0, 5, 0], atol=1e-6)  # the axis that a has nothing of
    np.testing.assert_array_equal(way[[0, -1]], [a, -a])


@pytest.mark.parametrize(
    ("start", "end"),
    [([1, 2], [1, 2]), ([1, 2], [3, 6]), ([0, 0], [4, 2]), ([4, 2], [0, 0]), ([0, 0], [0, 0]), ([2], [-2])],
)
def test_where_nothing_turns_the_way_is_straight(start: list[float], end: list[float]) -> None:
    """Equal directions, the origin, and a single number, which has no third direction."""
    a, b = np.array(start, np.float32), np.array(end, np.float32)
    np.testing.assert_allclose(great_circle(a, b, 3), [a, (a + b) / 2, b], atol=1e-7)


def test_two_steps_are_the_ends() -> None:
    """The shortest way has nothing between."""
    a, b = np.random.default_rng(2).standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_array_equal(great_circle(a, b, 2), [a, b])
