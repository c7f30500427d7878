"""Inception Score: how sure a classifier is of each picture, and how many classes all of them have.

Salimans et al. 2016, "Improved Techniques for Training GANs", section 4, arXiv:1606.03498: exp of the mean KL
divergence between the classes of a picture and those of the set; the mean over 10 parts. It does not look at real
pictures, and it grows with N.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from gan_core.measures.features import Features, Floats, check_features

SPLITS = 10
SEED = 2020  # torch-fidelity's


class InceptionScore(NamedTuple):
    """An Inception Score.

    Attributes:
        value: mean over the parts; from 1 to the number of classes.
        error: one standard error of `value` over the sampling of the generated set.
        deviation: over the parts (divided by their number), as other tools show it.
        splits: how many parts.
    """

    value: float
    error: float
    deviation: float
    splits: int


def inception_score(logits: Features, *, splits: int = SPLITS, seed: int = SEED) -> InceptionScore:
    """Return the Inception Score, over the parts that torch-fidelity makes with the same seed.

    The standard error is that of the mean of divergences in each part: to first order, the classes of the set, which
    are estimated from the same pictures, add nothing. Memory: two copies of `logits` as float64.

    Args:
        logits: of generated pictures, float32 or float64 [N, K], before the softmax.
        splits: how many parts; N where there are fewer pictures.
        seed: shuffles the pictures before they are parted.

    Raises:
        DataError: not finite, or fewer than 2.
    """
    check_features(logits, "logits")
    count = len(logits)
    splits = min(splits, count)
    shuffled = logits[np.random.RandomState(seed).permutation(count)].astype(np.float64)
    bounds = [i * count // splits for i in range(splits + 1)]
    scores, variances = [], []
    for start, stop in itertools.pairwise(bounds):
        divergences = _divergences(shuffled[start:stop])
        score = float(np.exp(divergences.mean()))
        scores.append(score)
        if stop - start > 1:
            variances.append(score**2 * float(divergences.var(ddof=1)) / (stop - start))
    error = float(np.sqrt(np.mean(variances) / splits)) if variances else float(np.std(scores, ddof=1) / splits**0.5)
    return InceptionScore(float(np.mean(scores)), error, float(np.std(scores)), splits)


def _divergences(logits: Floats) -> Floats:
    """Return the KL divergence of each row's softmax from the mean of all: float64 [N], at least 0."""
    logs = logits - logits.max(axis=1, keepdims=True)
    logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
    shares = np.exp(logs)
    mean = shares.mean(axis=0)
    # A class that no picture has, to the last bit, adds 0 and not 0 x inf.
    surprise = logs - np.log(np.where(mean > 0.0, mean, 1.0))
    return np.asarray(np.einsum("nk,nk->n", shares, surprise))
