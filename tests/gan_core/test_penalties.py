"""The penalties against closed forms, and their derivatives with respect to a critic's weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from gan_core.penalties import PENALTIES, Critic, is_due
from gan_core.sections import PENALTY_NAMES

SHAPE = (4, 3, 2)  # of the pictures that closed forms are tried on
SEED = tf.constant([3, 5], tf.int64)
LOSS_SCALE = 2.0**15  # where keras.optimizers.LossScaleOptimizer begins


def pictures(batch: int, shape: tuple[int, ...] = SHAPE, seed: int = 0) -> tf.Tensor:
    """Return seeded noise: float32 [batch, *shape], N(0, 1)."""
    return tf.constant(np.random.default_rng(seed).standard_normal((batch, *shape)), tf.float32)


def flat(images: tf.Tensor) -> tf.Tensor:
    """Return [batch, values]."""
    return tf.reshape(images, [tf.shape(images)[0], -1])


def linear(weights: tf.Variable) -> Critic:
    """Return D(x) = w.x, for float32 [values] weights."""
    return lambda images: tf.linalg.matmul(flat(images), weights[:, None])


def quadratic(matrix: tf.Variable) -> Critic:
    """Return D(x) = x'Ax/2, for a float32 [values, values] matrix."""
    return lambda images: 0.5 * tf.reduce_sum(flat(images) @ matrix * flat(images), 1, keepdims=True)


def test_the_penalties_are_those_of_the_option() -> None:
    """`train.penalty` takes "none" and these names."""
    assert ("none", *PENALTIES) == PENALTY_NAMES


@pytest.mark.parametrize(
    ("name", "of_norm", "slope"),
    [
        ("r1", lambda n: n * n / 2, lambda n: n),
        ("r2", lambda n: n * n / 2, lambda n: n),
        ("r1+r2", lambda n: n * n, lambda n: 2 * n),
        ("gp", lambda n: (n - 1) ** 2, lambda n: 2 * (n - 1)),
    ],
)
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_linear_critic(
    name: str, of_norm: Callable[[float], float], slope: Callable[[float], float], norm: float
) -> None:
    """D(x) = w.x has the gradient w everywhere: r1 = r2 = |w|^2/2, gp = (|w|-1)^2; they change along w."""
    direction = np.random.default_rng(1).standard_normal(24)
    direction /= np.linalg.norm(direction)
    weights = tf.Variable(norm * direction, dtype=tf.float32)
    with tf.GradientTape() as tape:
        penalty = PENALTIES[name](linear(weights), pictures(5), pictures(5, seed=1), SEED)
    assert float(penalty) == pytest.approx(of_norm(norm), rel=1e-5, abs=1e-6)
    np.testing.assert_allclose(tape.gradient(penalty, weights), slope(norm) * direction, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("name", "weight_real", "weight_fake"), [("r1", 1, 0), ("r2", 0, 1), ("r1+r2", 1, 1)])
def test_quadratic_critic(name: str, weight_real: int, weight_fake: int) -> None:
    """D(x) = x'Ax/2 has the gradient Sx, S = (A+A')/2, at its own pictures; d|Sx|^2/2 = (Sxx' + xx'S)/2 : dA."""
    matrix = np.random.default_rng(2).standard_normal((24, 24))
    symmetric = (matrix + matrix.T) / 2
    real, fake = pictures(5), pictures(5, seed=1) * 2.0
    expected, expected_slope = 0.0, np.zeros((24, 24))
    for images, weight in ((real, weight_real), (fake, weight_fake)):
        points = flat(images).numpy().astype(np.float64)
        expected += weight * np.mean(np.sum((points @ symmetric) ** 2, 1)) / 2
        moments = symmetric @ points.T @ points / len(points)
        expected_slope += weight * (moments + moments.T) / 2
    weights = tf.Variable(matrix, dtype=tf.float32)
    with tf.GradientTape() as tape:
        penalty = PENALTIES[name](quadratic(weights), real, fake, SEED)
    assert float(penalty) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(tape.gradient(penalty, weights), expected_slope, rtol=1e-4, atol=1e-4)


