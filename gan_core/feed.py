"""What each device call of a training is given, a function of the step: pictures or their places, and conditions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gan_core.conditions import Condition
from gan_core.config import RunConfig
from gan_core.dataset import Indices, Pictures, shown_indices
from gan_core.device_pictures import DevicePictures
from gan_core.read_ahead import ReadAhead


class Feed:
    """The training pictures in the order of `train.seed`."""

    def __init__(self, config: RunConfig, pictures: Pictures, condition: Condition | None) -> None:
        self._train, self._data = config.train, config.data
        self._pictures, self._condition = pictures, condition
        self._ahead: ReadAhead | None = None

    @property
    def table(self) -> tf.Variable | None:
        """All pictures, where they lie on the device."""
        return self._pictures.table if isinstance(self._pictures, DevicePictures) else None

    @contextlib.contextmanager
    def reading(self, step: int) -> Iterator[None]:
        """Read pixels ahead in the block, from `step` on, unless they are on the device."""
        if self.table is not None:
            yield
            return
        batch_bytes = self._train.batch_size * self._data.resolution**2 * self._data.channels
        end = self._train.total_steps
        with ReadAhead(lambda one: self._pictures.read(self._shown(one, 1)), step, end, batch_bytes) as self._ahead:
            yield

    def of(self, step: int, count: int, signals: Sequence[int]) -> list[Any]:
        """Return what `Gan.train_steps` takes for `count` steps; nothing at a signal that comes while it is read."""
        indices, batch = self._shown(step, count), self._train.batch_size
        pictures: Any = indices.reshape(count, batch)
        if self.table is None:
            assert self._ahead is not None, "`reading` begins it"
            read = self._ahead.take(count, signals)
            if len(read) < count:
                return []
            pictures = np.stack(read) if count > 1 else read[0][np.newaxis]
        arguments = [pictures, tf.constant(step, tf.int64)]
        if self._condition:
            arguments.append(self._condition.array(self._pictures.values[indices]).reshape(count, batch, -1))
        return arguments

    def _shown(self, step: int, count: int) -> Indices:
        """Return the places of the pictures of `count` steps, int64 [count * batch]."""
        batch = self._train.batch_size
        return shown_indices(step * batch, count * batch, len(self._pictures), self._train.seed)
