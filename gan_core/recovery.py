"""What a training had to change to go on: lower learning rates after NaN, smaller parts after running out of memory.

Kept in `recovery.json` of the run, written before the training goes back, and in every checkpoint's progress: a kill
at any moment forgets nothing.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gan_core import artifacts
from gan_core.config import RunConfig, TrainConfig
from gan_core.errors import ArtifactError, ConfigError, Diverged
from gan_core.guards import smaller_micro_batch

_LOG = logging.getLogger(__name__)

MAX_DIVERGENCES = 3
_FILE = "recovery.json"


@dataclass(frozen=True)
class Divergence:
    """What was not finite, after how many images, under which learning rates."""

    images: int
    what: str
    learning_rate_g: float
    learning_rate_d: float

    def __str__(self) -> str:
        rates = f"{self.learning_rate_g:g} and {self.learning_rate_d:g}"
        return f"{self.what} was not finite at {self.images / 1000:g} kimg (learning rates {rates})"


@dataclass(frozen=True)
class Recovery:
    """What is changed of the config that was asked for, and why.

    Attributes:
        divergences: each halved both learning rates.
        micro_batch: what took the place of `train.micro_batch` when the memory did not suffice; 0 is nothing.
    """

    divergences: tuple[Divergence, ...] = ()
    micro_batch: int = 0

    @property
    def learning_rate_share(self) -> float:
        """What is left of the learning rates that were asked for."""
        return float(0.5 ** len(self.divergences))

    def applied(self, config: RunConfig) -> RunConfig:
        """Return the config that the networks are built by."""
        train, share = config.train, self.learning_rate_share
        changed = dataclasses.replace(
            train,
            learning_rate_g=train.learning_rate_g * share,
            learning_rate_d=train.learning_rate_d * share,
            micro_batch=self.micro_batch or train.micro_batch,
        )
        return dataclasses.replace(config, train=changed)

    def after_divergence(self, images: int, what: str, train: TrainConfig, run_dir: Path) -> Recovery:
        """Return this with half the learning rates, and say so in the log.

        Args:
            images: images shown when it was seen.
            what: the figure or weight that is not finite.
            train: what was asked for.
            run_dir: the run's folder, for the message.

        Raises:
            Diverged: they have been halved `MAX_DIVERGENCES` times.
        """
        rates = [rate * self.learning_rate_share for rate in (train.learning_rate_g, train.learning_rate_d)]
        seen = (*self.divergences, Divergence(images, what, *rates))
        if len(seen) > MAX_DIVERGENCES:
            raise Diverged(
                f"{'; then '.join(map(str, seen))}; the last good checkpoint is kept in {run_dir / 'checkpoints'}. "
                f"Try a lower train.learning_rate_g and train.learning_rate_d (now {train.learning_rate_g:g} and "
                f"{train.learning_rate_d:g})"
            )
        halved = "going back to the last good checkpoint with half the learning rates"
        _LOG.warning("%s; %s (%d of %d)", seen[-1], halved, len(seen), MAX_DIVERGENCES)
        return dataclasses.replace(self, divergences=seen)

    def with_smaller_parts(self, images: int, reason: str, train: TrainConfig, replicas: int = 1) -> Recovery:
        """Return this with half the pictures in memory at once, and say so in the log.

        Args:
            images: images shown before the step that did not fit.
            reason: what TensorFlow says.
            train: what was asked for.
            replicas: devices that share the batch.

        Raises:
            ConfigError: one picture at a time is too much already.
        """
        smaller = smaller_micro_batch(train.batch_size, self.micro_batch or train.micro_batch, replicas)
        if smaller is None:
            raise ConfigError(
                f"the device's memory does not suffice for one picture at a time ({reason}); choose a smaller "
                "model.base_channels or data.resolution, or free the memory that other programs hold"
            )
        told = "going back to the last checkpoint, with the same batch in parts of"
        where = f"at {images / 1000:g} kimg ({reason})"
        _LOG.warning("out of memory %s; %s %d pictures (train.micro_batch)", where, told, smaller)
        return dataclasses.replace(self, micro_batch=smaller)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types; `from_json` is the inverse."""
        return {"divergences": [dataclasses.asdict(one) for one in self.divergences], "micro_batch": self.micro_batch}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Recovery:
        """Rebuild what `to_json` returned; an empty mapping is a training without trouble."""
        divergences = tuple(Divergence(**one) for one in saved.get("divergences", ()))
        return cls(divergences, int(saved.get("micro_batch", 0)))

    def write(self, run_dir: Path) -> None:
        """Keep this beside the checkpoints, atomically."""
        artifacts.write_json(run_dir / _FILE, self.to_json())

    @classmethod
    def load(cls, run_dir: Path, progress: Mapping[str, Any]) -> Recovery:
        """Return what the file says, which is never older than the `progress` of the newest checkpoint.

        Raises:
            ArtifactError: the file is damaged.
        """
        path = run_dir / _FILE
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls.from_json(progress.get("recovery", {}))
        except (AttributeError, OSError, TypeError, ValueError) as error:
            raise ArtifactError(
                f"{path} cannot be read ({error}); delete it, and the training goes on as its newest checkpoint says"
            ) from None
