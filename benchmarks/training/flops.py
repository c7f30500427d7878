"""How many floating-point operations a step needs, by the shapes of the networks' layers.

A product of matrices [m, k] and [k, n] counts 2 m k n. A convolution with a k x k kernel from c to d channels counts
2 k^2 c d for each place of its smaller side: the output's of `Conv2D`, the input's of `Conv2DTranspose`. Normalisation,
activations, optimizers and everything else count nothing: together they are some percent.

A backward pass through a layer is two such products: the gradients of its weights, and those of its input. A step for
one real and one generated picture, G and D being the operations of a forward pass, G1 and D1 those of the first layer:

    the generated picture                          G
    D judges both                                  2 D
    gradients of D's weights                       2 (2 D - D1)      no gradient of the pictures
    D judges the generated one for G               D
    gradients of that picture                      D                 no gradient of D's weights
    gradients of G's weights                       2 G - G1          no gradient of the latents

When both networks are updated at the same weights, the discriminator is asked once, and the gradients of its inner
layers are those of the generated picture too:

    the generated picture                          G
    D judges both                                  2 D
    gradients of D's weights                       2 (2 D - D1)
    gradients of the generated picture             D1
    gradients of G's weights                       2 G - G1

That is what the algorithm needs. Who generates the picture twice, or takes gradients of D's weights for G, does more,
and is not given credit for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def dense(inputs: int, outputs: int) -> int:
    """Return the operations of a dense layer for one picture."""
    return 2 * inputs * outputs


def convolution(kernel: int, inputs: int, outputs: int, side: int) -> int:
    """Return those of a convolution whose smaller side, input or output, has `side` x `side` places."""
    return 2 * kernel**2 * inputs * outputs * side**2


def step(generator: Sequence[int], discriminator: Sequence[int], *, simultaneous: bool = False) -> int:
    """Return those of a step for one real picture, from those of each layer's forward pass, first layer first."""
    g, d = sum(generator), sum(discriminator)
    of_picture = discriminator[0] if simultaneous else d + d
    return g + 2 * d + 2 * (2 * d - discriminator[0]) + of_picture + (2 * g - generator[0])


def forward(layers: Iterable[Any]) -> list[int]:
    """Return the operations of each Keras layer that has a kernel; square pictures, square kernels."""
    counted = []
    for layer in layers:
        kind = type(layer).__name__
        if kind == "Dense":
            counted.append(dense(*layer.kernel.shape))
        elif kind in ("Conv2D", "Conv2DTranspose"):
            ends = layer.input if kind == "Conv2DTranspose" else layer.output
            kernel, _, first, second = layer.kernel.shape
            counted.append(convolution(kernel, first, second, ends.shape[1]))
    return counted