def test_gp_looks_at_one_point_between_each_pair() -> None:
    """Mixed pictures lie between a real and its own generated one, at one share by picture, which the seed decides."""
    seen: list[tf.Tensor] = []

    def critic(images: tf.Tensor) -> tf.Tensor:
        seen.append(images)
        return tf.reduce_sum(images, [1, 2, 3])[:, None]

    real, fake = pictures(64), pictures(64, seed=1)
    for seed in (SEED, SEED, SEED + 1):
        PENALTIES["gp"](critic, real, fake, seed)
    shares = [(flat(images - fake) / flat(real - fake)).numpy() for images in seen]
    middle = np.median(shares, axis=2)
    assert np.abs((shares - middle[:, :, None]) * flat(real - fake).numpy()).max() < 1e-5
    np.testing.assert_array_equal(middle[0], middle[1])
    assert np.abs(middle[0] - middle[2]).min() > 0
    assert middle.min() >= 0.0
    assert middle.max() <= 1.0
    np.testing.assert_allclose(np.quantile(middle, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.1)


def test_gp_is_measured_where_the_pictures_are_mixed() -> None:
    """D(x) = |x|^2/2 has the gradient x, so gp is the mean of (|x| - 1)^2 over the mixed pictures."""
    real, fake = tf.ones([2, *SHAPE]) * [[[[1.0]]], [[[2.0]]]], tf.zeros([2, *SHAPE])
    shares = tf.random.stateless_uniform([2, 1, 1, 1], SEED).numpy().ravel()
    norms = shares * np.array([1.0, 2.0]) * np.sqrt(24)
    penalty = PENALTIES["gp"](quadratic(tf.Variable(tf.eye(24))), real, fake, SEED)
    assert float(penalty) == pytest.approx(np.mean((norms - 1) ** 2), rel=1e-5)


@pytest.mark.parametrize("xla", [False, True])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_flat_critic_has_a_finite_derivative(name: str, xla: bool) -> None:
    """At gradients of exactly 0, penalties are 0, gp is 1, and all of their derivatives are 0; with XLA too."""
    weights = tf.Variable(tf.zeros([24]))

    @tf.function(jit_compile=xla)
    def derive() -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            penalty = PENALTIES[name](linear(weights), pictures(5), pictures(5, seed=1), SEED)
        return penalty, tape.gradient(penalty, weights)

    penalty, slope = derive()
    assert float(penalty) == (1.0 if name == "gp" else 0.0)
    np.testing.assert_array_equal(slope, np.zeros(24))


def test_one_flat_picture_leaves_the_derivative_of_the_others() -> None:
    """Where gp has no derivative for one picture, that picture counts 0 and the other as always."""
    weights = tf.Variable(1.0)

    def critic(images: tf.Tensor) -> tf.Tensor:
        return 0.5 * weights * tf.reduce_sum(tf.square(images), [1, 2, 3])[:, None]  # gradient: w x

    images = tf.constant([0.0, 2.0], tf.float32)[:, None, None, None]
    with tf.GradientTape() as tape:
        penalty = PENALTIES["gp"](critic, images, images, SEED)
    assert float(penalty) == pytest.approx(((0 - 1) ** 2 + (2 - 1) ** 2) / 2)
    assert float(tape.gradient(penalty, weights)) == pytest.approx((0 + 2 * (2 - 1) * 2) / 2)


def network(weights: list[Any], mask: Any) -> Critic:
    """Return a critic of every kind of layer, in the type of its weights: strided, depthwise, grouped, dropout, dense.

    8x8x3 -> 4x4x4 -> 4x4x4 -> 4x4x6 -> 1. mask: [1, 4, 4, 4], dropout's.
    """
    strided, depthwise, *groups, dense = weights

    def critic(images: Any) -> Any:
        x = tf.nn.leaky_relu(tf.nn.conv2d(images, strided, 2, "SAME"), 0.2) * mask
        x = tf.nn.leaky_relu(tf.nn.depthwise_conv2d(x, depthwise, [1, 1, 1, 1], "SAME"), 0.2)
        halves = zip(tf.split(x, 2, axis=3), groups, strict=True)
        x = tf.concat([tf.nn.conv2d(half, kernel, 1, "SAME") for half, kernel in halves], 3)
        return flat(tf.nn.leaky_relu(x, 0.2)) @ dense

    return critic


def penalty_by_hand(name: str, critic: Critic, real: Any, fake: Any, share: Any) -> float:
    """Return the penalty, from first derivatives in float64 alone."""

    def norms(images: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = critic(images)
        return np.sqrt(np.sum(tape.gradient(logits, images).numpy() ** 2, axis=(1, 2, 3)))

    by_name = {
        "r1": lambda: np.mean(norms(real) ** 2) / 2,
        "r2": lambda: np.mean(norms(fake) ** 2) / 2,
        "r1+r2": lambda: np.mean(norms(real) ** 2) / 2 + np.mean(norms(fake) ** 2) / 2,
        "gp": lambda: np.mean((norms(share * real + (1 - share) * fake) - 1) ** 2),
    }
    return float(by_name[name]())


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", PENALTIES)
def test_derivatives_against_finite_differences(name: str, compiled: bool) -> None:
    """Along a random direction of each layer's weights, the penalty changes as its derivative says."""
    rng = np.random.default_rng(4)
    shapes = [(3, 3, 3, 4), (3, 3, 4, 1), (3, 3, 2, 3), (3, 3, 2, 3), (96, 1)]
    kernels = [rng.standard_normal(shape) * 0.5 for shape in shapes]
    directions = [rng.standard_normal(shape) for shape in shapes]
    mask = np.where(rng.random((1, 4, 4, 4)) < 0.8, 1 / 0.8, 0.0)
    real, fake = pictures(3, (8, 8, 3)), pictures(3, (8, 8, 3), seed=1)
    weights = [tf.Variable(kernel, dtype=tf.float32) for kernel in kernels]

    def derive() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            penalty = PENALTIES[name](network(weights, tf.cast(mask, tf.float32)), real, fake, SEED)
        return penalty, tape.gradient(penalty, weights)

    penalty, gradients = tf.function(derive)() if compiled else derive()
    share = tf.cast(tf.random.stateless_uniform([3, 1, 1, 1], SEED), tf.float64)
    images = tf.cast(real, tf.float64), tf.cast(fake, tf.float64)

    def exact(layer: int, distance: float) -> float:
        moved = [
            tf.constant(kernel + distance * direction if index == layer else kernel, tf.float64)
            for index, (kernel, direction) in enumerate(zip(kernels, directions, strict=True))
        ]
        return penalty_by_hand(name, network(moved, tf.constant(mask)), *images, share)

    assert float(penalty) == pytest.approx(exact(0, 0.0), rel=1e-5)
    for layer, (gradient, direction) in enumerate(zip(gradients, directions, strict=True)):
        difference = (exact(layer, 1e-6) - exact(layer, -1e-6)) / 2e-6
        assert np.sum(gradient.numpy() * direction) == pytest.approx(difference, rel=1e-4), layer


def keras_critic(precision: str, groups: int) -> keras.Model:
    """Return a small discriminator of layers in `precision`, its logit in float32; equal weights every time."""
    policy, layers = keras.DTypePolicy(precision), keras.layers
    kernels = [keras.initializers.RandomNormal(0.0, 0.02, seed=seed) for seed in range(4)]
    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(16, 4, 2, "same", kernel_initializer=kernels[0], dtype=policy),
            layers.LeakyReLU(0.2, dtype=policy),
            layers.Dropout(0.2, seed=4, dtype=policy),
            layers.DepthwiseConv2D(3, 1, "same", depthwise_initializer=kernels[1], dtype=policy),
            layers.Conv2D(32, 4, 2, "same", groups=groups, kernel_initializer=kernels[2], dtype=policy),
            layers.LeakyReLU(0.2, dtype=policy),
            layers.Flatten(dtype=policy),
            layers.Dense(1, kernel_initializer=kernels[3], dtype="float32"),
        ]
    )


