from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import numpy.typing as npt
import pytest
import tensorflow as tf

from gan_core.augment import AUGMENTATIONS, adapted, augment
from gan_core.sections import AUGMENT_NAMES

Pictures = npt.NDArray[np.float32]

ALL = ("color", "translation", "cutout")
CHANNELS = pytest.mark.parametrize("channels", [1, 3])
NAMES = pytest.mark.parametrize("name", ALL)


def seed(number: int) -> tf.Tensor:
    """Return int64 [2]."""
    return tf.constant([number, 5], tf.int64)


def pictures(channels: int, count: int = 12, height: int = 16, width: int = 24) -> Pictures:
    """Return seeded noise in [-1, 1]."""
    shape = (count, height, width, channels)
    return np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)


def drawn(name: str, count: int, number: int) -> npt.NDArray[np.float32]:
    """Return what `augment` draws: float32 [n, count], the first row against the strength."""
    index, rows = {"color": (0, 4), "translation": (1, 3), "cutout": (2, 3)}[name]
    return tf.random.stateless_uniform(
        [rows, count], tf.random.experimental.stateless_fold_in(seed(number), index)
    ).numpy()


def expected_color(image: Pictures, brightness: float, saturation: float, contrast: float) -> npt.NDArray[np.float64]:
    """Brightness, saturation and contrast one after the other, as in the paper's code."""
    x = image.astype(np.float64) + (brightness - 0.5)
    grey = x.mean(2, keepdims=True)
    x = (x - grey) * (saturation * 2) + grey
    return (x - x.mean()) * (contrast + 0.5) + x.mean()


