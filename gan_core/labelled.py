"""Labelled pictures of a data set: to learn classes or attributes from, and to test on what was not seen.

One pass over the shards reads what each picture is; pixels stay on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gan_core.conditions import Values, names_of, values_of
from gan_core.dataset import split_features
from gan_core.errors import ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.sections import LABEL

Indices = npt.NDArray[np.int64]

HELD_OUT_AT_MOST = 10_000
"""Pictures: the standard error of an accuracy of 0.9 is 0.003 then."""
HELD_OUT_SHARE = 0.1  # of the training split, where there is no other
_SEED = 0


@dataclass(frozen=True)
class Labels:
    """What the records of one split say of their pictures.

    Attributes:
        values: int32 [N, k], as `conditions.values_of`; -1 where unknown.
        is_original: bool [N], false for a mirrored copy.
        source: int64 [N], number of the original that a record shows; copies follow their original.
    """

    values: Values
    is_original: npt.NDArray[np.bool_]
    source: Indices

    @property
    def is_known(self) -> npt.NDArray[np.bool_]:
        """Of which pictures all k values are known, bool [N]."""
        return np.asarray((self.values >= 0).all(axis=1))


@dataclass(frozen=True)
class Part:
    """Some pictures of a split.

    Attributes:
        split: train, validation or test.
        indices: int64 [n], positions in the split's order, ascending.
        values: int32 [n, k], what they are.
        unlabelled: originals that were left out because their class, or one of the attributes, is unknown.
    """

    split: str
    indices: Indices
    values: Values
    unlabelled: int


def read_labels(dataset: DatasetManifest, split: str, asked: Sequence[str]) -> Labels:
    """Read what a split's records say of `asked`, "label" or names of attributes; no pixels are decoded."""
    values = np.empty((dataset.count(split), len(asked)), np.int32)
    is_original = np.ones(len(values), np.bool_)
    for index, features in enumerate(split_features(dataset, split)):
        values[index] = values_of(features, asked, dataset)
        is_original[index] = features.get("mirrored") != [1]
    return Labels(values, is_original, np.cumsum(is_original, dtype=np.int64) - 1)


def parts(dataset: DatasetManifest, asked: Sequence[str]) -> tuple[Part, Part]:
    """Return what a classifier learns from, and what it is tested on.

    It is tested on the test split, or the validation split, or where neither has labelled pictures on a tenth of the
    training pictures, which depends on their number alone. At most HELD_OUT_AT_MOST are held out, never a mirrored
    copy, and no copy of one of them is learned from.

    Raises:
        ConfigError: the data set has no such classes or attributes, or too few pictures have them.
    """
    names_of(asked, dataset)
    labels = read_labels(dataset, "train", asked)
    known = labels.is_known
    unlabelled = int((~known & labels.is_original).sum())
    if (known & labels.is_original).sum() < 2:
        what = "a class" if tuple(asked) == (LABEL,) else " and ".join(asked)
        raise ConfigError(
            f"a classifier needs pictures that have {what}, and {int((known & labels.is_original).sum())} of "
            f"{int(labels.is_original.sum())} training pictures in {dataset.path} have; label them in the source and "
            "prepare it again"
        )
    for split in ("test", "validation"):
        if dataset.count(split):
            elsewhere = read_labels(dataset, split, asked)
            usable = np.flatnonzero(elsewhere.is_known & elsewhere.is_original)
            if len(usable):
                missing = int((~elsewhere.is_known & elsewhere.is_original).sum())
                held_out = _part(split, elsewhere, _some(usable, HELD_OUT_AT_MOST), missing)
                return _part("train", labels, np.flatnonzero(known), unlabelled), held_out
    usable = np.flatnonzero(known & labels.is_original)
    count = min(HELD_OUT_AT_MOST, max(1, round(HELD_OUT_SHARE * len(usable))))
    chosen = _some(usable, count)
    learned = known & ~np.isin(labels.source, labels.source[chosen])
    return _part("train", labels, np.flatnonzero(learned), unlabelled), _part("train", labels, chosen, 0)


def _some(indices: Indices, count: int) -> Indices:
    return np.sort(np.random.default_rng(_SEED).permutation(indices)[:count])


def _part(split: str, labels: Labels, indices: Indices, unlabelled: int) -> Part:
    return Part(split, indices, labels.values[indices], unlabelled)
