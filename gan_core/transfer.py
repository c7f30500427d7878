"""Training that begins with the weights of another run, and weights that stay as they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from gan_core import models
from gan_core.checkpoints import (
    find_checkpoint,
    load_condition,
    load_manifest,
    load_normalization,
    load_state,
)
from gan_core.config import RunConfig
from gan_core.errors import ConfigError

_LOG = logging.getLogger(__name__)
_HEAD = frozenset({"logit", "logit_spectral", "embed", "embed_spectral"})


@dataclass(frozen=True)
class Taken:
    """What one network took from another: names such as "down16/kernel", and how many numbers those hold.

    Attributes:
        taken: tensors whose name and shape match.
        left: this network's other tensors, which keep their initial values.
        taken_parameters: numbers in `taken`.
        parameters: numbers in both.
    """

    taken: tuple[str, ...]
    left: tuple[str, ...]
    taken_parameters: int
    parameters: int

    def __str__(self) -> str:
        total = len(self.taken) + len(self.left)
        text = f"{len(self.taken)} of {total} tensors ({self.taken_parameters:,} of {self.parameters:,} parameters)"
        return f"{text}, not {', '.join(self.left)}" if self.left else text


def transfer(networks: Mapping[str, keras.Model], path: Path) -> tuple[str, dict[str, Taken]]:
    """Give networks the weights of a checkpoint where layer, variable and shape are the same.

    Resolutions, widths and conditions may differ: layers are named after the side that they make, so those of sides
    that both have are taken, where their channels match too. Random state, optimizers and the step are not taken. This
    is how FreezeD (Mo et al. 2020, arXiv:2002.10964) and StyleGAN's `--resume` begin.

    Args:
        networks: "generator", "discriminator" and "averaged", see `Gan.networks`.
        path: a checkpoint, or a run, see `find_checkpoint`.

    Returns:
        the digest of the checkpoint, and what each network took.

    Raises:
        ConfigError: there is no checkpoint, or a network matches in nothing; nothing was changed then.
        ArtifactError: the checkpoint is damaged.
    """
    checkpoint = find_checkpoint(path)
    manifest = load_manifest(checkpoint)
    config = RunConfig.from_json(manifest.fields["config"])
    condition = load_condition(checkpoint)
    built = models.build(
        config.data,
        config.model,
        normalization=load_normalization(checkpoint),
        condition_size=condition.size if condition else 0,
    )
    # A state has only positions and variables' names: the networks that it is from say which layers those are.
    named = {name: _weights(network) for name, network in zip(("generator", "discriminator"), built, strict=True)}
    named["averaged"] = named["generator"]
    state, found, matches = load_state(checkpoint), {}, {}
    for owner, network in networks.items():
        ours = _weights(network)
        theirs = {name: state[f"{owner}/{position:03d}/{v.name}"] for name, (position, v) in named[owner].items()}
        match = {name: theirs[name] for name, (_, v) in ours.items() if _shape(theirs.get(name)) == tuple(v.shape)}
        if not match:
            raise ConfigError(
                f"train.transfer: no layer of the {owner} has the same name and shape in {checkpoint.path} "
                f"(model.name={config.model.name}, model.base_channels={config.model.base_channels}, side "
                f"{config.data.resolution}); choose a run of the same model.name. At twice the side, layers match "
                "with half the model.base_channels"
            )
        sizes = {name: int(np.prod(v.shape)) for name, (_, v) in ours.items()}
        left = tuple(name for name in ours if name not in match)
        found[owner] = Taken(tuple(match), left, sum(sizes[name] for name in match), sum(sizes.values()))
        matches[owner] = [(ours[name][1], value) for name, value in match.items()]
    for owner, pairs in matches.items():
        for variable, value in pairs:
            variable.assign(value)
        level = logging.WARNING if found[owner].left else logging.INFO
        _LOG.log(level, "%s from %s: %s", owner, checkpoint.path, found[owner])
    return manifest.digest, found


def freeze_lowest(discriminator: keras.Model, count: int) -> None:
    """Make the `count` layers with weights that are nearest the picture keep them; to be called before training.

    FreezeD, Mo et al. 2020 (arXiv:2002.10964). Each convolution counts, as does each hidden layer of an mlp.

    Raises:
        ConfigError: there are fewer, logit and embedding of the condition aside.
    """
    layers = [layer for layer in discriminator.layers if layer.trainable_weights and layer.name not in _HEAD]
    if count > len(layers):
        raise ConfigError(
            f"train.freeze_d must be in [0, {len(layers)}], the discriminator's layers below its logit, got {count}"
        )
    for layer in layers[:count]:
        layer.trainable = False


def _weights(network: keras.Model) -> dict[str, tuple[int, Any]]:
    """Return "layer/variable" -> position in `network.variables`, and the variable, without random state."""
    positions = {id(variable): position for position, variable in enumerate(network.variables)}
    return {
        f"{layer.name}/{variable.name}": (positions[id(variable)], variable)
        for layer in network.layers
        for variable in layer.variables
        if np.dtype(variable.dtype).kind == "f"
    }


def _shape(array: Any) -> Any:
    return None if array is None else array.shape
