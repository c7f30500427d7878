"""The networks: MODELS, and `build`, which makes the pair that a config asks for."""

from gan_core.models.conditional import inputs
from gan_core.models.layers import Pair
from gan_core.models.registry import MODELS, build, tanh_normalization

__all__ = ["MODELS", "Pair", "build", "inputs", "tanh_normalization"]