def expected_translation(image: Pictures, vertical: float, horizontal: float) -> Pictures:
    """Pixel by pixel: where each one goes, if that is inside."""
    height, width, _ = image.shape
    down = int(vertical * (2 * (height // 8) + 1)) - height // 8
    right = int(horizontal * (2 * (width // 8) + 1)) - width // 8
    result = np.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y + down < height and 0 <= x + right < width:
                result[y + down, x + right] = image[y, x]
    return result


def expected_cutout(image: Pictures, vertical: float, horizontal: float) -> Pictures:
    """A hole around a centre; even ones have it right of their middle."""
    height, width, _ = image.shape
    tall, wide = height // 2, width // 2
    top = int(vertical * (height + 1 - tall % 2)) - tall // 2
    left = int(horizontal * (width + 1 - wide % 2)) - wide // 2
    result = image.copy()
    result[max(top, 0) : top + tall, max(left, 0) : left + wide] = 0
    return result


EXPECTED: dict[str, Callable[..., npt.NDArray[np.floating]]] = {
    "color": expected_color,
    "translation": expected_translation,
    "cutout": expected_cutout,
}


def test_the_names_are_those_of_the_config() -> None:
    """Every name that `train.augment` takes has a function, and no other."""
    assert tuple(AUGMENTATIONS) == AUGMENT_NAMES


@CHANNELS
@NAMES
@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("sides", [(16, 24), (28, 28), (30, 9)])
def test_pictures_are_what_the_draws_say(name: str, strength: float, sides: tuple[int, int], channels: int) -> None:
    """Each picture equals one computed pixel by pixel; those that the strength spares keep every bit."""
    images = pictures(channels, 12, *sides)
    gates, *parameters = drawn(name, 12, 7)
    result = augment(tf.constant(images), (name,), strength, seed(7)).numpy()
    for row, image in enumerate(images):
        if gates[row] >= strength:
            np.testing.assert_array_equal(result[row], image)
            continue
        expected = EXPECTED[name](image, *(float(parameter[row]) for parameter in parameters))
        np.testing.assert_allclose(result[row], expected, atol=2e-6 if name == "color" else 0)
    assert 0 < (gates < strength).sum() <= 12 * strength + 3


def test_names_apply_in_their_order() -> None:
    """Several names are the same as one call for each in turn, and their order matters."""
    images = tf.constant(pictures(3))
    for names in (ALL, ALL[::-1]):
        step_by_step = images
        for name in names:
            step_by_step = augment(step_by_step, (name,), 0.8, seed(1))
        np.testing.assert_array_equal(augment(images, names, 0.8, seed(1)), step_by_step)
    forth, back = (augment(images, names, 1.0, seed(1)).numpy() for names in (ALL, ALL[::-1]))
    assert not np.array_equal(forth, back)


def test_no_names_cost_nothing() -> None:
    """Without names, the very tensor comes back."""
    images = tf.constant(pictures(3))
    assert augment(images, (), 1.0, seed(0)) is images


@CHANNELS
@pytest.mark.parametrize("xla", [None, False, True])
def test_strength_zero_changes_nothing(channels: int, xla: bool | None) -> None:
    """At strength 0, given as a tensor, values and gradients are those without: eagerly, in a graph, with XLA."""
    images, weights = tf.constant(pictures(channels)), tf.constant(pictures(channels)[::-1].copy())

    def both(strength: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(images)
            result = augment(images, ALL, strength, seed(0))
            loss = tf.reduce_sum(result * weights)
        return result, tape.gradient(loss, images)

    run = both if xla is None else tf.function(both, jit_compile=xla)
    result, gradient = run(tf.constant(0.0))
    np.testing.assert_array_equal(result, images)
    np.testing.assert_array_equal(gradient, weights)


@CHANNELS
def test_strength_is_the_share_of_changed_pictures(channels: int) -> None:
    """Pictures change where their draw is below the strength, be it a number or a tensor; names decide apart."""
    images = pictures(channels, 4096, 8, 8)
    changed = {}
    for name in ALL:
        gates, *parameters = drawn(name, 4096, 3)
        result = augment(tf.constant(images), (name,), 0.3, seed(3)).numpy()
        np.testing.assert_array_equal(augment(tf.constant(images), (name,), tf.constant(0.3), seed(3)), result)
        changed[name] = gates < np.float32(0.3)
        moved = np.ones(4096, bool)
        if name == "translation":  # one of the nine moves of an 8x8 picture is none
            moved = ((parameters[0] * 3).astype(int) != 1) | ((parameters[1] * 3).astype(int) != 1)
        np.testing.assert_array_equal((result != images).any((1, 2, 3)), changed[name] & moved)
        assert changed[name].mean() == pytest.approx(0.3, abs=0.02)
    for one, other in (("color", "translation"), ("color", "cutout"), ("translation", "cutout")):
        assert (changed[one] & changed[other]).mean() == pytest.approx(0.09, abs=0.015)


def test_moves_are_uniform_in_both_directions() -> None:
    """A 16x16 picture goes to each of the 5 x 5 places around it equally often, independently down and right."""
    images = np.zeros((10_000, 16, 16, 1), np.float32)
    images[:, 7, 8] = 1
    result = augment(tf.constant(images), ("translation",), 1.0, seed(11)).numpy()[..., 0]
    counts = result.sum(0)[5:10, 6:11]
    assert counts.sum() == 10_000
    assert (abs(counts - 400) < 80).all()  # four deviations of a count of 400


def test_holes_are_uniform() -> None:
    """Holes centre on every place of a 16x16 picture, its edges included, so a corner is cut least."""
    images = np.ones((20_000, 16, 16, 1), np.float32)
    result = augment(tf.constant(images), ("cutout",), 1.0, seed(11)).numpy()[..., 0]
    # Of the 17 places along a side, a hole of 8 covers pixel i from those within 8 of it that exist.
    along = np.array([min(i + 4, 16) - max(i - 3, 0) + 1 for i in range(16)]) / 17
    np.testing.assert_allclose(1 - result.mean(0), along[:, None] * along, atol=0.02)


@CHANNELS
def test_colours_are_drawn_apart(channels: int) -> None:
    """Brightness, saturation and contrast span their ranges evenly and are not correlated; nothing is clipped."""
    _, *parameters = drawn("color", 4096, 3)
    np.testing.assert_allclose(np.mean(parameters, 1), 0.5, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(parameters), np.eye(3), atol=0.05)
    images = np.ones((4096, 2, 2, channels), np.float32)
    images[:, 0] = -1
    result = augment(tf.constant(images), ("color",), 1.0, seed(3)).numpy()
    brightness, half_span = result.mean((1, 2, 3)), (result.max((1, 2, 3)) - result.min((1, 2, 3))) / 2
    np.testing.assert_allclose([brightness.min(), brightness.max()], [-0.5, 0.5], atol=1e-3)
    np.testing.assert_allclose([half_span.min(), half_span.max()], [0.5, 1.5], atol=1e-3)
    assert result.max() > 1.9


def test_grey_pictures_have_no_saturation() -> None:
    """A grey picture in three channels stays grey, and is changed as its single channel is."""
    grey = pictures(1)
    single = augment(tf.constant(grey), ("color",), 1.0, seed(2)).numpy()
    triple = augment(tf.constant(grey.repeat(3, 3)), ("color",), 1.0, seed(2)).numpy()
    np.testing.assert_array_equal(triple, triple[..., :1].repeat(3, 3))
    np.testing.assert_allclose(triple, single.repeat(3, 3), atol=1e-6)


@CHANNELS
def test_gradients_are_exact(channels: int) -> None:
    """The slope towards a pixel is the weight of the place it went to: moved back, 0 in holes, scaled by colour."""
    images, weights = pictures(channels), pictures(channels)[::-1].copy()

    def gradient(name: str) -> Pictures:
        x = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(augment(x, (name,), 1.0, seed(4)) * weights)
        return tape.gradient(loss, x).numpy()

    _, *offsets = drawn("translation", 12, 4)
    turned = weights[:, ::-1, ::-1]  # moved back is turned round, moved, and turned round again
    back = [expected_translation(weight, *(o[row] for o in offsets))[::-1, ::-1] for row, weight in enumerate(turned)]
    np.testing.assert_array_equal(gradient("translation"), back)
    _, *centres = drawn("cutout", 12, 4)
    holes = [expected_cutout(weight, *(centre[row] for centre in centres)) for row, weight in enumerate(weights)]
    np.testing.assert_array_equal(gradient("cutout"), holes)
    _, _, saturation, contrast = drawn("color", 12, 4).astype(np.float64)[..., None, None, None]
    strong = 2 * saturation * (contrast + 0.5)
    wide = weights.astype(np.float64)
    grey = wide.mean(3, keepdims=True) * (contrast + 0.5 - strong)
    np.testing.assert_allclose(
        gradient("color"), wide * strong + grey + wide.mean((1, 2, 3), keepdims=True) * (0.5 - contrast), atol=1e-6
    )


@CHANNELS
def test_gradients_of_gradients_pass(channels: int) -> None:
    """A penalty on the slope before augmentation has the right slope itself, as R1 and R2 need."""
    images, direction = tf.constant(pictures(channels)), tf.constant(pictures(channels)[::-1].copy())

    def changed(x: tf.Tensor) -> tf.Tensor:
        return augment(x, ALL, 0.8, seed(6))

    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            logits = tf.reduce_sum(changed(images) ** 3) / 6
        penalty = tf.reduce_sum(inner.gradient(logits, images) * direction)
    # `changed` is A x + b, so the penalty is <A'(A x + b)**2 / 2, d>, and its slope A'((A x + b) * A d).
    with tf.GradientTape() as tape:
        tape.watch(images)
        out = changed(images)
        expected = tf.reduce_sum(tf.stop_gradient(out * (changed(direction) - changed(tf.zeros_like(images)))) * out)
    np.testing.assert_allclose(outer.gradient(penalty, images), tape.gradient(expected, images), rtol=1e-4, atol=1e-5)


@NAMES
def test_pictures_do_not_see_each_other(name: str) -> None:
    """Another picture in one row changes no bit of the other rows."""
    images = pictures(3)
    other = images.copy()
    other[5] = -0.25
    first, second = (augment(tf.constant(x), (name,), 1.0, seed(8)).numpy() for x in (images, other))
    same = [np.array_equal(one, two) for one, two in zip(first, second, strict=True)]
    assert same == [row != 5 for row in range(12)]


@CHANNELS
def test_the_seed_decides(channels: int) -> None:
    """The same seed gives the same bits, another one other pictures; in a graph, colours round in another order."""
    images = tf.constant(pictures(channels))
    first = augment(images, ALL, 0.7, seed(9)).numpy()
    np.testing.assert_array_equal(augment(images, ALL, 0.7, seed(9)), first)
    assert (augment(images, ALL, 0.7, seed(10)).numpy() != first).any((1, 2, 3)).sum() >= 10
    traced = tf.function(lambda x, strength, number: augment(x, ALL, strength, number)).get_concrete_function(
        tf.TensorSpec(images.shape, tf.float32), tf.TensorSpec([], tf.float32), tf.TensorSpec([2], tf.int64)
    )
    in_graph = [traced(images, tf.constant(0.7), seed(9)).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*in_graph)
    np.testing.assert_allclose(in_graph[0], first, atol=1e-6)
    assert traced.output_shapes == images.shape


@CHANNELS
@NAMES
def test_xla_compiles_it(name: str, channels: int) -> None:
    """With XLA, the same draws give the same pictures and gradients; only the draws of a seed are other numbers."""
    images = tf.constant(pictures(channels))
    gates, *parameters = drawn(name, 12, 5)

    def both(x: tf.Tensor, chosen: tf.Tensor, draws: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            result = AUGMENTATIONS[name].apply(x, chosen, draws)
            loss = tf.reduce_sum(result**2)
        return result, tape.gradient(loss, x)

    arguments = images, tf.constant(gates < 0.8), tf.constant(parameters)
    for compiled, plain in zip(tf.function(both, jit_compile=True)(*arguments), both(*arguments), strict=True):
        np.testing.assert_allclose(compiled, plain, atol=1e-5 if name == "color" else 0)


@pytest.mark.parametrize(
    ("strength", "mean_sign", "expected"),
    [
        (0.5, 0.75, 0.625),  # overfits: more
        (0.5, 0.25, 0.375),
        (0.5, -1.0, 0.375),  # the distance to the target does not matter
        (0.5, 0.5, 0.5),
        (0.95, 0.75, 1.0),
        (0.05, 0.25, 0.0),
        (0.0, 1.0, 0.125),
    ],
)
def test_strength_follows_the_sign(strength: float, mean_sign: float, expected: float) -> None:
    """512 of 4096 images move the strength by an eighth towards the target's side, within 0 and 1."""
    assert float(adapted(strength, mean_sign, 0.5, 512, 4096.0)) == expected
    signature = [tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.float32), tf.TensorSpec([], tf.int64)]
    traced = tf.function(lambda p, r, n: adapted(p, r, 0.5, n, 4096.0), input_signature=signature)
    result = traced(tf.constant(strength), tf.constant(mean_sign), tf.constant(512, tf.int64))
    assert (result.dtype, float(result)) == (tf.float32, expected)


def test_strength_needs_its_span_from_none_to_all() -> None:
    """A discriminator that always overfits brings the strength from 0 to 1 in `span_images`, and not sooner."""
    strength = tf.constant(0.0)
    for _ in range(124):
        strength = adapted(strength, 0.9, 0.6, 4 * 128, 64_000.0)
    assert float(strength) == pytest.approx(0.992, abs=1e-5)
    assert float(adapted(strength, 0.9, 0.6, 4 * 128, 64_000.0)) == pytest.approx(1.0, abs=1e-5)


# A generator of four numbers: the mean and the deviation of a picture's brightness, and those of where its dark bar
# stands, in pixels from the middle.
PAINTED = ("level", "spread", "place", "wander")
REAL, START = (0.4, 0.2, 1.0, 0.5), (0.0, 0.5, -1.0, 1.0)


def painted(parameters: tf.Tensor, noise_seed: tf.Tensor) -> tf.Tensor:
    """Return float32 [256, 8, 16, 1]."""
    level, spread, place, wander = tf.unstack(parameters)
    brightness, position = tf.unstack(tf.random.stateless_normal([2, 256, 1], noise_seed))
    distance = tf.range(16.0) - (7.5 + place + wander * position)
    row = level + spread * brightness - 0.8 * tf.exp(-((distance / 2.0) ** 2))
    return tf.repeat(row[:, None, :, None], 8, axis=1)


def moments(images: tf.Tensor) -> tf.Tensor:
    """Return the mean brightness of each column and the mean product of every two, [17, 16], over all pictures."""
    columns = tf.reduce_mean(images, [1, 3])
    products = tf.matmul(columns, columns, transpose_a=True) / 256.0
    return tf.concat([tf.reduce_mean(columns, 0, keepdims=True), products], 0)


def learned(names: tuple[str, ...], strength: float, on_generated: bool) -> dict[str, float]:
    """Play the generator against the critic that weighs moments by how much they differ; return what it ends at.

    Critic and generator see batches of their own, so that the noise of one cannot please the other.
    """
    parameters = keras.Variable(np.float32(START))
    optimizer = keras.optimizers.Adam(0.03, beta_1=0.5)
    optimizer.build([parameters])

    def seen(numbers: tf.Tensor, stream: int, step: tf.Tensor, augmented: bool) -> tf.Tensor:
        noise_seed = tf.stack([tf.constant(stream, tf.int64), step])
        images = painted(numbers, noise_seed)
        return moments(augment(images, names if augmented else (), strength, noise_seed + 1000))

    def play(first: tf.Tensor) -> tf.Tensor:
        mean = tf.zeros([4])
        for step in tf.range(first, first + 200):
            real = seen(tf.constant(REAL), 1, step, True)
            critic = seen(parameters.value, 2, step, on_generated) - real
            with tf.GradientTape() as tape:
                loss = tf.reduce_sum(critic * seen(parameters.value, 3, step, on_generated))
            optimizer.apply(tape.gradient(loss, [parameters.value]), [parameters])
            mean += parameters.value / 200.0
        return mean

    compiled = tf.function(play, input_signature=[tf.TensorSpec([], tf.int64)])
    compiled(tf.constant(0, tf.int64))
    optimizer.learning_rate = 0.01
    ended = compiled(tf.constant(200, tf.int64)).numpy()
    return dict(zip(PAINTED, map(float, ended), strict=True))


@pytest.mark.parametrize(
    ("names", "strength", "leaking"),
    [
        (("color",), 1.0, {"spread": (0.33, 0.37)}),  # sqrt(0.2**2 + 1/12) = 0.35: brightness moves by up to a half
        (("translation",), 1.0, {"wander": (1.3, 2.5)}),  # sqrt(0.5**2 + 2) = 1.5, and dark edges come in
        (("cutout",), 1.0, {"wander": (0.8, 1.3)}),
        (ALL, 0.6, {"spread": (0.24, 0.3), "level": (0.3, 0.36)}),
    ],
)
def test_nothing_leaks_into_the_generator(
    names: tuple[str, ...], strength: float, leaking: dict[str, tuple[float, float]]
) -> None:
    """With both sides augmented the generator learns the real pictures; with the real side alone, augmented ones."""
    real = dict(zip(PAINTED, REAL, strict=True))
    assert learned(names, strength, on_generated=True) == pytest.approx(real, abs=0.035)
    leaked = learned(names, strength, on_generated=False)
    assert {name: low < leaked[name] < high for name, (low, high) in leaking.items()} == dict.fromkeys(leaking, True)