@functools.cache
def derived(
    name: str, precision: str, *, dropout: bool = False, groups: int = 1, xla: bool = False
) -> tuple[float, list[np.ndarray]]:
    """Return a penalty for a critic of Keras's layers, and its derivatives by kernel, with a loss scale as in training.

    Compiled. Biases move no gradient in a network of this kind, and are left out.
    """
    critic = keras_critic(precision, groups)
    kernels = [weight for weight in critic.trainable_variables if weight.name != "bias"]
    real, fake = tf.tanh(pictures(8, (32, 32, 3))), tf.tanh(pictures(8, (32, 32, 3), seed=1))

    @tf.function(jit_compile=xla)
    def derive() -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            penalty = PENALTIES[name](lambda images: critic(images, training=dropout), real, fake, SEED)
            scaled = penalty * LOSS_SCALE
        return penalty, tape.gradient(scaled, kernels)

    penalty, gradients = derive()
    assert (penalty.dtype, penalty.shape) == (tf.float32, [])
    return float(penalty), [gradient.numpy() / LOSS_SCALE for gradient in gradients]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", PENALTIES)
def test_every_penalty_trains_in_every_precision(name: str, precision: str) -> None:
    """With dropout and kernels as small as at first: a positive float32 scalar, and no kernel's derivative is 0."""
    penalty, gradients = derived(name, precision, dropout=True)
    assert np.isfinite(penalty)
    assert penalty > 0.0
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        assert np.mean(gradient != 0.0) > 0.99


