"""What the two networks of a run look like, as plain numbers: networks.json."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from gan_core import artifacts
from gan_core.models.layers import Pair
from gan_core.models.residual import Downsample
from gan_core.models.spectral import SpectralNormalization

NETWORKS_FILE = "networks.json"
_DOWNSAMPLE_TAPS = 4  # along each side, see residual.downsample


@dataclass(frozen=True)
class _Seen:
    """What one unit of a layer depends on in the picture, in pixels along each side.

    Attributes:
        pixels: receptive field.
        step: how far apart the fields of neighbouring units are.
    """

    pixels: int
    step: int


_Rule = Callable[[Any, _Seen, int], _Seen]


def _window(seen: _Seen, taps: int, stride: int) -> _Seen:
    return _Seen(seen.pixels + (taps - 1) * seen.step, seen.step * stride)


def _convolution(layer: Any, seen: _Seen, side: int) -> _Seen:
    return _window(seen, (layer.kernel_size[0] - 1) * layer.dilation_rate[0] + 1, layer.strides[0])


def _downsampling(_: Any, seen: _Seen, side: int) -> _Seen:
    return _window(seen, _DOWNSAMPLE_TAPS, 2)


def _everything(_: Any, seen: _Seen, side: int) -> _Seen:
    return _Seen(side, side)


def _unchanged(_: Any, seen: _Seen, side: int) -> _Seen:
    return seen


# By the name of the layer's class. A layer that is not here ends what is known of the receptive field.
_RULES: dict[str, _Rule] = {
    "Conv2D": _convolution,
    "GroupedConv2D": _convolution,
    "Downsample": _downsampling,
    "Dense": _everything,
    "Projection": _everything,
    "Readout": _everything,
    **dict.fromkeys(
        ("Activation", "Add", "Dropout", "Flatten", "LeakyReLU", "ReLU", "Rescaling", "Reshape"), _unchanged
    ),
}


def describe(network: keras.Model) -> dict[str, Any]:
    """Return what a network consists of, JSON types only.

    Returns:
        `parameters` and `trainable`: numbers in its weights, those of frozen layers and of statistics only in the
        first. `inputs`: their shapes, without the batch. `layers`, in the order of computation, each with

        - `name`; `kind`: the layer's class, followed by ", spectral" where its kernel is spectrally normalised;
        - `output`: [height, width, channels] or [numbers];
        - `parameters`: in its weights;
        - `receptive_field`: pixels of the picture, along each side, that one unit of the output depends on; at most
          the picture's side, whatever lies beyond its edge. None for what does not come from a picture: the whole
          generator, whose every value depends on all of the latent, and the way of a condition;
        - `from`: names of the layers that it reads;
        - `kernel` and `stride`: of convolutions and resampling, pixels along each side of what they read (a
          transposed convolution's stride is of what it makes).
    """
    side = _side(network)
    seen: dict[str, _Seen | None] = {}
    maker: dict[int, str] = {}
    layers = []
    for name, layer in _named(network):
        reads = [] if isinstance(layer, keras.layers.InputLayer) else _listed(layer.input)
        sources = [maker[id(tensor)] for tensor in reads]
        maker[id(layer.output)] = name
        seen[name] = _seen(layer, [seen[source] for source in sources], side)
        layers.append({"name": name, **_facts(layer, seen[name], side), "from": sources})
    return {
        "parameters": sum(_size(weight) for weight in network.weights),
        "trainable": sum(_size(weight) for weight in network.trainable_weights),
        "inputs": [list(tensor.shape[1:]) for tensor in network.inputs],
        "layers": layers,
    }


def write_networks(run_dir: Path, networks: Pair) -> None:
    """Write `run_dir/networks.json`, {"generator": ..., "discriminator": ...}; see `describe`.

    The file stays as it is, to the byte, while it says the same.
    """
    found = dict(zip(("generator", "discriminator"), map(describe, networks), strict=True))
    if _saved(run_dir / NETWORKS_FILE) != found:
        artifacts.write_json(run_dir / NETWORKS_FILE, found)


def _saved(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _named(network: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield the layers in the order of computation, the first input first, with names that the network determines.

    Where a layer was given no name, Keras counts all layers of its kind in the process: here those of the network.
    """
    counts: Counter[str] = Counter()
    for layer in sorted(network.layers, key=lambda one: one.output is not network.inputs[0]):
        kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(layer).__name__).lower()
        name = layer.name
        if re.fullmatch(rf"{kind}(_\d+)?", name):
            name = f"{kind}_{counts[kind]}" if counts[kind] else kind
            counts[kind] += 1
        yield name, layer


def _facts(layer: Any, seen: _Seen | None, side: int) -> dict[str, Any]:
    inner = _inner(layer)
    facts = {
        "kind": f"{type(inner).__name__}{'' if inner is layer else ', spectral'}",
        "output": list(layer.output.shape[1:]),
        "parameters": sum(_size(weight) for weight in layer.weights),
        "receptive_field": min(seen.pixels, side) if seen else None,
    }
    if isinstance(inner, Downsample):
        facts |= {"kernel": _DOWNSAMPLE_TAPS, "stride": 2}
    elif hasattr(inner, "kernel_size"):
        facts |= {"kernel": inner.kernel_size[0], "stride": inner.strides[0]}
    return facts


def _seen(layer: Any, sources: Sequence[_Seen | None], side: int) -> _Seen | None:
    """Return what a layer sees of the picture; of several ways from it, the one that sees most counts."""
    if isinstance(layer, keras.layers.InputLayer):
        return _Seen(1, 1) if len(layer.output.shape) == 4 else None
    known = [one for one in sources if one is not None]
    rule = _RULES.get(type(_inner(layer)).__name__)
    if not known or rule is None:
        return None
    return rule(_inner(layer), max(known, key=lambda one: one.pixels), side)


def _inner(layer: Any) -> Any:
    return layer.layer if isinstance(layer, SpectralNormalization) else layer


def _side(network: keras.Model) -> int:
    """Return the longer side of the picture that a network takes, 0 where it takes none."""
    return max((max(one.shape[1:3]) for one in network.inputs if len(one.shape) == 4), default=0)


def _listed(tensors: Any) -> list[Any]:
    return list(tensors) if isinstance(tensors, list | tuple) else [tensors]


def _size(weight: Any) -> int:
    return math.prod(weight.shape)
