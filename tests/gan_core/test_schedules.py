from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from gan_core.schedules import Schedule, ema_decay


def test_half_a_cosine() -> None:
    """The value follows (1 + cos(pi t)) / 2 from start to end: a half in the middle, steepest there."""
    schedule = Schedule(1.0, 0.0, 1200.0)
    shares = {0: 1.0, 300: (2 + math.sqrt(2)) / 4, 400: 0.75, 600: 0.5, 800: 0.25, 1200: 0.0}
    for images, expected in shares.items():
        assert float(schedule.at(images)) == pytest.approx(expected, abs=1e-7)
    assert float(Schedule(0.9, 0.99, 1200.0).at(400)) == pytest.approx(0.9225, rel=1e-7)


@pytest.mark.parametrize(("start", "end"), [(2e-4, 5e-5), (0.9, 0.99), (10.0, 1.0), (0.1, 0.3), (1.0, 0.0)])
def test_both_ends_are_exact(start: float, end: float) -> None:
    """Before the first image the value is `start` to the bit, and from the last one on it is `end`."""
    schedule = Schedule(start, end, 333_333.0)
    assert schedule.at(0).numpy() == np.float32(start)
    for images in (333_333, 333_334, 10**10):
        assert schedule.at(images).numpy() == np.float32(end)


@pytest.mark.parametrize("images", [0, 1, 10**10])
def test_without_a_span_the_value_stays(images: int) -> None:
    """A span of 0 is off: the value never leaves `start`."""
    assert Schedule(2e-4, 1.0, 0.0).at(images).numpy() == np.float32(2e-4)


def test_equal_ends_are_one_value() -> None:
    """What goes nowhere keeps its bits on the way, even where the next float32 is a rounding away."""
    between = 1.5 + 2**-24  # the middle of two float32, which becomes the lower one
    assert {float(Schedule(between, between, 50.0).at(images)) for images in range(52)} == {1.5}


def test_single_images_count_after_a_thousand_million() -> None:
    """In a compiled function and with int64, one image past the middle of a long span is one image's worth of slope."""
    at = tf.function(Schedule(1.0, -1.0, 2e9).at, input_signature=[tf.TensorSpec([], tf.int64)])
    one = -math.sin(math.pi / 2e9)  # cos(pi/2 + x)
    for images in (1, -1, 20):
        value = at(tf.constant(10**9 + images, tf.int64))
        assert value.dtype == tf.float32
        # An angle of pi/2 is known to 1e-16, the slope of one image is 1.6e-9.
        assert float(value) == pytest.approx(one * images, rel=1e-6)
    long = tf.function(Schedule(1.0, -1.0, 2e10).at, input_signature=[tf.TensorSpec([], tf.int64)])
    assert float(long(tf.constant(10**10 + 1, tf.int64))) == pytest.approx(one / 10, rel=1e-5)


def test_it_never_turns_back() -> None:
    """From image to image the value only falls, and stays between its ends."""
    schedule = Schedule(1.0, 0.25, 50.0)
    values = [float(schedule.at(images)) for images in range(55)]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 51
    assert (values[0], values[-1]) == (1.0, 0.25)


def former_decay(step: tf.Tensor, halflife_kimg: float, batch_size: int) -> tf.Tensor:
    """Return the decay as it was computed when the pictures were made that later ones are compared with."""
    shown = tf.cast(step + 1, tf.float32) * batch_size
    halflife = tf.minimum(halflife_kimg * 1000.0, shown * 0.05)
    return 0.5 ** (batch_size / tf.maximum(halflife, 1e-6))


@pytest.mark.parametrize("batch_size", [2, 7, 64, 100, 128])
@pytest.mark.parametrize("halflife_kimg", [0.008, 1.0, 500.3])
def test_decays_keep_their_bits(batch_size: int, halflife_kimg: float) -> None:
    """Ramp-up 0.05 gives the float32 of the older formula at every step, also where a schedule gives the half-life.

    In a graph as well, if images are counted in float32: TensorFlow merges the constants of such products.
    """

    def compiled(step: tf.Tensor) -> tf.Tensor:
        shown = tf.cast(step + 1, tf.float32) * batch_size
        scheduled = Schedule(halflife_kimg * 1000.0, 1.0, 0.0).at(step)
        plain = ema_decay(halflife_kimg * 1000.0, 0.05, shown, batch_size)
        return tf.stack(
            [former_decay(step, halflife_kimg, batch_size), plain, ema_decay(scheduled, 0.05, shown, batch_size)]
        )

    in_graph = tf.function(compiled, input_signature=[tf.TensorSpec([], tf.int64)])
    for step in (*range(50), *(1000 * n + 17 for n in range(20)), 10**6):
        former, plain, scheduled = in_graph(tf.constant(step, tf.int64)).numpy()
        assert (plain, scheduled) == (former, former)
        counted = ema_decay(halflife_kimg * 1000.0, 0.05, (step + 1) * batch_size, batch_size)
        assert counted.numpy() == former_decay(tf.constant(step, tf.int64), halflife_kimg, batch_size).numpy()


def test_a_half_life_halves() -> None:
    """Without ramp-up, the average keeps half of itself over a half-life from the first step on."""
    assert float(ema_decay(640.0, 0.0, 64, 64)) == pytest.approx(0.5**0.1, rel=1e-7)
    assert float(ema_decay(64.0, 0.0, 64, 64)) == 0.5
    assert float(ema_decay(tf.constant(32.0), 0.0, tf.constant(10**10, tf.int64), 64)) == 0.25


def test_ramp_up_bounds_the_half_life() -> None:
    """The half-life is a share of the images shown until it reaches its own length."""
    assert float(ema_decay(1000.0, 0.5, 128, 64)) == 0.5
    assert float(ema_decay(1000.0, 0.5, 256, 64)) == pytest.approx(0.5**0.5, rel=1e-7)
    assert float(ema_decay(1000.0, 0.5, 2000, 500)) == float(ema_decay(1000.0, 0.5, 10**9, 500))
    assert float(ema_decay(1000.0, 0.5, 1998, 500)) < float(ema_decay(1000.0, 0.5, 2000, 500))


@pytest.mark.parametrize("rampup", [0.0, 0.05])
def test_no_half_life_keeps_nothing(rampup: float) -> None:
    """Half-life 0 is a decay of 0: the average is the trained generator."""
    assert float(ema_decay(0.0, rampup, 10**6, 2)) == 0.0
    assert float(ema_decay(tf.constant(0.0), rampup, 10**6, 65_536)) == 0.0