def assert_near(name: str, tolerance: float, value_tolerance: float, **changes: Any) -> None:
    """Compare values, and derivatives by their distance in each kernel, to those of float32 without `changes`."""
    same = {key: value for key, value in changes.items() if key == "groups"}
    exact, slopes = derived(name, "float32", **same)
    near, near_slopes = derived(name, **{"precision": "float32"} | changes)
    assert near == pytest.approx(exact, rel=value_tolerance)
    for slope, near_slope in zip(slopes, near_slopes, strict=True):
        assert np.linalg.norm(near_slope - slope) < tolerance * np.linalg.norm(slope)


@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_bfloat16", 0.05), ("mixed_float16", 0.02)])
@pytest.mark.parametrize("name", PENALTIES)
def test_half_precision_is_near_float32(name: str, precision: str, tolerance: float) -> None:
    """In half precision, values differ from float32 by 0.2 % at most, derivatives by the leaks that rounding flips."""
    assert_near(name, tolerance, 2e-3, precision=precision)


def test_xla_agrees() -> None:
    """Compiled with XLA, a penalty and its derivatives are those of TensorFlow's own kernels."""
    assert_near("r1", 1e-5, 1e-5, xla=True)


def test_grouped_convolutions() -> None:
    """Keras's grouped convolutions have second derivatives, in float16 as in float32."""
    assert_near("r1+r2", 0.02, 2e-3, groups=4, precision="mixed_float16")


def test_float16_finds_gradients_that_are_0_to_it() -> None:
    """Gradients of 2^-26 by pixel, which float16 rounds to 0, count exactly where pictures pass through float16."""
    weights = tf.Variable(tf.fill([24], 2.0**-26))

    def critic(images: tf.Tensor) -> tf.Tensor:
        return linear(weights)(tf.cast(tf.cast(images, tf.float16), tf.float32))

    assert float(PENALTIES["r1"](critic, pictures(5), pictures(5), SEED)) == 24 * 2.0**-52 / 2


@pytest.mark.parametrize(
    ("step", "every", "due"),
    [(0, 1, True), (7, 1, True), (0, 16, True), (1, 16, False), (15, 16, False), (32, 16, True)],
)
def test_due(step: int, every: int, due: bool) -> None:
    """The penalty is added in steps that are multiples of `every`, 0 among them; for tensors as for numbers."""
    assert is_due(step, every) is due
    assert bool(is_due(tf.constant(step, tf.int64), every)) is due


def test_lazy_weighing_adds_up() -> None:
    """Added every 4th step and times 4, under a condition in a compiled step, derivatives add up to those of all."""
    weights = tf.Variable(pictures(1)[0, :, 0, 0])
    total = tf.Variable(tf.zeros_like(weights))

    @tf.function
    def step(number: tf.Tensor) -> None:
        images = tf.ones([2, 4, 1, 1])
        with tf.GradientTape() as tape:
            loss = 0.0 * tf.reduce_sum(weights)
            if is_due(number, 4):
                loss += 4.0 * PENALTIES["r1"](linear(weights), images, images, SEED)
        total.assign_add(tape.gradient(loss, weights))

    for number in range(8):
        step(tf.constant(number, tf.int64))
    np.testing.assert_allclose(total, 8 * weights.numpy(), rtol=1e-6)  # r1's derivative is w
