"""How much memory a training needs, estimated from its networks before it begins.

The formula, in bytes, with G and D the networks, P their numbers, T those that train, A the elements of the outputs of
all their layers for one picture, m the pictures in memory at once, and c the bytes of a computed number (4 in float32,
2 in half precision):

    parameters   4 (P_G + P_D)
    average      4 P_G
    optimizers   8 (T_G + T_D)            Adam's two moments
    gradients    4 (T_G + T_D)
    activations  c m (A_G + (2 + 1.5 k) A_D)

The generated pictures' way through G is kept until D has judged; D sees real and generated ones at once; a penalty on
k sets of pictures (`r1+r2` has two) keeps a forward pass, and of the backward one what is not elementwise. The factor
1.5 is fitted to what TensorFlow took on a CPU (docs/training.md has the figures). Kernels' workspace, copies in another
layout and what the allocator wastes are not counted: on the low side, a refusal is rarely wrong.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from gan_core.config import RunConfig
from gan_core.placement import mib

if TYPE_CHECKING:
    import keras

PENALIZED_SETS = {"none": 0, "r1": 1, "r2": 1, "gp": 1, "r1+r2": 2}


@dataclass(frozen=True)
class Need:
    """Bytes, by what they are for; see the formula above."""

    parameters: int
    average: int
    optimizers: int
    gradients: int
    activations: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(astuple(self))

    def told(self, pictures: int) -> str:
        """Return the parts as text. pictures: those in memory at once."""
        return (
            f"parameters {mib(self.parameters)}, average {mib(self.average)}, optimizers {mib(self.optimizers)}, "
            f"gradients {mib(self.gradients)}, activations {mib(self.activations)} for {pictures} pictures at once"
        )


def pictures_at_once(config: RunConfig, replicas: int = 1) -> int:
    """Return how many pictures of a batch are together in the memory of each of the devices that share it."""
    return (config.train.micro_batch or config.train.batch_size) // replicas


def need_of(generator: keras.Model, discriminator: keras.Model, config: RunConfig, replicas: int = 1) -> Need:
    """Return what training these networks needs on each of its devices, as estimated."""
    pair = (generator, discriminator)
    trained = sum(_numbers(network.trainable_variables) for network in pair)
    element = 4 if config.train.precision == "float32" else 2
    judged = 2 + 1.5 * PENALIZED_SETS[config.train.penalty]
    elements = _outputs(generator) + round(judged * _outputs(discriminator))
    return Need(
        parameters=4 * sum(_numbers(network.variables) for network in pair),
        average=4 * _numbers(generator.variables),
        optimizers=8 * trained,
        gradients=4 * trained,
        activations=element * pictures_at_once(config, replicas) * elements,
    )


def _numbers(variables: list[keras.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)


def _outputs(network: keras.Model) -> int:
    """Return the elements of all layers' outputs for one picture; what is put in is no work of a layer."""
    shapes = [layer.output.shape for layer in network.layers if type(layer).__name__ != "InputLayer"]
    return sum(math.prod(shape[1:]) for shape in shapes)
