"""How alike the pictures of one set are: the mean MS-SSIM of random pairs, in NumPy alone.

A measure of diversity: Odena et al. 2017, "Conditional Image Synthesis with Auxiliary Classifier GANs",
section 4.2, arXiv:1610.09585. MS-SSIM: Wang et al. 2003, "Multiscale structural similarity for image quality
assessment". It is our own rather than `tf.image.ssim_multiscale`, with which it agrees, so that pictures can
be compared where TensorFlow is not running.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gan_core.distances import Floats, Images, check_images, check_same_shape, planes_of
from gan_core.errors import DataError

MAX_PAIRS = 1024
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang et al. 2003, finest scale first
_WINDOW, _SIGMA = 11, 1.5  # pixels
_C1, _C2 = np.float32((0.01 * 255) ** 2), np.float32((0.03 * 255) ** 2)
_PAIRS_AT_ONCE = 16  # what is filtered stays in the processor's cache


class Diversity(NamedTuple):
    """The mean MS-SSIM of pairs of pictures, and one standard error of it over the drawing of the pictures."""

    mean: float
    error: float


def ms_ssim_diversity(images: Images, *, pairs: int = MAX_PAIRS, seed: int = 0) -> Diversity:
    """Return the mean MS-SSIM of random pairs of different pictures, in [0, 1]: 1 is N times one picture.

    Lower is more diverse, but no value is right save the real data's own at the same S and C: small pictures
    have fewer scales, so that numbers at different sizes do not compare. Lower contrast alone raises it.

    The error knows that pairs which share a picture are not independent: Fafchamps and Gubert 2007, "The formation of
    risk sharing networks", equation 2.

    Args:
        images: uint8 [N, S, S, C] in [0, 255], N >= 2, S in `config.RESOLUTIONS`, C = 1 or 3.
        pairs: how many; each pair once where N (N - 1) / 2 is not more.
        seed: chooses the pairs.

    Raises:
        DataError: dtype or shape do not fit, or there are fewer than two pictures.
    """
    check_images(images)
    count = len(images)
    if count < 2:
        raise DataError(f"the diversity of pictures needs at least 2 of them, got {count}")
    possible = count * (count - 1) // 2
    if possible > pairs:
        numbers = np.random.default_rng(seed).choice(possible, pairs, replace=False)
    else:
        numbers = np.arange(possible)
    # Pair k joins picture k mod N with the one 1 + k div N further on, around the end: each pair once.
    first = numbers % count
    second = (first + numbers // count + 1) % count
    values = np.empty(len(numbers))
    for start in range(0, len(numbers), _PAIRS_AT_ONCE):
        at = slice(start, start + _PAIRS_AT_ONCE)
        values[at] = ms_ssim(images[first[at]], images[second[at]])
    mean = float(values.mean())
    return Diversity(mean, _error_of_pairs(values - mean, first, second, count))


def _error_of_pairs(
    deviations: npt.NDArray[np.float64], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], count: int
) -> float:
    """Return the standard error of a mean over pairs (first[k], second[k]) of `count` independent pictures."""
    of_picture = np.bincount(first, deviations, count) + np.bincount(second, deviations, count)
    alone = float(np.square(deviations).sum())
    return math.sqrt(max(float(np.square(of_picture).sum()) - alone, alone)) / len(deviations)


def ms_ssim(a: Images, b: Images) -> npt.NDArray[np.float64]:
    """Return the multi-scale structural similarity of a[i] and b[i] in [0, 1]: [N]; 1 is equal.

    An 11x11 Gaussian window of deviation 1.5, on each channel by itself and averaged over them (as TensorFlow
    does), so that colour counts as well as luminance. Of the five scales, finest first, those are used that
    the window fits in: 2 at S = 28 and 32, 3 at 64, 4 at 128, 5 at 256; their weights are divided by their
    sum. A scale whose mean is negative counts as 0.

    Args:
        a: uint8 [N, S, S, C] in [0, 255].
        b: the same shape.

    Raises:
        DataError: dtype or shape do not fit, or differ.
    """
    weights = scale_weights(check_images(a))
    check_same_shape(a.shape, b)
    x, y = planes_of(a), planes_of(b)
    product = np.ones(x.shape[:2])
    for scale, weight in enumerate(weights):
        if scale:
            x, y = _halve(x), _halve(y)
        luminance, contrast_structure = _terms(x, y)
        terms = contrast_structure if scale < len(weights) - 1 else luminance * contrast_structure
        product *= np.maximum(terms.mean(axis=(2, 3), dtype=np.float64), 0.0) ** weight
    return np.asarray(product.mean(axis=1))


def scale_weights(side: int) -> list[float]:
    """Return the weights of the scales that the window fits in at `side` pixels, finest first, sum 1."""
    used = [weight for scale, weight in enumerate(_WEIGHTS) if side >> scale >= _WINDOW]
    return [weight / sum(used) for weight in used]


def _terms(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Return luminance and contrast-structure of [N, C, S, S] where the window fits: [N, C, S-10, S-10]."""
    window = _window_matrix(x.shape[2])

    def local_mean(planes: Floats) -> Floats:
        return np.asarray(window @ planes @ window.T)

    mean_x, mean_y = local_mean(x), local_mean(y)
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance = local_mean(x * y) - product
    variances = local_mean(x**2 + y**2) - squares
    luminance: Floats = np.divide(2 * product + _C1, squares + _C1)
    contrast_structure: Floats = np.divide(2 * covariance + _C2, variances + _C2)
    return luminance, contrast_structure


def _window_matrix(side: int) -> Floats:
    """Return [side - 10, side]: in each row the Gaussian window, one pixel further right.

    The window is separable, and two products with this small matrix are faster than 22 shifted additions.
    """
    offsets = np.arange(_WINDOW) - _WINDOW // 2
    window = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    matrix = np.zeros((side - _WINDOW + 1, side), np.float32)
    for row in range(len(matrix)):
        matrix[row, row : row + _WINDOW] = window / window.sum()
    return matrix


def _halve(planes: Floats) -> Floats:
    """Return the means of 2x2 pixels: [N, C, S, S] -> [N, C, S / 2, S / 2]."""
    rows = planes[:, :, ::2] + planes[:, :, 1::2]
    return (rows[..., ::2] + rows[..., 1::2]) * np.float32(0.25)
