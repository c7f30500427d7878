"""What the workers of a training tell each other between two steps, and what becomes of a training that loses one."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from gan_core.errors import ConfigError, StageFailed
from gan_core.workers import Worker

_ROW_BYTES = 8192
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)


class Team:
    """All workers of a training. What one of them calls here, all must call, in the same order."""

    def __init__(self, worker: Worker, strategy: tf.distribute.Strategy | None) -> None:
        self.worker, self._strategy = worker, strategy
        self._sum = tf.function(self._summed, input_signature=[tf.TensorSpec([worker.count, _ROW_BYTES], tf.int32)])

    @property
    def is_alone(self) -> bool:
        """Whether there is no other worker."""
        return self.worker.count == 1

    @property
    def is_chief(self) -> bool:
        """Whether this worker writes."""
        return self.worker.is_chief

    def exchange(self, value: Any) -> list[Any]:
        """Return the values of all workers in their order, and wait until they are there. JSON types, 8 KB at most."""
        if self.is_alone:
            return [value]
        text = json.dumps(value).encode()
        table = np.zeros([self.worker.count, _ROW_BYTES], np.int32)
        table[self.worker.index, : len(text)] = np.frombuffer(text, np.uint8)
        rows = self._sum(table).numpy().astype(np.uint8)
        return [json.loads(row.tobytes().rstrip(b"\0")) for row in rows]

    def from_chief(self, value: Any) -> Any:
        """Return the chief's value."""
        return self.exchange(value if self.is_chief else None)[0]

    def require_same(self, asked: str) -> None:
        """Raise ConfigError on all workers unless each was asked for the same."""
        if len(set(self.exchange(asked))) > 1:
            raise ConfigError(
                f"the workers of TF_CONFIG train different things, seen by {self.worker}; give all of them the same "
                "preset and options"
            )

    def wait(self) -> None:
        """Go on when all workers are here."""
        self.exchange(None)

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Say in one line that another worker is gone.

        Raises:
            StageFailed: it is.
        """
        try:
            yield
        except _LOST as error:
            if self.is_alone:
                raise
            raise StageFailed(
                f"{self.worker} lost another one ({type(error).__name__}); see what that one says itself. The same "
                "command on all machines goes on from the newest checkpoint"
            ) from None

    def _summed(self, table: Any) -> Any:
        assert self._strategy is not None
        replicas = self._strategy.num_replicas_in_sync // self.worker.count  # each of this worker's adds the same

        def everywhere(mine: Any) -> Any:
            # The identity has a device, by which the reduction finds out where to; an argument has none.
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(mine))

        total = self._strategy.run(everywhere, (table,))
        return self._strategy.experimental_local_results(total)[0] // replicas
