"""What a conditional run is told of each picture: its class, or some of its attributes.

A `Condition` is made once, from the training pictures; every checkpoint holds it, so that samples need no data set.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gan_core.errors import ArtifactError, ConfigError
from gan_core.handoff import DatasetManifest
from gan_core.options import suggestion
from gan_core.sections import LABEL, EvalConfig

Array = npt.NDArray[np.float32]
Values = npt.NDArray[np.int32]

GRID_ROWS = 8
_GRID_COLUMNS, _MAX_GRID_COLUMNS = 8, 10
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Condition:
    """The conditions of a training.

    Attributes:
        kind: "label" for the class of each picture, "attributes" for 0/1 values of some of them.
        names: of all classes, in the order of the data set; or of the attributes, in the order asked for.
        rows: the distinct conditions of the training pictures, sorted: (class,), or one 0 or 1 for each attribute.
        counts: training pictures of each row, mirrored copies included.
    """

    kind: str
    names: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, asked: Sequence[str], dataset: DatasetManifest, values: Values) -> Condition:
        """Make the condition of the training pictures whose `values`, int32 [N, len(asked)], a reader has read.

        Raises:
            ConfigError: the data set has no such classes or attributes, or not of every training picture.
        """
        names = names_of(asked, dataset)
        kind = LABEL if tuple(asked) == (LABEL,) else "attributes"
        unknown = (values < 0) | (values >= (len(names) if kind == LABEL else 2))
        if unknown.any():
            what = "class" if kind == LABEL else " or ".join(np.array(names)[unknown.any(0)].tolist())
            raise ConfigError(
                f"model.condition={','.join(asked)}: of {len(values)} training pictures in {dataset.path}, "
                f"{int(unknown.any(1).sum())} are of unknown {what}; training cannot leave them out: take them from "
                "the source, or label them, and prepare it again, or leave model.condition empty"
            )
        rows, counts = np.unique(values, axis=0, return_counts=True)
        return cls(kind, names, tuple(tuple(row) for row in rows.tolist()), tuple(counts.tolist()))

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Condition:
        """Rebuild what `to_json` gave. Raises ArtifactError where it is incomplete."""
        try:
            rows = tuple(tuple(row) for row in saved["rows"])
            return cls(saved["kind"], tuple(saved["names"]), rows, tuple(saved["counts"]))
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"a checkpoint's condition is incomplete ({error}); train again") from None

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return asdict(self)

    @property
    def size(self) -> int:
        """Length of the vector that the networks see."""
        return len(self.names)

    def array(self, rows: npt.ArrayLike) -> Array:
        """Return what the networks see of rows, int [n, k]: float32 [n, size], one-hot classes or 0-1 attributes."""
        values = np.asarray(rows, np.int64)
        if self.kind == LABEL:
            return np.eye(self.size, dtype=np.float32)[values[:, 0]]
        return values.astype(np.float32)

    def drawn(self, seeds: Sequence[int]) -> Array:
        """Return the conditions of generated pictures, float32 [len(seeds), size]; each depends on its seed alone.

        Any sum(counts) consecutive seeds have exactly the training pictures' conditions. Fewer come near it: the seeds
        step through the sorted training pictures by the golden section, which spreads them evenly.
        """
        total = sum(self.counts)
        stride = max(1, round(total * _GOLDEN))
        while math.gcd(stride, total) > 1:
            stride += 1
        places = [seed * stride % total for seed in seeds]
        chosen = np.searchsorted(np.cumsum(self.counts), places, side="right")
        return self.array(np.array(self.rows)[chosen])

    def most_frequent(self, count: int) -> list[tuple[int, ...]]:
        """Return the rows that most training pictures have, `count` at most, in the order of `rows`."""
        order = sorted(range(len(self.rows)), key=lambda place: (-self.counts[place], place))
        return [self.rows[place] for place in sorted(order[:count])]

    def name_of(self, row: Sequence[int]) -> str:
        """Return a condition in words: the class, or the attributes as --attributes takes them, "Smiling=1,Hat=0"."""
        if self.kind == LABEL:
            return self.names[row[0]]
        return ",".join(f"{name}={value}" for name, value in zip(self.names, row, strict=True))

    def grid(self) -> tuple[int, Array] | None:
        """Return columns of a grid and its conditions row by row, [8 columns, size]; None for attributes.

        One column for each class that has pictures, the first ten of them. Up to four classes have several columns
        side by side, as many as make eight or fewer in all.
        """
        if self.kind != LABEL:
            return None
        classes = self.rows[:_MAX_GRID_COLUMNS]
        row = [one for one in classes for _ in range(max(1, _GRID_COLUMNS // len(classes)))]
        return len(row), self.array(row * GRID_ROWS)


def names_of(asked: Sequence[str], dataset: DatasetManifest) -> tuple[str, ...]:
    """Return the names of the classes, or of the attributes, that `model.condition` asks for.

    Raises:
        ConfigError: the data set has none such; the message names what it has.
    """
    has = f"it has the attributes {', '.join(dataset.attribute_names)}" if dataset.attribute_names else ""
    if tuple(asked) == (LABEL,):
        if not dataset.label_names:
            raise ConfigError(
                f"model.condition=label needs classes, and {dataset.path} has none; prepare a folder of pictures with "
                f"data.folder_labels=true{', or choose other values: ' + has if has else ''}"
            )
        return dataset.label_names
    for name in asked:
        if name not in dataset.attribute_names:
            hint = suggestion(name, dataset.attribute_names)
            classes = "it has classes: set model.condition=label" if dataset.label_names else ""
            known = "; ".join(filter(None, (has, classes))) or "it has no attributes and no classes"
            raise ConfigError(f"model.condition: {dataset.path} has no attribute '{name}'{hint}; {known}")
    return tuple(asked)


def values_of(features: Mapping[str, Any], asked: Sequence[str], dataset: DatasetManifest) -> list[int]:
    """Return a record's class, or its attributes' values, as `asked`: len(asked) numbers, -1 where unknown.

    features: what `records.decode_example` makes of a record.
    """
    if tuple(asked) == (LABEL,):
        return list(features.get("label") or [-1])[:1]
    attributes = list(features.get("attributes") or [])
    attributes += [-1] * (len(dataset.attribute_names) - len(attributes))
    return [attributes[dataset.attribute_names.index(name)] for name in asked]


def chosen(condition: Condition | None, evaluation: EvalConfig) -> Condition | None:
    """Return the part of a run's condition that `eval.sample_class` or `eval.sample_attributes` leaves.

    Attributes that are not named keep the distribution that they have among the training pictures with those that are.

    Raises:
        ConfigError: the run has no such condition, class or attribute.
    """
    if evaluation.sample_class:
        if condition is None or condition.kind != LABEL:
            raise ConfigError(f"--class {evaluation.sample_class}: {_instead(condition)}")
        return _only(condition, {0: _class_of(condition, evaluation.sample_class)}, evaluation.sample_condition)
    if evaluation.sample_attributes:
        if condition is None or condition.kind == LABEL:
            raise ConfigError(f"--attributes {','.join(evaluation.sample_attributes)}: {_instead(condition)}")
        wanted = dict(_attribute_of(condition, text) for text in evaluation.sample_attributes)
        return _only(condition, wanted, evaluation.sample_condition)
    return condition


def _only(condition: Condition, wanted: Mapping[int, int], text: str) -> Condition:
    """Keep the rows that have `wanted`, position -> value."""
    pairs = zip(condition.rows, condition.counts, strict=True)
    kept = [(row, count) for row, count in pairs if all(row[place] == value for place, value in wanted.items())]
    if not kept:
        raise ConfigError(f"no training picture had {text}, so the generator has not learned it; choose another")
    rows, counts = zip(*kept, strict=True)
    return Condition(condition.kind, condition.names, rows, counts)


def _class_of(condition: Condition, text: str) -> int:
    if text in condition.names:
        return condition.names.index(text)
    if text.isdecimal() and int(text) < condition.size:
        return int(text)
    raise ConfigError(
        f"unknown class '{text}'{suggestion(text, condition.names)}; this run's classes, or their numbers from 0: "
        f"{', '.join(condition.names)}"
    )


def _attribute_of(condition: Condition, text: str) -> tuple[int, int]:
    name, _, value = text.partition("=")
    if value not in ("0", "1"):
        raise ConfigError(f"--attributes takes NAME=0 or NAME=1, for example {condition.names[0]}=1; got '{text}'")
    if name not in condition.names:
        hint = suggestion(name, condition.names)
        raise ConfigError(f"unknown attribute '{name}'{hint}; this run was trained with {', '.join(condition.names)}")
    return condition.names.index(name), int(value)


def _instead(condition: Condition | None) -> str:
    if condition is None:
        return "this run is unconditional; train one with model.condition=label, or with names of attributes"
    if condition.kind == LABEL:
        return f"this run is conditional on classes; use --class with one of {', '.join(condition.names)}"
    return f"this run is conditional on attributes; use --attributes with some of {', '.join(condition.names)}"
