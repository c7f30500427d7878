"""AUGMENTATIONS: random changes of real and generated pictures alike, through which gradients pass.

Differentiable augmentation after Zhao et al. 2020 (arXiv:2006.10738; reference: mit-han-lab/data-efficient-gans,
DiffAugment_tf.py), with a probability for each picture as in ADA (Karras et al. 2020, arXiv:2006.06676).

Each entry maps (images, chosen, draws) to images of the same shape and type, batch first: images float32
[batch, H, W, C]; chosen bool [batch], whether the picture is changed at all; draws float32 [n, batch] in [0, 1).
Draws become parameters, and a picture that is not chosen gets those that change no value of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

from gan_core import distribution

Tensor = Any

_TRANSLATION = 8  # at most side // 8 pixels each way
_CUTOUT = 2  # a hole of side // 2 pixels


@dataclass(frozen=True)
class Augmentation:
    """A change of pictures, and how many random numbers it takes for each."""

    draws: int
    apply: Callable[[Tensor, Tensor, Tensor], Tensor]


def augment(images: Tensor, names: tuple[str, ...], strength: Tensor | float, seed: Tensor) -> Tensor:
    """Return the pictures, changed at random by each of `names` in turn.

    A picture's change depends on the seed and on its row; the numbers drawn for one name do not depend on the others.
    Real and generated pictures of one step need different seeds, and so does every micro-batch. XLA draws other numbers
    from a seed than TensorFlow's kernels do.

    Args:
        images: float32 [batch, H, W, C] in [-1, 1], C 1 or 3, H and W known; 0 is what fills empty places.
        names: keys of AUGMENTATIONS; none costs nothing.
        strength: float32 scalar in [0, 1], the probability with which each name, on its own, changes a picture.
            1 is DiffAugment; 0 returns the same values.
        seed: int64 [2].

    Returns:
        float32 [batch, H, W, C]. "color" may leave [-1, 1], as it does in the reference: nothing is clipped, as a
        clipped pixel would pass no gradient.
    """
    for name in names:
        augmentation = AUGMENTATIONS[name]
        own_seed = tf.random.experimental.stateless_fold_in(seed, list(AUGMENTATIONS).index(name))
        draws = _drawn([1 + augmentation.draws, tf.shape(images)[0]], own_seed)
        images = augmentation.apply(images, draws[0] < strength, draws[1:])
    return images


def color(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Change brightness by -0.5 to 0.5, saturation by a factor of 0 to 2, and contrast by one of 0.5 to 1.5.

    In this order: x + b; away from the mean of the pixel's channels; away from the mean of the picture.
    """
    brightness = tf.where(chosen, draws[0] - 0.5, 0.0)
    saturation = tf.where(chosen, draws[1] * 2.0, 1.0)
    contrast = tf.where(chosen, draws[2] + 0.5, 1.0)
    return _recolored(images, *(number[:, None, None, None] for number in (brightness, saturation, contrast)))


def translation(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Move the picture by whole pixels, up to an eighth of the side each way; what comes in is 0."""
    offsets = []
    for size, draw in zip(images.shape[1:3], (draws[0], draws[1]), strict=True):
        farthest = size // _TRANSLATION
        offset = _integers(draw, 2 * farthest + 1) - farthest
        offsets.append(tf.where(chosen, offset, 0))
    return _moved(images, *offsets)


def cutout(images: Tensor, chosen: Tensor, draws: Tensor) -> Tensor:
    """Set a rectangle of half the sides to 0; its centre is anywhere in the picture, so that some of it may lie out."""
    inside = []
    for size, draw in zip(images.shape[1:3], (draws[0], draws[1]), strict=True):
        hole = size // _CUTOUT
        first = _integers(draw, size + 1 - hole % 2) - hole // 2
        places = tf.range(size) - first[:, None]
        inside.append((places >= 0) & (places < hole))
    rows, columns = inside
    cut = (rows & chosen[:, None])[:, :, None, None] & columns[:, None, :, None]
    return tf.where(cut, 0.0, images)


AUGMENTATIONS: dict[str, Augmentation] = {
    "color": Augmentation(3, color),
    "translation": Augmentation(2, translation),
    "cutout": Augmentation(2, cutout),
}


def adapted(
    strength: Tensor | float,
    mean_sign: Tensor | float,
    target: float,
    images: Tensor | int,
    span_images: float,
) -> Tensor:
    """Return the strength after `images` more pictures: more while the discriminator overfits, else less.

    The heuristic r_t of ADA (Karras et al. 2020, arXiv:2006.06676, section 3; reference: NVlabs/stylegan2-ada,
    training/augment.py, which calls it for every fourth batch). Unlike there, the strength never exceeds 1.

    Args:
        strength: float32 scalar in [0, 1].
        mean_sign: float32 scalar, the mean of sign(D(x)) over those augmented real pictures: 0 is no overfitting,
            1 complete.
        target: the mean sign to hold, 0.6 in the paper. At exactly this, the strength stays.
        images: real pictures shown since the last call.
        span_images: pictures in which the strength goes from 0 to 1.

    Returns:
        float32 scalar in [0, 1].
    """
    distance = tf.cast(images, tf.float32) / span_images
    return tf.clip_by_value(strength + tf.sign(mean_sign - target) * distance, 0.0, 1.0)


def _recolored(images: Tensor, brightness: Tensor, saturation: Tensor, contrast: Tensor) -> Tensor:
    # The three steps of `color` multiplied out: two passes over the picture instead of nine, and 0, 1, 1 is exact.
    grey = tf.reduce_mean(images, 3, keepdims=True)
    mean = tf.reduce_mean(grey, [1, 2], keepdims=True)
    strong = saturation * contrast
    return images * strong + (grey * (contrast - strong) + (mean * (1.0 - contrast) + brightness))


def _move(images: Tensor, down: Tensor, right: Tensor) -> tuple[Tensor, Callable[[Tensor], tuple[Tensor, None, None]]]:
    height, width = images.shape[1:3]
    above, left = height // _TRANSLATION, width // _TRANSLATION  # no move goes farther
    framed = tf.pad(images, [[0, 0], [above, above], [left, left], [0, 0]])
    rows = tf.gather(framed, tf.range(height) + above - down[:, None], axis=1, batch_dims=1)
    moved = tf.gather(rows, tf.range(width) + left - right[:, None], axis=2, batch_dims=1)

    def gradient(upstream: Tensor) -> tuple[Tensor, None, None]:
        return _moved(upstream, -down, -right), None, None

    return moved, gradient


# The way back of a move is the opposite move. TensorFlow's own would scatter every pixel.
_moved: Callable[[Tensor, Tensor, Tensor], Tensor] = tf.custom_gradient(_move)


def _drawn(shape: list[Any], seed: Tensor) -> Tensor:
    return distribution.drawn(lambda whole: tf.random.stateless_uniform(whole, seed), shape, axis=1)


def _integers(draw: Tensor, count: int) -> Tensor:
    """Return int32 in [0, count) for numbers in [0, 1); such a number times `count` never rounds up to it."""
    return tf.cast(draw * float(count), tf.int32)
