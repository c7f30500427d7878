"""A network as a drawing: one box a layer, as wide as its channels and as high as its resolution say."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROW_PIXELS = 38
_LANE_PIXELS = 5
_BOX = {"left": 34.0, "width": 116.0}  # where boxes may be; the widest fills it
_MAX_ROWS = 200
_LABEL_LETTERS = 28
_BRIEF = {
    "InputLayer": "Input",
    "Conv2DTranspose": "ConvT",
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "SpectralNormalization": "SpectralNorm",
}


@dataclass
class Row:
    """One box: a layer, with the layers after it that only change its values.

    Attributes:
        kinds: of the layers, the first being the one that gives the output its shape.
        shape: [height, width, channels] or [count].
        field: receptive field, pixels of the input; None where it makes no sense.
        sources: the rows that it reads, by index.
        is_condition: it is an input that says what to make, or comes from one before meeting the pictures.
        x, y, width, height: of its box, in units of the drawing.
    """

    name: str
    kinds: list[str]
    shape: Sequence[int]
    parameters: int
    field: int | None
    sources: list[int]
    is_condition: bool = False
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0

    @property
    def label(self) -> str:
        """Return what the table says: "Conv2D + LeakyReLU"."""
        return " + ".join(self.kinds)

    @property
    def short(self) -> str:
        """Return what the drawing says, which has less room."""
        found = self.label
        for long, brief in _BRIEF.items():
            found = found.replace(long, brief)
        return found if len(found) <= _LABEL_LETTERS else f"{found[: _LABEL_LETTERS - 1]}…"

    @property
    def size(self) -> str:
        """Return the shape for reading: 16, 16 and 256 with signs of multiplication between."""
        return " \u00d7 ".join(map(str, self.shape))


@dataclass(frozen=True)
class Skip:
    """A connection that passes over rows: from one box's left side around to another's."""

    start: float
    end: float
    lane: float
    x_start: float
    x_end: float
    is_condition: bool


@dataclass(frozen=True)
class Network:
    """A drawn network; `rows` from input to output, `height` in units of the drawing (360 wide)."""

    title: str
    parameters: int
    trainable: int
    rows: tuple[Row, ...]
    skips: tuple[Skip, ...] = ()
    height: int = 0
    left_out: int = 0
    straight: tuple[tuple[float, float], ...] = field(default=())

    @property
    def text(self) -> str:
        """Return the drawing in words."""
        inputs, output = [row.size for row in self.rows if not row.sources], self.rows[-1].size
        return (
            f"{self.title}: {len(self.rows)} boxes from {' and '.join(inputs)} to {output}, "
            f"{self.parameters:,} parameters, {len(self.skips)} connections that skip boxes."
        )


def read_networks(path: Path) -> list[Network]:
    """Return the networks that networks.json describes; empty where it is missing, and without what is damaged."""
    try:
        saved: Any = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    found = []
    for name in ("generator", "discriminator"):
        try:
            found.append(drawn(name.capitalize(), saved[name]))
        except (AttributeError, IndexError, KeyError, TypeError, ValueError):
            continue
    return found


def drawn(title: str, saved: Mapping[str, Any]) -> Network:
    """Place the layers of one network. Raises KeyError, TypeError or ValueError for what is no such description."""
    rows = _rows(saved["layers"])
    left_out = max(0, len(rows) - _MAX_ROWS)
    rows = rows[:_MAX_ROWS]
    _mark_conditions(rows)
    widest = max(math.log2(1 + row.shape[-1]) for row in rows)
    sides = [row.shape[0] if len(row.shape) == 3 else 1 for row in rows]
    tallest = math.log2(1 + max(sides))
    for index, (row, side) in enumerate(zip(rows, sides, strict=True)):
        row.width = round(12 + (_BOX["width"] - 12) * math.log2(1 + row.shape[-1]) / widest, 1)
        row.height = round(7 + (ROW_PIXELS - 16) * math.log2(1 + side) / tallest, 1)
        row.x = round(_BOX["left"] + (_BOX["width"] - row.width) / 2, 1)
        row.y = round((index + 0.5) * ROW_PIXELS - row.height / 2, 1)
    pairs = [(rows[index - 1], row) for index, row in enumerate(rows) if index - 1 in row.sources]
    straight = [(above.y + above.height, below.y) for above, below in pairs]
    return Network(
        title,
        int(saved["parameters"]),
        int(saved["trainable"]),
        tuple(rows),
        tuple(_skips(rows)),
        len(rows) * ROW_PIXELS,
        left_out,
        tuple(straight),
    )


def _rows(layers: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the boxes: a layer that keeps shape and place, such as an activation, joins the box before it."""
    rows: list[Row] = []
    home: dict[str, int] = {}
    readers: dict[str, int] = {}
    for layer in layers:
        for source in layer["from"]:
            readers[str(source)] = readers.get(str(source), 0) + 1
    for layer in layers:
        name, kind, shape = str(layer["name"]), str(layer["kind"]), [int(size) for size in layer["output"]]
        if not shape or min(shape) < 1:
            raise ValueError(f"layer {name} has the shape {shape}")
        before = [str(source) for source in layer["from"]]
        sources = sorted({home[source] for source in before if source in home})
        seen = layer.get("receptive_field")
        joins = len(before) == 1 and sources == [len(rows) - 1] and readers[before[0]] == 1
        if joins and rows[-1].sources and list(rows[-1].shape) == shape and not _has_weights(kind):
            rows[-1].kinds.append(kind)
            rows[-1].parameters += int(layer["parameters"])
        else:
            field_pixels = int(seen) if isinstance(seen, int) else None
            rows.append(Row(name, [kind], shape, int(layer["parameters"]), field_pixels, sources))
        home[name] = len(rows) - 1
    if not rows:
        raise ValueError("there are no layers")
    return rows


def _has_weights(kind: str) -> bool:
    return any(word in kind.lower() for word in ("conv", "dense", "embedding", "input", "linear", "add", "concatenate"))


def _mark_conditions(rows: Sequence[Row]) -> None:
    """Mark all inputs but the first, and what depends on them alone."""
    inputs = [index for index, row in enumerate(rows) if not row.sources]
    for index, row in enumerate(rows):
        row.is_condition = index in inputs[1:] or (
            bool(row.sources) and all(rows[source].is_condition for source in row.sources)
        )


def _skips(rows: Sequence[Row]) -> list[Skip]:
    """Return the connections that pass over boxes, each in the nearest lane that is free all the way."""
    wanted = [(index - source, source, index) for index, row in enumerate(rows) for source in row.sources]
    taken: list[list[tuple[int, int]]] = []
    skips = []
    for length, source, index in sorted(wanted):
        if length < 2:
            continue
        lane = next(
            (number for number, busy in enumerate(taken) if all(index <= a or source >= b for a, b in busy)), len(taken)
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((source, index))
        start, end = rows[source], rows[index]
        skips.append(
            Skip(
                (source + 0.5) * ROW_PIXELS + 2,
                (index + 0.5) * ROW_PIXELS - 2,
                max(2.0, _BOX["left"] - 6 - lane * _LANE_PIXELS),
                start.x,
                end.x,
                start.is_condition,
            )
        )
    return skips


def compact(count: int) -> str:
    """Return a number of parameters for a narrow place: 1_179_648 -> "1.18 M", 0 -> ""."""
    for size, unit in ((1_000_000, " M"), (1_000, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit}"
    return str(count) if count else ""
