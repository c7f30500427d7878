"""The Inception-v3 of 2015, as data: which layers follow which, and what their weights are called.

It is the graph in `classify_image_graph_def.pb` (inception-2015-12-05.tgz), whose features published FIDs use. From the
network of the paper (Szegedy et al., arXiv:1512.00567) and of torchvision it differs in its pooling: averages do not
count what is beyond the border, and the last block takes a maximum where the others take an average.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SIDE = 299
FEATURES = 2048
CLASSES = 1008
BATCH_NORM_EPSILON = 1e-3


@dataclass(frozen=True)
class Convolution:
    """A convolution without bias, batch normalisation and ReLU.

    Attributes:
        name: as in PyTorch's ports.
        filters: channels that come out.
        kernel: height and width, pixels.
        stride: pixels.
        padding: "same" or "valid".
    """

    name: str
    filters: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: Literal["same", "valid"] = "same"


@dataclass(frozen=True)
class Pooling:
    """Over 3x3 pixels: "max" or "average"; an average is of the pixels that are there."""

    kind: Literal["max", "average"]
    stride: int = 1
    padding: Literal["same", "valid"] = "same"


@dataclass(frozen=True)
class Fork:
    """Branches from the same pixels, their channels behind each other.

    Attributes:
        branches: each a sequence of steps.
        scope: what TensorFlow's graph calls it.
    """

    branches: tuple[tuple[Step, ...], ...]
    scope: str = "mixed"


Step = Convolution | Pooling | Fork


@dataclass(frozen=True)
class Weights:
    """Which weights a convolution needs.

    Attributes:
        name: as in PyTorch's ports, without ".conv.weight" and ".bn.*".
        graph_name: as in TensorFlow's graph, without "/conv2d_params" and "/batchnorm/*".
        shape: of its kernel: filters, channels that come in, height, width.
    """

    name: str
    graph_name: str
    shape: tuple[int, int, int, int]


def _chain(name: str, *layers: tuple[int, tuple[int, int]]) -> tuple[Convolution, ...]:
    """Return convolutions called name_1, name_2, ...; each of filters and kernel."""
    return tuple(Convolution(f"{name}_{number}", *layer) for number, layer in enumerate(layers, 1))


def _reduce(name: str, filters: int) -> Convolution:
    return Convolution(name, filters, (3, 3), stride=2, padding="valid")


_SHRINK = Pooling("max", stride=2, padding="valid")


def _a(name: str, pooled: int) -> Fork:
    return Fork(
        (
            (Convolution(f"{name}.branch1x1", 64),),
            _chain(f"{name}.branch5x5", (48, (1, 1)), (64, (5, 5))),
            _chain(f"{name}.branch3x3dbl", (64, (1, 1)), (96, (3, 3)), (96, (3, 3))),
            (Pooling("average"), Convolution(f"{name}.branch_pool", pooled)),
        )
    )


def _b(name: str) -> Fork:
    double = _chain(f"{name}.branch3x3dbl", (64, (1, 1)), (96, (3, 3)))
    return Fork(((_reduce(f"{name}.branch3x3", 384),), (*double, _reduce(f"{name}.branch3x3dbl_3", 96)), (_SHRINK,)))


def _c(name: str, inner: int) -> Fork:
    wide, high = (1, 7), (7, 1)
    return Fork(
        (
            (Convolution(f"{name}.branch1x1", 192),),
            _chain(f"{name}.branch7x7", (inner, (1, 1)), (inner, wide), (192, high)),
            _chain(f"{name}.branch7x7dbl", (inner, (1, 1)), (inner, high), (inner, wide), (inner, high), (192, wide)),
            (Pooling("average"), Convolution(f"{name}.branch_pool", 192)),
        )
    )


def _d(name: str) -> Fork:
    double = _chain(f"{name}.branch7x7x3", (192, (1, 1)), (192, (1, 7)), (192, (7, 1)))
    return Fork(
        (
            (*_chain(f"{name}.branch3x3", (192, (1, 1))), _reduce(f"{name}.branch3x3_2", 320)),
            (*double, _reduce(f"{name}.branch7x7x3_4", 192)),
            (_SHRINK,),
        )
    )


def _e(name: str, pooling: Literal["max", "average"]) -> Fork:
    def both(start: str) -> Fork:
        return Fork(((Convolution(f"{start}a", 384, (1, 3)),), (Convolution(f"{start}b", 384, (3, 1)),)))

    return Fork(
        (
            (Convolution(f"{name}.branch1x1", 320),),
            (*_chain(f"{name}.branch3x3", (384, (1, 1))), both(f"{name}.branch3x3_2")),
            (*_chain(f"{name}.branch3x3dbl", (448, (1, 1)), (384, (3, 3))), both(f"{name}.branch3x3dbl_3")),
            (Pooling(pooling), Convolution(f"{name}.branch_pool", 192)),
        )
    )


# From float32 [N, 299, 299, 3] to [N, 8, 8, 2048].
LAYERS: tuple[Step, ...] = (
    _reduce("Conv2d_1a_3x3", 32),
    Convolution("Conv2d_2a_3x3", 32, (3, 3), padding="valid"),
    Convolution("Conv2d_2b_3x3", 64, (3, 3)),
    _SHRINK,
    Convolution("Conv2d_3b_1x1", 80),
    Convolution("Conv2d_4a_3x3", 192, (3, 3), padding="valid"),
    _SHRINK,
    _a("Mixed_5b", 32),
    _a("Mixed_5c", 64),
    _a("Mixed_5d", 64),
    _b("Mixed_6a"),
    _c("Mixed_6b", 128),
    _c("Mixed_6c", 160),
    _c("Mixed_6d", 160),
    _c("Mixed_6e", 192),
    _d("Mixed_7a"),
    _e("Mixed_7b", "average"),
    _e("Mixed_7c", "max"),
)


def convolutions() -> tuple[Weights, ...]:
    """Return what each of the 94 convolutions needs, in the order of the graph."""
    found: list[Weights] = []
    _walk(LAYERS, 3, "", Counter(), found)
    return tuple(found)


def _walk(steps: tuple[Step, ...], channels: int, scope: str, taken: Counter[str], found: list[Weights]) -> int:
    """Note the convolutions of `steps`, and return how many channels come out.

    TensorFlow numbers names that a scope has already. A branch of one convolution has no scope of its own, any other is
    a "tower".
    """
    for step in steps:
        if isinstance(step, Convolution):
            name = f"{scope}{_numbered('conv', taken)}"
            found.append(Weights(step.name, name, (step.filters, channels, *step.kernel)))
            channels = step.filters
        elif isinstance(step, Fork):
            inner, inside = f"{scope}{_numbered(step.scope, taken)}/", Counter[str]()
            channels = sum(_branch(branch, channels, inner, inside, found) for branch in step.branches)
    return channels


def _branch(branch: tuple[Step, ...], channels: int, scope: str, taken: Counter[str], found: list[Weights]) -> int:
    is_tower = len(branch) > 1
    inner = f"{scope}{_numbered('tower', taken)}/" if is_tower else scope
    return _walk(branch, channels, inner, Counter() if is_tower else taken, found)


def _numbered(name: str, taken: Counter[str]) -> str:
    taken[name] += 1
    return name if taken[name] == 1 else f"{name}_{taken[name] - 1}"


def tensors() -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield name and shape of all weights as PyTorch's ports have them, but for counts of training steps."""
    for weights in convolutions():
        yield f"{weights.name}.conv.weight", weights.shape
        for part in ("weight", "bias", "running_mean", "running_var"):
            yield f"{weights.name}.bn.{part}", weights.shape[:1]
    yield "fc.weight", (CLASSES, FEATURES)
    yield "fc.bias", (CLASSES,)
