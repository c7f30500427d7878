"""Several machines: which of a training's processes this one is, as `TF_CONFIG` in the environment says."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from gan_core.errors import ConfigError

_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Worker:
    """One of `count` processes that train together. The chief, number 0, writes; the others only compute."""

    index: int = 0
    count: int = 1

    @property
    def is_chief(self) -> bool:
        """Whether this one writes."""
        return self.index == 0

    def __str__(self) -> str:
        return f"worker {self.index} of {self.count}{', the chief' if self.is_chief else ''}"


def this_worker(environment: Mapping[str, str] | None = None) -> Worker:
    """Return which worker this process is; the only one where there is no `TF_CONFIG`.

    A task "chief", or else the first "worker", is the chief. See "TF_CONFIG" in TensorFlow's guide on distributed
    training.

    Raises:
        ConfigError: `TF_CONFIG` is not that of a training by workers alone.
    """
    text = (os.environ if environment is None else environment).get("TF_CONFIG", "")
    if not text.strip():
        return Worker()
    try:
        found = json.loads(text)
        cluster = found.get("cluster", {})
        if not cluster:
            return Worker()
        places = [(kind, index) for kind in ("chief", "worker") for index, _ in enumerate(cluster.get(kind, ()))]
        kind, index = found["task"]["type"], int(found["task"]["index"])
        if cluster.keys() - {"chief", "worker"}:
            raise ValueError(f"the cluster has {', '.join(sorted(cluster))}, and only chief and worker train here")
        if (kind, index) not in places:
            raise ValueError(f"the cluster has no {kind} {index}")
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"TF_CONFIG in the environment cannot be used ({type(error).__name__}: {error}); it is to be like "
            f"{_EXAMPLE}; unset it to train on this machine alone"
        ) from None
    return Worker(places.index((kind, index)), len(places))
