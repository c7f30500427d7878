"""The registry: versions of a model with their lineage, and which of them is blessed."""

from gan_core.registry.registry import Registry, blessed_images, models
from gan_core.registry.version import Version

__all__ = ["Registry", "Version", "blessed_images", "models"]
